import { LedgerError } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';
import type { World } from '#ports/world.ts';
import { readDifference } from '#reconcile/difference.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassOptions, PassReport, Refusal } from '#reconcile/report.ts';
import { repeatPasses } from '#reconcile/repeat.ts';
import { makeDeclareState, readRevision } from '#reconcile/revision.ts';
import type { Loaded, Refused } from '#reconcile/revision.ts';
import { planComment } from '#view/comment.ts';
import { diagnosticsComment } from '#view/diagnostics-comment.ts';
import { differenceComment } from '#view/difference.ts';
import { eventText, metIn, outcomeText } from '#view/events.ts';
import { jobSummary } from '#view/job-summary.ts';
import { readSavedPlan, savedPlanJson } from '#view/plan-json.ts';
import { planText } from '#view/plan-text.ts';
import { statusText } from '#view/status.ts';
import { counted } from '#view/words.ts';
import { openWorld } from '#world.ts';
import { postFile } from './comment-command.ts';
import { annotatePass, conclude, countsOf, differenceCounts, endingOf } from './conclude.ts';
import { readOccasion } from './event.ts';
import type { Occasion } from './event.ts';
import { fleetFolder, folderInRepository, readFileFor, writeFileFor } from './files.ts';
import { readInputs } from './inputs.ts';
import type { ActionInputs } from './inputs.ts';
import { checkBase, compared, hideEnvironment, hideReferences, makeVault, nowOf, passOptions } from './job.ts';
import type { Compared, Job } from './job.ts';
import { withStore } from './ledger.ts';
import { comment, commentOptions } from './pull-comment.ts';
import { annotateAll } from './runner.ts';
import type { Runner } from './runner.ts';
import { keyIds, secretNames, secretValues } from './secrets.ts';

/** A saved plan of a hundred thousand devices is far below. */
const MOST_PLAN_BYTES = 256 * 1024 * 1024;

/** Runs the action: arguments from the runner, the same work as the CLI, views for people and for later steps. */
export async function runAction(runner: Runner, signal: AbortSignal): Promise<number> {
  const inputs = readInputs((name) => runner.input(name));
  if (!inputs.ok) return failed(runner, inputs.error);
  const vault = makeVault(runner);
  hideEnvironment({ runner, inputs: inputs.value, vault });
  const folder = await fleetFolder(runner, inputs.value.path);
  if (!folder.ok) return failed(runner, folder.error);
  const occasion = await readOccasion(runner.env);
  const world = worldOf(runner, { inputs: inputs.value, occasion, folder: folder.value });
  const inRepository = await folderInRepository(runner, folder.value);
  const job: Job = { runner, inputs: inputs.value, occasion, world, state: makeDeclareState(), signal, folder: inRepository, vault };
  try {
    return await work(job);
  } catch (error) {
    if (!(error instanceof WireError || error instanceof LedgerError)) throw error;
    const { code, message } = error;
    // An earlier comment must not stand as if it were this run's.
    return await refused(job, { kind: 'refused', diagnostics: [], refusal: { code, message }, exit: 1 });
  } finally {
    await world.close();
  }
}

function failed(runner: Runner, text: string): number {
  runner.fail(text);
  runner.output('exit', '1');
  return 1;
}

/** What a stranger's tree is read with has no environment: what is not there cannot be given away. */
function worldOf(
  runner: Runner,
  { inputs, occasion, folder }: { readonly inputs: ActionInputs; readonly occasion: Occasion; readonly folder: string },
): World {
  // A ledger in git is pushed with the job's token, too.
  const own = { ...(inputs.token === null ? {} : { GITHUB_TOKEN: inputs.token }), ...runner.env };
  const env = occasion.foreign === null ? own : { CI: 'true' };
  return withStore(openWorld({ repo: folder, env, holder: holderOf(runner) }), inputs.ledger);
}

function holderOf(runner: Runner): string {
  const { GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: run } = runner.env;
  return repository === undefined ? 'a workflow' : `${repository} run ${run ?? '?'}`;
}

async function work(job: Job): Promise<number> {
  const { inputs, occasion, runner } = job;
  runner.output('declared-only', 'false');
  if (inputs.command === 'comment') return ended(job, await postFile(job));
  const forbidden = forbiddenTo(job);
  if (forbidden !== null) return ended(job, forbidden);
  if (occasion.event === 'pull_request_target') {
    const text = 'pull_request_target runs with secrets beside a tree that strangers can change: use pull_request';
    runner.annotate('warning', text, { title: 'PULL_REQUEST_TARGET' });
  }
  const reviewed = inputs.command === 'plan' || inputs.command === 'validate';
  const revisions = reviewed ? await compared(job) : { ref: inputs.ref, base: inputs.base };
  const shallow = await checkBase(job, revisions.base);
  if (shallow !== null) return refused(job, { kind: 'refused', diagnostics: [], refusal: shallow, exit: 1 });
  await hideReferences(job, [revisions.ref, revisions.base]);
  if (inputs.command === 'plan' && occasion.foreign !== null) return declaredOnly(job, revisions, occasion.foreign);
  return loaded(job, revisions);
}

