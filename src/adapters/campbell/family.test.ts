import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { contentOf, declaredItem, declaredLogger } from '#test/support/campbell.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { DeviceFacts, OperationsAnswer, PinnedItem } from '#ports/family.ts';
import { campbellFamily } from './family.ts';
import { campbellOptions } from './options.ts';
import schema from './options.schema.json' with { type: 'json' };
import { emptyReport } from '#model/reported.ts';
import { withAnswers } from './readings.ts';

const bytes = new Uint8Array([1]);

function facts(change: Partial<DeviceFacts> = {}): DeviceFacts {
  return { id: 'moor-house', model: 'CR1000X', serial: '70681', address: 'QU8Q-9JTY-HVP8', labels: {}, values: {}, options: {}, ...change };
}

function pin(change: Partial<PinnedItem>): PinnedItem {
  const content = contentOf('files/programs/MOOR_HOUSE_v14.CR1X', bytes);
  return { item: 'program', artifact: null, content, document: null, firmware: null, certificates: [], ...change };
}

function firmwarePin(version: string, reportsAs: string | null = null): PinnedItem {
  return pin({
    item: 'firmware',
    artifact: { name: 'cr1000x-os', version, reportsAs },
    content: contentOf('CR1000X.Std.08.02.01.obj', bytes),
  });
}

function codes(device: Partial<DeviceFacts>): readonly string[] {
  return campbellFamily.lint(facts(device)).map((problem) => problem.code);
}

describe('lint', () => {
  it.each([
    [{}, []],
    [{ address: 'cr1000x/70681' }, []],
    [{ address: null }, ['ADDRESS_MISSING']],
    [{ address: 'cs/v2/state/x' }, ['ADDRESS_SHAPE']],
    [{ address: 'cr1000x/#' }, ['ADDRESS_SHAPE']],
    [{ address: '+' }, ['ADDRESS_SHAPE']],
    [{ address: 'qu8q-9jty-hvp8' }, ['ADDRESS_SHAPE']],
    [{ address: 'cr6/70681' }, ['ADDRESS_MODEL']],
    [{ address: 'cr1000x/13342' }, ['ADDRESS_SERIAL']],
    [{ address: 'cr310/1', model: 'CR310-CELL200', serial: '1' }, []],
    [{ options: { hazardAccepted: 'x' } }, ['HAZARD_WITHOUT_NAME']],
    [{ options: { hazard: 'switched-modem', hazardAccepted: 'default.CR1X on CPU:' } }, []],
  ] as const)('%j', (device, expected) => expect(codes(device)).toEqual(expected));
});

describe('expectation of an OS', () => {
  it.each([
    ['8.2.1', null, 'CR1000X.8.2.1'],
    ['8.2.1', 'CR1000X.Std.08.02.01', 'CR1000X.8.2.1'],
    ['anything', '8.2.1', 'CR1000X.8.2.1'],
    ['8.2.1', 'CR1000X.02.00.2019.02.27.1326', 'CR1000X.2.0.2019.02.27.1326'],
  ])('%s that reports as %s', (version, reportsAs, value) => {
    expect(campbellFamily.expectation(facts(), firmwarePin(version, reportsAs))).toMatchObject({ ok: true, value: { value, version } });
  });

  it.each([
    ['latest', null, 'VERSION_UNREADABLE'],
    ['14.2.0', 'CR6.14.2.0', 'OTHER_MODEL'],
  ])('%s that reports as %s is a mistake', (version, reportsAs, code) => {
    expect(campbellFamily.expectation(facts(), firmwarePin(version, reportsAs))).toMatchObject({ ok: false, error: { code } });
  });

  it('may be shared by CR1000X and CR1000Xe', () => {
    const answer = campbellFamily.expectation(facts({ model: 'CR1000Xe' }), firmwarePin('8.2.1', 'CR1000X.8.2.1'));
    expect(answer).toMatchObject({ ok: true, value: { value: 'CR1000X.8.2.1' } });
  });
});

