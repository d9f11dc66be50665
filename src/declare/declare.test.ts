import { describe, expect, it } from 'vitest';
import type { Declared, DeclaredDevice } from '#model/declared.ts';
import { deviceId, groupName } from '#model/ids.ts';
import { TEST_FAMILIES } from '#test/support/test-family.ts';
import { makeDeclareCache } from './cache.ts';
import { declare } from './declare.ts';
import { revisionOfFiles } from './revision-of.ts';

const AT = Date.parse('2026-11-21T12:00:00Z');
const SHA = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';

const FLEET = `kind: Fleet
format: 1
name: upland
zone: Europe/London
ledger: { store: git, id: upland }
connections:
  field: { type: mqtt, url: "mqtts://broker.example.org:8883", ca: files/ca.pem }
`;

const REPO = {
  'fleet.yaml': FLEET,
  'files/ca.pem': 'ca',
  'devices/all.yaml': `kind: Devices
family: test
via: field
defaults: { model: T1, labels: { country: uk }, options: { retries: 3 } }
devices:
  c-station: { serial: "3", labels: { ring: canary, depot: leeds }, values: { program: c.prg, tip: 0.2 } }
  a-station: { serial: "1", labels: { depot: york }, values: { program: a.prg, tip: 0.5 }, options: { fast: true } }
  b-station: { serial: "2", model: T2, labels: { depot: leeds }, values: { program: a.prg, tip: 01.10 }, zone: Europe/Paris }
`,
  'artifacts/os.yaml': `kind: Artifact
name: t1-os
item: firmware
fits: { family: test, models: [T1] }
versions:
  01.08.00: { from: files/t1-old.bin, reportsAs: T1-01.08.00 }
  01.09.03: { from: files/t1.bin, reportsAs: T1-01.09.03, needs: { firmware: ">= 01.08" } }
---
kind: Artifact
name: t2-os
item: firmware
fits: { family: test, models: [T2] }
versions:
  01.08.05: { from: "https://files.example.org/dir/t2.bin", sha256: ${SHA}, size: 1234 }
---
kind: Artifact
name: ca
item: trust
fits: { family: test }
versions:
  "2024": { certs: [files/ca.pem] }
  "2027": { certs: [files/ca-2027.pem] }
`,
  'files/t1.bin': 'firmware T1',
  'files/t1-old.bin': 'old firmware T1',
  'files/ca-2027.pem': 'ca 2027',
  'files/a.prg': 'program a',
  'files/c.prg': 'program c',
  'files/base-01.08.json': '{ "base": "01.08", "list": [1, 2], "gone": true, "deep": { "a": 1, "b": 2 } }',
  'files/base-01.09.json': '{ "base": "01.09", "list": [1, 2], "gone": true, "deep": { "a": 1, "b": 2 } }',
  'files/leeds.json': '{ "depot": "leeds", "list": [9], "gone": null, "deep": { "b": "${value:tip}" } }',
  'files/york.json': '{ "depot": "york" }',
  'files/c-station.json': '{ "own": true }',
  'groups/all.yaml': `kind: Group
name: all
select: { family: test }
set: shared
pins:
  firmware: [t1-os@01.09.03, t2-os@01.08.05]
  program: { file: "files/\${value:program}" }
  config: { layers: ["files/base-\${series}.json", "files/\${label:depot}.json", { file: "files/\${id}.json", optional: true }] }
settings: { interval: 5, name: "\${id} at \${label:depot}", constants: { TIP: "\${value:tip}" } }
rollout: careful
silence: 6h
health: { battery: ">= 11.8", errors: no rise }
watch: 7d
drift: { program: correct }
`,
  'sets/shared.yaml': `kind: Set
name: shared
pins:
  firmware: t1-os@01.08.00
  trust: { use: ca@2027, keep: [ca@2024] }
`,
  'rollouts/careful.yaml': `kind: Rollout
name: careful
waves:
  - { name: canary, select: { labels: { ring: canary } }, gate: { soak: 24h } }
  - { name: half, share: 12.5% }
gate: { quorum: 60%, patience: 2d }
budget: [ { max: 1, by: site }, { max: 5% } ]
windows: [hours]
`,
  'windows/hours.yaml': `kind: Window
name: hours
allow: [ { days: "fri-mon", from: "22:00", to: "04:30" } ]
deny: [ { first: 2026-12-20, last: 2027-01-03, why: snow } ]
margin: 30m
`,
};

