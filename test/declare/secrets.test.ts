import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Secret, secretText } from '#kit/secret.ts';
import { ok } from '#kit/result.ts';
import { makeDeclareCache } from '#declare/cache.ts';
import { declare } from '#declare/declare.ts';
import { secretsNeeded } from '#declare/needed.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import type { Declared, DeclaredDevice } from '#model/declared.ts';
import { deviceId, digest, groupName } from '#model/ids.ts';
import type { Family, PinnedItem } from '#ports/family.ts';
import type { OpenedSecret, OpenedSecrets } from '#ports/secrets.ts';
import { testIdentity } from '#test/support/certificates.ts';
import { TEST_FAMILIES } from '#test/support/test-family.ts';

const AT = Date.parse('2026-11-21T12:00:00Z');
const PLAIN = { wifi: 'plain-of-the-wifi', pin: '12345678', render: 'render-key-of-the-fleet', a: 'plain-of-a' };
const [ONE, TWO, OLD_ONE, OLD_TWO] = [testIdentity('a'), testIdentity('b'), testIdentity('old a'), testIdentity('old b')];

const FLEET = `kind: Fleet
format: 1
name: upland
ledger: { store: git, id: upland }
connections: { field: { type: mqtt, url: "mqtts://broker.example.org:8883" } }
secrets: { recipients: keys/age.txt, identity: "\${env:AGE}", render: "\${age:secrets/render.age}" }
`;

const REPO = {
  'fleet.yaml': FLEET,
  'keys/age.txt': 'age1recipient',
  'devices/all.yaml': `kind: Devices
family: test
via: field
defaults: { model: T1 }
devices:
  a: { serial: "1" }
  b: { serial: "2" }
`,
  'artifacts/id.yaml': `kind: Artifact
name: own
item: identity
fits: { family: test }
versions:
  "1": { cert: "certs/\${id}.pem", key: "\${age:secrets/keys/\${id}.age}" }
  "0": { cert: "certs/old-\${id}.pem", key: "\${age:secrets/keys/old-\${id}.age}" }
`,
  'groups/all.yaml': `kind: Group
name: all
select: { family: test }
pins:
  config: { layers: [files/base.json, { file: "files/\${id}.json", optional: true }] }
  identity: { use: own@1, keep: [own@0] }
settings: { interval: 5, name: "pin \${age:secrets/pin.age} of \${id}" }
rollout: at-once
`,
  'files/base.json': '{ "wifi": { "ssids": [ { "ssid": "depot", "p/wd": "${age:secrets/wifi.age}" } ] }, "name": "${id}" }',
  'files/a.json': '{ "own": "${age:secrets/a.age}" }',
  'certs/a.pem': ONE.certificate,
  'certs/b.pem': TWO.certificate,
  'certs/old-a.pem': OLD_ONE.certificate,
  'certs/old-b.pem': OLD_TWO.certificate,
  'secrets/wifi.age': 'sealed wifi',
  'secrets/pin.age': 'sealed pin',
  'secrets/a.age': 'sealed a',
  'secrets/render.age': 'sealed render',
  'secrets/keys/a.age': 'sealed key a',
  'secrets/keys/b.age': 'sealed key b',
  'secrets/keys/old-a.age': 'sealed old key a',
  'secrets/unused.age': 'nobody names it',
};

const OPEN: Readonly<Record<string, string>> = {
  'sealed wifi': `${PLAIN.wifi}\n`,
  'sealed wifi again': PLAIN.wifi,
  'sealed pin': PLAIN.pin,
  'sealed a': PLAIN.a,
  'sealed render': PLAIN.render,
  'sealed key a': ONE.key,
  'sealed key b': TWO.key,
};

type Files = Readonly<Record<string, string | Uint8Array>>;