describe('expectation of a program', () => {
  const artifact = (reportsAs: string | null): PinnedItem['artifact'] => ({ name: 'met-station', version: '14', reportsAs });
  const named = (name: string): PinnedItem => pin({ content: contentOf(name, bytes) });

  it.each([
    ['the name of its file', pin({}), 'CPU:MOOR_HOUSE_v14.CR1X'],
    ['name and version of the artifact', pin({ artifact: artifact(null) }), 'CPU:met-station-14.CR1X'],
    ['what the artifact says', pin({ artifact: artifact('CPU:met_v14.CR1X') }), 'CPU:met_v14.CR1X'],
    ['a name of 59 characters', named(`${'x'.repeat(54)}.CR1X`), `CPU:${'x'.repeat(54)}.CR1X`],
    ['a name with spaces', named('moor house v1.crb'), 'CPU:moor house v1.crb'],
  ])('is %s', (_name, pinned, value) => expect(campbellFamily.expectation(facts(), pinned)).toMatchObject({ ok: true, value: { value } }));

  it.each([
    ['a name of 60 characters', named(`${'x'.repeat(55)}.CR1X`), 'FILE_NAME_TOO_LONG'],
    ['an extension of another model', named('x.CR6'), 'FILE_EXTENSION'],
    ['no extension', named('CR1X'), 'FILE_EXTENSION'],
    ['a drive in the name', named('USR:x.CR1X'), 'FILE_NAME'],
    ['a line break', named('x\n.CR1X'), 'FILE_NAME'],
    ['no file', pin({ content: null }), 'CONTENT_MISSING'],
    ['an item that loggers do not have', pin({ item: 'config' }), 'UNKNOWN_ITEM'],
  ])('refuses %s', (_name, pinned, code) =>
    expect(campbellFamily.expectation(facts(), pinned)).toMatchObject({ ok: false, error: { code } }),
  );
});

