import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { World } from '#ports/world.ts';
import { runPass } from './pass.ts';
import type { PassOptions, PassReport } from './report.ts';
import type { DeclareState } from './revision.ts';

/** How long a waiting apply rests between passes: long enough for a broker, short enough for a person. */
const REST_MS = 30 * SECOND_MS;
const SHORTEST_REST_MS = SECOND_MS;
/** What lies further ahead than this is not slept for in one piece: reports come in between. */
const NEAR_MS = 10 * MINUTE_MS;

const UNDER_WAY = 2;
const BUSY = 75;

export interface RepeatOptions {
  readonly pass: PassOptions;
  readonly signal: AbortSignal;
  /** Told of each pass when it has ended. */
  onPass(report: PassReport): Promise<void> | void;
}

/**
 * Passes until the fleet has converged, a rollout has halted, something failed, or the signal is aborted; gives the last
 * report. A saved plan and the beginning of a ledger belong to the first pass alone.
 */
export async function repeatPasses(world: World, state: DeclareState, options: RepeatOptions): Promise<PassReport> {
  const { saved: _saved, newLedger: _newLedger, ...again } = options.pass;
  let pass: PassOptions = { ...options.pass, nextPassMs: REST_MS };
  for (;;) {
    const report = await runPass(world, state, pass);
    await options.onPass(report);
    if ((report.exit !== UNDER_WAY && report.exit !== BUSY) || options.signal.aborted) return report;
    pass = { ...again, nextPassMs: REST_MS };
    try {
      await world.clock.sleep(restMs(report, world.clock.now()), options.signal);
    } catch {
      return report;
    }
  }
}

/** Until something can change by time alone, at most the usual rest. */
export function restMs(report: Pick<PassReport, 'result'>, now: number): number {
  const wakeAt = report.result?.decision.wakeAt ?? null;
  if (wakeAt === null || wakeAt - now > NEAR_MS) return REST_MS;
  return Math.min(REST_MS, Math.max(SHORTEST_REST_MS, wakeAt - now));
}