type Files = Readonly<Record<string, string | Uint8Array>>;

function answer(files: Files, more: { base?: Files; at?: number } = {}) {
  const base = more.base === undefined ? null : revisionOfFiles(more.base);
  return declare({ revision: revisionOfFiles(files), families: TEST_FAMILIES, at: more.at ?? AT, base });
}

function declared(files: Files, more: { base?: Files; at?: number } = {}): Declared {
  const { declared: found, diagnostics } = answer(files, more);
  if (found === null) throw new Error(JSON.stringify(diagnostics, null, 1));
  return found;
}

function codes(files: Files, more: { base?: Files; at?: number } = {}): string[] {
  return answer(files, more).diagnostics.map(({ code, place }) => `${code} ${place.file}:${place.line}:${place.column}`);
}

function device(from: Declared, id: string): DeclaredDevice {
  const row = from.rowOf(deviceId(id));
  if (row === undefined) throw new Error(`no ${id}`);
  return from.deviceAt(row);
}

function item(of: DeclaredDevice, name: string) {
  return of.items.find((one) => one.item === name);
}

function document(of: DeclaredDevice, name: string): unknown {
  return (item(of, name)?.facts as { document?: unknown } | undefined)?.document;
}

function replaced(path: keyof typeof REPO, from: string, to: string): Files {
  const text = REPO[path];
  if (!text.includes(from)) throw new Error(`${path} has no ${from}`);
  return { ...REPO, [path]: text.replace(from, to) };
}

const release = (of: Declared): string => of.groups.get(groupName('all'))?.release.id ?? '';

describe('a declared device', () => {
  const all = declared(REPO);

  it('has rows in order of the id, and is found by either', () => {
    expect([0, 1, 2].map((row) => all.deviceAt(row).id)).toEqual(['a-station', 'b-station', 'c-station']);
    expect(all.rowOf(deviceId('nobody'))).toBeUndefined();
    expect(() => all.deviceAt(3)).toThrow(RangeError);
    expect(all.size).toBe(3);
  });

  it('keeps text as it was written, and lets its own win over the defaults', () => {
    const b = device(all, 'b-station');
    expect(b).toMatchObject({ model: 'T2', zone: 'Europe/Paris', labels: { country: 'uk', depot: 'leeds' }, values: { tip: '01.10' } });
    expect(device(all, 'a-station')).toMatchObject({ zone: 'Europe/London', via: { connection: 'field', to: null } });
    expect(b.place).toEqual({ file: 'devices/all.yaml', line: 8, column: 3 });
  });

  it('types options by the schema of the family', () => {
    expect(device(all, 'a-station').options).toEqual({ retries: 3, fast: true });
  });

  it('takes the pin that fits its model', () => {
    expect(item(device(all, 'a-station'), 'firmware')).toMatchObject({
      version: '01.09.03',
      value: 'T1-01.09.03',
      artifact: 't1-os@01.09.03',
      part: 'firmware t1-os@01.09.03',
      drift: 'correct',
      needs: { firmware: '>= 01.08', neverBelow: null },
      content: { kind: 'bytes', name: 't1.bin', size: 11 },
      place: { file: 'groups/all.yaml', line: 6, column: 14 },
    });
    expect(item(device(all, 'b-station'), 'firmware')).toMatchObject({
      version: '01.08.05',
      content: { kind: 'url', url: 'https://files.example.org/dir/t2.bin', name: 't2.bin', digest: SHA, size: 1234 },
    });
  });

  it('merges layers: objects merge, arrays are replaced, null removes, the later wins, references are resolved', () => {
    expect(document(device(all, 'c-station'), 'config')).toEqual({
      base: '01.09',
      list: [9],
      deep: { a: 1, b: '0.2' },
      depot: 'leeds',
      own: true,
    });
    expect(document(device(all, 'b-station'), 'config')).toEqual({ base: '01.08', list: [9], deep: { a: 1, b: '01.10' }, depot: 'leeds' });
    expect(document(device(all, 'a-station'), 'config')).toMatchObject({ depot: 'york', gone: true });
    expect(item(device(all, 'c-station'), 'config')).toMatchObject({
      version: 'base-01.09.json + 2 layers',
      part: 'config layers',
      drift: 'hold',
    });
  });

  it('types settings by the schema of the family after references are resolved', () => {
    expect(document(device(all, 'c-station'), 'settings')).toEqual({ interval: 5, name: 'c-station at leeds', constants: { TIP: 0.2 } });
  });

  it('takes pins of the set where the group has none of its own', () => {
    expect(item(device(all, 'a-station'), 'trust')?.version).toBe('2027');
    expect(item(device(all, 'a-station'), 'firmware')?.version).toBe('01.09.03');
  });

  it('lists its items in the order of the family', () => {
    expect(device(all, 'a-station').items.map((one) => one.item)).toEqual(['config', 'firmware', 'program', 'settings', 'trust']);
    expect(item(device(all, 'a-station'), 'program')?.drift).toBe('correct');
  });

  it('gives equal revisions equal devices', () => {
    expect(JSON.stringify(device(declared(REPO), 'a-station'))).toBe(JSON.stringify(device(all, 'a-station')));
  });
});

