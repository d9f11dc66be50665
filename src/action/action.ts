import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LedgerError } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';
import type { World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassOptions, PassReport } from '#reconcile/report.ts';
import { repeatPasses } from '#reconcile/repeat.ts';
import { makeDeclareState, readRevision } from '#reconcile/revision.ts';
import type { DeclareState, Loaded, Refused } from '#reconcile/revision.ts';
import { SETTLED_REASONS } from '#model/reasons.ts';
import { problemCount } from '#view/diagnostics-text.ts';
import { eventText, outcomeText } from '#view/events.ts';
import { diagnosticsMarkdown } from '#view/diagnostics-comment.ts';
import { jobSummary } from '#view/job-summary.ts';
import { readSavedPlan, savedPlanJson } from '#view/plan-json.ts';
import { planText } from '#view/plan-text.ts';
import { summarise } from '#view/plan-summary.ts';
import { counted, tally } from '#view/words.ts';
import { openWorld } from '#world.ts';
import { readInputs } from './inputs.ts';
import type { ActionInputs } from './inputs.ts';
import { annotateAll, annotationOf } from './runner.ts';
import type { Runner } from './runner.ts';
import { secretValues } from './secrets.ts';

/** Exit codes with which a workflow's step fails: failed and halted. Changes and work under way are no failures. */
const FAILING: ReadonlySet<number> = new Set([1, 3]);

interface Job {
  readonly runner: Runner;
  readonly inputs: ActionInputs;
  readonly world: World;
  readonly state: DeclareState;
  readonly signal: AbortSignal;
}

/** Runs the action: arguments from the runner, the same work as the CLI, views for people and for later steps. */
export async function runAction(runner: Runner, signal: AbortSignal): Promise<number> {
  const inputs = readInputs((name) => runner.input(name));
  if (!inputs.ok) {
    runner.fail(inputs.error);
    runner.output('exit', '1');
    return 1;
  }
  for (const secret of secretValues(null, runner.env)) runner.mask(secret);
  const world = openWorld({ repo: resolve(runner.workspace, inputs.value.path), env: runner.env, holder: holderOf(runner) });
  try {
    const exit = await work({ runner, inputs: inputs.value, world, state: makeDeclareState(), signal });
    runner.output('exit', String(exit));
    return exit;
  } catch (error) {
    if (!(error instanceof WireError || error instanceof LedgerError)) throw error;
    runner.fail(`${error.code}: ${error.message}`);
    runner.output('exit', '1');
    return 1;
  } finally {
    await world.close();
  }
}

function holderOf(runner: Runner): string {
  const { GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: run } = runner.env;
  return repository === undefined ? 'a workflow' : `${repository} run ${run ?? '?'}`;
}

/** What is checked out is what is meant; only `apply` insists on a commit of the declared branch. */
async function work(job: Job): Promise<number> {
  const { inputs, runner } = job;
  const loaded = await readRevision(job.world, job.state, {
    mode: 'plan',
    at: job.world.clock.now(),
    ...(inputs.ref === null ? {} : { ref: inputs.ref }),
    ...(inputs.base === null ? {} : { base: inputs.base }),
  });
  for (const secret of secretValues(loaded.kind === 'loaded' ? loaded.declared : null, runner.env)) runner.mask(secret);
  annotateAll(runner, loaded.diagnostics, inputs.path);
  if (inputs.command === 'validate' || loaded.kind === 'refused') return validated(job, loaded);
  return inputs.command === 'plan' ? planned(job) : applied(job);
}

async function validated({ runner }: Job, loaded: Loaded | Refused): Promise<number> {
  const exit = loaded.kind === 'loaded' ? 0 : 1;
  await runner.summary(diagnosticsMarkdown(loaded.diagnostics, { links: () => null }));
  if (loaded.kind === 'refused') {
    runner.fail(loaded.refusal === null ? problemCount(loaded.diagnostics) : `${loaded.refusal.code}: ${loaded.refusal.message}`);
  } else runner.info(`valid: ${counted(loaded.declared.size, 'device')} in ${counted(loaded.declared.groups.size, 'group')}`);
  return exit;
}

