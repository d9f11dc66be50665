import { Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseJson } from '#adapters/canedge/json.ts';
import { buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import { deviceId, groupName } from '#model/ids.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Wires } from '#ports/wires.ts';
import type { PassReport } from '#reconcile/report.ts';
import { planJson } from '#view/plan-json.ts';
import { MemoryFleet, type Files } from '#test/support/memory-fleet.ts';

const DEVICES = 50;
const PLAIN = ['plain-wifi-password', 'plain-bucket-secret', 'the render key of this fleet'] as const;
const [WIFI, BUCKET, RENDER] = PLAIN;

/** Writes of the engine, which alone goes through these wires: the devices have their own. */
const puts: string[] = [];
const keys = { identity: '', recipient: '' };
let fleet: MemoryFleet;

async function sealed(text: string): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(keys.recipient);
  return encrypter.encrypt(text);
}

const serial = (index: number): string => `0A0000${index.toString(16).toUpperCase().padStart(2, '0')}`;
const name = (index: number): string => `van-${String(index).padStart(2, '0')}`;
const indices = Array.from({ length: DEVICES }, (_, index) => index);

/** What all vehicles run when they leave the workshop: it works, and its secrets are in the clear. */
function config(wifi: string, bucket: string): Json {
  const document = JSON.parse(JSON.stringify(buildSimConfig('01.09', 'CANedge2'))) as {
    connect: { wifi: { accesspoint: { pwd: string }[] }; s3: { server: { secretkey: string } } };
  };
  for (const point of document.connect.wifi.accesspoint) point.pwd = wifi;
  document.connect.s3.server.secretkey = bucket;
  return document;
}

