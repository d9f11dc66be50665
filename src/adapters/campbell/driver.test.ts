import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CampbellWorld, contentOf, declaredLogger, openOperation, programText, START, type ItemToDeclare } from '#test/support/campbell.ts';
import type { Json } from '#kit/canonical.ts';
import { err, ok } from '#kit/result.ts';
import type { Content, DeclaredDevice } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import type { Artifacts } from '#ports/artifacts.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { SimDevice } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import { campbellFamily } from './family.ts';
import { buildOsImage } from './sim-image.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const device = declaredLogger();
const newOs: ItemToDeclare = {
  item: 'firmware',
  value: 'CR1000X.8.2.1',
  content: contentOf('CR1000X.Std.08.02.01.obj', buildOsImage({ model: 'CR1000X', version: '8.2.1' })),
};
const newProgram: ItemToDeclare = { item: 'program', value: 'CPU:met_v2.CR1X', content: contentOf('met_v2.CR1X', programText('met_v2')) };

let world: CampbellWorld;

beforeEach(() => {
  world = new CampbellWorld();
});

afterEach(async () => world.close());

/** Listening before the logger starts, so that its first report is fresh. */
async function started(
  options: Parameters<CampbellWorld['logger']>[0] = {},
  faults: Readonly<Record<string, Json>> = {},
): Promise<SimDevice> {
  await world.observe([device]);
  const logger = await world.logger(options, false);
  for (const [name, value] of Object.entries(faults)) logger.fault(name, value);
  await world.run(logger.powerOn());
  await world.clock.advance(2 * MINUTE);
  await world.observe([device]);
  return logger;
}

function effectsOf(logger: SimDevice, kind: string): number {
  return logger.effects.filter((effect) => effect.kind === kind).length;
}

function commands(): number {
  return world.said.filter((one) => one.topic.includes('/cc/')).length;
}