describe('groups, rollouts, windows, fleet', () => {
  const all = declared(REPO);

  it('fills in the defaults', () => {
    expect(all.groups.get(groupName('all'))).toMatchObject({
      silenceMs: 6 * 3_600_000,
      watchMs: 7 * 86_400_000,
      rows: [0, 1, 2],
      health: [
        { measure: 'battery', test: 'at-least', value: '11.8' },
        { measure: 'errors', test: 'no-rise', value: null },
      ],
      before: [],
      after: null,
    });
    expect(all.fleet).toMatchObject({
      branch: 'main',
      commitsMustBeSigned: false,
      limits: {
        change: 1,
        leave: 1_000_000,
        personal: 5,
        operationsPerMinute: 120,
        maxAttempts: 5,
        passLimitMs: 300_000,
        observeDeadlineMs: 60_000,
      },
      artifacts: { via: null, urls: 'presigned', publicUrl: null },
    });
    expect(all.fleet.connections.get('field')).toMatchObject({ type: 'mqtt', ca: new TextEncoder().encode('ca'), password: null });
  });

  it('always has a last wave for the rest', () => {
    const rules = all.rollouts.get('careful');
    expect(rules?.waves.map(({ name, share, count }) => [name, share, count])).toEqual([
      ['canary', null, null],
      ['half', 0.125, null],
      ['rest', null, null],
    ]);
    expect(rules?.waves[0]?.gate).toEqual({
      success: 1,
      minimum: 1,
      quorum: 0.6,
      patienceMs: 2 * 86_400_000,
      then: 'ask',
      soakMs: 86_400_000,
    });
    expect(rules).toMatchObject({
      onFailure: 'halt',
      windows: ['hours'],
      together: false,
      rollback: { windows: [], waves: [{ name: 'all' }] },
    });
    expect(rules?.budget).toEqual([
      { max: { kind: 'count', count: 1 }, by: 'site' },
      { max: { kind: 'share', share: 0.05 }, by: null },
    ]);
  });

  it('knows at-once', () => {
    expect(all.rollouts.get('at-once')).toMatchObject({
      waves: [
        { count: 1, gate: { soakMs: 600_000 } },
        { count: null, share: null },
      ],
      windows: [],
    });
  });

  it('reads windows over midnight and over the end of the week', () => {
    expect(all.windows.get('hours')).toMatchObject({
      zone: 'device',
      allow: [{ days: [1, 5, 6, 7], from: 1320, to: 270 }],
      deny: [{ first: '2026-12-20', last: '2027-01-03', why: 'snow' }],
      marginMs: 1_800_000,
    });
  });
});

