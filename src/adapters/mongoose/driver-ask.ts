import { compareText } from '#kit/diagnostics.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { DriverPorts, ObserveAnswer, ObserveRequest } from '#ports/driver.ts';
import { WireError } from '#ports/wire-error.ts';
import { callerOf, lookAt } from './driver-board.ts';
import { canCall, isFlat, mongooseOptions, otaOver } from './options.ts';
import { answeredReport, askedOf, refusedReport, silentReport } from './answers.ts';
import { firmwareSeen } from './reports.ts';
import type { Ota } from './options.ts';
import { triedIn } from './wire.ts';

/** Boards that are asked at the same time; each has one question in flight. */
const AT_ONCE = 16;
/** One that was silent is not asked again before. */
const SILENCE_MS = 5 * MINUTE_MS;
/** A wire that fails for so many boards in a row is broken; one that fails for one board may serve the others. */
const FAILURES = 3;
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
  const busy = isBusy({ device, report }, request);
  const silentInShadow = isFlat(options) || options.host?.method != null;
  if (!alone && !silentInShadow && !(busy && options.commit === 'rpc')) return false;
  const asked = askedOf(report);
  if (asked === null) return true;
  const ageMs = ports.clock.now() - asked.at;
  if (busy || firmwareSeen(firmware)?.status?.state === 'progress') return asked.answered || ageMs >= 0.1 * SILENCE_MS;
  if (!asked.answered) return ageMs >= Math.min(SILENCE_MS, options.askEveryMs);
  return ageMs >= (isAsDeclared(device, report) ? options.askEveryMs : Math.min(WAITING_MS, options.askEveryMs));
}

/** Something is under way there, or waits for our word. */
function isBusy({ device, report }: Asked, { isOpen }: Pick<ObserveRequest, 'isOpen'>): boolean {
  const firmware = report?.items.firmware;
  return isOpen(device.id) || (firmware?.kind === 'value' && triedIn(firmware.value) !== null);
}

function isAsDeclared({ items }: DeclaredDevice, report: ReportedDevice | undefined): boolean {
  return items.every(({ item, value }) => {
    const reported = report?.items[item];
    return reported?.kind === 'value' && reported.value === value;
  });
}

/**
 * Asks them, and answers with whole reports. A wire that breaks is told once for its connection; its boards stay as they were.
 * Silent boards take their time: those in a trial are asked first, because nobody else says that they may keep it.
 */
export async function askBoards(
  ports: DriverPorts,
  boards: readonly Asked[],
  request: Pick<ObserveRequest, 'isOpen' | 'signal'>,
): Promise<ObserveAnswer> {
  const { signal } = request;
  const late = (board: Asked): number => (isBusy(board, request) ? 0 : 1);
  const waiting = boards.toSorted((a, b) => late(a) - late(b) || compareText(a.device.id, b.device.id));
  const reports: ReportedDevice[] = [];
  const failing = new Map<string, Failing>();
  const workers = Array.from({ length: Math.min(AT_ONCE, waiting.length) }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { connection } = next.device.via;
      if (signal.aborted || (failing.get(connection)?.inARow ?? 0) >= FAILURES) continue;
      try {
        reports.push(await askOne(ports, next, signal));
        noteServed(failing, connection);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        noteFailed(failing, connection, error);
      }
    }
  });
  await Promise.all(workers);
  return {
    reports: reports.toSorted((a, b) => compareText(a.device, b.device)),
    troubles: [...failing]
      .toSorted(([a], [b]) => compareText(a, b))
      .map(([connection, { error }]) => ({ connection, code: error.code, message: error.message })),
  };
}

/** How a wire fares: what it met first, and how many boards it has failed for since it served one. */
interface Failing {
  readonly error: WireError;
  readonly inARow: number;
}

function noteServed(failing: Map<string, Failing>, connection: string): void {
  const failed = failing.get(connection);
  if (failed !== undefined) failing.set(connection, { ...failed, inARow: 0 });
}

function noteFailed(failing: Map<string, Failing>, connection: string, error: WireError): void {
  const failed = failing.get(connection);
  failing.set(connection, { error: failed?.error ?? error, inARow: (failed?.inARow ?? 0) + 1 });
}

async function askOne(ports: DriverPorts, { device, report }: Asked, signal: AbortSignal): Promise<ReportedDevice> {
  const caller = await callerOf(ports, device, signal);
  const answers = await lookAt(caller, device, signal);
  // The shadow of a board of the flat generation says nothing of what it runs.
  const [now, alone] = [ports.clock.now(), isAskedAlone(ports, device) || isFlat(mongooseOptions(device.options))];
  if (answers === 'silent') return silentReport(device, report, { now, alone });
  if ('refused' in answers) return refusedReport(device, report, { why: answers.refused, now, alone });
  return answeredReport(device, report, { answers, now, alone });
}