describe('observe', () => {
  it('hears what the logger says of itself, and changes nothing', async () => {
    const logger = await started();
    const report = world.reportOf(device);
    expect(report).toMatchObject({ online: true, serial: '70681', model: 'CR1000X', problem: null, gapMs: expect.any(Number) });
    expect(report.items.firmware).toMatchObject({ kind: 'value', value: 'CR1000X.8.1.0', madeNotBefore: START, source: 'statusInfo' });
    expect(report.items.program).toMatchObject({ kind: 'value', value: 'CPU:met_v1.CR1X', facts: { compileErrors: 0 } });
    expect(report.measures['battery']).toEqual({ value: '12.60', madeNotBefore: START });
    expect(report.heardAt).toBe(START + 2 * MINUTE);
    expect(world.said.filter((one) => one.clientId === 'headgate')).toEqual([]);
    expect(logger.effects).toEqual([]);
  });

  it('leaves out a device of which nothing new is known', async () => {
    await started();
    expect((await world.observe([device])).reports).toEqual([]);
    await world.clock.advance(MINUTE);
    expect((await world.observe([device])).reports).toHaveLength(1);
  });

  it('keeps what is said between two passes', async () => {
    const logger = await started({ stateIntervalMs: 0 });
    await world.run(logger.powerOff());
    await world.run(logger.powerOn());
    await world.clock.advance(HOUR);
    expect(world.reportOf(device).items.firmware).toMatchObject({ madeNotBefore: START });
    await world.observe([device]);
    expect(world.reportOf(device).items.firmware).toMatchObject({ madeNotBefore: START + 2 * MINUTE + HOUR - (HOUR % (30 * MINUTE)) });
  });

  it('listens as long as it is told', async () => {
    await world.logger();
    await world.observe([device], 5 * MINUTE + 1000);
    expect(world.clock.now()).toBe(START + 5 * MINUTE + 1000);
    expect(world.reportOf(device)).toMatchObject({ online: true, heardAt: START + 5 * MINUTE });
  });

  it('gives retained messages no age, and lets them replace nothing that has one', async () => {
    const logger = await world.logger({}, true);
    logger.fault('replayRetained', true);
    await world.clock.settled();
    await world.observe([device]);
    const first = world.reportOf(device);
    expect(first.items.firmware).toMatchObject({ value: 'CR1000X.8.1.0', madeNotBefore: null });
    expect(first).toMatchObject({ heardAt: null, online: null });

    world.newDriver();
    world.reports.set(device.id, {
      ...first,
      items: { firmware: { kind: 'value', value: 'CR1000X.8.2.1', facts: {}, madeNotBefore: START, source: 'statusInfo' } },
    });
    await world.observe([device]);
    expect(world.reportOf(device).items.firmware).toMatchObject({ value: 'CR1000X.8.2.1', madeNotBefore: START });
  });

  it('gives queued messages no age', async () => {
    const first = await world.run(world.connect('headgate', {}));
    world.newDriver({ bus: () => Promise.resolve(first) });
    await world.observe([device]);
    await world.run(first.close());
    await world.logger();
    await world.clock.advance(10 * MINUTE);
    world.newDriver();
    await world.observe([device]);
    const report = world.reportOf(device);
    expect(report.items.firmware).toMatchObject({ value: 'CR1000X.8.1.0', madeNotBefore: null });
    expect(report).toMatchObject({ online: null, heardAt: null, signs: [] });
  });

  it('has the low-rate topics kept for its session while it is away, and never the data', async () => {
    const first = await world.run(world.connect('headgate', {}));
    world.newDriver({ bus: () => Promise.resolve(first) });
    await world.observe([device]);
    await world.run(first.close());
    await world.logger({ dataIntervalMs: MINUTE });
    await world.clock.advance(10 * MINUTE);
    const heard: string[] = [];
    const next = await world.run(world.connect('headgate', {}));
    next.listen(({ topic }) => heard.push(topic));
    await world.run(next.settle(new AbortController().signal));
    expect(heard.some((topic) => topic.includes('/state/'))).toBe(true);
    expect(heard.filter((topic) => topic.includes('/data/'))).toEqual([]);
    world.newDriver({ bus: () => Promise.resolve(next) });
    await world.observe([device]);
    await world.clock.advance(2 * MINUTE);
    expect(heard.some((topic) => topic.includes('/data/'))).toBe(true);
  });

  it('knows gone from in transition, and forgets who is silent', async () => {
    const logger = await started();
    await world.run(logger.powerOff());
    await world.clock.settled();
    await world.observe([device]);
    expect(world.reportOf(device)).toMatchObject({ online: false, signs: [{ code: 'GONE', text: 'lwt' }] });
    await world.run(logger.powerOn());
    await world.observe([device]);
    expect(world.reportOf(device).signs.map((sign) => sign.code)).toEqual(['GONE', 'BACK']);

    const quiet = await world.logger({ id: 'quiet', serial: '2', address: 'cr1000x/2', will: false });
    const other = declaredLogger({ id: deviceId('quiet'), serial: '2', address: 'cr1000x/2' });
    await world.observe([device, other]);
    await world.clock.advance(MINUTE);
    await world.observe([device, other]);
    expect(world.reportOf(other).online).toBe(true);
    await world.run(quiet.powerOff());
    await world.clock.advance(4 * MINUTE);
    await world.observe([device, other]);
    expect(world.reportOf(other).online).toBeNull();
  });

  it('counts the silence after an operation only while it listens', async () => {
    const logger = await started();
    world.open.add(device.id);
    await world.run(logger.powerOff());
    await world.clock.advance(10 * MINUTE);
    await world.observe([device]);
    expect(world.reportOf(device)).toMatchObject({ heardAt: START + 2 * MINUTE, silentMs: 10 * MINUTE });
    // The process ended, and the next one began an hour later.
    await world.clock.advance(5 * MINUTE);
    await world.clock.advance(HOUR);
    world.newDriver();
    await world.observe([device]);
    expect(world.reportOf(device)).toMatchObject({ heardAt: START + 2 * MINUTE, silentMs: 10 * MINUTE });
    await world.observe([device], 5 * MINUTE);
    await world.clock.advance(MINUTE);
    await world.observe([device]);
    expect(world.reportOf(device).silentMs).toBe(16 * MINUTE);
    await world.run(logger.powerOn());
    await world.clock.advance(MINUTE);
    await world.observe([device]);
    expect(world.reportOf(device).silentMs).toBe(0);
  });

  it('keeps the signs few', async () => {
    const logger = await started();
    for (let round = 0; round < 40; round += 1) {
      await world.run(logger.powerOff());
      await world.run(logger.powerOn());
    }
    await world.observe([device]);
    expect(world.reportOf(device).signs).toHaveLength(32);
  });

  it.each([
    ['wrongSerial', true, 'serial'],
    ['wrongModelVersion', true, 'another model'],
  ])('sees that it is other hardware: %s', async (fault, value, text) => {
    await started({}, { [fault]: value });
    const report = world.reportOf(device);
    expect(report.problem).toMatchObject({ reason: 'IDENTITY_MISMATCH', detail: expect.stringContaining(text) });
    expect(report.items.firmware).toBeUndefined();
  });

  it('takes a mismatch back when the right hardware speaks', async () => {
    const logger = await started({}, { wrongSerial: true });
    expect(world.reportOf(device).problem).not.toBeNull();
    logger.fault('wrongSerial', false);
    await world.clock.advance(31 * MINUTE);
    await world.observe([device]);
    expect(world.reportOf(device)).toMatchObject({ problem: null, serial: '70681' });
  });

  it('reads nothing from garbage, and everything from what stands beside it', async () => {
    await started({}, { garbage: 'only' });
    expect(world.reportOf(device).items.firmware).toMatchObject({ kind: 'unknown', why: 'REPORT_UNREADABLE' });
    await world.close();
    world = new CampbellWorld();
    await started({ dataIntervalMs: 20_000 }, { garbage: true });
    expect(world.reportOf(device).items.firmware).toMatchObject({ value: 'CR1000X.8.1.0' });
  });

  it('tells many loggers apart by few subscriptions, strangers left out', async () => {
    const serials = Array.from({ length: 12 }, (_, index) => String(100 + index));
    const fleet = serials.map((serial) => declaredLogger({ id: deviceId(`d${serial}`), serial, address: `cr1000x/${serial}` }));
    await world.observe(fleet);
    for (const serial of [...serials, '999'])
      await world.logger({ id: `d${serial}`, serial, address: `cr1000x/${serial}`, os: `CR1000X.8.1.${serial}` });
    const answer = await world.observe(fleet);
    expect(answer.reports.map((report) => report.device)).toEqual(serials.map((serial) => `d${serial}`));
    for (const one of fleet) expect(world.reportOf(one).items.firmware).toMatchObject({ value: `CR1000X.8.1.${one.serial}` });
  });

  it('reads both base topics of loggers that differ in theirs', async () => {
    const old = declaredLogger({
      id: deviceId('old'),
      serial: '966',
      model: 'CR6',
      address: 'cr6/966',
      options: { baseTopic: 'cs/v1/', dialect: 'legacy' },
    });
    await world.observe([device, old]);
    await world.logger();
    await world.logger({
      id: 'old',
      serial: '966',
      model: 'CR6',
      address: 'cr6/966',
      baseTopic: 'cs/v1',
      dialect: 'legacy',
      os: 'CR6.10.02.2020.12.14.0955',
    });
    await world.observe([device, old]);
    expect(world.reportOf(device).items.firmware).toMatchObject({ value: 'CR1000X.8.1.0' });
    expect(world.reportOf(old).items.firmware).toMatchObject({ value: 'CR6.10.2.2020.12.14.0955' });
  });

  it('reports a broken wire, and keeps what is known', async () => {
    await started();
    const known = world.reportOf(device);
    await world.broker.faults({ refuse: true });
    await world.clock.settled();
    const answer = await world.observe([device]);
    expect(answer.troubles).toMatchObject([{ connection: 'field', code: 'NOT_CONNECTED' }]);
    expect(world.reportOf(device).items).toEqual(known.items);
    await world.broker.faults({ refuse: false });
    await world.clock.advance(5 * MINUTE);
    expect((await world.observe([device])).troubles).toEqual([]);
    expect(world.reportOf(device).online).toBe(true);
  });

  it('ends when it is called off', async () => {
    const bus = new Promise<MessageBus>(() => undefined);
    world.newDriver({ bus: () => bus });
    const calling = new AbortController();
    const observing = world.driver.observe({
      devices: [device],
      last: () => undefined,
      isOpen: () => false,
      listenMs: 0,
      signal: calling.signal,
    });
    calling.abort(new WireError('OBSERVE_DEADLINE', 'later', 'the deadline has passed'));
    expect(await world.run(observing)).toMatchObject({ reports: [], troubles: [{ connection: 'field', code: 'OBSERVE_DEADLINE' }] });
  });
});

