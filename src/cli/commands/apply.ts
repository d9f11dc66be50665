import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { runPass } from '#reconcile/pass.ts';
import type { PassOptions, PassReport } from '#reconcile/report.ts';
import { repeatPasses } from '#reconcile/repeat.ts';
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

export function apply(context: CliContext, flags: ApplyFlags, file?: string): Promise<void> {
  const { cli } = context;
  return withFleet(context, flags, async (fleet) => {
    const saved = file === undefined ? null : await readPlan(resolve(cli.cwd, file));
    const repeated = flags.wait || flags.watch;
    const ref = flags.ref ?? saved?.commit ?? undefined;
    const options: PassOptions = {
      mode: 'apply',
      signal: cli.signal,
      nextPassMs: null,
      newLedger: flags.newLedger,
      acceptEngine: flags.acceptEngine,
      ...(ref === undefined ? {} : { ref }),
      ...(saved === null ? {} : { saved: saved.digest }),
      ...(flags.listen === undefined ? {} : { listenMs: flags.listen }),
    };
    const live = flags.watch && cli.stdout.isTTY === true && !flags.json;
    const progress = makeProgress({ fleet, stream: cli.stdout, live, quiet: flags.json });
    const onPass = (report: PassReport): Promise<void> => tell(fleet, report, { progress, ref });
    const { world, state } = fleet;
    const report = repeated
      ? await repeatPasses(world, state, { pass: options, signal: cli.signal, onPass })
      : await runPass(world, state, options);
    if (!repeated) await onPass(report);
    progress.end();
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

async function tell(
  fleet: Fleet,
  report: PassReport,
  to: { readonly progress: Progress; readonly ref: string | undefined },
): Promise<void> {
  if (report.diagnostics.length > 0) {
    to.progress.line(diagnosticsText(report.diagnostics, { paint: fleet.paint, sourceLine: await sourceLines(fleet, to.ref) }));
  }
  if (report.refusal !== null) fleet.note(`${report.refusal.code}: ${report.refusal.message}`);
  to.progress.pass(report);
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
    objectCalls: result?.objectCalls ?? [],
    ...(result?.shadowCalls === undefined ? {} : { shadowCalls: result.shadowCalls }),
    held: (result?.decision.held ?? []).map(holdJson),
    wakeAt: isoInstant(result?.decision.wakeAt ?? null),
  };
}
