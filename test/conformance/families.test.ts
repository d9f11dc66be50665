import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { families } from '#adapters/registry.ts';
import { declare } from '#declare/declare.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import { placeText } from '#kit/diagnostics.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { Driver, DriverOutcome, PerformContext, Precheck } from '#ports/driver.ts';
import { WireError } from '#ports/wire-error.ts';
import type { PassResult } from '#reconcile/report.ts';
import { MemoryFleet, type MemoryFleetOptions } from '#test/support/memory-fleet.ts';
import { MemoryJournal } from '#test/support/memory-journal.ts';
import { CAMPBELL_PAGES, CAMPBELL_TRIALS } from './campbell.ts';
import { CANEDGE_PAGES, CANEDGE_TRIALS } from './canedge.ts';
import { CHARIOT_PAGES, CHARIOT_TRIALS } from './chariot.ts';
import { DROGUE_PAGES, DROGUE_TRIALS } from './drogue.ts';
import { DEVICE, type FamilyTrial, filesOf } from './family.ts';
import { MONGOOSE_PAGES, MONGOOSE_TRIALS } from './mongoose.ts';
import { SHADOW_PAGES, SHADOW_TRIALS } from './shadow.ts';
import { TWIN_PAGES, TWIN_TRIALS } from './twin.ts';
import { spoilt } from './spoilt.ts';
import { hangingWires, spyWires } from './spy-wires.ts';

const TRIALS: readonly FamilyTrial[] = [
  ...CAMPBELL_TRIALS,
  ...CANEDGE_TRIALS,
  ...CHARIOT_TRIALS,
  ...DROGUE_TRIALS,
  ...MONGOOSE_TRIALS,
  ...SHADOW_TRIALS,
  ...TWIN_TRIALS,
];
const PAGES = [CAMPBELL_PAGES, CANEDGE_PAGES, CHARIOT_PAGES, DROGUE_PAGES, MONGOOSE_PAGES, SHADOW_PAGES, TWIN_PAGES];

/** A fleet that has begun: the device has reported what it runs, and is as it is declared. */
async function begun(trial: FamilyTrial, options: Omit<MemoryFleetOptions, 'files'> = {}): Promise<MemoryFleet> {
  const journal = trial.responds === undefined ? {} : { journal: new MemoryJournal() };
  const fleet = await MemoryFleet.start({ ...options, ...journal, files: filesOf(trial.files) });
  await fleet.add(DEVICE);
  await fleet.clock.advance(MINUTE_MS);
  const first = await fleet.pass({ newLedger: true, listenMs: 35 * MINUTE_MS });
  expect(first.refusal).toBe(null);
  // Who is answered from the first pass on is heard by the second one.
  const { result } = trial.responds === undefined ? first : await fleet.pass({ listenMs: 35 * MINUTE_MS });
  expect(convergedIn(result)).toBe(1);
  return fleet;
}

function convergedIn(result: PassResult | null): number {
  return result?.plan.groups.reduce((sum, group) => sum + group.converged, 0) ?? -1;
}

async function merged(trial: FamilyTrial, options: Omit<MemoryFleetOptions, 'files'> = {}): Promise<MemoryFleet> {
  const fleet = await begun(trial, options);
  fleet.repo.commit(trial.next, 'The change');
  return fleet;
}

/** Observes, and gives the operation that a pass would begin now, without beginning it. */
async function planned(fleet: MemoryFleet): Promise<{ readonly operation: Operation; readonly result: PassResult }> {
  const { result } = await fleet.pass({ mode: 'plan', listenMs: 2 * MINUTE_MS });
  const operation = result?.decision.admitted[0]?.operation;
  if (result === null || operation === undefined) throw new Error(`nothing is planned: ${JSON.stringify(result?.decision.held)}`);
  return { operation, result };
}

interface Acting {
  readonly driver: Driver;
  readonly context: PerformContext;
}

