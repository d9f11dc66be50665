import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { CanedgeWorld, declaredTruck, ID } from '#test/support/canedge.ts';
import { GUARD_CODES, type GuardCode } from './guards.ts';
import { keysOf } from './sim-secrets.ts';
import { buildSimConfig } from './sim-schema.ts';

/**
 * Each guard by itself, as a user meets it: refused in the plan with its words, refused again right before the write, let
 * through only where the device's options say so (docs/protocols/canedge-s3.md §8.3, §11).
 */
const SEALED = 'AAECAwQFBgcICQoLDA0OD2N3fnegKtjB9XWcvcPFZcAzedp9aQWoVihBOqoRUykRZEI867qX2dQ=';
const KPUB = keysOf('an operator').kpub;

type Change = Readonly<Record<string, Json | undefined>>;

/** The default config with members at dotted paths replaced; undefined takes one out. */
function configWith(model: string, change: Change): Json {
  const base = JSON.parse(JSON.stringify(buildSimConfig('01.09', model))) as Record<string, Json>;
  for (const [path, value] of Object.entries(change)) {
    const names = path.split('.');
    const last = names.pop() ?? '';
    let member = base;
    for (const name of names) member = member[name] as Record<string, Json>;
    if (value === undefined) delete member[last];
    else member[last] = value;
  }
  return base;
}

const timed: Change = { 'general.debug.restart_timer': 24 };
const sealed: Change = {
  'connect.s3.server.keyformat': 1,
  'connect.s3.server.secretkey': SEALED,
  'general.security.kpub': KPUB,
};
const pin: Change = { 'connect.cellular.pin': '1234' };

interface Case {
  readonly name: string;
  readonly code: GuardCode | null;
  readonly runs?: Change;
  readonly change: Change;
  readonly model?: string;
  readonly text: string;
}

const server = 'connect.s3.server';
const depot = { ssid: 'depot', pwd: 'another-one', minrssi: 0 };