describe('an operation', () => {
  it.each([
    ['OS', newOs, 'flash'],
    ['program', newProgram, 'program'],
  ])('brings the %s, once, and is confirmed by what the logger reports', async (command, item, kind) => {
    const logger = await started();
    const open = await world.perform(device, world.operation(device, item));
    const sent = world.said.findLast((one) => one.topic.includes('/cc/'));
    expect(sent?.topic).toBe(`cs/v2/cc/QU8Q-9JTY-HVP8/${command}`);
    const confirmation = await world.follow(device, open, HOUR);
    expect(confirmation).toMatchObject({ kind: 'confirmed', evidence: expect.stringContaining(item.value) });
    expect(logger.truth()[item.item]).toBe(item.value);
    expect(effectsOf(logger, kind)).toBe(1);
    expect(world.broker.published.retained).toBe(0);
  });

  it('is sent at QoS 0, not retained, and with an expiry where the broker has it', async () => {
    await started();
    for (const expires of [true, false]) {
      const published: unknown[] = [];
      const bus = await world.run(world.connect(`headgate-${expires}`, { clean: true }));
      const watching: MessageBus = {
        clientId: bus.clientId,
        expires,
        subscribe: (filters, qos) => bus.subscribe(filters, qos),
        publish: (topic, _payload, options) => Promise.resolve(void published.push([topic, options])),
        listen: (listener) => bus.listen(listener),
        settle: (signal) => bus.settle(signal),
        close: () => bus.close(),
      };
      world.newDriver({ bus: () => Promise.resolve(watching) });
      await world.observe([device]);
      await world.perform(device, world.operation(device, newProgram));
      expect(published).toEqual([
        ['cs/v2/cc/QU8Q-9JTY-HVP8/program', { qos: 0, retain: false, ...(expires ? { expirySeconds: 60 } : {}) }],
      ]);
    }
  });

  it('goes on being verified without a reply', async () => {
    const logger = await started({}, { lostReply: true, noProgramReply: true });
    const open = await world.perform(device, world.operation(device, newProgram));
    expect(await world.follow(device, open, HOUR)).toMatchObject({ kind: 'confirmed' });
    expect(effectsOf(logger, 'program')).toBe(1);
  });

  it('says how far it is', async () => {
    await started({ timings: { osDownloadMs: 90_000, flashMs: 90_000, rebootMs: 90_000 } });
    const open = await world.perform(device, world.operation(device, newOs));
    await world.observe([device]);
    expect(campbellFamily.confirm(open, world.reportOf(device))).toMatchObject({ kind: 'open', phase: 'IN_FLIGHT' });
    await world.clock.advance(MINUTE);
    await world.observe([device]);
    const taken = campbellFamily.confirm(open, world.reportOf(device));
    expect(taken).toMatchObject({ kind: 'open', phase: 'IN_FLIGHT', evidence: 'OS file download', takenAt: expect.any(Number) });
    await world.clock.advance(MINUTE);
    await world.observe([device]);
    expect(campbellFamily.confirm(open, world.reportOf(device))).toMatchObject({
      phase: 'VERIFYING',
      evidence: expect.stringContaining('OS update'),
    });
    expect(world.reportOf(device).online).toBeNull();
  });

  it('that is a report of before is neither confirmed nor refuted', async () => {
    await started({ statusIntervalMs: 0 });
    const open = openOperation(world.operation(device, newOs), { intendedAt: world.clock.now(), reference: world.clock.now() });
    expect(campbellFamily.confirm(open, world.reportOf(device))).toMatchObject({ kind: 'open', oldValueSeenAt: null, takenAt: null });
  });

  it('that shows the old value later says when', async () => {
    await started();
    const open = openOperation(world.operation(device, newOs), { intendedAt: world.clock.now(), reference: world.clock.now() });
    await world.clock.advance(30 * MINUTE);
    await world.observe([device]);
    expect(campbellFamily.confirm(open, world.reportOf(device))).toMatchObject({ kind: 'open', oldValueSeenAt: START + 30 * MINUTE });
  });

  it('without a recorded outcome is judged from its intent', async () => {
    await started();
    const operation = world.operation(device, newProgram);
    const { intendedAt } = await world.perform(device, operation);
    const perhaps = openOperation(operation, { intendedAt, reference: null });
    expect(await world.follow(device, perhaps, HOUR)).toMatchObject({ kind: 'confirmed' });
    expect(await world.act(device, operation, perhaps)).toEqual({ kind: 'already', reference: intendedAt, undo: null });
    expect(commands()).toBe(1);
  });
});