async function acting(fleet: MemoryFleet, plan: Awaited<ReturnType<typeof planned>>): Promise<Acting> {
  const { declared } = fleet;
  const drivers = await fleet.clock.run(fleet.engine.drivers(declared, 'reader', fleet.ledger.blobs));
  const driver = drivers.of(plan.operation.family);
  const device = declared.deviceAt(0);
  const signal = new AbortController().signal;
  return {
    driver,
    context: { device, reported: plan.result.reported.deviceAt(0), content: plan.operation.content, fencing: 1, signal },
  };
}

/** An attempt of which nobody wrote down how it ended. */
function perhapsDone(operation: Operation, intendedAt: number): OpenOperation {
  const { content, ...rest } = operation;
  const named = content === null ? null : { name: content.name, digest: content.digest, size: content.size };
  const nothing = { reference: null, takenAt: null, undo: null, retryAt: null, lastTrouble: null };
  return { operation: { ...rest, content: named }, attempt: 1, intendedAt, ...nothing };
}

function effects(fleet: MemoryFleet, kind: string): number {
  return fleet.device(DEVICE).effects.filter((effect) => effect.kind === kind).length;
}

/** What waits for the device to come for it. */
function offersIn(fleet: MemoryFleet, { offers, responds }: FamilyTrial): Promise<readonly string[]> {
  if (offers !== undefined) return Promise.resolve(offers(fleet));
  return responds === undefined ? objectsIn(fleet, 'logs') : responds.offers(fleet);
}

async function objectsIn(fleet: MemoryFleet, bucket: string): Promise<readonly string[]> {
  const { objects } = await fleet.sim.bucket(bucket).list({ prefix: '' });
  return objects.filter(({ key }) => !key.endsWith('/device.json')).map(({ key, etag }) => `${key} ${etag}`);
}

async function passUntil(fleet: MemoryFleet, done: (result: PassResult) => boolean, withinMs = 6 * HOUR_MS): Promise<PassResult> {
  const end = fleet.clock.now() + withinMs;
  for (;;) {
    await fleet.clock.advance(5 * MINUTE_MS);
    const { result } = await fleet.pass();
    if (result === null) throw new Error('the pass was refused');
    if (done(result)) return result;
    if (fleet.clock.now() > end) throw new Error(`not within ${withinMs} ms: ${JSON.stringify(result.decision.held)}`);
  }
}

const isConverged = (result: PassResult): boolean => convergedIn(result) === 1 && result.view.open.size === 0;