/** Stands for the opener: what a ciphertext opens to is looked up. */
function openedFor(files: Files, how: 'opened' | 'SEALED' | 'WRONG_IDENTITY' = 'opened'): OpenedSecrets {
  const revision = revisionOfFiles(files);
  const needed = secretsNeeded(revision, revision, makeDeclareCache()).files;
  const answers = new Map<string, OpenedSecret>();
  for (const { oid, bytes } of needed) {
    const plain = bytes === 'tooLarge' ? undefined : OPEN[Buffer.from(bytes).toString()];
    if (how !== 'opened') answers.set(oid, { kind: 'problem', code: how, message: `cannot: ${how}` });
    else if (plain === undefined) answers.set(oid, { kind: 'problem', code: 'BAD_AGE_FILE', message: 'is no age file' });
    else answers.set(oid, { kind: 'opened', secret: new Secret(new TextEncoder().encode(plain)) });
  }
  return { identityProblem: null, of: (oid) => answers.get(oid) };
}

interface Seen {
  readonly device: string;
  readonly pin: PinnedItem;
}

function familyWith(change: Partial<Family>, seen: Seen[]): ReadonlyMap<string, Family> {
  const [family] = [...TEST_FAMILIES.values()];
  if (family === undefined) throw new Error('there is a test family');
  const expectation: Family['expectation'] = (device, pin) => {
    seen.push({ device: device.id, pin });
    const secret = new Secret<unknown>(pin);
    return ok({ value: `${pin.item} shown`, version: '1', facts: { document: pin.document }, content: null, secret });
  };
  const items = ['config', 'settings', 'identity'] as const;
  return new Map([[family.name, { ...family, items, secretItems: ['config', 'settings'], expectation, ...change }]]);
}

function declaring(
  files: Files = REPO,
  options: { readonly how?: 'opened' | 'SEALED' | 'WRONG_IDENTITY'; readonly family?: Partial<Family> } = {},
) {
  const seen: Seen[] = [];
  const families = familyWith(options.family ?? {}, seen);
  const answer = declare({ revision: revisionOfFiles(files), families, at: AT, secrets: openedFor(files, options.how) });
  return { ...answer, seen, codes: answer.diagnostics.map((one) => `${one.code} ${one.place.file}:${one.place.line}`) };
}

function declaredOf(files: Files = REPO, how: 'opened' | 'SEALED' = 'opened'): Declared {
  const { declared, diagnostics } = declaring(files, { how });
  if (declared === null) throw new Error(JSON.stringify(diagnostics));
  return declared;
}

function deviceOf(declared: Declared, id: string): DeclaredDevice {
  return declared.deviceAt(declared.rowOf(deviceId(id)) ?? -1);
}

function releaseOf(declared: Declared) {
  return declared.groups.get(groupName('all'))?.release;
}

function without(files: Files, ...paths: readonly string[]): Files {
  return Object.fromEntries(Object.entries(files).filter(([path]) => !paths.includes(path)));
}

describe('the first look', () => {
  it('finds every file that a reference can mean, and the identity of the rules', () => {
    const revision = revisionOfFiles(REPO);
    const { identity, files } = secretsNeeded(revision, revision, makeDeclareCache());
    expect(identity).toBe('${env:AGE}');
    expect(files.map(({ path }) => path)).toEqual(
      Object.keys(REPO)
        .filter((path) => path.startsWith('secrets/') && path !== 'secrets/unused.age')
        .toSorted(),
    );
  });

  it('takes the identity from the base, whatever a pull request says', () => {
    const revision = revisionOfFiles({ ...REPO, 'fleet.yaml': FLEET.replace('env:AGE', 'env:OTHER') });
    expect(secretsNeeded(revision, revisionOfFiles(REPO), makeDeclareCache()).identity).toBe('${env:AGE}');
  });

  it('asks for nothing where no secret is named', () => {
    const revision = revisionOfFiles(
      without(REPO, 'artifacts/id.yaml', 'groups/all.yaml', 'files/base.json', 'files/a.json', 'fleet.yaml'),
    );
    expect(secretsNeeded(revision, revision, makeDeclareCache())).toEqual({ identity: null, files: [] });
  });
});