describe('a command is not sent', () => {
  it('to a logger that is not online, nor to one that was silent too long', async () => {
    const logger = await started({ will: false });
    const operation = world.operation(device, newOs);
    await world.run(logger.powerOff());
    await world.clock.advance(4 * MINUTE);
    await world.observe([device]);
    expect(await world.act(device, operation)).toMatchObject({ kind: 'refused', reason: 'OFFLINE' });
    world.newDriver();
    await world.observe([device]);
    expect(await world.act(device, operation)).toMatchObject({ kind: 'refused', reason: 'OFFLINE' });
    expect(commands()).toBe(0);
  });

  it('on the word of a retained online', async () => {
    await started({ retainState: true });
    const operation = world.operation(device, newOs);
    const { items } = world.reportOf(device);
    world.newDriver();
    world.reports.set(device.id, { ...world.reportOf(device), online: null, memo: {}, items });
    await world.observe([device]);
    expect(await world.act(device, operation)).toMatchObject({ kind: 'refused', reason: 'OFFLINE' });
  });

  it('while it restarts or downloads, nor twice in a minute', async () => {
    await started();
    const operation = world.operation(device, newOs);
    await world.perform(device, operation);
    expect(await world.act(device, operation)).toMatchObject({ kind: 'refused', reason: 'IN_FLIGHT' });
    await world.clock.advance(30_000);
    expect(await world.act(device, operation)).toMatchObject({ kind: 'refused', reason: 'IN_FLIGHT' });
    await world.clock.advance(MINUTE);
    expect(await world.act(device, operation)).toMatchObject({
      kind: 'refused',
      reason: 'OFFLINE',
      evidence: expect.stringContaining('OS update'),
    });
    expect(commands()).toBe(1);
  });

  it('until the one before is over, which a new version shows although no restart was heard', async () => {
    await started();
    const item = { ...newOs, value: 'CR1000X.8.1.0' };
    const sign = { code: 'DOWNLOADING', item: 'firmware', at: START + MINUTE, text: 'OS file download' } as const;
    const online = { ...world.reportOf(device), signs: [sign] };
    const changed = {
      kind: 'value',
      value: item.value,
      facts: { since: START + 2 * MINUTE },
      madeNotBefore: START + 2 * MINUTE,
      source: 'statusInfo',
    } as const;
    const operation = world.operation(device, newProgram);
    world.reports.set(device.id, online);
    world.newDriver();
    expect(await world.act(device, operation)).toMatchObject({ kind: 'refused', reason: 'IN_FLIGHT' });
    world.reports.set(device.id, { ...online, items: { ...online.items, firmware: changed } });
    expect(await world.act(device, operation)).toMatchObject({ kind: 'performed' });
  });

  it('twice at once by two calls side by side', async () => {
    const logger = await started();
    const operation = world.operation(device, newProgram);
    const outcomes = await world.run(Promise.all([world.act(device, operation), world.act(device, operation)]));
    expect(outcomes.map((outcome) => outcome.kind).toSorted()).toEqual(['performed', 'refused']);
    await world.clock.advance(5 * MINUTE);
    expect(effectsOf(logger, 'program')).toBe(1);
  });

  it('when the value has moved', async () => {
    await started();
    const operation = { ...world.operation(device, newProgram), expected: 'CPU:met_v0.CR1X' };
    expect(await world.act(device, operation)).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
    expect(await world.act(device, { ...operation, expected: null })).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
    expect(commands()).toBe(0);
  });

  it('to other hardware', async () => {
    const logger = await started();
    const operation = world.operation(device, newProgram);
    logger.fault('wrongSerial', '13342');
    await world.clock.advance(2 * MINUTE);
    expect(await world.act(device, operation)).toMatchObject({ kind: 'refused', reason: 'IDENTITY_MISMATCH' });
    expect(commands()).toBe(0);
  });

  it.each([
    ['UNREACHABLE', { kind: 'trouble', code: 'ARTIFACT_UNREACHABLE', retry: 'later' }],
    ['UNVERIFIED', { kind: 'refused', reason: 'ARTIFACT_UNVERIFIED' }],
    ['MISSING', { kind: 'refused', reason: 'ARTIFACT_UNVERIFIED' }],
    ['NO_URL', { kind: 'refused', reason: 'UNSUPPORTED' }],
  ] as const)('without a good file: %s', async (code, outcome) => {
    await withUrls(() => Promise.resolve(err({ code, message: 'x' })));
    expect(await world.act(device, world.operation(device, newProgram))).toMatchObject(outcome);
    expect(commands()).toBe(0);
  });

  it('that is longer than a logger takes, and the URL is not told', async () => {
    await withUrls(() => Promise.resolve(ok(`https://a.example/met_v2.CR1X?secret=${'x'.repeat(4000)}`)));
    const outcome = await world.act(device, world.operation(device, newProgram));
    expect(outcome).toMatchObject({ kind: 'refused', reason: 'UNSUPPORTED' });
    expect(JSON.stringify(outcome)).not.toContain('secret');
    expect(commands()).toBe(0);
  });

  it('when the logger went while its file was fetched', async () => {
    const logger = await withUrls(async () => {
      await logger.powerOff();
      await world.clock.sleep(1000);
      return ok('https://a.example/met_v2.CR1X');
    });
    expect(await world.act(device, world.operation(device, newProgram))).toMatchObject({ kind: 'refused', reason: 'OFFLINE' });
    expect(commands()).toBe(0);
  });

  it('over a wire that broke', async () => {
    await started();
    const operation = world.operation(device, newProgram);
    await world.broker.faults({ refuse: true });
    await world.clock.settled();
    expect(await world.act(device, operation)).toMatchObject({ kind: 'trouble', code: 'NOT_CONNECTED', retry: 'later' });
  });

  /** A driver whose artifacts give these URLs, and a logger that it knows. */
  async function withUrls(urlFor: (content: Content) => ReturnType<Artifacts['urlFor']>): Promise<SimDevice> {
    world.newDriver({ artifacts: { bytes: () => Promise.reject(new Error('unused')), urlFor, close: () => Promise.resolve() } });
    return await started();
  }
});

