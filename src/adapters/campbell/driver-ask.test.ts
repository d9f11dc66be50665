import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CampbellWorld, contentOf, declaredItem, declaredLogger, openOperation, programText } from '#test/support/campbell.ts';
import { sha256 } from '#kit/digest.ts';
import type { Json } from '#kit/canonical.ts';
import type { Content, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { Confirmation } from '#model/operation.ts';
import type { PinnedItem } from '#ports/family.ts';
import { dialectOf } from './ask.ts';
import { campbellFamily } from './family.ts';
import { campbellOptions } from './options.ts';
import type { CampbellSimOptions } from './sim-options.ts';
import type { CampbellSimDevice } from './sim.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let world: CampbellWorld;

beforeEach(() => {
  world = new CampbellWorld();
  world.newDriver({ role: 'holder' });
  world.openSince = () => null;
});

afterEach(async () => world.close());

type Pinned = Partial<Pick<PinnedItem, 'document' | 'content'>>;

/** A logger with this item declared, as declare makes it of a pin. */
function withItem(item: ItemName, pinned: Pinned, options: Readonly<Record<string, Json>> = {}): DeclaredDevice {
  const device = declaredLogger({ options });
  const pin: PinnedItem = { item, artifact: null, content: null, document: null, firmware: null, certificates: [], ...pinned };
  const expected = campbellFamily.expectation(device, pin);
  if (!expected.ok) throw new Error(expected.error.summary);
  const { value, facts, content } = expected.value;
  const declared: DeclaredItem = { ...declaredItem({ item, value, content }), facts };
  return { ...device, items: [declared] };
}

const settingsOf = (document: Json, options?: Readonly<Record<string, Json>>): DeclaredDevice =>
  withItem('settings', { document }, options);

function filesOf(files: Readonly<Record<string, Uint8Array>>, options?: Readonly<Record<string, Json>>): DeclaredDevice {
  const named = Object.entries(files).map(([name, bytes]) => ({ name, digest: sha256(bytes), size: bytes.length }));
  return withItem('files', { document: { exact: true, files: named } }, options);
}

function itemOf(device: DeclaredDevice): DeclaredItem {
  const [item] = device.items;
  if (item === undefined) throw new Error('nothing is declared');
  return item;
}

/** Heard online before it is asked anything. */
async function logger(device: DeclaredDevice, options: Partial<CampbellSimOptions> = {}): Promise<CampbellSimDevice> {
  await world.observe([device]);
  const sim = await world.logger({
    dialect: dialectOf(campbellOptions(device.options), world.reports.get(device.id) ?? never()),
    ...options,
  });
  await world.clock.advance(MINUTE);
  await world.observe([device]);
  return sim;
}

/** The report before anything was said. */
function never(): Parameters<typeof dialectOf>[1] {
  return {
    device: declaredLogger().id,
    serial: null,
    model: null,
    heardAt: null,
    online: null,
    gapMs: null,
    problem: null,
    items: {},
    measures: {},
    signs: [],
    memo: {},
  };
}

/** What was sent to the logger since, as `command action`. */
function sent(from = 0): readonly string[] {
  return world.said.slice(from).flatMap(({ topic, text }) => {
    if (!topic.includes('/cc/')) return [];
    const { action, name = '' } = JSON.parse(text) as { readonly action?: string; readonly name?: string };
    return [[topic.slice(topic.lastIndexOf('/') + 1), action ?? '', name].join(' ').trim()];
  });
}

function shows(device: DeclaredDevice): boolean {
  const item = itemOf(device);
  const said = world.reportOf(device).items[item.item];
  return said?.kind === 'value' && campbellFamily.agrees(item, said);
}

/** Carries out what the family makes of the drift, and follows it with passes of five minutes. */
async function change(device: DeclaredDevice): Promise<Confirmation> {
  const operation = world.operationFor(device, itemOf(device));
  const intendedAt = world.clock.now();
  const outcome = await world.act(device, operation);
  if (outcome.kind !== 'performed') throw new Error(JSON.stringify(outcome));
  const open = openOperation(operation, { intendedAt, reference: outcome.reference });
  world.open.add(device.id);
  world.openSince = () => intendedAt;
  let confirmation = campbellFamily.confirm(open, world.reportOf(device));
  for (let pass = 0; pass < 10 && confirmation.kind === 'open'; pass += 1) {
    await world.clock.advance(5 * MINUTE);
    await world.observe([device]);
    confirmation = campbellFamily.confirm(open, world.reportOf(device));
  }
  return confirmation;
}

describe('asking', () => {
  const device = settingsOf({ PakBusAddress: '4' });

  it('is for who has the lease: a plan never asks', async () => {
    world.openSince = null;
    await logger(device, { settings: { PakBusAddress: '4' } });
    expect(sent()).toEqual([]);
    expect(world.reportOf(device).items.settings).toMatchObject({ kind: 'unknown', why: 'NEVER_REPORTED' });
    world.newDriver({ role: 'reader' });
    world.openSince = () => null;
    await world.clock.advance(MINUTE);
    await world.observe([device]);
    expect(sent()).toEqual([]);
  });

  it('asks once, one question at a time, and believes what is read back trimmed', async () => {
    const both = settingsOf({ PakBusAddress: '4', StationName: 'Moor House' });
    await logger(both, { settings: { PakBusAddress: '4', StationName: 'Moor House' } });
    expect(sent()).toEqual(['setting publish PakBusAddress', 'setting publish StationName']);
    expect(world.said.some(({ text }) => text.includes('"value":"      4"'))).toBe(true);
    expect(shows(both)).toBe(true);
    await world.clock.advance(HOUR);
    await world.observe([both]);
    expect(sent()).toHaveLength(2);
  });

  it('asks nobody who is not heard, nor while a command is under way', async () => {
    const sim = await world.logger({}, false);
    await world.observe([device]);
    await world.run(sim.powerOn());
    await world.run(sim.powerOff());
    await world.observe([device]);
    expect(sent()).toEqual([]);
    await world.run(sim.powerOn());
    world.openSince = () => world.clock.now();
    await world.clock.advance(MINUTE);
    await world.observe([device]);
    expect(sent()).toEqual([]);
    world.openSince = () => null;
    await world.observe([device]);
    expect(sent()).toEqual(['setting publish PakBusAddress']);
  });

  it('leaves a logger that is silent alone for half an hour', async () => {
    const sim = await world.logger({}, false);
    sim.fault('lostReply', true);
    await world.observe([device]);
    await world.run(sim.powerOn());
    await world.clock.advance(MINUTE);
    for (let pass = 0; pass < 6; pass += 1) {
      await world.observe([device]);
      await world.clock.advance(4 * MINUTE);
    }
    expect(sent()).toHaveLength(1);
    sim.fault('lostReply', false);
    await world.clock.advance(10 * MINUTE);
    await world.observe([device]);
    expect(shows(device)).toBe(false);
    expect(world.reportOf(device).items.settings).toMatchObject({ kind: 'value' });
  });
});

describe('probing', () => {
  const device = declaredLogger({ options: { dialect: 'probe' } });
  const found = () => dialectOf(campbellOptions(device.options), world.reportOf(device));

  it('finds a logger that speaks v2 by a ping, once, and asks for its versions then', async () => {
    const declared = { ...device, items: [declaredItem({ item: 'firmware', value: 'CR1000X.8.2.1', content: null })] };
    await logger(declared, { dialect: 'v2', os: 'CR1000X.8.2.1' });
    expect(found()).toBe('v2');
    expect(sent()[0]).toBe('ping');
    expect(world.reportOf(device).items.firmware).toMatchObject({ value: 'CR1000X.8.2.1' });
    await world.clock.advance(HOUR);
    await world.observe([declared]);
    expect(sent().filter((command) => command === 'ping')).toHaveLength(1);
  });

  it.each(['os80', 'legacy'] as const)('takes one that does not answer for an older one: %s', async (dialect) => {
    await logger(device, { dialect });
    expect(found()).toBe('os80');
    await world.clock.advance(HOUR);
    await world.observe([device]);
    expect(sent()).toEqual(['ping']);
  });

  it('tries again after a restart, which may have brought another OS', async () => {
    const sim = await logger(device, { dialect: 'os80' });
    await world.run(sim.powerOff());
    await world.clock.advance(5 * MINUTE);
    await world.run(sim.powerOn());
    await world.clock.advance(30 * MINUTE);
    await world.observe([device]);
    expect(sent()).toEqual(['ping', 'ping']);
  });
});

describe('settings', () => {
  it.each(['legacy', 'os80', 'v2'] as const)('are written as texts, applied once, and believed when read back: %s', async (dialect) => {
    const device = settingsOf({ PakBusAddress: '4', StationName: 'Moor House' }, { dialect });
    const sim = await logger(device, { settings: { PakBusAddress: '1', StationName: 'Moor House' } });
    const before = world.said.length;
    expect(await change(device)).toMatchObject({ kind: 'confirmed' });
    expect(sim.settings()).toMatchObject({ PakBusAddress: '4', StationName: 'Moor House' });
    expect(sent(before).slice(0, 2)).toEqual(['setting set PakBusAddress', 'setting apply']);
    expect(world.said.slice(before).find(({ topic }) => topic.endsWith('/cc/QU8Q-9JTY-HVP8/setting'))?.text).toContain('"value":"4"');
    expect(sim.effects.filter(({ kind }) => kind === 'setting')).toHaveLength(1);
  });

  it('that a logger takes with success and ignores are a verdict', async () => {
    const device = settingsOf({ PakBusAddress: 'four' });
    const sim = await logger(device, { settings: { PakBusAddress: '1' } });
    expect(await change(device)).toMatchObject({
      kind: 'failed',
      code: 'SETTING_IGNORED',
      evidence: 'PakBusAddress reads "1" in place of "four"',
    });
    expect(sim.settings()['PakBusAddress']).toBe('1');
  });

  it('that no logger knows are unreadable, and not written', async () => {
    const device = settingsOf({ Nonsense: '1' });
    await logger(device);
    expect(world.reportOf(device).items.settings).toMatchObject({ kind: 'unknown', why: 'REPORT_UNREADABLE' });
    expect(() => world.operationFor(device, itemOf(device))).toThrow('not read yet');
  });

  it.each([
    ['MQTTEndpoint', 'elsewhere.example.org'],
    ['MQTTPortNumber', '8884'],
    ['MQTTEnable', '0'],
    ['MQTTClientID', 'other'],
    ['MQTTBaseTopic', 'cs/v9'],
    ['MQTTUserName', 'other'],
    ['MQTTPassword', 'other'],
    ['CampbellCloudEnable', '1'],
    ['TLSPassword', 'other'],
  ])('that could cut the link are refused: %s', async (name, value) => {
    const device = settingsOf({ [name]: value });
    await logger(device, { settings: { [name]: 'x' } });
    const item = itemOf(device);
    const report = world.reportOf(device);
    const said = {
      kind: 'value',
      value: `${name}=x`,
      facts: { settings: { [name]: 'x' }, secrets: {}, constants: {} },
      madeNotBefore: 1,
      source: 'setting',
    } as const;
    const reported = { ...report, items: { ...report.items, settings: said } };
    const ask = (options: Readonly<Record<string, Json>>) =>
      campbellFamily.operations({ device: { ...device, options }, items: [item], reported, drifted: ['settings'] });
    expect(ask({})).toMatchObject({ drafts: [], impossible: [{ reason: 'LOCKOUT_GUARD', evidence: expect.stringContaining(name) }] });
    expect(ask({ linkAccepted: 'the bench' })).toMatchObject({ drafts: [{ step: 'settings' }], impossible: [] });
  });

  it('and constants are two steps, each read back', async () => {
    const program = new TextEncoder().encode('ConstTable (Site)\r\n  Const Height = 2.5\r\nEndConstTable\r\nBeginProg\r\nEndProg\r\n');
    const device = settingsOf({ PakBusAddress: '4', constants: { Height: '3' } }, { dialect: 'v2' });
    const sim = await logger(device, { settings: { PakBusAddress: '1' }, program: { name: 'site.CR1X', bytes: program } });
    expect(await change(device)).toMatchObject({ kind: 'confirmed' });
    world.open.clear();
    expect(shows(device)).toBe(false);
    expect(world.operationFor(device, itemOf(device))).toMatchObject({
      step: 'constants',
      effects: expect.arrayContaining(['recompiles the program']),
    });
    await world.clock.advance(2 * MINUTE);
    await world.observe([device]);
    expect(await change(device)).toMatchObject({ kind: 'confirmed' });
    expect(sim.constants()).toEqual({ Height: '3' });
    expect(shows(device)).toBe(true);
  });

  it.each([
    [{ constants: { A: '1' } }, {}, 'UNSUPPORTED_ITEM'],
    [{ MQTTState: '50' }, {}, 'SETTING_READ_ONLY'],
    [{ UID: 'X' }, {}, 'SETTING_READ_ONLY'],
    [{ MQTTStateInterval: '1441' }, {}, 'SETTING_VALUE'],
    [{ MQTTClientID: 'x'.repeat(65) }, {}, 'SETTING_VALUE'],
    [{ MQTTWillTopic: 'x'.repeat(65) }, {}, 'SETTING_VALUE'],
    [{ StationName: ' padded' }, {}, 'SETTING_VALUE'],
    [
      { constants: Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`Name${index}`, 'x'.repeat(120)])) },
      { dialect: 'v2' },
      'COMMAND_TOO_LONG',
    ],
  ])('are mistakes where no logger could take them: %j', (document, options, code) => {
    const pin: PinnedItem = { item: 'settings', artifact: null, content: null, document, firmware: null, certificates: [] };
    const expected = campbellFamily.expectation(declaredLogger({ options }), pin);
    expect(expected).toMatchObject({ ok: false, error: { code } });
  });
});