describe('a release', () => {
  const all = declared(REPO);

  it('names its parts, with templates where devices differ and files where they do not', () => {
    expect(all.groups.get(groupName('all'))?.release.parts.map((part) => part.id)).toEqual([
      'config files/${id}.json',
      'config files/${label:depot}.json',
      'config files/base-01.08.json',
      'config files/base-01.09.json',
      'config layers',
      'firmware t1-os@01.09.03',
      'firmware t2-os@01.08.05',
      'program files/${value:program}',
      'settings constants',
      'settings interval',
      'settings name',
      'trust ca@2027',
      'trust keep ca@2024',
    ]);
  });

  it.each([
    ['another shared file', replaced('files/base-01.08.json', '"01.08"', '"01.08b"')],
    ['another setting', replaced('groups/all.yaml', 'interval: 5', 'interval: 6')],
    ['another version', replaced('groups/all.yaml', 't1-os@01.09.03', 't1-os@01.08.00')],
    ['other bytes of an artifact', replaced('files/t1.bin', 'firmware', 'FIRMWARE')],
    [
      'another order of layers',
      replaced(
        'groups/all.yaml',
        '"files/base-${series}.json", "files/${label:depot}.json"',
        '"files/${label:depot}.json", "files/base-${series}.json"',
      ),
    ],
    ['less overlap', replaced('sets/shared.yaml', ', keep: [ca@2024]', '')],
  ])('changes with %s', (_, files) => {
    expect(release(declared(files))).not.toBe(release(all));
  });

  it.each([
    [
      'a new device',
      replaced(
        'devices/all.yaml',
        '  a-station',
        '  d-station: { serial: "4", model: T2, labels: { depot: york }, values: { program: a.prg, tip: 1 } }\n  a-station',
      ),
    ],
    ['a file of one device', replaced('files/c-station.json', 'true', 'false')],
    ['a program of one device', replaced('devices/all.yaml', 'program: c.prg', 'program: a.prg')],
    ['rules and comments', replaced('groups/all.yaml', 'watch: 7d', 'watch: 8d # longer')],
    ['a version nobody pins', replaced('files/t1-old.bin', 'old', 'older')],
  ])('does not change with %s', (_, files) => {
    expect(release(declared(files))).toBe(release(all));
  });

  it.each([
    ['its own file', replaced('files/c-station.json', 'true', 'false'), ['c-station']],
    ['a value it uses', replaced('devices/all.yaml', 'tip: 0.5', 'tip: 0.6'), ['a-station']],
    ['a label that names a layer', replaced('devices/all.yaml', 'depot: york', 'depot: leeds'), ['a-station']],
    ['the layer that a label names', replaced('files/leeds.json', '9', '8'), ['b-station', 'c-station']],
    ['its hardware', replaced('devices/all.yaml', 'serial: "2"', 'serial: "22"'), ['b-station']],
    ['a label that nothing uses', replaced('devices/all.yaml', 'ring: canary', 'ring: canary, colour: red'), []],
    ['shared bytes', replaced('files/t1.bin', 'firmware', 'FIRMWARE'), []],
  ])('what is personal changes with %s', (_, files, changed) => {
    const after = declared(files);
    const ids = ['a-station', 'b-station', 'c-station'];
    expect(ids.filter((id) => device(after, id).personal !== device(all, id).personal)).toEqual(changed);
  });

  it('is the group value’s, not the device’s, when only the group gives a value', () => {
    const give = (tip: string): Files => ({
      ...replaced('groups/all.yaml', 'rollout: careful', `rollout: careful\nvalues: { extra: "${tip}" }`),
      'files/york.json': '{ "depot": "york", "extra": "${value:extra}" }',
    });
    const [one, two] = [declared(give('1')), declared(give('2'))];
    expect(release(one)).not.toBe(release(two));
    expect(device(one, 'a-station').personal).toBe(device(two, 'a-station').personal);
    expect(item(device(one, 'a-station'), 'config')?.value).not.toBe(item(device(two, 'a-station'), 'config')?.value);
  });
});