describe('URLs of files', () => {
  it('are in no line of the log', async () => {
    const lines: string[] = [];
    const line = (message: string, data?: Readonly<Record<string, unknown>>): void => {
      lines.push(JSON.stringify([message, data ?? null]));
    };
    world.newDriver({ log: { debug: line, info: line, warn: line } });
    await started();
    await world.perform(device, world.operation(device, newProgram));
    expect(lines.some((text) => text.includes('command sent'))).toBe(true);
    expect(lines.filter((text) => text.includes('http'))).toEqual([]);
  });

  it('live ten minutes longer than the download may take', async () => {
    const asked: number[] = [];
    const urlFor: Artifacts['urlFor'] = (_content, { expiresMs }) => {
      asked.push(expiresMs);
      return Promise.resolve(err({ code: 'UNREACHABLE', message: 'x' }));
    };
    world.newDriver({ artifacts: { bytes: () => Promise.reject(new Error('unused')), urlFor, close: () => Promise.resolve() } });
    await started();
    await world.act(device, world.operation(device, newOs));
    await world.act(device, world.operation(device, newProgram));
    expect(asked).toEqual([55 * MINUTE, 16 * MINUTE]);
  });
});

interface Lie {
  readonly name: string;
  readonly item: ItemToDeclare;
  readonly faults: Readonly<Record<string, Json>>;
  /** What confirm says at the end, or null while nothing is proven. */
  readonly verdict: { readonly kind: 'failed' | 'trouble'; readonly code: string } | null;
  readonly options?: Parameters<CampbellWorld['logger']>[0];
}

