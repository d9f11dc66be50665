import type { Diagnostic } from '#kit/diagnostics.ts';
import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { Plan } from '#model/plan.ts';
import type { LedgerView, RecordBody } from '#model/records.ts';
import type { Decision } from '#model/rollout.ts';
import { execute } from '#execute/execute.ts';
import type { Executed } from '#execute/execute.ts';
import { observe } from '#observe/observe.ts';
import type { Observed } from '#observe/observe.ts';
import { reportedFor } from '#observe/reported.ts';
import { completeDeclared } from '#plan/complete.ts';
import { makePlan } from '#plan/plan.ts';
import type { PlanInput } from '#plan/plan.ts';
import { decide } from '#rollout/decide.ts';
import { LedgerError } from '#ports/ledger.ts';
import type { Lease, LedgerStore } from '#ports/ledger.ts';
import type { DriverSet, World } from '#ports/world.ts';
import { callCount, callsSince, shadowCallCount, shadowCallsSince } from './object-calls.ts';
import { withContent } from './content.ts';
import { knownDevices } from './devices.ts';
import { operationsIn, planGrew } from './engine.ts';
import { startRenewal } from './lease.ts';
import { convergedRecords, decisionRecords, inventoryRecord, outcomeRecords, pinnedRecords } from './records.ts';
import type { PassOptions, PassReport, PassResult, Refusal } from './report.ts';
import { loadOlder, readRevision } from './revision.ts';
import type { DeclareState, Loaded } from './revision.ts';
import { exitCode } from './status.ts';

/** One pass: read, declare, observe, plan, decide, execute, record. The same for every caller. */
export async function runPass(world: World, state: DeclareState, options: PassOptions): Promise<PassReport> {
  const at = options.at ?? world.clock.now();
  const loaded = await readRevision(world, state, { ...options, at });
  if (loaded.kind === 'refused') return ended(options, at, loaded);
  try {
    const ledger = await world.ledger(loaded.declared.fleet);
    if (options.mode === 'plan') return await planOnly({ world, state, options, loaded, ledger, at });
    if (options.newLedger === true) await ledger.beginAnew?.();
    else if ((await ledger.begun?.()) === false)
      return ended(options, at, { diagnostics: loaded.diagnostics, refusal: emptyLedger(loaded), exit: 1 });
    const answer = await ledger.acquire(world.holder, options.signal);
    if (answer.kind === 'busy')
      return ended(options, at, { refusal: { code: 'BUSY', message: `${answer.holder} holds the lease` }, exit: 75 });
    const renewal = startRenewal(answer.lease, world.wireClock);
    try {
      return await applyPass({ world, state, options, loaded, ledger, at: options.at ?? world.clock.now() }, answer.lease);
    } finally {
      await renewal.stop();
      await answer.lease.release();
    }
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return ended(options, at, {
      diagnostics: loaded.diagnostics,
      refusal: { code: error.code, message: error.message },
      exit: error.code === 'FENCED' ? 75 : 1,
    });
  }
}

interface PassInput {
  readonly world: World;
  readonly state: DeclareState;
  readonly options: PassOptions;
  readonly loaded: Loaded;
  readonly ledger: LedgerStore;
  readonly at: Instant;
}

async function planOnly(input: PassInput): Promise<PassReport> {
  const before = input.world.fold(await input.ledger.read());
  checkLedger(input, before);
  const drivers = await input.world.drivers(input.loaded.declared, 'reader', input.ledger.blobs);
  const calls = countCalls(drivers);
  const seen = await look(input, { before, drivers });
  const refusal = movedSince(input.options, seen.plan);
  return report(input, { before, view: before, seen, executed: [], calls }, refusal);
}