describe('items under an older declaration', () => {
  const old = declared(replaced('groups/all.yaml', 't1-os@01.09.03', 't1-os@01.08.00'));

  it('are those of the older pins', () => {
    const now = declared(REPO);
    const items = now.itemsUnder(old, device(now, 'a-station'));
    expect(items?.find((one) => one.item === 'firmware')?.version).toBe('01.08.00');
    expect(items?.find((one) => one.item === 'config')?.version).toBe('base-01.08.json + 1 layer');
    expect(items?.find((one) => one.item === 'config')?.value).not.toBe(item(device(now, 'a-station'), 'config')?.value);
  });

  it('take labels, values and own files of now', () => {
    const now = declared({
      ...replaced('devices/all.yaml', 'program: a.prg, tip: 0.5', 'program: new.prg, tip: 0.7'),
      'files/new.prg': 'new',
    });
    const items = now.itemsUnder(old, device(now, 'a-station'));
    expect(items?.find((one) => one.item === 'program')?.version).toBe('new.prg');
    expect(items?.find((one) => one.item === 'firmware')?.version).toBe('01.08.00');
  });

  it('take shared files of then', () => {
    const before = declared(REPO);
    const now = declared(replaced('files/base-01.09.json', '"01.09"', '"01.09b"'));
    const items = now.itemsUnder(before, device(now, 'a-station'));
    expect(items?.find((one) => one.item === 'config')?.value).toBe(item(device(before, 'a-station'), 'config')?.value);
  });

  it('are the same under itself, and unknown for a group that it does not know', () => {
    const now = declared(replaced('groups/all.yaml', 'name: all', 'name: everyone'));
    expect(now.itemsUnder(old, device(now, 'a-station'))).toBeUndefined();
    expect(now.itemsUnder(now, device(now, 'a-station'))).toBe(device(now, 'a-station').items);
  });
});

describe('overrides', () => {
  const override = (body: string): Files => ({
    ...REPO,
    'overrides/one.yaml': `kind: Override\nname: one\nselect: { ids: [a-station] }\nreason: frost\n${body}`,
  });

  it('win over group and device while they hold', () => {
    const files = override(
      'values: { tip: 7 }\nsettings: { interval: 9 }\npins: { firmware: t1-os@01.08.00 }\nrollout: at-once\nfreeze: true\nuntil: 2026-11-21\n',
    );
    const a = device(declared(files), 'a-station');
    expect(a).toMatchObject({
      values: { tip: '7' },
      rollout: 'at-once',
      freeze: { override: 'one', reason: 'frost', until: Date.parse('2026-11-22T00:00:00Z') },
    });
    expect(document(a, 'settings')).toMatchObject({ interval: 9, constants: { TIP: 7 } });
    expect(item(a, 'firmware')?.version).toBe('01.08.00');
    expect(document(a, 'config')).toMatchObject({ base: '01.08' });
    expect(device(declared(files), 'b-station')).toMatchObject({ rollout: null, freeze: null });
    expect(release(declared(files))).toBe(release(declared(REPO)));
    expect(a.personal).not.toBe(device(declared(REPO), 'a-station').personal);
  });

  it('end at the end of their last day in the fleet’s zone, with a warning afterwards', () => {
    const files = override('values: { tip: 7 }\nuntil: 2026-11-21\n');
    const last = Date.parse('2026-11-21T23:59:59Z');
    expect(device(declared(files, { at: last }), 'a-station').values['tip']).toBe('7');
    expect(device(declared(files, { at: last + 1000 }), 'a-station').values['tip']).toBe('0.5');
    expect(codes(files, { at: last + 1000 })).toEqual(['OVERRIDE_LAPSED overrides/one.yaml:6:8']);
  });

  it('do nothing before they start, and remind when they are to be looked at', () => {
    const files = override('values: { tip: 7 }\nstarts: 2027-03-01\nreviewBy: 2027-03-31\n');
    expect(device(declared(files), 'a-station').values['tip']).toBe('0.5');
    const later = Date.parse('2027-05-01T00:00:00Z');
    expect(device(declared(files, { at: later }), 'a-station').values['tip']).toBe('7');
    expect(codes(files, { at: later })).toEqual(['OVERRIDE_REVIEW overrides/one.yaml:7:11']);
  });

  it('may follow each other on the same item, but not meet', () => {
    const second = (starts: string): Files => ({
      ...override('values: { tip: 7 }\nuntil: 2026-12-01\n'),
      'overrides/two.yaml': `kind: Override\nname: two\nselect: { labels: { depot: york } }\nreason: thaw\nvalues: { tip: 8 }\nstarts: ${starts}\n`,
    });
    expect(codes(second('2026-12-02'))).toEqual([]);
    expect(codes(second('2026-12-01'))).toEqual(['OVERRIDE_CONFLICT overrides/two.yaml:5:11']);
  });

  it('select the devices of a group', () => {
    const files = {
      ...REPO,
      'overrides/one.yaml': 'kind: Override\nname: one\nselect: { groups: [all], model: T2 }\nreason: frost\nfreeze: true\n',
    };
    expect(declared(files).overrides).toMatchObject([{ name: 'one', devices: ['b-station'] }]);
  });
});