const HTML = Buffer.from('<html>404</html>');
const otherFile = (item: ItemToDeclare, bytes: Uint8Array): ItemToDeclare => ({
  ...item,
  content: contentOf(item.content?.name ?? '', bytes),
});

const LIES: readonly Lie[] = [
  { name: 'boots back', item: newOs, faults: { bootBack: true }, verdict: { kind: 'failed', code: 'BOOTED_BACK' } },
  {
    name: 'acknowledges an OS that it does not flash',
    item: newOs,
    faults: { ackWithoutFlash: true },
    verdict: { kind: 'failed', code: 'BOOTED_BACK' },
  },
  { name: 'refuses the OS file', item: newOs, faults: { osCheckFails: true }, verdict: { kind: 'failed', code: 'OS_REFUSED' } },
  { name: 'cannot download the OS', item: newOs, faults: { downloadFails: true }, verdict: { kind: 'trouble', code: 'DOWNLOAD_FAILED' } },
  { name: 'cannot download the OS and says nothing', item: newOs, faults: { downloadFails: true, lostReply: true }, verdict: null },
  { name: 'dies with the OS', item: newOs, faults: { brickOnOs: true }, verdict: null },
  {
    name: 'runs another version than that in the file',
    item: otherFile(newOs, buildOsImage({ model: 'CR1000X', version: '8.2.0' })),
    faults: {},
    verdict: { kind: 'failed', code: 'WRONG_VERSION' },
  },
  {
    name: 'boots back, and says so late',
    item: newOs,
    faults: { bootBack: true, staleState: true },
    verdict: { kind: 'failed', code: 'BOOTED_BACK' },
  },
  {
    name: 'acknowledges a program that it does not store',
    item: newProgram,
    faults: { ackWithoutFlash: true },
    verdict: { kind: 'failed', code: 'PROGRAM_NOT_RUNNING' },
  },
  { name: 'acknowledges a 404 page', item: otherFile(newProgram, HTML), faults: {}, verdict: { kind: 'failed', code: 'COMPILE_FAILED' } },
  {
    name: 'names the 404 page as its program',
    item: otherFile(newProgram, HTML),
    faults: { failedNameReported: true },
    verdict: { kind: 'failed', code: 'COMPILE_FAILED' },
  },
  {
    name: 'falls back to its default program',
    item: otherFile(newProgram, HTML),
    faults: {},
    options: { files: { 'default.CR1X': programText('default') } },
    verdict: { kind: 'failed', code: 'DEFAULT_RUNS' },
  },
  {
    name: 'falls back to its Include File',
    item: otherFile(newProgram, HTML),
    faults: {},
    options: { files: { 'always.CR1X': programText('always') }, settings: { IncludeFile: 'CPU:always.CR1X' } },
    verdict: { kind: 'failed', code: 'PROGRAM_NOT_RUNNING' },
  },
  {
    name: 'cannot compile the program',
    item: newProgram,
    faults: { compileError: true },
    verdict: { kind: 'failed', code: 'COMPILE_FAILED' },
  },
  {
    name: 'cannot download the program',
    item: newProgram,
    faults: { downloadFails: true },
    verdict: { kind: 'trouble', code: 'DOWNLOAD_FAILED' },
  },
  { name: 'only retained reports', item: newOs, faults: { replayRetained: true, silentStatus: true, bootBack: true }, verdict: null },
];