function passOptions(job: Job, mode: 'plan' | 'apply'): PassOptions {
  const { inputs, signal } = job;
  return {
    mode,
    signal,
    nextPassMs: null,
    ...(inputs.ref === null ? {} : { ref: inputs.ref }),
    ...(inputs.base === null ? {} : { base: inputs.base }),
    ...(inputs.listenMs === null ? {} : { listenMs: inputs.listenMs }),
  };
}

async function planned(job: Job): Promise<number> {
  const { runner, inputs } = job;
  const report = await runPass(job.world, job.state, passOptions(job, 'plan'));
  if (report.result !== null) {
    runner.info(planText(report.result));
    await runner.summary(jobSummary(report.result, { mode: 'plan', links: () => null, troubles: report.result.troubles }));
    if (inputs.plan !== null) {
      await writeFile(resolve(runner.workspace, inputs.plan), `${JSON.stringify(savedPlanJson(report.result.plan), null, 2)}\n`);
    }
    annotateRefusals(job, report);
  }
  return concluded(job, report);
}

async function applied(job: Job): Promise<number> {
  const { runner, inputs } = job;
  const saved = inputs.plan === null ? null : readSavedPlan(await readText(resolve(runner.workspace, inputs.plan)));
  if (saved === undefined) {
    runner.fail(`plan: ${inputs.plan ?? ''} was not saved by a plan step`);
    return 1;
  }
  const options: PassOptions = {
    ...passOptions(job, 'apply'),
    newLedger: inputs.newLedger,
    acceptEngine: inputs.acceptEngine,
    ...(saved === null ? {} : { saved: saved.digest }),
    ...(saved?.commit == null || inputs.ref !== null ? {} : { ref: saved.commit }),
  };
  const onPass = (report: PassReport): void => progress(runner, report);
  const report = inputs.wait
    ? await repeatPasses(job.world, job.state, { pass: options, signal: job.signal, onPass })
    : await runPass(job.world, job.state, options);
  if (!inputs.wait) onPass(report);
  if (report.result !== null)
    await runner.summary(jobSummary(report.result, { mode: 'apply', links: () => null, troubles: report.result.troubles }));
  return concluded(job, report);
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

/** What the pass did, a line each. */
function progress(runner: Runner, { result }: PassReport): void {
  if (result === null) return;
  const { zone } = result.declared.fleet;
  for (const event of result.decision.events) runner.info(eventText(event, zone));
  for (const { admitted, result: outcome } of result.executed) runner.info(outcomeText(admitted, outcome));
}

/** A refused device is a warning on the line that declares it: that is where a reviewer looks. */
function annotateRefusals({ runner, inputs }: Job, { result }: PassReport): void {
  if (result === null) return;
  for (const { device, reason, evidence } of summarise(result).refused) {
    const row = result.declared.rowOf(device);
    if (row === undefined) continue;
    runner.annotate('warning', `${device}: ${evidence}`, annotationOf(reason, result.declared.deviceAt(row).place, inputs.path));
  }
}

/** Outputs for later steps, and whether this one fails. */
function concluded({ runner }: Job, report: PassReport): number {
  const { result, refusal, exit } = report;
  for (const { connection, code, message } of result?.troubles ?? [])
    runner.annotate('warning', `${connection}: ${code} ${message}`, { title: code });
  if (result !== null) {
    const held = result.decision.held.map(({ reason }) => reason);
    runner.output('changes', String(summarise(result).changing));
    runner.output('plan', result.plan.digest);
    runner.output('held', JSON.stringify(Object.fromEntries(tally(held))));
    runner.output('converged', String(result.view.open.size === 0 && held.every((reason) => SETTLED_REASONS.has(reason))));
  }
  if (refusal !== null) runner.annotate(exit === 75 ? 'warning' : 'error', refusal.message, { title: refusal.code });
  if (FAILING.has(exit))
    runner.fail(refusal === null ? (exit === 3 ? 'a rollout is halted' : 'the pass failed') : `${refusal.code}: ${refusal.message}`);
  return exit;
}