describe.each(TRIALS)('the family $family, changing its $item,', { timeout: 60_000 }, (trial) => {
  it('observes without changing anything', async () => {
    const spy = spyWires(trial.responds?.changesNothing);
    const fleet = await merged(trial, { wires: spy.wrap });
    const before = {
      effects: [...fleet.device(DEVICE).effects],
      buckets: await objectsIn(fleet, 'logs'),
      depot: await objectsIn(fleet, 'depot'),
    };
    spy.writes.length = 0;
    for (const listenMs of [0, 40 * MINUTE_MS]) await fleet.pass({ mode: 'plan', listenMs });
    expect(spy.writes).toEqual([]);
    expect([...fleet.device(DEVICE).effects]).toEqual(before.effects);
    expect({ buckets: await objectsIn(fleet, 'logs'), depot: await objectsIn(fleet, 'depot') }).toEqual({
      buckets: before.buckets,
      depot: before.depot,
    });
    await fleet.close();
  });

  it('has one effect when it is performed twice, at once and again later', async () => {
    const fleet = await merged(trial);
    const plan = await planned(fleet);
    const { driver, context } = await acting(fleet, plan);
    const { operation } = plan;
    const intendedAt = fleet.clock.now();
    const run = <T>(work: Promise<T>): Promise<T> => fleet.clock.run(work);
    expect(await run(driver.precheck(operation, null, context))).toEqual({ kind: 'clear' });
    expect((await run(driver.perform(operation, null, context))).kind).toBe('performed');
    const open = perhapsDone(operation, intendedAt);
    expect((await run(driver.perform(operation, open, context))).kind).not.toBe('trouble');
    for (let time = 0; time < 2; time += 1) await trial.responds?.offer(fleet, plan.result, open);
    expect((await run(driver.precheck(operation, open, context))).kind).not.toBe('clear');
    await fleet.clock.advance(trial.doneMs);
    expect(effects(fleet, trial.effect)).toBe(1);
    const later = await fleet.pass({ mode: 'plan' });
    const reported = later.result?.reported.deviceAt(0);
    const look = await run(driver.precheck(operation, open, { ...context, reported }));
    expect(look.kind).not.toBe('clear');
    await fleet.clock.advance(trial.doneMs);
    expect(effects(fleet, trial.effect)).toBe(1);
    await fleet.close();
  });

  it('refuses a stale precondition', async () => {
    const fleet = await merged(trial);
    const plan = await planned(fleet);
    const { driver, context } = await acting(fleet, plan);
    const stale: Operation = { ...plan.operation, expected: `${plan.operation.expected ?? ''}.9` };
    const look: Precheck = await fleet.clock.run(driver.precheck(stale, null, context));
    expect(look).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
    await fleet.clock.advance(trial.doneMs);
    expect(effects(fleet, trial.effect)).toBe(0);
    await fleet.close();
  });

  it('refuses hardware that is not the declared one, in the plan and right before the act', async () => {
    const spy = spyWires(trial.responds?.changesNothing);
    const fleet = await merged(trial, { wires: spy.wrap });
    const plan = await planned(fleet);
    const { driver, context } = await acting(fleet, plan);
    fleet.device(DEVICE).fault(trial.stranger.fault, trial.stranger.value);
    await fleet.clock.advance(trial.stranger.shownMs);
    const look = await fleet.clock.run(driver.precheck(plan.operation, null, context));
    expect(look).toMatchObject({ kind: 'refused', reason: 'IDENTITY_MISMATCH' });
    spy.writes.length = 0;
    const { result } = await fleet.pass();
    expect(result?.decision.admitted).toEqual([]);
    expect(result?.decision.held).toMatchObject([{ device: DEVICE, reason: 'IDENTITY_MISMATCH' }]);
    expect(spy.writes).toEqual([]);
    await fleet.close();
  });

  it.each([0, 20])('finds out what became of an act when it was killed before the record, %i minutes later', async (minutes) => {
    let armed = true;
    const cut = (): void => {
      if (!armed) return;
      armed = false;
      throw new Error('the power is gone');
    };
    const fleet = await merged(trial, { checkpoints: { performed: cut } });
    await expect(fleet.pass()).rejects.toThrow('the power is gone');
    await fleet.restart(() => fleet.clock.advance(minutes * MINUTE_MS));
    const result = await passUntil(fleet, isConverged);
    expect(effects(fleet, trial.effect)).toBe(1);
    const declared = result.declared.deviceAt(0).items.find(({ item }) => item === trial.item);
    const hardware = fleet.device(DEVICE);
    const really = hardware.truthOf?.(trial.item, declared?.facts ?? null) ?? hardware.truth()[trial.item];
    expect(really).toBe(declared?.value);
    await fleet.close();
  });

  it('can take an offer back before the device comes for it; a push leaves nothing behind', async () => {
    const fleet = await merged(trial);
    const before = await offersIn(fleet, trial);
    const { operation } = await planned(fleet);
    const family = families().get(trial.family)?.family;
    if (trial.takesAtOnce === true) await fleet.clock.run(fleet.device(DEVICE).powerOff());
    await fleet.pass();
    await fleet.clock.run(fleet.device(DEVICE).powerOff());
    const { result } = await fleet.pass();
    const open = [...(result?.view.open.values() ?? [])].flat()[0];
    if (open === undefined || family === undefined) throw new Error('nothing is under way');
    if (operation.delivery === 'push') {
      expect(family.withdrawal(open)).toEqual([]);
      expect(await offersIn(fleet, trial)).toEqual(before);
    } else {
      expect(await offersIn(fleet, trial)).not.toEqual(before);
      fleet.repo.commit(trial.files, 'Take it back');
      await fleet.pass();
      expect(await offersIn(fleet, trial)).toEqual(before);
      await fleet.clock.run(fleet.device(DEVICE).powerOn());
      await passUntil(fleet, isConverged);
      expect(effects(fleet, trial.effect)).toBe(0);
    }
    await fleet.close();
  });

  it.each(['opening', 'answers'] as const)('ends at the signal when the wire hangs: %s', async (how) => {
    const healthy = await merged(trial);
    const plan = await planned(healthy);
    await healthy.close();
    const fleet = await MemoryFleet.start({ files: filesOf({ ...trial.files, ...trial.next }), wires: () => hangingWires(how) });
    const { driver, context } = await acting(fleet, plan);
    const device = fleet.declared.deviceAt(0);
    const timeout = new WireError('TIMEOUT', 'later', 'the deadline has passed');
    const observed = await endsAt(timeout, (signal) =>
      driver.observe({ devices: [device], last: () => plan.result.reported.deviceAt(0), isOpen: () => true, listenMs: HOUR_MS, signal }),
    );
    expect(observed.kind === 'gave' ? observed.value.troubles.length : observed.kind).not.toBe(0);
    const operation = { ...plan.operation, hardware: device.hardware };
    const looked = await endsAt(timeout, (signal) => driver.precheck(operation, null, { ...context, signal }));
    expect(looked.kind === 'gave' ? looked.value.kind : 'threw').not.toBe('already');
    const performed = await endsAt<DriverOutcome>(timeout, (signal) => driver.perform(operation, null, { ...context, signal }));
    expect(performed.kind === 'gave' ? performed.value.kind : 'threw').not.toBe('performed');
    const { result } = await fleet.pass({ newLedger: true });
    expect(result?.troubles.length).toBeGreaterThan(0);
    expect(result?.executed).toEqual([]);
    // Its engine waits for the connections that it began to open: the transports give those a limit.
    await fleet.sim.close();
  });

  it('never takes garbage, cut, late, doubled or replayed reports for another version', async () => {
    const fleet = await merged(trial);
    const old = await trial.wire.last(fleet);
    await fleet.pass();
    await fleet.clock.run(fleet.device(DEVICE).powerOff());
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...trial.wire.channels), spoilt(old)), { minLength: 1, maxLength: 4 }),
        async (messages) => {
          for (const [channel, payload] of messages) await trial.wire.put(fleet, channel, payload);
          await fleet.clock.advance(SECOND_MS);
          const { result } = await fleet.pass();
          const items = Object.entries(result?.reported.deviceAt(0)?.items ?? {});
          const read = items.flatMap(([item, value]) => (value?.kind === 'value' ? [{ item, value: value.value }] : []));
          expect(read.filter(({ item, value }) => !trial.isOld(item, value))).toEqual([]);
          expect(convergedIn(result)).toBe(0);
          expect(result?.decision.closed.filter(({ closing }) => closing === 'succeeded')).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
    await fleet.close();
  });
});

