import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassOptions, PassReport } from '#reconcile/pass.ts';
import { statusOf } from '#reconcile/status.ts';
import { diagnosticsJson, diagnosticsText } from '#view/diagnostics-text.ts';
import { holdJson, readSavedPlan, revisionJson } from '#view/plan-json.ts';
import { isoInstant } from '#view/time.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, jsonText, sourceLines, withFleet } from '#cli/fleet.ts';
import type { Fleet } from '#cli/fleet.ts';
import type { LookFlags } from '#cli/flags.ts';
import { makeProgress } from '#cli/progress.ts';
import type { Progress } from '#cli/progress.ts';

export interface ApplyFlags extends LookFlags {
  readonly wait: boolean;
  readonly watch: boolean;
  readonly listen?: number;
  readonly newLedger: boolean;
  readonly acceptEngine: boolean;
}

/** How long a waiting apply rests between passes: long enough for a broker, short enough for a person. */
const REST_MS = 30 * SECOND_MS;
const SHORTEST_REST_MS = SECOND_MS;

const UNDER_WAY = 2;
const BUSY = 75;

export function apply(context: CliContext, flags: ApplyFlags, file?: string): Promise<void> {
  const { cli } = context;
  return withFleet(context, flags, async (fleet) => {
    const saved = file === undefined ? null : await readPlan(resolve(cli.cwd, file));
    const repeated = flags.wait || flags.watch;
    const ref = flags.ref ?? saved?.commit ?? undefined;
    const options: PassOptions = {
      mode: 'apply',
      signal: cli.signal,
      nextPassMs: repeated ? REST_MS : null,
      newLedger: flags.newLedger,
      acceptEngine: flags.acceptEngine,
      ...(ref === undefined ? {} : { ref }),
      ...(saved === null ? {} : { saved: saved.digest }),
      ...(flags.listen === undefined ? {} : { listenMs: flags.listen }),
    };
    const progress = makeProgress({
      fleet,
      stream: cli.stdout,
      live: flags.watch && cli.stdout.isTTY === true && !flags.json,
      quiet: flags.json,
    });
    const report = repeated ? await passes(fleet, { options, progress, signal: cli.signal }) : await onePass(fleet, options, progress);
    if (flags.json) fleet.out(jsonText(passJson(report)));
    return report.exit;
  });
}

async function readPlan(path: string): Promise<{ readonly digest: string; readonly commit: string | null }> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new CliTrouble('NOT_FOUND', `cannot read ${path}`);
  });
  const saved = readSavedPlan(text);
  if (saved === undefined) throw new CliTrouble('NOT_A_PLAN', `${path} was not saved by \`headgate plan --out\``);
  return saved;
}

async function onePass(fleet: Fleet, options: PassOptions, progress: Progress): Promise<PassReport> {
  const report = await runPass(fleet.world, fleet.state, options);
  if (report.diagnostics.length > 0) {
    progress.line(diagnosticsText(report.diagnostics, { paint: fleet.paint, sourceLine: await sourceLines(fleet, options.ref) }));
  }
  if (report.refusal !== null) fleet.note(`${report.refusal.code}: ${report.refusal.message}`);
  progress.pass(report);
  return report;
}

/** Passes until the fleet has converged, a rollout has halted, something failed, or Ctrl-C. A saved plan is applied once. */
async function passes(
  fleet: Fleet,
  run: { readonly options: PassOptions; readonly progress: Progress; readonly signal: AbortSignal },
): Promise<PassReport> {
  const { clock } = fleet.world;
  let options = run.options;
  for (;;) {
    const report = await onePass(fleet, options, run.progress);
    if ((report.exit !== UNDER_WAY && report.exit !== BUSY) || run.signal.aborted) return ended(run.progress, report);
    const { saved: _saved, newLedger: _newLedger, ...again } = options;
    options = again;
    try {
      await clock.sleep(restMs(report, clock.now()), run.signal);
    } catch {
      return ended(run.progress, report);
    }
  }
}

function ended(progress: Progress, report: PassReport): PassReport {
  progress.end();
  return report;
}

/** Until something can change by time alone, at most the usual rest: reports come in between. */
function restMs(report: PassReport, now: number): number {
  const wakeAt = report.result?.decision.wakeAt ?? null;
  if (wakeAt === null || wakeAt - now > 10 * MINUTE_MS) return REST_MS;
  return Math.min(REST_MS, Math.max(SHORTEST_REST_MS, wakeAt - now));
}

/** What one pass did, for machines. */
export function passJson(report: PassReport): unknown {
  const { result } = report;
  return {
    at: isoInstant(report.at),
    exit: report.exit,
    refusal: report.refusal,
    diagnostics: diagnosticsJson(report.diagnostics),
    revision: result === null ? null : revisionJson(result.declared.revision),
    fellBack: result?.fellBack ?? false,
    status: result === null ? null : { ...statusOf(result), held: Object.fromEntries(statusOf(result).held) },
    operations: (result?.executed ?? []).map(({ admitted, result: outcome }) => ({
      operation: admitted.operation.id,
      device: admitted.operation.device,
      item: admitted.operation.item,
      attempt: admitted.attempt,
      outcome: outcome.kind,
    })),
    held: (result?.decision.held ?? []).map(holdJson),
    wakeAt: isoInstant(result?.decision.wakeAt ?? null),
  };
}