const CASES: readonly Case[] = [
  {
    name: 'F3: it would never poll again',
    code: 'ota-off',
    change: { 'connect.s3.sync.ota': 0 },
    text: 'connect.s3.sync.ota is 0: the device would never look for a change again',
  },
  {
    name: 'F4: it would never report again',
    code: 'heartbeat-off',
    change: { 'connect.s3.sync.heartbeat': 0 },
    text: 'connect.s3.sync.heartbeat is 0: the device would never report again',
  },
  {
    name: 'F2: it would leave S3 for its own web page',
    code: 'web-server',
    change: { 'connect.protocol': 1 },
    text: 'connect.protocol is 1: the device would leave S3',
  },
  {
    name: 'F2: no server',
    code: 'endpoint',
    change: { [server]: { request_style: 0, keyformat: 0, signed_payload: 0 } },
    text: 'connect.s3.server.endpoint is not set: the device would reach no bucket',
  },
  {
    name: 'F2: a server without its fields',
    code: 'endpoint',
    change: { [`${server}.port`]: undefined, [`${server}.region`]: undefined },
    text: 'connect.s3.server has an endpoint without port, region',
  },
  {
    name: 'F2: what the loose pattern of the schema lets through',
    code: 'endpoint',
    change: { [`${server}.endpoint`]: 'httpss://s3.example.org' },
    text: 'connect.s3.server.endpoint begins with neither http:// nor https://',
  },
  {
    name: 'F2: another server',
    code: 'endpoint',
    change: { [`${server}.endpoint`]: 'http://s4.example.org' },
    text: 'connect.s3.server.endpoint changes from http://s3.example.org to http://s4.example.org: the device would report elsewhere',
  },
  {
    name: 'F2: another port',
    code: 'endpoint',
    change: { [`${server}.port`]: 8080 },
    text: 'connect.s3.server.port changes from 80 to 8080: the device would report elsewhere',
  },
  {
    name: 'F2: another bucket',
    code: 'endpoint',
    change: { [`${server}.bucket`]: 'other-logs' },
    text: 'connect.s3.server.bucket changes from vehicle-logs to other-logs: the device would report elsewhere',
  },
  {
    name: 'F2: another region',
    code: 'endpoint',
    change: { [`${server}.region`]: 'eu-west-2' },
    text: 'connect.s3.server.region changes from eu-central-1 to eu-west-2: the device would report elsewhere',
  },
  {
    name: 'F2: another access key',
    code: 'credentials',
    change: { [`${server}.accesskey`]: 'OTHERKEY' },
    text: 'connect.s3.server.accesskey changes: nothing shows that the bucket takes the new one',
  },
  {
    name: 'F2: another secret key in the clear',
    code: 'credentials',
    change: { [`${server}.secretkey`]: 'another-one' },
    text: 'connect.s3.server.secretkey changes: nothing shows that the bucket takes it',
  },
  {
    name: 'F2: no access point',
    code: 'access-points',
    change: { 'connect.wifi.accesspoint': [] },
    text: 'connect.wifi has no access point: the device would reach no network',
  },
  {
    name: 'F2: none of the access points that it uses now',
    code: 'access-points',
    change: { 'connect.wifi.accesspoint': [{ ...depot, ssid: 'home' }] },
    text: 'connect.wifi: every access point that the device knows vanishes',
  },
  {
    name: 'F2: another password for all access points that stay',
    code: 'access-points',
    change: { 'connect.wifi.accesspoint': [depot] },
    text: 'connect.wifi: every access point that the device knows gets another password',
  },
  {
    name: 'F2: a blank APN',
    code: 'apn',
    model: 'CANedge3 GNSS',
    change: { 'connect.cellular.apn': '' },
    text: 'connect.cellular.apn is blank',
  },
  {
    name: 'F2: an APN with an outer space',
    code: 'apn',
    model: 'CANedge3 GNSS',
    change: { 'connect.cellular.apn': 'iot.example ' },
    text: 'connect.cellular.apn begins or ends with a space',
  },
  {
    name: 'F2: another APN',
    code: 'apn',
    model: 'CANedge3 GNSS',
    change: { 'connect.cellular.apn': 'm2m.example' },
    text: 'connect.cellular.apn changes: nothing shows that the new one works',
  },
  {
    name: 'F2: another PIN, which locks the SIM when it is wrong',
    code: 'pin',
    model: 'CANedge3 GNSS',
    runs: pin,
    change: { 'connect.cellular.pin': '4321' },
    text: 'connect.cellular.pin changes: a wrong one locks the SIM',
  },
  {
    name: 'a restart timer that is switched off',
    code: 'restart-timer',
    runs: timed,
    change: { 'general.debug.restart_timer': 0 },
    text: 'general.debug.restart_timer becomes 0: a device that hangs would never restart by itself',
  },
  {
    name: '§8.3: an encrypted flag without a key to decrypt with',
    code: null,
    change: { ...sealed, 'general.security.kpub': undefined },
    text: 'a keyformat says encrypted and general.security.kpub holds no public key of 64 bytes',
  },
  {
    name: '§8.3: a key that is cleared while a flag says encrypted',
    code: null,
    runs: sealed,
    change: { ...sealed, 'general.security.kpub': '' },
    text: 'a keyformat says encrypted and general.security.kpub holds no public key of 64 bytes',
  },
  {
    name: '§8.3: an encrypted flag over a plain value',
    code: null,
    change: { ...sealed, [`${server}.secretkey`]: 'plain-plain-plain-plain-plain!' },
    text: '/connect/s3/server/secretkey is marked as encrypted and is no ciphertext',
  },
  {
    name: '§8.3: a flag that is taken away over the ciphertext',
    code: null,
    runs: sealed,
    change: { ...sealed, [`${server}.keyformat`]: 0 },
    text: '/connect/s3/server/secretkey is no longer marked as encrypted and still holds the ciphertext',
  },
];