/** What a tree of a stranger is never used for. */
function forbiddenTo({ inputs, occasion }: Job): Refusal | null {
  if (occasion.foreign === null) return null;
  if (inputs.command === 'apply' || inputs.command === 'status') {
    return { code: 'FOREIGN', message: `${occasion.foreign}: nothing is applied, and no ledger is read` };
  }
  if (inputs.ref === 'WORKTREE') return { code: 'FOREIGN', message: `${occasion.foreign}: only commits are read, not a working tree` };
  return null;
}

/** A command that ended before there was anything to count. */
function ended(job: Job, refusal: Refusal | null): number {
  return conclude(job, { exit: refusal === null ? 0 : 1, refusal, diagnostics: [], counts: {} });
}

/** What is checked out is what is meant; only `apply` insists on a commit of the declared branch. */
async function loaded(job: Job, revisions: Compared): Promise<number> {
  const { inputs, runner, occasion, vault } = job;
  const options = passOptions(job, 'plan', revisions);
  const read = await readRevision(job.world, job.state, { ...options, at: nowOf(job) });
  if (read.kind === 'loaded') {
    vault.hide(secretValues(read.declared, runner.env));
    vault.mask(keyIds(read.declared, runner.env));
  }
  annotateAll(runner, read.diagnostics, inputs.path);
  if (read.kind === 'refused' && inputs.command !== 'apply') return refused(job, read);
  if (read.kind === 'loaded' && inputs.command === 'validate') return valid(job, read);
  if (inputs.command === 'status') return status(job, revisions);
  if (inputs.command === 'apply') return applied(job, revisions);
  const lacking = read.kind === 'loaded' && occasion.pull !== null ? secretNames(read.declared) : [];
  const without = lacking.length > 0 && lacking.every((name) => (runner.env[name] ?? '') === '');
  if (without) return declaredOnly(job, revisions, `none of ${lacking.join(', ')} is set: this run has no secrets`);
  return planned(job, revisions);
}

async function valid(job: Job, { declared, diagnostics }: Loaded): Promise<number> {
  const { runner, vault } = job;
  runner.info(`valid: ${counted(declared.size, 'device')} in ${counted(declared.groups.size, 'group')}`);
  const text = diagnosticsComment(diagnostics, commentOptions(job, declared.revision.commit));
  await runner.summary(vault.clean(withoutMarker(text)));
  // A plan of the same pull request has more to say; only an answer to mistakes that are gone is worth a comment.
  await comment(job, text, 'validate');
  return conclude(job, { exit: 0, refusal: null, diagnostics, counts: {} });
}

/** Nothing can be planned: the mistakes, or why the revision cannot be read. */
async function refused(job: Job, { diagnostics, refusal, exit }: Refused): Promise<number> {
  const { inputs, runner, vault } = job;
  const text = diagnosticsComment(diagnostics, { ...commentOptions(job, runner.env['GITHUB_SHA'] ?? null), refusal });
  await runner.summary(vault.clean(withoutMarker(text)));
  if (inputs.command === 'plan' || inputs.command === 'validate') await comment(job, text);
  return conclude(job, { exit, refusal, diagnostics, counts: {} });
}

/** What can be said without secrets: the mistakes, and what the revisions declare differently. */
async function declaredOnly(job: Job, { ref, base }: Compared, why: string): Promise<number> {
  const { runner, inputs, occasion, vault } = job;
  runner.output('declared-only', 'true');
  runner.info(`${why}; only what the revisions declare is compared: no device, no ledger and no secret is read`);
  if (base === null) {
    const message = `${why}, and the event names no base to compare with: name one in \`base:\``;
    return refused(job, { kind: 'refused', diagnostics: [], refusal: { code: 'NO_BASE', message }, exit: 1 });
  }
  const report = await readDifference(job.world, job.state, { ref: ref ?? 'HEAD', base, at: nowOf(job) });
  if (occasion.foreign !== null) annotateAll(runner, report.diagnostics, inputs.path);
  const { difference, refusal, diagnostics } = report;
  if (difference === null) return refused(job, { kind: 'refused', diagnostics, refusal, exit: 1 });
  const text = differenceComment(difference, { ...commentOptions(job, difference.head.commit), diagnostics });
  await runner.summary(vault.clean(withoutMarker(text)));
  await comment(job, text);
  const changed = difference.changing + difference.joining.length + difference.leaving.length > 0;
  return conclude(job, { exit: changed ? 2 : 0, refusal: null, diagnostics, counts: differenceCounts(difference) });
}