describe('what a family is given', () => {
  const { seen, diagnostics } = declaring();
  const of = (device: string, item: string): PinnedItem | undefined =>
    seen.find((one) => one.device === device && one.pin.item === item)?.pin;

  it('is a document without the secrets, and the secrets by their pointer', () => {
    expect(diagnostics).toEqual([]);
    const config = of('a', 'config');
    expect(config?.document).toEqual({ wifi: { ssids: [{ ssid: 'depot', 'p/wd': '[secret]' }] }, name: 'a', own: '[secret]' });
    expect([...(config?.secrets ?? [])].map(([pointer, secret]) => [pointer, secretText(secret)])).toEqual([
      ['/wifi/ssids/0/p~1wd', PLAIN.wifi],
      ['/own', PLAIN.a],
    ]);
    expect([...(of('b', 'config')?.secrets?.keys() ?? [])]).toEqual(['/wifi/ssids/0/p~1wd']);
  });

  it('has the render key of the fleet beside them', () => {
    const key = of('b', 'config')?.renderKey;
    expect(key === undefined || key === null ? null : secretText(key)).toBe(PLAIN.render);
  });

  it('is a setting as a whole, where a secret is a part of its text', () => {
    const settings = of('b', 'settings');
    expect(settings?.document).toEqual({ interval: 5, name: '[secret]' });
    expect([...(settings?.secrets ?? [])].map(([pointer, secret]) => [pointer, secretText(secret)])).toEqual([
      ['/name', `pin ${PLAIN.pin} of b`],
    ]);
  });

  it('is the device’s own certificate and key, and the certificates that are kept', () => {
    const identity = of('b', 'identity');
    expect(Buffer.from(identity?.identity?.certificate ?? []).toString()).toBe(TWO.certificate);
    const key = identity?.identity?.key;
    expect(key === undefined ? '' : Buffer.from(key.reveal()).toString()).toBe(TWO.key);
    expect(identity?.certificates.map((one) => Buffer.from(one).toString())).toEqual([TWO.certificate, OLD_TWO.certificate]);
  });
});