async function running({ model = 'CANedge2', runs = {} }: Case): Promise<CanedgeWorld> {
  const world = new CanedgeWorld();
  const sim = world.add({ model, firmware: '01.09.03', config: configWith(model, runs) });
  await sim.powerOn();
  await world.clock.advance(MINUTE_MS);
  return world;
}

function declaredFor({ model = 'CANedge2', runs = {}, change }: Case, allow: readonly string[]): DeclaredDevice {
  const config = configWith(model, { ...runs, ...change });
  return declaredTruck({ config }, { model, options: { series: '01.09', allow } });
}

async function writesOf(world: CanedgeWorld, work: () => Promise<unknown>): Promise<boolean> {
  const before = world.text(`${ID}/config-01.09.json`);
  await work();
  return world.text(`${ID}/config-01.09.json`) !== before;
}

describe('a config that would lock the device out', () => {
  it.each(CASES.map((one) => [one.name, one] as const))('%s: refused in the plan, in its own words', async (_name, one) => {
    const world = await running(one);
    const device = declaredFor(one, []);
    await world.observe(device);
    const { drafts, impossible } = world.plan(device);
    expect(drafts).toEqual([]);
    const way = one.code === null ? '' : ` (options: { allow: [${one.code}] } lets it through)`;
    expect(impossible).toEqual([{ item: 'config', reason: 'LOCKOUT_GUARD', evidence: `${one.text}${way}` }]);
  });

  it.each(CASES.filter(({ code }) => code !== null).map((one) => [one.name, one] as const))(
    '%s: refused right before the write, when only the plan was let through',
    async (_name, one) => {
      const world = await running(one);
      const passed = declaredFor(one, one.code === null ? [] : [one.code]);
      await world.observe(passed);
      const [draft] = world.plan(passed).drafts;
      // Some of them the Rule Schema refuses as well.
      if (draft === undefined) return expect(world.plan(passed).impossible[0]?.reason).toBe('INCOMPATIBLE');
      const operation = world.operation(passed, draft);
      const kept = declaredFor(one, []);
      const written = await writesOf(world, async () => {
        expect(await world.perform(kept, operation)).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD', evidence: one.text });
      });
      expect(written).toBe(false);
      return undefined;
    },
  );

  it('has a case for each guard that options can let through', () => {
    expect([...new Set(CASES.flatMap(({ code }) => code ?? []))].toSorted()).toEqual([...GUARD_CODES].toSorted());
  });

  it('has words of its own in each case', () => {
    const texts = CASES.map(({ text }) => text);
    expect(texts.length - new Set(texts).size).toBe(1);
  });
});