describe('operations', () => {
  const os = declaredItem({ item: 'firmware', value: 'CR1000X.8.2.1', content: contentOf('os.obj', bytes) });
  const program = declaredItem({ item: 'program', value: 'CPU:b.CR1X', content: contentOf('b.CR1X', bytes) });

  function reported(values: Partial<Record<ItemName, string>>, battery?: string): ReportedDevice {
    const items = Object.fromEntries(
      Object.entries(values).map(([item, value]) => [item, { kind: 'value', value, facts: {}, madeNotBefore: 1, source: 'statusInfo' }]),
    );
    const measures = battery === undefined ? {} : { battery: { value: battery, madeNotBefore: 1 } };
    return { ...emptyReport(declaredLogger().id), items: items as ReportedDevice['items'], measures };
  }

  function ask(change: {
    readonly device?: Partial<DeclaredDevice>;
    readonly items?: readonly DeclaredItem[];
    readonly report?: ReportedDevice;
  }): OperationsAnswer {
    const items = change.items ?? [os, program];
    const report = change.report ?? reported({ firmware: 'CR1000X.8.1.0', program: 'CPU:a.CR1X' });
    return campbellFamily.operations({
      device: declaredLogger(change.device),
      items,
      reported: report,
      drifted: items.map(({ item }) => item),
    });
  }

  it('brings the OS first, and says what it does', () => {
    expect(ask({}).drafts).toMatchObject([
      {
        item: 'firmware',
        step: 'os',
        delivery: 'push',
        declared: 'CR1000X.8.2.1',
        expected: 'CR1000X.8.1.0',
        deadlineMs: 45 * 60_000,
        effects: ['erases stored tables', 'restarts the device'],
        disturbs: true,
      },
      {
        item: 'program',
        step: 'program',
        declared: 'CPU:b.CR1X',
        expected: 'CPU:a.CR1X',
        deadlineMs: 35 * 60_000,
        facts: { command: 'program', fileName: 'b.CR1X', lostAfterMs: 6 * 60_000 },
      },
    ]);
    expect(ask({}).impossible).toEqual([]);
  });

  it('does nothing where nothing drifted', () => {
    const device = declaredLogger();
    expect(campbellFamily.operations({ device, items: [os, program], reported: reported({}), drifted: [] })).toEqual({
      drafts: [],
      impossible: [],
    });
  });

  it('takes deadlines that are longer, and none that are shorter', () => {
    const drafts = ask({
      device: { options: { osDeadline: '3h', programDeadline: '1m', stateInterval: '5m', statusInterval: '60m' } },
    }).drafts;
    expect(drafts.map(({ deadlineMs }) => deadlineMs / 60_000)).toEqual([180, 65]);
    expect(drafts[1]?.facts).toMatchObject({ lostAfterMs: 10 * 60_000 });
  });

  it('goes back to an older OS where the hardware allows it', () => {
    const older = { ...os, value: 'CR1000X.8.0.0' };
    expect(ask({ items: [older] }).drafts).toHaveLength(1);
  });

  it.each([
    ['19001', 'CR6.10.2.0', 'INCOMPATIBLE'],
    ['20000', 'CR6.11.1.0', 'INCOMPATIBLE'],
    [null, 'CR6.11.1.0', 'INCOMPATIBLE'],
    ['19001', 'CR6.11.2.0', null],
    ['13342', 'CR6.10.2.0', null],
  ])('keeps the floor of a CR6 with serial %s: %s', (serial, value, reason) => {
    const device = { model: 'CR6', serial, address: 'cr6/1' };
    const { impossible } = ask({ device, items: [{ ...os, value }], report: reported({ firmware: 'CR6.14.2.0' }) });
    expect(impossible[0]?.reason ?? null).toBe(reason);
  });

  it('refuses an OS of another model, and the program with it', () => {
    expect(ask({ items: [{ ...os, value: 'CR6.14.2.0' }, program] })).toMatchObject({
      drafts: [],
      impossible: [{ item: 'firmware', reason: 'INCOMPATIBLE' }],
    });
  });

  it('refuses what a switched modem may not survive, until somebody says why it may', () => {
    const hazard = { hazard: 'switched-modem' };
    expect(ask({ device: { options: hazard } })).toMatchObject({
      drafts: [],
      impossible: [{ reason: 'LOCKOUT_GUARD', evidence: expect.stringContaining('modem is switched by the program that this OS stops') }],
    });
    const accepted = ask({ device: { options: { ...hazard, hazardAccepted: 'default.CR1X on CPU:' } } });
    expect(accepted.drafts.every((draft) => draft.effects.includes('reboots a switched modem'))).toBe(true);
    expect(accepted.impossible).toEqual([]);
  });

  it.each([
    [['met.CR1X', 'Default.CR1X'], true, []],
    [['met.CR1X'], true, ['LOCKOUT_GUARD']],
    // A list that was cut may lack what is there.
    [['met.CR1X'], false, []],
  ] as const)('holds an accepted hazard against the list of CPU: %j, whole %j', (names, complete, reasons) => {
    const options = { hazard: 'switched-modem', hazardAccepted: 'default.CR1X on CPU:' };
    const listed = withAnswers(reported({ firmware: 'CR1000X.8.1.0', program: 'CPU:a.CR1X' }), { files: { names, complete, at: 1 } });
    expect(ask({ device: { options }, report: listed }).impossible.map(({ reason }) => reason)).toEqual(reasons);
  });

  it.each([
    ['12.2', []],
    ['11.7', ['CONDITIONS_NOT_MET']],
    [undefined, ['CONDITIONS_NOT_MET']],
  ])('with a battery of %s V', (battery, reasons) => {
    const report = reported({ firmware: 'CR1000X.8.1.0', program: 'CPU:a.CR1X' }, battery);
    expect(ask({ device: { options: { minBattery: '11.8' } }, report }).impossible.map(({ reason }) => reason)).toEqual(reasons);
  });

  it('refuses a .CRB on an OS that does not read it, unless a newer one comes first', () => {
    const crb = { ...program, value: 'CPU:b.CRB' };
    const report = reported({ firmware: 'CR1000X.3.2.0', program: 'CPU:a.CR1X' });
    expect(ask({ items: [crb], report }).impossible).toMatchObject([{ item: 'program', reason: 'NO_UPGRADE_PATH' }]);
    expect(ask({ items: [os, crb], report })).toMatchObject({ drafts: [{ step: 'os' }, { step: 'program' }], impossible: [] });
  });
});