describe('a logger that lies', () => {
  it.each(LIES)('$name', async ({ item, faults, verdict, options }) => {
    const logger = await started(options);
    const honest = declaredLogger({ id: deviceId('honest'), serial: '2', address: 'cr1000x/2' });
    await world.observe([device, honest]);
    const beside = await world.logger({ id: 'honest', serial: '2', address: 'cr1000x/2' });
    await world.clock.advance(MINUTE);
    await world.observe([device, honest]);
    for (const [name, value] of Object.entries(faults)) logger.fault(name, value);

    const operation = world.operation(device, item);
    const good = item.item === 'firmware' ? newOs : newProgram;
    const [open, honestOpen] = [await world.perform(device, operation), await world.perform(honest, world.operation(honest, good))];
    let confirmation = campbellFamily.confirm(open, world.reportOf(device));
    for (let minute = 0; minute < 90 && confirmation.kind === 'open'; minute += 1) {
      await world.clock.advance(MINUTE);
      await world.observe([device, honest]);
      confirmation = campbellFamily.confirm(open, world.reportOf(device));
    }
    expect(logger.truth()[item.item]).not.toBe(item.value);
    expect(confirmation).toMatchObject(verdict ?? { kind: 'open' });
    expect(await world.follow(honest, honestOpen, HOUR)).toMatchObject({ kind: 'confirmed' });
    expect(beside.truth()[item.item]).toBe(item.value);
  });

  it.each([
    ['staleState', newOs],
    ['staleState', newProgram],
    ['duplicateReports', newOs],
    ['garbage', newProgram],
    ['prettyJson', newProgram],
    ['clientIDSpelling', newOs],
    ['trailingSlash', newProgram],
    ['retainState', newOs],
    ['watchdogAfterUpdate', newOs],
    ['slowDownload', newOs],
    ['batteryLow', newProgram],
  ])('or is only odd is believed in the end: %s', async (fault, item) => {
    const logger = await started({}, { [fault]: true });
    const open = await world.perform(device, world.operation(device, item));
    expect(await world.follow(device, open, HOUR)).toMatchObject({ kind: 'confirmed' });
    expect(logger.truth()[item.item]).toBe(item.value);
    expect(effectsOf(logger, item.item === 'firmware' ? 'flash' : 'program')).toBe(1);
  });

  it('and says nothing but garbage proves nothing', async () => {
    const logger = await started();
    logger.fault('garbage', 'only');
    const open = await world.perform(device, world.operation(device, newOs));
    expect(await world.follow(device, open, HOUR)).toMatchObject({ kind: 'open', phase: 'VERIFYING' });
  });

  it('and sends the old report last is at worst failed, never wrongly converged', async () => {
    const logger = await started({}, { outOfOrder: true });
    const open = await world.perform(device, world.operation(device, newProgram));
    const confirmation = await world.follow(device, open, HOUR);
    expect(['confirmed', 'failed']).toContain(confirmation.kind);
    expect(logger.truth()['program']).toBe('CPU:met_v2.CR1X');
  });

  it('with a battery near its end is not touched where that is declared', async () => {
    await started({}, { batteryLow: 11.2 });
    const careful: DeclaredDevice = declaredLogger({ options: { minBattery: '11.8' } });
    expect(() => world.operation(careful, newOs)).toThrow('battery is 11.20 V; at least 11.8 V is wanted');
  });
});