describe('retirement', () => {
  const files = replaced('devices/all.yaml', 'serial: "2"', 'serial: "2", retired: 2026-11-22');

  it('takes a device out of its group from that day in its own zone, without a word', () => {
    const midnight = Date.parse('2026-11-21T23:00:00Z');
    const before = device(declared(files, { at: midnight - 1 }), 'b-station');
    expect(before).toMatchObject({ group: 'all', retiredFrom: midnight });
    const after = declared(files, { at: midnight });
    expect(device(after, 'b-station')).toMatchObject({ group: null, items: [] });
    expect(after.groups.get(groupName('all'))?.rows).toEqual([0, 2]);
    expect(codes(files, { at: midnight })).toEqual([]);
  });
});

describe('the base', () => {
  it('fixes published digests', () => {
    expect(codes(replaced('files/t1.bin', 'firmware', 'FIRMWARE'), { base: REPO })).toEqual(['DIGEST_CHANGED artifacts/os.yaml:7:21']);
    expect(codes(replaced('artifacts/os.yaml', SHA, SHA.replace('9', '8')), { base: REPO })).toEqual([
      'DIGEST_CHANGED artifacts/os.yaml:14:69',
    ]);
    expect(codes(replaced('files/ca-2027.pem', '2027', '2028'), { base: REPO })).toEqual(['DIGEST_CHANGED artifacts/os.yaml:22:20']);
    expect(codes(REPO, { base: REPO })).toEqual([]);
  });

  it('keeps its own ledger, connections, trust and limits in a pull request', () => {
    const files = {
      ...REPO,
      'fleet.yaml':
        FLEET.replace('broker.example.org', 'elsewhere.example.org').replace('store: git', 'store: "sqlite:mine.db"') +
        'limits: { personal: 50 }\ntrust: { commits: { require: signed } }\n',
    };
    expect(declared(files).fleet).toMatchObject({ limits: { personal: 50 }, commitsMustBeSigned: true });
    expect(declared(files).fleet.ledger).toMatchObject({ store: 'sqlite', path: 'mine.db' });
    const under = declared(files, { base: REPO }).fleet;
    expect(under.ledger).toMatchObject({ store: 'git', id: 'upland' });
    expect(under).toMatchObject({ limits: { personal: 5 }, commitsMustBeSigned: false });
    expect(under.connections.get('field')).toMatchObject({ url: 'mqtts://broker.example.org:8883' });
  });

  it('is no obstacle when it is broken itself', () => {
    expect(codes(REPO, { base: { 'fleet.yaml': ': : :' } })).toEqual([]);
  });
});