describe('what is declared', () => {
  it('shows no secret, however it is written out', () => {
    const declared = declaredOf();
    const rows = Array.from({ length: declared.size }, (_, row) => declared.deviceAt(row));
    const shown = [
      JSON.stringify(rows),
      inspect(rows, { depth: 12, showHidden: true }),
      JSON.stringify([...declared.groups]),
      JSON.stringify(declared.fleet),
    ];
    for (const plain of [...Object.values(PLAIN), ONE.key.slice(30, 60)]) expect(shown.join('\n')).not.toContain(plain);
  });

  it('tells each ciphertext that all share as a part of the release', () => {
    const before = releaseOf(declaredOf());
    expect(before?.parts.map(({ id }) => id).filter((id) => id.startsWith('secret '))).toEqual([
      'secret secrets/pin.age',
      'secret secrets/render.age',
      'secret secrets/wifi.age',
    ]);
    const after = releaseOf(declaredOf({ ...REPO, 'secrets/wifi.age': 'sealed wifi again' }));
    expect(after?.id).not.toBe(before?.id);
    expect(after?.parts.filter((part) => !before?.parts.some((one) => one.digest === part.digest)).map(({ id }) => id)).toEqual([
      'secret secrets/wifi.age',
    ]);
  });

  it.each([
    ['a key of its own', { 'secrets/keys/a.age': 'sealed key a, again' }],
    ['a secret in its own layer', { 'secrets/a.age': 'sealed a, again' }],
    ['a certificate of its own', { 'certs/a.pem': `${ONE.certificate}\n` }],
  ])('tells %s as personal to the one device', (_name, change) => {
    const [before, after] = [declaredOf(REPO, 'SEALED'), declaredOf({ ...REPO, ...change }, 'SEALED')];
    expect(releaseOf(after)?.id).toBe(releaseOf(before)?.id);
    expect(deviceOf(after, 'a').personal).not.toBe(deviceOf(before, 'a').personal);
    expect(deviceOf(after, 'b').personal).toBe(deviceOf(before, 'b').personal);
  });

  it('is told the same way with and without the identity', () => {
    const override = {
      'overrides/o.yaml':
        'kind: Override\nname: o\nselect: { ids: [b] }\npins: { config: { layers: [files/base.json, files/a.json] } }\nsettings: { name: "${age:secrets/a.age}" }\nreason: a trial\nreviewBy: 2027-01-01\n',
    };
    for (const files of [REPO, { ...REPO, ...override }]) {
      const [open, sealed] = [declaredOf(files), declaredOf(files, 'SEALED')];
      expect(releaseOf(sealed)).toEqual(releaseOf(open));
      for (const id of ['a', 'b']) {
        expect(deviceOf(sealed, id).personal).toBe(deviceOf(open, id).personal);
        expect(deviceOf(sealed, id).items.map(({ ciphertext }) => ciphertext)).toEqual(
          deviceOf(open, id).items.map(({ ciphertext }) => ciphertext),
        );
      }
    }
    expect(deviceOf(declaredOf({ ...REPO, ...override }), 'b').personal).not.toBe(deviceOf(declaredOf(), 'b').personal);
  });

  it('is held without the identity, item by item, and nothing is a mistake', () => {
    const { declared, diagnostics, seen } = declaring(REPO, { how: 'SEALED' });
    expect(diagnostics).toEqual([]);
    expect(seen).toEqual([]);
    const items = declared === null ? [] : deviceOf(declared, 'a').items;
    expect(items.map(({ item, impossible }) => [item, impossible?.reason])).toEqual([
      ['config', 'SECRET_SEALED'],
      ['settings', 'SECRET_SEALED'],
      ['identity', 'SECRET_SEALED'],
    ]);
    expect(items.every(({ content, secret }) => content === null && secret === undefined)).toBe(true);
  });

  it('under an older release takes the shared secrets of then and the device’s own of now', () => {
    const newer = { ...REPO, 'secrets/wifi.age': 'sealed wifi again', 'secrets/keys/a.age': 'sealed key a' };
    const [then, now] = [
      declaredOf({ ...REPO, 'secrets/keys/a.age': 'sealed key b', 'certs/a.pem': `${TWO.certificate}\n` }),
      declaredOf(newer),
    ];
    const items = now.itemsUnder(then, deviceOf(now, 'a')) ?? [];
    const config = items.find(({ item }) => item === 'config');
    expect(config?.ciphertext).toBe(deviceOf(then, 'a').items.find(({ item }) => item === 'config')?.ciphertext);
    const identity = items.find(({ item }) => item === 'identity');
    expect(identity?.ciphertext).toBe(deviceOf(now, 'a').items.find(({ item }) => item === 'identity')?.ciphertext);
    expect(config?.ciphertext).not.toBe(digest(''));
  });
});

