import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareText } from '#kit/diagnostics.ts';
import { DAY_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { type ObservingStage, startObservingStage } from '#test/support/observing-stage.ts';

const STORES = ['sqlite', 's3', 'git'] as const;
const LOGGERS = ['alder', 'birch', 'cedar'];
const VANS = ['boat-1', 'boat-2', 'van-1', 'van-2'];

let stage: ObservingStage;

describe.each(STORES)('short runs that share nothing but a ledger in %s', (store) => {
  beforeEach(async () => {
    stage = await startObservingStage({ store });
  });
  afterEach(() => stage.close());

  it('read no object of a bucket again that did not change, whichever run read it first', async () => {
    await stage.run({ mode: 'apply', newLedger: true });
    expect(stage.gets('logs').filter((key) => key.endsWith('/device.json')).length).toBe(VANS.length);
    stage.forget();
    for (const mode of ['plan', 'apply', 'plan'] as const) {
      const { report } = await stage.run({ mode });
      expect(report.refusal).toBe(null);
      expect(report.result?.troubles).toEqual([]);
      expect(report.result?.reports.filter(({ device }) => VANS.includes(device)).map(({ serial }) => serial)).toEqual([
        '0B000001',
        '0B000002',
        '0A000001',
        '0A000002',
      ]);
    }
    expect(stage.gets('logs'), 'nothing is newer, and so nothing is sent').toEqual([]);
    await stage.clock.advance(10 * MINUTE_MS);
    await stage.run({ mode: 'apply' });
    expect(stage.gets('logs').every((key) => key.endsWith('/device.json'))).toBe(true);
  });

  it('take equal bytes with a newer time for a new report, and read nothing else', async () => {
    const first = await stage.run({ mode: 'apply', newLedger: true });
    const before = first.heardAt('van-1');
    for (const name of VANS) await stage.device(name).powerOff();
    await stage.clock.advance(MINUTE_MS);
    await stage.rewrite('logs', '0A000001/device.json');
    stage.forget();
    const second = await stage.run({ mode: 'apply' });
    expect(second.heardAt('van-1')).toBeGreaterThan(before ?? Number.POSITIVE_INFINITY);
    expect(stage.gets('logs')).toEqual(['0A000001/device.json']);
  });

  it('keep the last reports when they apply, and leave them alone when they plan', async () => {
    await stage.run({ mode: 'apply', newLedger: true, listenMs: 6 * MINUTE_MS });
    const kept = await stage.keptReports();
    expect(kept.map(({ device }) => device)).toEqual([...LOGGERS, ...VANS].toSorted(compareText));
    await stage.clock.advance(30 * MINUTE_MS);
    const planned = await stage.run({ mode: 'plan', listenMs: 6 * MINUTE_MS });
    expect(planned.heardAt('alder')).toBeGreaterThan(kept[0]?.heardAt ?? Number.POSITIVE_INFINITY);
    expect(await stage.keptReports()).toEqual(kept);
    await stage.run({ mode: 'apply', listenMs: 6 * MINUTE_MS });
    expect((await stage.keptReports())[0]?.heardAt).toBeGreaterThan(kept[0]?.heardAt ?? Number.POSITIVE_INFINITY);
  });
});

describe('the session of a short run', () => {
  beforeEach(async () => {
    stage = await startObservingStage({ store: 'sqlite' });
  });
  afterEach(() => stage.close());

  it('is the declared one for who holds the lease, and another for a plan beside it, which disturbs nobody', async () => {
    const applying = stage.start({ mode: 'apply', newLedger: true, listenMs: 6 * MINUTE_MS });
    await stage.clock.advance(MINUTE_MS);
    expect(stage.sessions()).toEqual(['headgate-crash-field']);
    const planning = stage.start({ mode: 'plan', listenMs: MINUTE_MS });
    await stage.clock.advance(30 * SECOND_MS);
    expect(stage.sessions().length).toBe(2);
    expect(stage.sessions()).toContain('headgate-crash-field');
    const planned = await stage.end(planning);
    const applied = await stage.end(applying);
    expect(planned.report.refusal).toBe(null);
    expect([...applied.troubles(), ...planned.troubles()]).toEqual([]);
    expect(stage.openings(), 'the holder was never pushed off').toEqual([
      { clientId: 'headgate-crash-field', role: 'holder' },
      { clientId: expect.stringMatching(/^headgate-reader-/) as string, role: 'reader' },
    ]);
    expect(applied.heardAt('alder')).not.toBe(null);
    expect(stage.sessions()).toEqual([]);
  });

  it('of a plan says nothing to anybody but its own marker', async () => {
    await stage.run({ mode: 'apply', newLedger: true, listenMs: 6 * MINUTE_MS });
    await stage.upgrade();
    stage.forget();
    const { report } = await stage.run({ mode: 'plan', listenMs: 6 * MINUTE_MS });
    expect(report.exit, 'there is something to do').toBe(2);
    expect(stage.saidByUs().filter((topic) => !topic.startsWith('headgate/marker/headgate-reader-'))).toEqual([]);
    expect(stage.saidByUs().length).toBeGreaterThan(0);
    expect(stage.writes(), 'nor does it write to a bucket').toEqual([]);
  });

  it('of an apply hears at its end what was said while nobody listened, as of unknown age', async () => {
    await stage.run({ mode: 'apply', newLedger: true });
    for (const name of LOGGERS) await stage.device(name).powerOff();
    await stage.clock.advance(MINUTE_MS);
    for (const name of LOGGERS) await stage.device(name).powerOn();
    await stage.clock.advance(20 * MINUTE_MS);
    for (const name of LOGGERS) await stage.device(name).powerOff();
    await stage.clock.advance(MINUTE_MS);
    const planned = await stage.run({ mode: 'plan' });
    expect(
      LOGGERS.map((name) => planned.firmware(name)),
      'a plan does not take it from the session',
    ).toEqual([null, null, null]);
    const applied = await stage.run({ mode: 'apply' });
    expect(applied.troubles()).toEqual([]);
    expect(LOGGERS.map((name) => applied.firmware(name))).toEqual(
      LOGGERS.map(() => ({ kind: 'value', value: 'CR1000X.8.1.0', madeNotBefore: null })),
    );
    expect(LOGGERS.map((name) => applied.heardAt(name))).toEqual([null, null, null]);
    const kept = await stage.keptReports();
    expect(kept.filter(({ device }) => LOGGERS.includes(device)).map(({ items }) => items.firmware)).toMatchObject(
      LOGGERS.map(() => ({ value: 'CR1000X.8.1.0', madeNotBefore: null })),
    );
  });

  it('that was queued for does not outweigh what was heard with its age', async () => {
    const heard = await stage.run({ mode: 'apply', newLedger: true, listenMs: 6 * MINUTE_MS });
    const before = heard.firmware('alder');
    expect(before?.madeNotBefore).not.toBe(null);
    await stage.clock.advance(20 * MINUTE_MS);
    const queued = await stage.run({ mode: 'apply' });
    expect(queued.firmware('alder')).toEqual(before);
    expect(queued.heardAt('alder')).toBe(heard.heardAt('alder'));
    const live = await stage.run({ mode: 'apply', listenMs: 6 * MINUTE_MS });
    expect(live.heardAt('alder')).toBeGreaterThan(heard.heardAt('alder') ?? Number.POSITIVE_INFINITY);
  });

  it('comes back after days', async () => {
    await stage.run({ mode: 'apply', newLedger: true });
    await stage.clock.advance(2 * DAY_MS);
    const { report } = await stage.run({ mode: 'apply' });
    expect(report.result?.troubles).toEqual([]);
  });
});

describe('a server that hangs', () => {
  beforeEach(async () => {
    stage = await startObservingStage({ store: 'sqlite' });
  });
  afterEach(() => stage.close());

  const LISTEN_MS = 6 * MINUTE_MS;
  const BROKER = ['connect', 'subscribe', 'settle'] as const;
  const BUCKET = ['open', 'list', 'get'] as const;

  it.each(BROKER)('as broker at %s ends with the deadline; the bucket is read all the same', async (point) => {
    stage.hang('field', point);
    const began = stage.clock.now();
    const { report, troubles } = await stage.run({ mode: 'apply', newLedger: true, listenMs: LISTEN_MS });
    expect(stage.clock.now() - began).toBeLessThanOrEqual(LISTEN_MS + MINUTE_MS + SECOND_MS);
    expect(troubles()).toEqual([{ connection: 'field', code: 'OBSERVE_DEADLINE' }]);
    expect(report.refusal).toBe(null);
    // Whatever a broker that hangs has said until then counts too.
    const said = point === 'settle' ? LOGGERS : [];
    const kept = (await stage.keptReports()).filter(({ heardAt }) => heardAt !== null);
    expect(kept.map(({ device }) => device)).toEqual([...said, ...VANS].toSorted(compareText));
    stage.hang('field', null);
    const mended = await stage.run({ mode: 'apply', newLedger: true, listenMs: LISTEN_MS });
    expect(mended.troubles()).toEqual([]);
    expect(mended.heardAt('alder')).not.toBe(null);
  });

  it.each(BUCKET)('as bucket at %s ends with the deadline; loggers are heard all the same', async (point) => {
    stage.hang('logs', point);
    const began = stage.clock.now();
    const { report, troubles, heardAt } = await stage.run({ mode: 'apply', newLedger: true, listenMs: LISTEN_MS });
    expect(stage.clock.now() - began).toBeLessThanOrEqual(LISTEN_MS + MINUTE_MS + SECOND_MS);
    expect(troubles()).toEqual([{ connection: 'logs', code: 'OBSERVE_DEADLINE' }]);
    expect(report.refusal).toBe(null);
    for (const name of LOGGERS) expect(heardAt(name)).not.toBe(null);
    stage.hang('logs', null);
    const mended = await stage.run({ mode: 'apply', newLedger: true });
    expect(mended.troubles()).toEqual([]);
    expect(mended.heardAt('van-1')).not.toBe(null);
  });

  it('at one folder keeps the others of its bucket', async () => {
    stage.hang('logs', 'get', '0A000001/');
    const { troubles, heardAt } = await stage.run({ mode: 'apply', newLedger: true });
    expect(troubles()).toEqual([{ connection: 'logs', code: 'OBSERVE_DEADLINE' }]);
    expect(VANS.filter((device) => heardAt(device) !== null)).toEqual(['boat-1', 'boat-2', 'van-2']);
  });

  it('for a plan as well: it ends with the deadline and what is known', async () => {
    await stage.run({ mode: 'apply', newLedger: true, listenMs: LISTEN_MS });
    stage.hang('field', 'connect');
    stage.hang('logs', 'get');
    const began = stage.clock.now();
    const { report, troubles, heardAt } = await stage.run({ mode: 'plan' });
    expect(stage.clock.now() - began).toBeLessThanOrEqual(MINUTE_MS + SECOND_MS);
    expect(report.refusal).toBe(null);
    expect(troubles()).toEqual([
      { connection: 'field', code: 'OBSERVE_DEADLINE' },
      { connection: 'logs', code: 'OBSERVE_DEADLINE' },
    ]);
    for (const device of [...LOGGERS, ...VANS]) expect(heardAt(device)).not.toBe(null);
  });
});