async function planned(job: Job, revisions: Compared): Promise<number> {
  const { runner, inputs, vault } = job;
  const report = await runPass(job.world, job.state, passOptions(job, 'plan', revisions));
  const { result, diagnostics } = report;
  annotatePass(job, report);
  if (result === null) return refused(job, { kind: 'refused', diagnostics, refusal: report.refusal, exit: report.exit });
  const options = { ...commentOptions(job, result.declared.revision.commit), diagnostics, troubles: result.troubles };
  runner.info(vault.clean(planText(result)));
  await runner.summary(vault.clean(jobSummary(result, { ...options, mode: 'plan' })));
  if (inputs.plan !== null) {
    const written = await writeFileFor(runner, inputs.plan, `${JSON.stringify(savedPlanJson(result.plan), null, 2)}\n`);
    if (!written.ok) return failed(runner, `plan: ${written.error}`);
    runner.output('plan-file', written.value);
  }
  await comment(job, planComment(result, options));
  return conclude(job, endingOf(report));
}

async function applied(job: Job, revisions: Compared): Promise<number> {
  const { runner, inputs, vault } = job;
  const saved = inputs.plan === null ? null : readSavedPlan((await readFileFor(runner, inputs.plan, MOST_PLAN_BYTES)) ?? '');
  if (saved === undefined) return failed(runner, `plan: ${inputs.plan ?? ''} was not saved by a plan step`);
  if (saved?.commit != null) await hideReferences(job, [saved.commit]);
  const options: PassOptions = {
    ...passOptions(job, 'apply', revisions),
    newLedger: inputs.newLedger,
    acceptEngine: inputs.acceptEngine,
    ...(saved === null ? {} : { saved: saved.digest }),
    ...(saved?.commit == null || inputs.ref !== null ? {} : { ref: saved.commit }),
  };
  const onPass = (report: PassReport): void => progress(job, report);
  const report = inputs.wait
    ? await repeatPasses(job.world, job.state, { pass: options, signal: job.signal, onPass })
    : await runPass(job.world, job.state, options);
  if (!inputs.wait) onPass(report);
  const { result, diagnostics, refusal, exit } = report;
  annotatePass(job, report);
  if (result === null) return refused(job, { kind: 'refused', diagnostics, refusal, exit });
  const told = { ...commentOptions(job, result.declared.revision.commit), diagnostics, troubles: result.troubles };
  await runner.summary(vault.clean(jobSummary(result, { ...told, mode: 'apply' })));
  return conclude(job, endingOf(report));
}

/** Where the fleet is, from the last reports beside the ledger: quick, and no device is asked unless there is time to listen. */
async function status(job: Job, revisions: Compared): Promise<number> {
  const { runner, inputs, vault, world } = job;
  const options = passOptions(job, 'plan', revisions);
  const read = await readRevision(world, job.state, { ...options, at: nowOf(job) });
  if (read.kind === 'refused') return refused(job, read);
  const ledger = await world.ledger(read.declared.fleet);
  const stored = inputs.listenMs === null ? { reports: await ledger.reports.load() } : {};
  const report = await runPass(world, job.state, { ...options, ...stored });
  const { result, diagnostics, refusal, exit } = report;
  if (result === null) return refused(job, { kind: 'refused', diagnostics, refusal, exit });
  const told = { ...commentOptions(job, result.declared.revision.commit), diagnostics, troubles: result.troubles };
  runner.info(statusText(result));
  await runner.summary(vault.clean(jobSummary(result, { ...told, mode: 'apply' })));
  return conclude(job, { exit: 0, refusal: null, diagnostics, counts: countsOf(result) });
}

/** What the pass did, a line each. */
function progress({ runner, vault }: Job, { result }: PassReport): void {
  if (result === null) return;
  const { zone } = result.declared.fleet;
  for (const event of result.decision.events) runner.info(vault.clean(eventText(event, zone)));
  const met = metIn(result.plan);
  for (const { admitted, result: outcome } of result.executed)
    runner.info(vault.clean(outcomeText(admitted, outcome, met.get(admitted.operation.id))));
}

function withoutMarker(text: string): string {
  return text.slice(text.indexOf('\n') + 1);
}