function files(secrets: Readonly<Record<string, Uint8Array>>): Files {
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: vans
ledger: { store: "sqlite:ledger.sqlite", id: vans, lasting: true }
connections: { logs: { type: s3, bucket: vehicle-logs, region: eu-central-1, accessKeyId: A, secretAccessKey: "\${env:S3}" } }
secrets: { recipients: keys/age.txt, identity: "\${env:AGE}", render: "\${age:secrets/render.age}" }
`,
    'keys/age.txt': keys.recipient,
    'devices/vans.yaml': `kind: Devices
family: canedge
via: logs
defaults: { model: CANedge2 }
devices:
${indices.map((index) => `  ${name(index)}: { serial: ${serial(index)} }\n`).join('')}`,
    'groups/vans.yaml': `kind: Group
name: vans
select: all
pins:
  config: { layers: [files/base-01.09.json, files/secrets.json] }
rollout: everyone
drift: { config: correct }
`,
    'rollouts/everyone.yaml': 'kind: Rollout\nname: everyone\nwaves: [ { name: all } ]\n',
    'files/base-01.09.json': JSON.stringify(config('', 'overwritten')).replace(
      '"secretkey":"overwritten"',
      '"secretkey":"${age:secrets/bucket.age}"',
    ),
    'files/secrets.json':
      '{ "connect": { "wifi": { "accesspoint": [ { "ssid": "depot", "pwd": "${age:secrets/wifi.age}", "minrssi": 0 } ] } } }',
    ...secrets,
  };
}

function counting(wires: Wires): Wires {
  return {
    ...wires,
    objects: async (connection) => {
      const store = await wires.objects(connection);
      const put: ObjectStore['put'] = (key, ...rest) => {
        puts.push(key);
        return store.put(key, ...rest);
      };
      return { ...store, list: store.list.bind(store), get: store.get.bind(store), head: store.head.bind(store), put };
    },
  };
}

/** Passes at the schedule's interval: writes of the engine, and the last report. */
async function passes(
  count: number,
  options: { readonly newLedger?: boolean } = {},
): Promise<{ readonly writes: number; readonly last: PassReport }> {
  const before = puts.length;
  let last = await fleet.pass(options);
  for (let pass = 1; pass < count; pass += 1) {
    await fleet.clock.advance(10 * MINUTE_MS);
    last = await fleet.pass(options);
  }
  await fleet.clock.advance(10 * MINUTE_MS);
  return { writes: puts.length - before, last };
}

function convergedIn(report: PassReport): number {
  return report.result?.plan.groups.find(({ group }) => group === groupName('vans'))?.converged ?? -1;
}

async function configOf(index: number): Promise<string> {
  const found = await fleet.sim.bucket('logs').get(`${serial(index)}/config-01.09.json`);
  return typeof found === 'string' ? found : new TextDecoder().decode(found.bytes);
}

/** Everything the engine keeps or hands out of a pass. */
async function writtenDown(report: PassReport): Promise<string> {
  const records = JSON.stringify(await fleet.ledger.read());
  const reports = JSON.stringify(await fleet.ledger.reports.load());
  const plan = report.result === null ? '' : JSON.stringify([report.result.plan, report.result.decision, report.result.executed]);
  return `${records}${reports}${plan}`;
}

beforeAll(async () => {
  keys.identity = await generateX25519Identity();
  keys.recipient = await identityToRecipient(keys.identity);
  fleet = await MemoryFleet.start({
    files: files({
      'secrets/wifi.age': await sealed(`${WIFI}\n`),
      'secrets/bucket.age': await sealed(BUCKET),
      'secrets/render.age': await sealed(RENDER),
    }),
    env: { AGE: keys.identity, S3: 's' },
    wires: counting,
  });
  const simulated = config(WIFI, BUCKET);
  for (const index of indices) {
    const sim = fleet.sim.addDevice(
      'canedge',
      { connection: 'logs', name: name(index) },
      { id: serial(index), model: 'CANedge2', firmware: '01.09.03', config: simulated },
    );
    await fleet.clock.run(sim.powerOn());
  }
  await fleet.clock.advance(HOUR_MS);
}, 60_000);

afterAll(() => fleet.close());

describe('fifty vehicles whose secrets come out of git', { timeout: 120_000 }, () => {
  it('are told them encrypted, each to its own key, and stay in reach', async () => {
    expect((await passes(1, { newLedger: true })).writes).toBe(0);
    const { last } = await passes(12);
    expect(convergedIn(last)).toBe(DEVICES);
    const configs = await Promise.all(indices.map(configOf));
    expect(new Set(configs).size).toBe(DEVICES);
    for (const text of configs) for (const plain of PLAIN) expect(text).not.toContain(plain);
    const shown = await writtenDown(last);
    for (const secret of [...PLAIN, keys.identity]) expect(shown).not.toContain(secret);
  });

  it('unchanged: no write in ten passes', async () => {
    const { writes, last } = await passes(10);
    expect(writes).toBe(0);
    expect(convergedIn(last)).toBe(DEVICES);
  });

  it('no write after the ledger is lost: the same bytes are rendered again', async () => {
    await fleet.loseLedger();
    expect((await passes(1, { newLedger: true })).writes).toBe(0);
    const { writes, last } = await passes(2);
    expect(writes).toBe(0);
    expect(convergedIn(last)).toBe(DEVICES);
  });

  it('no write when a file is encrypted anew and says the same', async () => {
    fleet.repo.commit({ 'secrets/wifi.age': await sealed(WIFI) }, 'Encrypt to the same recipients again');
    const { writes, last } = await passes(3);
    expect(writes).toBe(0);
    expect(convergedIn(last)).toBe(DEVICES);
  });

  it('ciphertext that somebody altered in the bucket is drift, and is put right', async () => {
    const before = await configOf(7);
    const bytes = Buffer.from(before);
    const at = before.indexOf('"pwd": "') + 30;
    bytes[at] = before[at] === 'A' ? 66 : 65;
    await fleet.sim.bucket('logs').put(`${serial(7)}/config-01.09.json`, bytes);
    const { last } = await passes(1);
    const drifted = last.result?.plan.devices.find(({ device }) => device === deviceId(name(7)));
    expect(drifted?.drifts.map(({ item }) => item)).toEqual(['config']);
    await passes(2);
    expect(await configOf(7)).toBe(before);
  });

  it('a plan without the identity holds what it cannot read, and writes nothing', async () => {
    const stranger = await MemoryFleet.start({ files: fleet.repo.files, env: { S3: 's' } });
    try {
      await stranger.add(name(0), { firmware: '01.09.03' });
      await stranger.clock.advance(HOUR_MS);
      await stranger.pass({ newLedger: true });
      const report = await stranger.pass();
      expect(report.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
      const held = report.result?.plan.devices.find(({ device }) => device === deviceId(name(0)))?.impossible;
      expect(held).toMatchObject([{ item: 'config', reason: 'SECRET_SEALED' }]);
      expect(held?.[0]?.evidence).toContain('AGE');
      expect(report.result?.executed).toEqual([]);
    } finally {
      await stranger.close();
    }
  });

  it('a key that was exchanged in the bucket gets nothing, and an alarm, even after the last reports are lost', async () => {
    fleet.device(name(9)).fault('kpubChanged', true);
    await fleet.clock.advance(10 * MINUTE_MS);
    fleet.repo.commit(
      {
        'secrets/bucket.age': await sealed(BUCKET),
        'files/secrets.json': (fleet.repo.files['files/secrets.json'] as string).replace('"minrssi": 0', '"minrssi": 10'),
      },
      'Ask for more signal',
    );
    const before = await configOf(9);
    const first = await passes(2);
    const said = (report: PassReport) => report.result?.plan.devices.find(({ device }) => device === deviceId(name(9)))?.impossible[0];
    expect(said(first.last)).toMatchObject({ reason: 'IDENTITY_MISMATCH' });
    // The snapshot beside the chain is what an attacker would wait for: the pin is in the chain.
    const forgotten = (await fleet.ledger.reports.load()).map((report) => ({ ...report, problem: null, memo: {} }));
    await fleet.ledger.reports.save(forgotten, fleet.clock.now());
    const { last } = await passes(2);
    expect(said(last)).toMatchObject({ reason: 'IDENTITY_MISMATCH' });
    expect(said(last)?.evidence).toContain('ALARM');
    expect(await configOf(9)).toBe(before);
    expect(puts.filter((key) => key.startsWith(serial(9))).length).toBe(1);
  });

  it('a plan for machines holds no secret either', async () => {
    const { last } = await passes(1);
    if (last.result === null) throw new Error('the pass had no result');
    const text = JSON.stringify(planJson(last.result));
    for (const secret of PLAIN) expect(text).not.toContain(secret);
    expect(parseJson(Buffer.from(await configOf(0)))).toBeDefined();
  });
});
