import { compareText } from '#kit/diagnostics.ts';
import type { Declared, DeclaredDevice } from '#model/declared.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Clock } from '#ports/clock.ts';
import type { Driver, ObserveAnswer } from '#ports/driver.ts';
import { WireError } from '#ports/wire-error.ts';

export interface ObserveInput {
  readonly declared: Declared;
  readonly last: readonly ReportedDevice[];
  readonly isOpen: (device: DeviceId) => boolean;
  readonly openSince?: (device: DeviceId) => Instant | null;
  readonly openOf?: (device: DeviceId) => readonly OpenOperation[];
  readonly driverOf: (family: string) => Driver;
  readonly clock: Clock;
  /** For all that is asked; what a caller chose to listen for comes on top. */
  readonly deadlineMs: number;
  readonly listenMs: number;
  /** The runner is to end: what is known by then is the answer. */
  readonly stop?: AbortSignal;
}

export interface Observed {
  /** The last reports of all declared devices, new ones in their place, sorted by device. */
  readonly reports: readonly ReportedDevice[];
  /** Those that are new, for the report store. */
  readonly fresh: readonly ReportedDevice[];
  readonly troubles: ObserveAnswer['troubles'];
}

/**
 * Asks each family's driver for what its devices report, within one deadline. Changes nothing at a device. A wire that
 * is broken or too slow is a trouble; what was known of its devices stays.
 */
export async function observe(input: ObserveInput): Promise<Observed> {
  const byFamily = Map.groupBy(managedDevices(input.declared), (device) => device.family);
  const hardware = new Map([...byFamily.values()].flat().map((device) => [device.id, device.hardware]));
  const last = new Map<DeviceId, ReportedDevice>();
  for (const report of input.last) {
    // What was known of replaced hardware is history: it must not speak for the new box.
    if (report.memo['hardware'] === undefined || report.memo['hardware'] === hardware.get(report.device)) last.set(report.device, report);
  }
  const answers = await Promise.all(
    [...byFamily].toSorted(([a], [b]) => compareText(a, b)).map(([family, devices]) => askDriver(input, { family, devices, last })),
  );
  const fresh = answers.flatMap((answer) => answer.reports.map((report) => marked(report, hardware.get(report.device))));
  for (const report of fresh) last.set(report.device, report);
  return {
    reports: [...last.values()].toSorted((a, b) => compareText(a.device, b.device)),
    fresh: fresh.toSorted((a, b) => compareText(a.device, b.device)),
    troubles: answers.flatMap((answer) => answer.troubles),
  };
}

function managedDevices(declared: Declared): readonly DeclaredDevice[] {
  const devices: DeclaredDevice[] = [];
  for (let row = 0; row < declared.size; row += 1) devices.push(declared.deviceAt(row));
  return devices;
}

function marked(report: ReportedDevice, hardware: string | undefined): ReportedDevice {
  return hardware === undefined ? report : { ...report, memo: { ...report.memo, hardware } };
}

interface FamilyRequest {
  readonly family: string;
  readonly devices: readonly DeclaredDevice[];
  readonly last: ReadonlyMap<DeviceId, ReportedDevice>;
}

async function askDriver(input: ObserveInput, request: FamilyRequest): Promise<ObserveAnswer> {
  const deadline = new AbortController();
  const finished = new AbortController();
  const timer = input.clock.sleep(input.deadlineMs + input.listenMs, finished.signal).then(
    () => deadline.abort(new WireError('OBSERVE_DEADLINE', 'later', 'the deadline for observing has passed')),
    () => undefined,
  );
  const stop = (): void => deadline.abort(new WireError('STOPPED', 'later', 'the runner was stopped while it observed'));
  if (input.stop?.aborted === true) stop();
  input.stop?.addEventListener('abort', stop, { once: true });
  try {
    return await input.driverOf(request.family).observe({
      devices: request.devices,
      last: (device) => request.last.get(device),
      isOpen: input.isOpen,
      ...(input.openSince === undefined ? {} : { openSince: input.openSince }),
      ...(input.openOf === undefined ? {} : { openOf: input.openOf }),
      listenMs: input.listenMs,
      signal: deadline.signal,
    });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { reports: [], troubles: [{ connection: request.family, code: error.code, message: error.message }] };
  } finally {
    input.stop?.removeEventListener('abort', stop);
    finished.abort();
    await timer;
  }
}