describe('options', () => {
  const valid = new Ajv2020().compile(schema);

  it.each([
    [{}, true],
    [{ dialect: 'legacy', baseTopic: 'cs/v1/', clientId: 'thing-17', stateInterval: '5m', statusInterval: '1h30m' }, true],
    [{ hazard: 'switched-modem', hazardAccepted: 'because', minBattery: '11.8', osDeadline: '3h', programDeadline: '20m' }, true],
    [{ dialect: 'v2' }, true],
    [{ dialect: 'probe', baseTopic: 'CS/acme/CR1000X_70681/' }, true],
    [{ dialect: 'v3' }, false],
    [{ baseTopic: 'cs/+' }, false],
    [{ baseTopic: '/cs' }, false],
    [{ clientId: 'x'.repeat(65) }, false],
    [{ stateInterval: 'often' }, false],
    [{ minBattery: 'full' }, false],
    [{ colour: 'red' }, false],
  ])('%j', (options, fits) => expect(valid(options)).toBe(fits));

  it('have defaults', () => {
    expect(campbellOptions({})).toEqual({
      dialect: 'os80',
      baseTopic: 'cs/v2',
      clientId: null,
      stateIntervalMs: 60_000,
      statusIntervalMs: 1_800_000,
      osDeadlineMs: 2_700_000,
      programDeadlineMs: 300_000,
      hazard: 'none',
      hazardAccepted: null,
      linkAccepted: null,
      clearAccepted: null,
      trustAccepted: null,
      probe: false,
      minBattery: null,
      keys: 'rsa',
    });
    expect(campbellOptions({ baseTopic: 'cs/v1/' }).baseTopic).toBe('cs/v1');
  });
});

it.each([
  [{ MQTTStateInterval: '5' }, {}, ['write options: { stateInterval: 5m }']],
  [{ MQTTStateInterval: '5' }, { stateInterval: '5m' }, []],
  [{ MQTTStatusInterval: '5' }, {}, []],
  [{ MQTTStatusInterval: '60' }, {}, ['write options: { statusInterval: 60m }']],
])('warns of an interval that is longer than the options say: %j %j', (document, options, fixes) => {
  const expected = campbellFamily.expectation(facts({ options }), pin({ item: 'settings', content: null, document }));
  expect(expected.ok && (expected.value.warnings ?? []).map(({ fix }) => fix)).toEqual(fixes);
});

it.each([
  ['v2', 'CR1000X.8.1.0', '8.2.1'],
  // It would forbid the way back (docs/protocols/campbell-mqtt.md §5.1).
  ['v2', 'CR1000X.8.3.0', null],
  ['os80', 'CR1000X.8.1.0', null],
  ['legacy', 'CR1000X.8.1.0', null],
])('says minVersion where the dialect has it, on the way up alone: %s from %s', (dialect, from, minVersion) => {
  const device = declaredLogger({ options: { dialect } });
  const os = declaredItem({ item: 'firmware', value: 'CR1000X.8.2.1', content: contentOf('os.obj', bytes) });
  const items = { firmware: { kind: 'value', value: from, facts: {}, madeNotBefore: 1, source: 'metadata' } } as const;
  const reported = { ...emptyReport(device.id), items };
  const { drafts } = campbellFamily.operations({ device, items: [os], reported, drifted: ['firmware'] });
  expect(drafts[0]?.facts).toMatchObject({ minVersion });
});

it('orders versions in its own way, and has no series and no withdrawals', () => {
  expect([campbellFamily.compareVersions('8.9', 'CR1000X.8.10'), campbellFamily.compareVersions('x', '1')]).toEqual([-1, null]);
  expect(campbellFamily.series('8.2.1')).toBeNull();
});

it.each([
  [{}, 'firmware', 'nothing heard yet, and it is said every 30m: needs the daemon or --listen 35m'],
  [{ dialect: 'legacy', statusInterval: '1h' }, 'program', 'nothing heard yet, and it is said every 1h: needs the daemon or --listen 1h5m'],
  [{ dialect: 'v2' }, 'program', 'not asked for yet: an apply asks the logger while it is online'],
  [{ dialect: 'probe' }, 'firmware', 'not asked for yet: an apply asks the logger while it is online'],
  [{}, 'settings', 'not asked for yet: an apply asks the logger while it is online'],
  [{ statusInterval: '0m' }, 'firmware', 'nothing heard yet, and MQTTStatusInterval is 0: it is said at program start alone'],
  [{}, 'identity', null],
] as const)('says why nothing was reported: %j %s', (options, item, text) => {
  expect(campbellFamily.unheard?.(declaredLogger({ options }), item)).toBe(text);
});
