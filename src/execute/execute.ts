import pLimit from 'p-limit';
import type { DeclaredDevice } from '#model/declared.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { OutcomeResult } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Admitted } from '#model/rollout.ts';
import type { Clock } from '#ports/clock.ts';
import type { Driver, DriverOutcome, PerformContext } from '#ports/driver.ts';
import type { Lease } from '#ports/ledger.ts';
import type { Log } from '#ports/log.ts';
import { WireError } from '#ports/wire-error.ts';
import { retryDelayMs } from './retry.ts';

/** One perform may take this long; none begins with less of the lease left. */
const PERFORM_LIMIT_MS = 45_000;
const PARALLEL_PERFORMS = 8;
const RENEW_BELOW_MS = 70_000;

export interface ExecuteInput {
  readonly admitted: readonly Admitted[];
  /** The device as it is, or was, declared with the hardware of the operation; undefined when nobody knows it any more. */
  readonly deviceFor: (operation: Operation) => KnownDevice | undefined;
  readonly open: (operation: string) => OpenOperation | null;
  readonly driverOf: (family: string) => Driver;
  readonly lease: Lease;
  readonly clock: Clock;
  /** What the limit of one perform is measured with. */
  readonly wireClock: Clock;
  readonly log: Log;
  /** Called right after each perform, before its outcome is recorded: where crash tests cut the power. */
  readonly onPerformed?: (operation: string) => void;
  /** The runner is to end: what is under way is finished, nothing more is begun. */
  readonly signal?: AbortSignal;
}

export interface KnownDevice {
  readonly device: DeclaredDevice;
  /** Undefined where the reports are those of other hardware. */
  readonly reported: ReportedDevice | undefined;
}

export interface Executed {
  readonly admitted: Admitted;
  readonly result: OutcomeResult;
}

/**
 * Carries out what was admitted and is recorded as intended: precheck, perform, and the outcome as a value. Invents
 * nothing, retries nothing. Answers in the order of `admitted`. An operation that the lease left no time for answers
 * trouble LEASE_LOST and stays open; one that was not begun when the signal came answers trouble STOPPED.
 */
export async function execute(input: ExecuteInput): Promise<readonly Executed[]> {
  const limit = pLimit(PARALLEL_PERFORMS);
  const renewal = { pending: null as Promise<boolean> | null };
  const results: { readonly index: number; readonly executed: Executed }[] = [];
  // One device, one operation at a time, in the order in which they were admitted: firmware.bin goes before its config.
  const perDevice = Map.groupBy(input.admitted.entries(), ([, { operation }]) => operation.device);
  const running = [...perDevice.values()].map(async (chain) => {
    for (const [index, admitted] of chain) {
      const wait = admitted.notBefore - input.clock.now();
      if (wait > 0) await input.clock.sleep(wait, input.signal).catch(() => undefined);
      const outcome = await limit(async () => {
        if (input.signal?.aborted === true) return STOPPED;
        return (await keepLease(input, renewal)) ? carryOut(input, admitted) : leaseLost();
      });
      results.push({ index, executed: { admitted, result: settle(outcome, admitted, input.clock.now()) } });
    }
  });
  await Promise.all(running);
  return results.toSorted((a, b) => a.index - b.index).map((one) => one.executed);
}

/** Operations that run side by side share one renewal. */
async function keepLease(input: ExecuteInput, renewal: { pending: Promise<boolean> | null }): Promise<boolean> {
  if (input.lease.leftMs() >= RENEW_BELOW_MS) return true;
  renewal.pending ??= input.lease.renew().finally(() => (renewal.pending = null));
  await renewal.pending;
  return input.lease.leftMs() >= PERFORM_LIMIT_MS;
}

const STOPPED: DriverOutcome = {
  kind: 'trouble',
  code: 'STOPPED',
  evidence: 'the runner was stopped before this was performed',
  retry: 'now',
};

function leaseLost(): DriverOutcome {
  return { kind: 'trouble', code: 'LEASE_LOST', evidence: 'another runner took the lease before this was performed', retry: 'later' };
}

async function carryOut(input: ExecuteInput, admitted: Admitted): Promise<DriverOutcome> {
  const { operation } = admitted;
  const known = input.deviceFor(operation);
  if (known === undefined) return { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: 'the device is no longer in the inventory' };
  const deadline = new AbortController();
  const finished = new AbortController();
  const timer = input.wireClock.sleep(PERFORM_LIMIT_MS, finished.signal).then(
    () => deadline.abort(new WireError('TIMEOUT', 'later', 'the operation took longer than its limit')),
    () => undefined,
  );
  const context: PerformContext = {
    device: known.device,
    reported: known.reported,
    content: operation.content,
    fencing: input.lease.fencing,
    signal: deadline.signal,
  };
  try {
    const outcome = await attempt(input, admitted, context);
    input.onPerformed?.(operation.id);
    return outcome;
  } finally {
    finished.abort();
    await timer;
  }
}

async function attempt(input: ExecuteInput, admitted: Admitted, context: PerformContext): Promise<DriverOutcome> {
  const { operation } = admitted;
  const driver = input.driverOf(operation.family);
  const open = input.open(operation.id);
  try {
    const look = await driver.precheck(operation, open, context);
    if (look.kind !== 'clear') return look;
    return await driver.perform(operation, open, context);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    input.log.warn('operation met a broken wire', { operation: operation.id, code: error.code });
    return { kind: 'trouble', code: error.code, evidence: error.message, retry: error.retry };
  }
}

function settle(outcome: DriverOutcome, admitted: Admitted, now: number): OutcomeResult {
  if (outcome.kind !== 'trouble') return outcome;
  const delay = retryDelayMs({ retry: outcome.retry, attempt: admitted.attempt, operation: admitted.operation.id });
  return { kind: 'trouble', code: outcome.code, evidence: outcome.evidence, retryAt: now + delay };
}