interface Gave<T> {
  readonly kind: 'gave';
  readonly value: T;
}

/** Aborts after a moment and gives what the work makes of it; throws when it goes on all the same. */
async function endsAt<T>(reason: WireError, work: (signal: AbortSignal) => Promise<T>): Promise<Gave<T> | { readonly kind: 'threw' }> {
  const controller = new AbortController();
  const running: Promise<Gave<T> | { readonly kind: 'threw' }> = work(controller.signal).then(
    (value) => ({ kind: 'gave', value }),
    (error: unknown) => {
      if (!(error instanceof WireError)) throw error;
      return { kind: 'threw' };
    },
  );
  await turns(20);
  controller.abort(reason);
  const late = turns(200).then(() => null);
  const ended = await Promise.race([running, late]);
  if (ended === null) throw new Error('it goes on after its signal was aborted');
  return ended;
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe.each(PAGES)('the pages of $family', { timeout: 60_000 }, ({ family: name, fixtures, readme }) => {
  const folder = join('src/adapters', name);
  const page = readFileSync(join(folder, 'readme.md'), 'utf8');

  it.each(fixtures)('fixture $file comes back as it was: $name', async ({ check }) => {
    await check();
  });

  it('use every fixture', () => {
    const files = readdirSync(join(folder, 'fixtures')).filter((file) => file !== 'readme.md');
    expect([...new Set(fixtures.map(({ file }) => file))].toSorted()).toEqual(files.toSorted());
  });

  it('begin with an example that is valid as it stands', () => {
    const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
    const parsers = new Map([...families()].map(([key, entry]) => [key, entry.family]));
    const revision = revisionOfFiles(filesOf({ 'example.yaml': example, ...readme }));
    const inPlace = revisionOfFiles(filesOf({ 'devices/example.yaml': example, ...readme }));
    const answers = [revision, inPlace].map((one) => declare({ revision: one, families: parsers, at: Date.UTC(2026, 10, 23) }));
    const [best] = answers.toSorted((a, b) => (b.declared?.size ?? 0) - (a.declared?.size ?? 0));
    const errors = (best?.diagnostics ?? []).filter(({ severity }) => severity === 'error');
    expect(errors.map((one) => `${placeText(one.place)} ${one.code} ${one.summary}`)).toEqual([]);
    expect(best?.declared?.size).toBeGreaterThan(0);
    for (let row = 0; row < (best?.declared?.size ?? 0); row += 1) expect(best?.declared?.deviceAt(row).family).toBe(name);
  });

  it('name every option, fault, measure and code', async () => {
    const family = families().get(name)?.family;
    const fleet = await MemoryFleet.start({ files: filesOf(TRIALS.find((trial) => trial.family === name)?.files ?? {}) });
    const sim = await fleet.add(DEVICE);
    const properties = (family?.optionsSchema as { readonly properties?: Readonly<Record<string, unknown>> } | undefined)?.properties ?? {};
    const words = [...Object.keys(properties), ...sim.faults, ...Object.keys(family?.measures ?? {})];
    const verdicts = Object.entries(family?.reasons ?? {}).filter(([, reason]) => reason.class === 'verdict');
    const missing = [...words, ...verdicts.map(([code]) => code)].filter((word) => !new RegExp(`\\b${word}\\b`).test(page));
    expect(missing).toEqual([]);
    await fleet.close();
  });
});

/**
 * What needs servers that show certificates and tell whom they saw: scenarios certificates-*, canedge-certificates-*,
 * gateways-reprovision* and trust-*, the histories of test/property and test/long, and mosquitto in test/servers hold these to the same rules.
 */
const TRIED_ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  campbell: ['identity', 'trust'],
  canedge: ['trust'],
  chariot: ['identity'],
};

describe('the registry', () => {
  it('has a trial of each item, and pages, for every family in it', () => {
    const names = [...families().keys()].toSorted();
    expect(PAGES.map(({ family }) => family).toSorted()).toEqual(names);
    for (const [name, { family }] of families()) {
      const tried = new Set<string>(TRIALS.filter((trial) => trial.family === name).map(({ item }) => item));
      expect([...tried, ...(TRIED_ELSEWHERE[name] ?? [])].toSorted()).toEqual([...family.items].toSorted());
      expect(family.name).toBe(name);
    }
  });

  it('agrees with the folders', () => {
    const folders = readdirSync('src/adapters', { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map((entry) => entry.name).toSorted()).toEqual([...families().keys()].toSorted());
    const needed = [
      'driver.ts',
      'entry.ts',
      'family.ts',
      'fixtures',
      'operations.ts',
      'options.schema.json',
      'readme.md',
      'sim.ts',
      'wire.ts',
    ];
    for (const { name } of folders) {
      const there = new Set(readdirSync(join('src/adapters', name)));
      expect(
        needed.filter((file) => !there.has(file)),
        name,
      ).toEqual([]);
    }
  });
});