async function applyPass(input: PassInput, lease: Lease): Promise<PassReport> {
  const { world, ledger, loaded, options } = input;
  const before = world.fold(await ledger.read());
  const refusal = checkLedger(input, before) ?? (await loaded.mayApply(before.commit));
  if (refusal !== null) return ended(options, input.at, { diagnostics: loaded.diagnostics, refusal, exit: 1 });
  const record = recorder(input, lease, before);
  const drivers = await world.drivers(loaded.declared, 'holder', ledger.blobs);
  const calls = countCalls(drivers);
  const seen = await look(input, { before, drivers });
  if (ledger.reports.stage === undefined) await ledger.reports.save(seen.observed.fresh, input.at);
  else ledger.reports.stage(seen.observed.fresh, input.at);
  const moved = movedSince(options, seen.plan);
  if (moved !== null) return report(input, { before, view: before, seen, executed: [], calls }, moved);
  const admitted = seen.decision.admitted.map((one) => withContent(one, seen.planInput));
  const decided = await record([
    ...genesisRecords(input, before),
    // A merge that waits for an Approval is not applied: what it would change in the inventory is not known yet.
    ...(seen.decision.mergeHeld === null
      ? [...inventoryRecords(input, before), ...pinnedRecords(seen.planInput), ...passRecords(input, before, seen)]
      : []),
    ...decisionRecords({ ...seen.decision, admitted }),
  ]);
  const executed = await execute({
    admitted,
    deviceFor: await knownDevices(world, input.state, { plan: seen.planInput, admitted }),
    open: (operation) => openIn(before, operation),
    driverOf: (family) => drivers.of(family),
    lease,
    clock: world.clock,
    wireClock: world.wireClock,
    log: world.log,
    onPerformed: (operation) => world.checkpoints.performed?.(operation),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const view = executed.length === 0 ? decided : await record(outcomeRecords(executed, world.clock.now()));
  return report(input, { before, view, seen, executed, calls }, null);
}

interface Seen {
  readonly observed: Observed;
  readonly planInput: PlanInput;
  readonly plan: Plan;
  readonly decision: Decision;
  /** A new engine plans more, and nobody has accepted that yet: the ledger keeps the engine it knows. */
  readonly grew: boolean;
}

/** Observe, plan and decide: what `plan` and `apply` have in common. */
async function look(input: PassInput, ledger: { readonly before: LedgerView; readonly drivers: DriverSet }): Promise<Seen> {
  const { world, loaded, options } = input;
  const { before, drivers } = ledger;
  const asDeclared = loaded.declared;
  const observed: Observed =
    options.reports === undefined
      ? await observe({
          declared: asDeclared,
          last: await input.ledger.reports.load(),
          isOpen: (device) => before.open.has(device),
          openSince: (device) => before.open.get(device)?.reduce((last, { intendedAt }) => Math.max(last, intendedAt), 0) ?? null,
          openOf: (device) => before.open.get(device) ?? [],
          driverOf: (family) => drivers.of(family),
          clock: world.wireClock,
          deadlineMs: asDeclared.fleet.limits.observeDeadlineMs,
          listenMs: options.listenMs ?? 0,
          ...(options.signal === undefined ? {} : { stop: options.signal }),
        })
      : { reports: options.reports, fresh: [], troubles: [] };
  const families = loaded.families;
  const older = await loadOlder(world, input.state, { declared: asDeclared, view: before, at: input.at });
  const reported = reportedFor(asDeclared, observed.reports);
  const declared = completeDeclared({ declared: asDeclared, reported, view: before, families });
  const planInput: PlanInput = { declared, reported, view: before, families, older };
  const plan = makePlan(planInput);
  const grew = input.options.acceptEngine !== true && planGrew(world.engine, plan, before);
  const decision = decide({
    plan,
    declared,
    reported: planInput.reported,
    view: before,
    families,
    now: input.options.at ?? world.clock.now(),
    nextPassMs: options.nextPassMs ?? (isReadAhead(options, declared) ? 0 : null),
    // A plan is made wherever it is read, and tells what the process that acts will do.
    ...(options.mode === 'plan' ? {} : { elsewhere: (operation) => drivers.of(operation.family).elsewhere?.(operation) ?? null }),
    genesis: options.newLedger === true && before.groups.size === 0,
    grown: grew,
  });
  return { observed, planInput, plan, decision, grew };
}

/** Whether a plan is of a fleet that has a daemon, which comes by as soon as a device needs it. */
function isReadAhead({ mode }: PassOptions, { fleet }: Declared): boolean {
  return mode === 'plan' && fleet.daemon !== undefined;
}

/** Appends durably and folds: what a crash leaves is always a prefix of these calls. */
function recorder(input: PassInput, lease: Lease, from: LedgerView): (bodies: readonly RecordBody[]) => Promise<LedgerView> {
  let view = from;
  return async (bodies) => {
    if (bodies.length === 0) return view;
    const answer = await input.ledger.append(bodies, lease.fencing);
    if ('code' in answer) throw new LedgerError('FENCED', answer.message);
    view = input.world.fold(answer, view);
    input.world.checkpoints.appended?.(view.seq);
    return view;
  };
}

function genesisRecords(input: PassInput, view: LedgerView): readonly RecordBody[] {
  if (view.ledger !== null) return [];
  const { fleet } = input.loaded.declared;
  return [{ type: 'genesis', ledger: fleet.ledger.id, fleet: fleet.name, engine: input.world.engine }];
}

function inventoryRecords(input: PassInput, view: LedgerView): readonly RecordBody[] {
  const record = inventoryRecord(input.loaded.declared, view);
  return record === null ? [] : [record];
}

/** A pass that finds nothing to say leaves no record, so that a schedule does not fill the ledger with silence. */
function passRecords(input: PassInput, view: LedgerView, seen: Seen): readonly RecordBody[] {
  const ref = input.loaded.declared.revision;
  const converged = convergedRecords(seen.planInput);
  const { decision } = seen;
  const news = decision.events.length + decision.closed.length + decision.admitted.length + decision.taken.length;
  const same = view.commit === ref.commit && view.tree === ref.tree && view.engine === input.world.engine;
  if (seen.grew) return converged;
  if (same && news + converged.length === 0) return [];
  const planned = operationsIn(seen.plan);
  const pass: RecordBody = { type: 'pass', commit: ref.commit, tree: ref.tree, engine: input.world.engine, planned, at: input.at };
  return [pass, ...converged];
}

/** The ledger must be this fleet's own, and must exist unless it is to be begun. */
function checkLedger(input: PassInput, view: LedgerView): Refusal | null {
  const { fleet } = input.loaded.declared;
  if (view.ledger === null) {
    if (input.options.mode === 'plan' || input.options.newLedger === true) return null;
    return emptyLedger(input.loaded);
  }
  if (view.ledger === fleet.ledger.id) return null;
  const message = `the store holds the ledger ${view.ledger}, fleet.yaml names ${fleet.ledger.id}`;
  if (input.options.mode === 'plan') throw new LedgerError('OTHER_LEDGER', message);
  return { code: 'OTHER_LEDGER', message };
}

function emptyLedger({ declared }: Loaded): Refusal {
  return {
    code: 'EMPTY_LEDGER',
    message: `the ledger ${declared.fleet.ledger.id} is empty; \`headgate apply --new-ledger\` begins it: that pass takes what is reported as the present state and sends nothing`,
  };
}

function movedSince(options: PassOptions, plan: Plan): Refusal | null {
  if (options.saved === undefined || options.saved === plan.digest) return null;
  return { code: 'PLAN_MOVED', message: 'the world moved since this plan was saved; make a new one and review it' };
}

function openIn(view: LedgerView, operation: string): OpenOperation | null {
  for (const open of view.open.values()) {
    const found = open.find((one) => one.operation.id === operation);
    if (found !== undefined) return found;
  }
  return null;
}

interface Finished {
  readonly before: LedgerView;
  readonly view: LedgerView;
  readonly seen: Seen;
  readonly executed: readonly Executed[];
  readonly calls: () => Calls;
}

type Calls = Pick<PassResult, 'objectCalls' | 'shadowCalls'>;

/** What buckets and shadow services are asked from now on. */
function countCalls(drivers: DriverSet): () => Calls {
  const objects = new Map((drivers.objectCalls?.() ?? []).map((calls) => [calls.connection, calls]));
  const shadows = new Map((drivers.shadowCalls?.() ?? []).map((calls) => [calls.connection, calls]));
  return () => {
    const shadowCalls = (drivers.shadowCalls?.() ?? [])
      .map((calls) => shadowCallsSince(calls, shadows.get(calls.connection)))
      .filter((calls) => shadowCallCount(calls) > 0);
    return {
      objectCalls: (drivers.objectCalls?.() ?? [])
        .map((calls) => callsSince(calls, objects.get(calls.connection)))
        .filter((calls) => callCount(calls) > 0),
      ...(shadowCalls.length === 0 ? {} : { shadowCalls }),
    };
  };
}

function report(input: PassInput, finished: Finished, refusal: Refusal | null): PassReport {
  const { loaded, options, at } = input;
  const { before, view, seen, executed, calls } = finished;
  const result: PassResult = {
    declared: seen.planInput.declared,
    reported: seen.planInput.reported,
    reports: seen.observed.reports,
    troubles: seen.observed.troubles,
    before,
    view,
    plan: seen.plan,
    decision: seen.decision,
    executed,
    ...calls(),
    fellBack: loaded.fellBack,
  };
  const exit = refusal === null ? exitCode(options.mode, result) : 1;
  return { mode: options.mode, at, diagnostics: loaded.diagnostics, refusal, result, exit };
}

function ended(
  options: PassOptions,
  at: Instant,
  end: { readonly diagnostics?: readonly Diagnostic[]; readonly refusal: Refusal | null; readonly exit: number },
): PassReport {
  return { mode: options.mode, at, diagnostics: end.diagnostics ?? [], refusal: end.refusal, result: null, exit: end.exit };
}