describe('files', () => {
  const table = programText('table');

  it('that are not declared go, but for the running program, what runs without it, certificates and keys', async () => {
    const device = filesOf({ 'table.dat': table });
    const files = { 'table.dat': table, 'old_1.CR1X': table, 'old_2.CR1X': table, 'default.CR1X': table, 'CAroot.pem': table };
    const sim = await logger(device, { files });
    expect(shows(device)).toBe(false);
    expect(await change(device)).toMatchObject({ kind: 'confirmed' });
    expect(sim.effects.filter(({ kind }) => kind === 'delete').map(({ detail }) => detail)).toEqual(['old_1.CR1X', 'old_2.CR1X']);
    expect(shows(device)).toBe(true);
  });

  it('of a list that was cut are unknown, never absent', async () => {
    const device = filesOf({ 'table.dat': table });
    const many = Object.fromEntries(
      Array.from({ length: 120 }, (_, index) => [`a_file_with_a_long_name_${index}_of_many.dat`, new Uint8Array()]),
    );
    const sim = await logger(device, { files: { ...many, 'table.dat': table } });
    expect(world.reportOf(device).items.files).toMatchObject({
      kind: 'unknown',
      why: 'REPORT_UNREADABLE',
      detail: expect.stringContaining('was cut at'),
    });
    expect(() => world.operationFor(device, itemOf(device))).toThrow('CPU: was not listed yet');
    expect(sim.effects.filter(({ kind }) => kind === 'delete')).toEqual([]);
  });

  it('that are missing cannot be brought, and that is said', async () => {
    const device = filesOf({ 'table.dat': table });
    await logger(device);
    const answer = campbellFamily.operations({ device, items: device.items, reported: world.reportOf(device), drifted: ['files'] });
    expect(answer).toMatchObject({
      drafts: [],
      impossible: [{ reason: 'UNSUPPORTED', evidence: expect.stringContaining('table.dat is not on CPU:') }],
    });
  });

  it('that a logger cannot delete are trouble, and stay', async () => {
    const device = filesOf({});
    const sim = await logger(device, { files: { 'old.CR1X': table } });
    sim.fault('deleteFails', true);
    const operation = world.operationFor(device, itemOf(device));
    expect(await world.act(device, operation)).toMatchObject({ kind: 'trouble', code: 'COMMAND_ERROR' });
    expect(sim.effects).toEqual([]);
  });
});