/** §3.3 and §11: what blocks a device whatever it is to be told, and what is said of it. */
describe('a folder that must not be written to', () => {
  const device = declaredTruck({ config: configWith('CANedge2', { 'general.device.meta': 'x' }) }, { options: { series: '01.09' } });
  const key = `${ID}/device.json`;

  async function planned() {
    const world = new CanedgeWorld();
    await world.add({ firmware: '01.09.03' }).powerOn();
    await world.clock.advance(MINUTE_MS);
    await world.observe(device);
    const [draft] = world.plan(device).drafts;
    if (draft === undefined) throw new Error('nothing is planned');
    const said = JSON.parse(world.text(key) ?? '{}') as Readonly<Record<string, Json>>;
    return { world, operation: world.operation(device, draft), said };
  }

  it.each<[string, Readonly<Record<string, Json>> | string, string, string]>([
    [
      'F9: the folder of another device',
      { id: '0A0A0A0A' },
      'IDENTITY_MISMATCH',
      `folder ${ID} holds the report of 0A0A0A0A: a card was swapped or a folder copied`,
    ],
    ['a type that nobody knows', { type: '000000FF' }, 'IDENTITY_MISMATCH', 'reports type 000000FF, which is no known CANedge'],
    ['another model', { type: '0000007D' }, 'IDENTITY_MISMATCH', 'reports a CANedge3 GNSS, declared is a CANedge2'],
    [
      'F15: another public key',
      { kpub: KPUB },
      'IDENTITY_MISMATCH',
      'its public key is not the one seen first: ALARM, somebody may be asking for its secrets',
    ],
    [
      'F15: no public key any more',
      { kpub: '' },
      'IDENTITY_MISMATCH',
      'its public key is not the one seen first: ALARM, somebody may be asking for its secrets',
    ],
    [
      'F13: a device in the middle of an update',
      { sch_name: 'schema-01.08.json' },
      'REPORT_UNREADABLE',
      'cfg_ver 01.09, config of 01.09, schema of 01.08: the device is mid-update',
    ],
    [
      'F13: firmware of another series than its config',
      { fw_ver: '01.08.05' },
      'REPORT_UNREADABLE',
      'runs firmware 01.08.05 with a config of series 01.09',
    ],
    ['F13: a torn device.json', '{ "id": "2B6F', 'REPORT_UNREADABLE', 'device.json is not complete JSON'],
    [
      'F18: a hostile name',
      { cfg_name: '../../config-01.09.json' },
      'REPORT_UNREADABLE',
      'cfg_name of device.json is not a name such as config-01.09.json',
    ],
  ])('%s: nothing is planned for it, and nothing that was planned is written', async (_name, change, reason, detail) => {
    const { world, operation, said } = await planned();
    world.write(key, typeof change === 'string' ? change : JSON.stringify({ ...said, ...change }));
    const written = await writesOf(world, async () => {
      expect(await world.perform(device, operation)).toMatchObject({ kind: 'refused', reason, evidence: detail });
    });
    expect(written).toBe(false);
    await world.clock.advance(1000);
    await world.observe(device);
    expect(world.report?.problem).toEqual({ reason, detail });
    expect(world.plan(device).drafts).toEqual([]);
    expect(world.converged(device)).toBe(false);
  });

  it.each<[string, Change, string]>([
    [
      'ota 0',
      { 'connect.s3.sync.ota': 0 },
      'the config that it runs never looks for changes (ota 0): somebody must change it on the SD card',
    ],
    [
      'heartbeat 0',
      { 'connect.s3.sync.heartbeat': 0 },
      'the config that it runs never reports (heartbeat 0): somebody must change it on the SD card',
    ],
  ])('one that runs %s cannot be changed from here', async (_name, runs, evidence) => {
    const world = new CanedgeWorld();
    await world.add({ firmware: '01.09.03', config: configWith('CANedge2', runs) }).powerOn();
    await world.clock.advance(MINUTE_MS);
    await world.observe(device);
    expect(world.plan(device)).toEqual({ drafts: [], impossible: [{ item: null, reason: 'UNSUPPORTED', evidence }] });
  });

  it.each<[string, string | null, string, string]>([
    ['no Rule Schema', null, 'UNSUPPORTED', 'schema-01.09.json'],
    ['a Rule Schema that is no JSON', '{', 'UNSUPPORTED', 'the Rule Schema is not a JSON object'],
    [
      'a Rule Schema that refuses it',
      JSON.stringify({ properties: { general: false } }),
      'INCOMPATIBLE',
      'the device would refuse it: /general',
    ],
  ])('%s in the folder', async (_name, schema, reason, words) => {
    const { world, operation } = await planned();
    if (schema === null) await world.run(world.bucket.delete(`${ID}/schema-01.09.json`));
    else world.write(`${ID}/schema-01.09.json`, schema);
    const written = await writesOf(world, async () => {
      expect(await world.perform(device, operation)).toMatchObject({
        kind: 'refused',
        reason,
        evidence: expect.stringContaining(words) as string,
      });
    });
    expect(written).toBe(false);
  });
});