describe('mistakes', () => {
  it.each([
    [
      'another’s identity',
      REPO,
      'WRONG_IDENTITY' as const,
      [
        'WRONG_IDENTITY artifacts/id.yaml:6',
        'WRONG_IDENTITY files/a.json:1',
        'WRONG_IDENTITY files/base.json:1',
        'WRONG_IDENTITY fleet.yaml:6',
        'WRONG_IDENTITY groups/all.yaml:7',
      ],
    ],
    ['a damaged file', { ...REPO, 'secrets/wifi.age': 'junk' }, 'opened' as const, ['BAD_AGE_FILE files/base.json:1']],
    ['a file that is not there', without(REPO, 'secrets/wifi.age'), 'opened' as const, ['FILE_MISSING files/base.json:1']],
    ['a key that is not there', without(REPO, 'secrets/keys/b.age'), 'opened' as const, ['FILE_MISSING artifacts/id.yaml:6']],
    ['a certificate that is not there', without(REPO, 'certs/b.pem'), 'opened' as const, ['FILE_MISSING artifacts/id.yaml:6']],
    [
      'a key of another certificate',
      { ...REPO, 'secrets/keys/b.age': 'sealed key a' },
      'opened' as const,
      ['KEY_MISMATCH artifacts/id.yaml:6'],
    ],
    ['a key that is none', { ...REPO, 'secrets/keys/b.age': 'sealed pin' }, 'opened' as const, ['BAD_KEY artifacts/id.yaml:6']],
    ['a certificate that is none', { ...REPO, 'certs/b.pem': 'x' }, 'opened' as const, ['BAD_CERTIFICATE artifacts/id.yaml:6']],
    [
      'one certificate for two',
      { ...REPO, 'certs/b.pem': ONE.certificate, 'secrets/keys/b.age': 'sealed key a' },
      'opened' as const,
      ['IDENTITY_TWICE artifacts/id.yaml:6'],
    ],
    [
      'a key in the clear',
      { ...REPO, 'artifacts/id.yaml': REPO['artifacts/id.yaml'].replace('${age:secrets/keys/${id}.age}', 'certs/${id}.key') },
      'opened' as const,
      ['KEY_NOT_SEALED artifacts/id.yaml:6'],
    ],
    [
      'use and keep of one version',
      { ...REPO, 'groups/all.yaml': REPO['groups/all.yaml'].replace('own@0', 'own@1') },
      'opened' as const,
      ['KEPT_TWICE groups/all.yaml:6'],
    ],
    [
      'no identity in fleet.yaml',
      { ...REPO, 'fleet.yaml': FLEET.replace(/secrets:.*\n/, '') },
      'opened' as const,
      ['NO_IDENTITY artifacts/id.yaml:6', 'NO_IDENTITY files/a.json:1', 'NO_IDENTITY files/base.json:1', 'NO_IDENTITY groups/all.yaml:7'],
    ],
    [
      'an identity that is no reference',
      { ...REPO, 'fleet.yaml': FLEET.replace('${env:AGE}', '${age:secrets/pin.age}') },
      'SEALED' as const,
      ['BAD_VALUE fleet.yaml:6'],
    ],
    [
      'a render key of each device',
      { ...REPO, 'fleet.yaml': FLEET.replace('secrets/render.age', 'secrets/${id}.age') },
      'SEALED' as const,
      ['BAD_VALUE fleet.yaml:6'],
    ],
    [
      'a secret in a connection',
      { ...REPO, 'fleet.yaml': FLEET.replace('8883"', '8883", password: "${age:secrets/pin.age}"') },
      'SEALED' as const,
      ['REFERENCE_MISPLACED fleet.yaml:5'],
    ],
  ])('%s', (_name, files: Files, how, codes) => {
    const answer = declaring(files, { how });
    expect(answer.codes).toEqual(codes);
    expect(answer.declared).toBeNull();
    for (const plain of Object.values(PLAIN)) expect(JSON.stringify(answer.diagnostics)).not.toContain(plain);
  });

  it('a secret in an item of a family that keeps none, opened or not', () => {
    for (const how of ['opened', 'SEALED'] as const) {
      expect(declaring(REPO, { how, family: { secretItems: ['settings'] } }).codes).toEqual(['SECRET_UNSUPPORTED groups/all.yaml:5']);
    }
  });

  it('a secret that does not fit its setting is told without it', () => {
    const settings = '{ interval: "${age:secrets/wifi.age}" }';
    const files = { ...REPO, 'groups/all.yaml': REPO['groups/all.yaml'].replace(/settings: .*/, `settings: ${settings}`) };
    const answer = declaring(files);
    expect(answer.codes).toEqual(['SECRET_UNFIT groups/all.yaml:7']);
    expect(JSON.stringify(answer.diagnostics)).not.toContain(PLAIN.wifi);
  });

  it('bytes that are no text in a text', () => {
    const opened = openedFor(REPO);
    const binary: OpenedSecrets = { ...opened, of: () => ({ kind: 'opened', secret: new Secret(new Uint8Array([0xff, 0xfe])) }) };
    const { diagnostics } = declare({ revision: revisionOfFiles(REPO), families: familyWith({}, []), at: AT, secrets: binary });
    expect(diagnostics.map(({ code }) => code)).toContain('SECRET_NOT_TEXT');
  });

  it('an identity that is none is told once, where fleet.yaml names it', () => {
    const secrets = { ...openedFor(REPO, 'SEALED'), identityProblem: 'is no age identity' };
    const { diagnostics } = declare({ revision: revisionOfFiles(REPO), families: familyWith({}, []), at: AT, secrets });
    expect(diagnostics.map(({ code, place }) => `${code} ${place.file}:${place.line}`)).toEqual(['BAD_IDENTITY fleet.yaml:6']);
  });
});