it('takes a legacy logger through OS and program', async () => {
  const old = declaredLogger({ serial: '966', model: 'CR6', address: 'cr6/966', options: { dialect: 'legacy' } });
  await world.observe([old]);
  const logger = await world.logger({
    serial: '966',
    model: 'CR6',
    address: 'cr6/966',
    dialect: 'legacy',
    os: 'CR6.10.02.2020.12.14.0955',
    program: null,
  });
  await world.observe([old]);
  expect(world.reportOf(old).items.program).toMatchObject({ value: 'none' });
  const os: ItemToDeclare = {
    item: 'firmware',
    value: 'CR6.14.2.0',
    content: contentOf('CR6.14.2.0.obj', buildOsImage({ model: 'CR6', version: '14.2.0' })),
  };
  const program: ItemToDeclare = { item: 'program', value: 'CPU:t_v1.CR6', content: contentOf('t_v1.CR6', programText('t_v1')) };
  expect(await world.follow(old, await world.perform(old, world.operation(old, os)), HOUR)).toMatchObject({ kind: 'confirmed' });
  expect(await world.follow(old, await world.perform(old, world.operation(old, program)), HOUR)).toMatchObject({ kind: 'confirmed' });
  logger.fault('downloadFails', true);
  const next: ItemToDeclare = { ...program, value: 'CPU:t_v2.CR6' };
  expect(await world.follow(old, await world.perform(old, world.operation(old, next)), HOUR)).toMatchObject({
    kind: 'trouble',
    code: 'DOWNLOAD_FAILED',
  });
  expect(logger.truth()).toEqual({ firmware: 'CR6.14.2.0', program: 'CPU:t_v1.CR6' });
});
