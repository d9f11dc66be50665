import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { Clock } from '#ports/clock.ts';
import { LedgerError } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassReport } from '#reconcile/report.ts';
import type { Hosted } from './hosted.ts';
import type { DaemonLog } from './log.ts';

/** Between a cause and its pass: causes that come together share one, and a fleet of causes does not make a row of passes. */
const GATHER_MS = SECOND_MS;
/** What changes by time alone is looked at then, not sooner. */
const SHORTEST_WAKE_MS = 5 * SECOND_MS;
/** While an operation is under way a pass looks after it so often, whatever the schedule says. */
const ATTENTION_MS = MINUTE_MS;

export type PassResultKind = 'converged' | 'under_way' | 'halted' | 'busy' | 'failed';

export interface PassEnd {
  readonly kind: PassResultKind;
  readonly cause: string;
  readonly durationMs: number;
  /** Null when it broke off. */
  readonly report: PassReport | null;
  /** For people: why it failed. */
  readonly why: string | null;
}

export interface PassesOptions {
  readonly hosted: () => Hosted;
  readonly clock: Clock;
  readonly log: DaemonLog;
  readonly onEnd: (end: PassEnd) => Promise<void> | void;
  /** 1 s when left out. */
  readonly gatherMs?: number;
}

/** Passes one after the other, whoever asks for them: never two at once. */
export class Passes {
  readonly #options: PassesOptions;
  readonly #causes = new Set<string>();
  #wake: () => void = () => undefined;
  #wakeAt: number | null = null;
  #runningSince: number | null = null;
  #work: Promise<void> = Promise.resolve();

  constructor(options: PassesOptions) {
    this.#options = options;
  }

  /** A pass follows: the one that waits already, or another one after that which is under way. */
  request(cause: string): void {
    this.#causes.add(cause);
    this.#wake();
  }

  /** For how long the present pass has been under way, in ms; null between passes. */
  get runningMs(): number | null {
    return this.#runningSince === null ? null : this.#options.clock.monotonicMs() - this.#runningSince;
  }

  /** Until the signal; a pass that is under way then begins nothing more, and is waited for. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, gatherMs = GATHER_MS } = this.#options;
    while (!signal.aborted) {
      await this.#requested(signal);
      await clock.sleep(gatherMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      const cause = [...this.#causes].toSorted().join(', ');
      this.#causes.clear();
      await this.between(() => this.#pass(cause, signal));
    }
  }

  /** While no pass is under way. */
  between(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }

  async #requested(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    if (this.#causes.size > 0 || signal.aborted) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const either = AbortSignal.any([signal, woken.signal]);
    const waitMs = this.#wakeAt === null ? null : Math.max(SHORTEST_WAKE_MS, this.#wakeAt - clock.now());
    const waited = waitMs === null ? until(either) : clock.sleep(waitMs, either).then(() => void this.#causes.add('time'));
    await waited.catch(() => undefined);
    this.#wake = () => undefined;
  }

  async #pass(cause: string, signal: AbortSignal): Promise<void> {
    const { clock, log, hosted, onEnd } = this.#options;
    const began = clock.monotonicMs();
    this.#runningSince = began;
    log.debug('pass begins', { cause });
    try {
      const { world, state } = hosted();
      const report = await runPass(world, state, { mode: 'apply', nextPassMs: ATTENTION_MS, signal });
      this.#wakeAt = wakeAt(report, clock.now());
      const why = report.refusal === null ? mistakes(report) : `${report.refusal.code}: ${report.refusal.message}`;
      await onEnd({ kind: kindOf(report), cause, durationMs: clock.monotonicMs() - began, report, why });
    } catch (error) {
      // A pass that was called off ends in the middle of waiting for the lease.
      if (signal.aborted && error === signal.reason) return;
      const known = error instanceof WireError || error instanceof LedgerError;
      const why = known ? `${error.code}: ${error.message}` : String(error instanceof Error ? error.stack : error);
      await onEnd({ kind: 'failed', cause, durationMs: clock.monotonicMs() - began, report: null, why });
    } finally {
      this.#runningSince = null;
    }
  }
}

function wakeAt({ result }: PassReport, now: Instant): Instant | null {
  if (result === null) return null;
  const times = [result.decision.wakeAt, result.view.open.size > 0 ? now + ATTENTION_MS : null].filter((at) => at !== null);
  return times.length === 0 ? null : Math.min(...times);
}

function until(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** The exit codes of `apply`: DESIGN.md §8. */
function kindOf({ exit, refusal }: PassReport): PassResultKind {
  if (exit === 75) return 'busy';
  if (refusal !== null || exit === 1) return 'failed';
  if (exit === 3) return 'halted';
  return exit === 2 ? 'under_way' : 'converged';
}

function mistakes({ diagnostics, result }: PassReport): string | null {
  const first = diagnostics.find(({ severity }) => severity === 'error');
  if (first === undefined) return null;
  const count = diagnostics.filter(({ severity }) => severity === 'error').length;
  const what = `${first.code}: ${first.summary}${count > 1 ? ` (and ${count - 1} more)` : ''}`;
  return result === null ? what : `the revision is not valid, the last valid one stays in force: ${what}`;
}