describe('a program, where the logger tells checksums', () => {
  const content: Content = contentOf('met_v2.CR1X', programText('met_v2'));
  const declared = declaredItem({ item: 'program', value: 'CPU:met_v2.CR1X', content });
  const device: DeclaredDevice = { ...declaredLogger({ options: { dialect: 'v2' } }), items: [declared] };

  it('is proven by the SHA-256 of its file', async () => {
    await logger(device);
    expect(await change(device)).toMatchObject({ kind: 'confirmed', evidence: expect.stringContaining('SHA-256 as sent') });
    expect(sent()).toContain('fileControl checksum');
  });

  it('is another one when somebody put other bytes under its name', async () => {
    await logger(device, { program: { name: 'met_v2.CR1X', bytes: programText('other') } });
    expect(world.reportOf(device).items.program).toMatchObject({ value: 'CPU:met_v2.CR1X (other bytes)' });
    expect(shows(device)).toBe(false);
  });

  it('is proven by its name when the logger cannot compute it', async () => {
    const sim = await logger(device);
    sim.fault('checksumFails', true);
    expect(await change(device)).toMatchObject({ kind: 'confirmed', evidence: expect.stringContaining('tells no checksum') });
  });

  it('is not taken for failed by the answer to somebody else', async () => {
    await logger(device);
    const operation = world.operationFor(device, declared);
    const outcome = await world.act(device, operation);
    if (outcome.kind !== 'performed') throw new Error(outcome.kind);
    const open = openOperation(operation, { intendedAt: outcome.reference, reference: outcome.reference });
    const bus = await world.run(world.connect('somebody', { clean: true }));
    const say = (topic: string, body: object) => world.run(bus.publish(topic, Buffer.from(JSON.stringify(body)), { qos: 1 }));
    await say('cs/v2/cr/QU8Q-9JTY-HVP8/program/theirs', { error: 'Program download failed' });
    await say('cs/v2/cr/QU8Q-9JTY-HVP8/theirs', { error: 'Program download failed' });
    await world.observe([device]);
    expect(campbellFamily.confirm(open, world.reportOf(device)).kind).toBe('open');
    await say(`cs/v2/cr/QU8Q-9JTY-HVP8/program/hg-program-${operation.id.slice(0, 16)}`, { error: 'Program download failed' });
    await world.observe([device]);
    expect(campbellFamily.confirm(open, world.reportOf(device))).toMatchObject({ kind: 'trouble', code: 'DOWNLOAD_FAILED' });
  });
});
