import type { Diagnostic } from '#kit/diagnostics.ts';
import { SETTLED_REASONS } from '#model/reasons.ts';
import type { DeclaredDifference } from '#model/difference.ts';
import type { PassReport, PassResult, Refusal } from '#reconcile/report.ts';
import { statusOf } from '#reconcile/status.ts';
import { problemCount } from '#view/diagnostics-text.ts';
import { unreadText } from '#view/answer.ts';
import { summarise } from '#view/plan-summary.ts';
import { counted, tally } from '#view/words.ts';
import type { FailOn } from './inputs.ts';
import type { Job } from './job.ts';
import { annotationOf } from './runner.ts';

/** How a command ended: what later steps read, and what may fail this one. */
export interface Ending {
  readonly exit: number;
  readonly refusal: Refusal | null;
  readonly diagnostics: readonly Diagnostic[];
  readonly counts: Counts;
  /** Of which devices nothing is known, and why: what a plan fails with. */
  readonly unread?: string | null;
}

/** What was counted; what a command cannot know is left out. */
export interface Counts {
  readonly changes?: number;
  readonly refused?: number;
  readonly frozen?: number;
  readonly join?: number;
  readonly leave?: number;
  readonly waiting?: number;
  readonly open?: number;
  readonly halted?: readonly string[];
  readonly held?: Readonly<Record<string, number>>;
  readonly converged?: boolean;
  readonly plan?: string;
}

export function countsOf(result: PassResult): Counts {
  const summary = summarise(result);
  const status = statusOf(result);
  const waiting = [...status.held].filter(([reason]) => !SETTLED_REASONS.has(reason));
  return {
    changes: summary.changing,
    refused: summary.refused.length,
    frozen: summary.frozen.length,
    join: summary.joining.length,
    leave: summary.leaving.length,
    waiting: waiting.reduce((sum, [, devices]) => sum + devices, 0),
    open: status.open,
    halted: status.halted,
    held: Object.fromEntries(tally(result.decision.held.map(({ reason }) => reason))),
    converged: result.view.open.size === 0 && waiting.length === 0,
    plan: result.plan.digest,
  };
}

export function differenceCounts({ changing, joining, leaving }: DeclaredDifference): Counts {
  return { changes: changing, join: joining.length, leave: leaving.length };
}

export function endingOf(report: PassReport): Ending {
  const { exit, refusal, diagnostics, result } = report;
  return {
    exit,
    refusal,
    diagnostics,
    counts: result === null ? {} : countsOf(result),
    unread: result === null ? null : unreadText(summarise(result)),
  };
}

/** What a pass did not see, and what it refuses, each where a reviewer looks. */
export function annotatePass({ runner, inputs, vault }: Job, { result }: PassReport): void {
  for (const { connection, code, message } of result?.troubles ?? []) {
    runner.annotate('warning', vault.clean(`${connection}: ${code} ${message}`), { title: code });
  }
  if (result === null) return;
  for (const { device, reason, evidence } of summarise(result).refused) {
    const row = result.declared.rowOf(device);
    if (row === undefined) continue;
    runner.annotate('warning', `${device}: ${evidence}`, annotationOf(reason, result.declared.deviceAt(row).place, inputs.path));
  }
}

/** Outputs for later steps, and whether this one fails. Gives the exit code of the command. */
export function conclude(job: Job, ending: Ending): number {
  const { runner, vault } = job;
  const { exit, refusal, diagnostics, counts } = ending;
  for (const [name, value] of Object.entries(counts)) {
    runner.output(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
  }
  const of = (severity: Diagnostic['severity']): number => diagnostics.filter((one) => one.severity === severity).length;
  runner.output('errors', String(of('error')));
  runner.output('warnings', String(of('warning')));
  if (refusal !== null) {
    runner.annotate(exit === 75 ? 'warning' : 'error', vault.clean(refusal.message), { title: refusal.code });
  }
  const why = failures(job, ending, of('warning'));
  if (why.length > 0) runner.fail(vault.clean(why.join('; ')));
  runner.output('exit', String(exit));
  return exit;
}

/** Why this step fails, in the order of the list of `fail-on`. A plan is not failed by a rollout that is halted already. */
function failures({ inputs }: Job, { exit, refusal, diagnostics, counts, unread = null }: Ending, warnings: number): readonly string[] {
  const { changes = 0, refused = 0, waiting = 0, leave = 0 } = counts;
  const halted = inputs.command === 'plan' ? [] : (counts.halted ?? []);
  const devices = (count: number, what: string): string | null => (count === 0 ? null : `${counted(count, 'device')} ${what}`);
  const told: Readonly<Record<FailOn, string | null>> = {
    failed: exit === 1 ? failedText(refusal, diagnostics, unread) : null,
    halted: halted.length === 0 ? null : `a rollout is halted: ${halted.join(', ')}`,
    changes: devices(changes, 'would change'),
    refused: devices(refused, 'are refused'),
    held: devices(waiting, 'are held'),
    leave: devices(leave, 'leave the inventory'),
    busy: exit === 75 ? (refusal?.message ?? 'another runner holds the lease') : null,
    warnings: warnings === 0 ? null : counted(warnings, 'warning'),
  };
  return Object.entries(told).flatMap(([name, text]) => (text !== null && [...inputs.failOn].some((one) => one === name) ? [text] : []));
}

function failedText(refusal: Refusal | null, diagnostics: readonly Diagnostic[], unread: string | null): string {
  if (refusal !== null) return `${refusal.code}: ${refusal.message}`;
  return diagnostics.some(({ severity }) => severity === 'error') ? problemCount(diagnostics) : (unread ?? 'the pass failed');
}