describe('an inventory in CSV', () => {
  const csv = (text: string): Files => ({
    ...REPO,
    'devices/all.yaml': `kind: Devices
family: test
via: field
defaults: { model: T1, values: { tip: 1 } }
from: devices/all.csv
columns: { id: Station, serial: Serial, model: Logger, labels.ring: Ring, labels.depot: Depot, values.program: Program, options.retries: Retries }
`,
    'devices/all.csv': text,
  });
  const HEAD = 'Station;Serial;Logger;Ring;Depot;Program;Retries\r\n';

  it('is read as Excel writes it: mark, CRLF, semicolons, quotes; empty cells say nothing', () => {
    const all = declared(csv(`\uFEFF${HEAD}b-1;007;T2;canary;leeds;a.prg;4\r\na-1;0.10;;;"york";"a.prg";\r\n;;;;;;\r\n`));
    expect(device(all, 'b-1')).toMatchObject({
      serial: '007',
      model: 'T2',
      labels: { ring: 'canary' },
      options: { retries: 4 },
      values: { tip: '1' },
    });
    expect(device(all, 'a-1')).toMatchObject({ row: 0, serial: '0.10', model: 'T1', labels: { depot: 'york' }, options: {} });
    expect(device(all, 'a-1').labels).not.toHaveProperty('ring');
    expect(device(all, 'b-1').place).toEqual({ file: 'devices/all.csv', line: 2, column: 1 });
  });

  it('tells a mistake in an option at its cell', () => {
    expect(codes(csv(`${HEAD}b-1;1;T2;canary;leeds;a.prg;many\r\n`))).toEqual(['BAD_OPTION devices/all.csv:2:29']);
  });

  it('says where one value of ten thousand is missing', () => {
    const rows = Array.from(
      { length: 10_000 },
      (_, index) => `s-${index};${index};T1;${index === 7 ? 'canary' : ''};york;${index === 7000 ? '' : 'a.prg'};`,
    );
    const { diagnostics } = answer(csv(`${HEAD}${rows.join('\r\n')}`));
    expect(diagnostics.map(({ code, summary }) => [code, summary])).toEqual([
      ['UNDEFINED_REFERENCE', '`${value:program}` has no value for s-7000'],
    ]);
  });
});

describe('a repo of two hundred files', () => {
  it('is validated in one go, and from the cache again', () => {
    const files: Record<string, string> = { ...REPO };
    for (let index = 0; index < 100; index += 1) {
      files[`devices/site-${index}.yaml`] =
        `kind: Devices\nfamily: test\nvia: field\ndevices:\n  s-${index}: { model: T2, serial: s${index}, labels: { site: s${index}, depot: york }, values: { program: a.prg, tip: 1 } }\n`;
      files[`overrides/o-${index}.yaml`] =
        `kind: Override\nname: o-${index}\nselect: { ids: [s-${index}] }\nvalues: { tip: 2 }\nreason: calibration\n`;
    }
    files['groups/broken.yaml'] = 'kind: Group\nname: broken\nselect: { ids: [s-1] }\nrolout: careful\n';
    const cache = makeDeclareCache();
    const revision = revisionOfFiles(files);
    const first = declare({ revision, families: TEST_FAMILIES, at: AT, cache });
    expect(first.diagnostics.map((one) => one.code)).toEqual(['UNKNOWN_KEY']);
    const again = declare({ revision, families: TEST_FAMILIES, at: AT, cache });
    expect(again).toEqual(first);
    const { ['groups/broken.yaml']: _, ...sound } = files;
    expect(declared(sound).size).toBe(103);
  });
});

describe('a small repo', () => {
  it('needs no more than fleet, devices and a group', () => {
    const files = {
      'fleet.yaml': FLEET.replace(', ca: files/ca.pem', '').replace('zone: Europe/London\n', ''),
      'devices/d.yaml': 'kind: Devices\nfamily: test\nvia: field\ndevices:\n  one: { model: T1 }\n',
      'groups/g.yaml': 'kind: Group\nname: all\nselect: all\nrollout: at-once\n',
    };
    expect(codes(files)).toEqual([]);
    expect(device(declared(files), 'one')).toMatchObject({ zone: 'UTC', serial: null, items: [], group: 'all' });
  });

  it('may keep all documents in one file, beside files of other tools', () => {
    const files = {
      'fleet.yaml': `${FLEET.replace(', ca: files/ca.pem', '')}---\nkind: Devices\nfamily: test\nvia: field\ndevices:\n  one: { model: T1 }\n---\n# nothing here\n---\nkind: Group\nname: all\nselect: all\nrollout: at-once\n`,
      'mkdocs.yml': 'site_name: docs\n',
      '.github/workflows/ci.yaml': 'on: push\n',
    };
    expect(declared(files).size).toBe(1);
  });
});
