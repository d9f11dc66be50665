import { compareText } from '#kit/diagnostics.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { DriverPorts, ObserveAnswer, ObserveRequest } from '#ports/driver.ts';
import { WireError } from '#ports/wire-error.ts';
import { callerOf, lookAt } from './driver-board.ts';
import { canCall, mongooseOptions, otaOver } from './options.ts';
import { answeredReport, askedOf, refusedReport, silentReport } from './answers.ts';
import { firmwareSeen } from './reports.ts';
import type { Ota } from './options.ts';
import { triedIn } from './wire.ts';

/** Boards that are asked at the same time; each has one question in flight. */
const AT_ONCE = 16;
/** One that was silent is not asked again before. */
const SILENCE_MS = 5 * MINUTE_MS;
/** One that is to be changed is about to be acted on, by what it answered last. */
const WAITING_MS = 10 * MINUTE_MS;

/** A board with what is known of it before it is asked. */
export interface Asked {
  readonly device: DeclaredDevice;
  readonly report: ReportedDevice | undefined;
}

/** How a board's firmware is brought, as its connection decides where options do not. */
function otaOfBoard(ports: DriverPorts, device: DeclaredDevice): Ota {
  return otaOver(mongooseOptions(device.options), ports.connection(device.via.connection)?.type ?? null);
}

/** Whether calls are all that tells of it. */
export function isAskedAlone(ports: DriverPorts, device: DeclaredDevice): boolean {
  return otaOfBoard(ports, device) !== 'shadow';
}

/**
 * Whether a board must be called to know how it is: now and then where calls are all that tells; beside a shadow for what that
 * does not say, and while something is under way, for its health.
 */
export function isDue(ports: DriverPorts, { device, report }: Asked, request: Pick<ObserveRequest, 'isOpen'>): boolean {
  const options = mongooseOptions(device.options);
  if (ports.role !== 'holder' || !canCall(ports.connection(device.via.connection)?.type ?? null)) return false;
  const alone = isAskedAlone(ports, device);
  const { firmware } = report?.items ?? {};
  const busy = request.isOpen(device.id) || (firmware?.kind === 'value' && triedIn(firmware.value) !== null);
  const silentInShadow = options.shadow.generation === 'flat' || options.host?.method != null;
  if (!alone && !silentInShadow && !(busy && options.commit === 'rpc')) return false;
  const asked = askedOf(report);
  if (asked === null) return true;
  const ageMs = ports.clock.now() - asked.at;
  if (busy || firmwareSeen(firmware)?.status?.state === 'progress') return asked.answered || ageMs >= 0.1 * SILENCE_MS;
  if (!asked.answered) return ageMs >= Math.min(SILENCE_MS, options.askEveryMs);
  return ageMs >= (isAsDeclared(device, report) ? options.askEveryMs : Math.min(WAITING_MS, options.askEveryMs));
}

function isAsDeclared({ items }: DeclaredDevice, report: ReportedDevice | undefined): boolean {
  return items.every(({ item, value }) => {
    const reported = report?.items[item];
    return reported?.kind === 'value' && reported.value === value;
  });
}

/** Asks them, and answers with whole reports. A wire that breaks is told once for its connection; its boards stay as they were. */
export async function askBoards(ports: DriverPorts, boards: readonly Asked[], signal: AbortSignal): Promise<ObserveAnswer> {
  const waiting = boards.toSorted((a, b) => compareText(a.device.id, b.device.id));
  const reports: ReportedDevice[] = [];
  const broken = new Map<string, WireError>();
  const workers = Array.from({ length: Math.min(AT_ONCE, waiting.length) }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { connection } = next.device.via;
      if (signal.aborted || broken.has(connection)) continue;
      try {
        reports.push(await askOne(ports, next, signal));
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        broken.set(connection, error);
      }
    }
  });
  await Promise.all(workers);
  return {
    reports: reports.toSorted((a, b) => compareText(a.device, b.device)),
    troubles: [...broken]
      .toSorted(([a], [b]) => compareText(a, b))
      .map(([connection, { code, message }]) => ({ connection, code, message })),
  };
}

async function askOne(ports: DriverPorts, { device, report }: Asked, signal: AbortSignal): Promise<ReportedDevice> {
  const caller = await callerOf(ports, device, signal);
  const answers = await lookAt(caller, device, signal);
  const [now, alone] = [ports.clock.now(), isAskedAlone(ports, device)];
  if (answers === 'silent') return silentReport(device, report, { now, alone });
  if ('refused' in answers) return refusedReport(device, report, { why: answers.refused, now, alone });
  return answeredReport(device, report, { answers, now, alone });
}
