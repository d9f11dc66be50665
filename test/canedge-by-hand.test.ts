import { createECDH } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildFirmwareImage } from '#adapters/canedge/image.ts';
import { parseJson, textAt } from '#adapters/canedge/json.ts';
import { buildRuleSchema, buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import { keysOf, takenSecrets } from '#adapters/canedge/sim-secrets.ts';
import { runCli } from '#cli/run.ts';
import { crc32Hex } from '#kit/digest.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { ScenarioRepo, ScenarioWorld } from '#sim/scenario/stage.ts';
import { fakeProcess } from '#test/support/fake-process.ts';
import { scenarioPorts } from '#test/support/scenario-ports.ts';

const FIXTURES = 'src/adapters/canedge/fixtures';
const ENV = { AGE_IDENTITY: readFileSync('test/scenarios/fleets/age-identity.txt', 'utf8') };
/** Plain texts of the secrets of the trucks. */
const PLAIN = ['not-a-secret', 'another-one', 'render key of the trucks'];

const ports = scenarioPorts({ seed: 1 });
const clock = ports.makeClock(ports.start);
let dir = '';
let repo: ScenarioRepo;
let world: ScenarioWorld;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'canedge-by-hand-'));
  repo = await ports.makeRepo('trucks', clock.now());
  const declared = await ports.declareAt(repo.dir, clock.now());
  world = await ports.makeWorld(declared, clock);
  for (const device of ['truck-1', 'truck-3']) await clock.run(ports.addDevice(world, declared, { device, options: {} }));
  await clock.advance(30 * MINUTE_MS);
});

afterAll(async () => {
  await world.close();
  await repo.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function canedge(args: readonly string[], input = ''): Promise<Answer> {
  const process = fakeProcess({
    cwd: dir,
    env: ENV,
    clock,
    wires: world.wires,
    input: () => Promise.resolve(new TextEncoder().encode(input)),
  });
  const code = await clock.run(runCli(args, process));
  const answer = { code, out: process.out(), err: process.err() };
  for (const plain of PLAIN) expect(`${answer.out}${answer.err}`).not.toContain(plain);
  return answer;
}

const inFleet = (...args: readonly string[]): Promise<Answer> => canedge([...args, '--repo', repo.dir]);

function file(name: string, bytes: Uint8Array | string): string {
  writeFileSync(join(dir, name), bytes);
  return name;
}

describe('headgate canedge inspect', () => {
  it('tells what a firmware image holds', async () => {
    const config = buildSimConfig('01.09', 'CANedge2 GNSS');
    const image = buildFirmwareImage({
      model: 'CANedge2 GNSS',
      version: '01.09.03',
      schema: buildRuleSchema('01.09', 'CANedge2 GNSS'),
      config: JSON.stringify(config).replace('"ota":600', '"ota":7'),
    });
    const answer = await canedge(['canedge', 'inspect', file('firmware.bin', image)]);
    expect(answer.code).toBe(0);
    expect(answer.out).toContain('firmware 01.09.03 for a CANedge2 GNSS (type 0000005F, config series 01.09)');
    expect(answer.out).toContain('refused by its own schema: /connect/s3/sync/ota');
    const json = await canedge(['canedge', 'inspect', 'firmware.bin', '--json']);
    expect(JSON.parse(json.out)).toMatchObject({ kind: 'firmware', version: '01.09.03', file: { size: image.length } });
  });

  it('tells the vector of the protocol page', async () => {
    const hex = readFileSync(`${FIXTURES}/firmware-smallest.hex`, 'utf8').replaceAll(/\s/g, '');
    const { out } = await canedge(['canedge', 'inspect', file('smallest.bin', Buffer.from(hex, 'hex'))]);
    expect(out).toContain('crc32    2BFE7B9D');
    expect(out).toContain('config   14 bytes, as its schema wants it');
  });

  it('tells the certificates of a bundle, with the hashes that devices report', async () => {
    const pem = readFileSync(`${FIXTURES}/bundle-two-roots.pem`);
    const answer = await canedge(['canedge', 'inspect', file('certs_server.p7b', pem)]);
    expect(answer.code).toBe(0);
    expect(answer.out).toContain('Fleet Test Root 1   2026-11-21 to 2046-11-16');
    for (const hash of [
      '7952229BBA40DE9ED06CD161B7B8D6AFE076ECB9',
      '19AA1996954F4FA78B45AFC93235F99F',
      'FAA3D6FD2C9E3B3640F5F6619D943A72AE4125EC',
    ])
      expect(answer.out).toContain(hash);
    expect(answer.out).not.toContain('not for');
    const twice = Buffer.concat([pem, pem]);
    expect((await canedge(['canedge', 'inspect', file('twice.p7b', twice)])).out).toContain(
      'not for a CANedge2: Fleet Test Root 1 is there twice',
    );
  });

  it.each([
    ['nothing', '', 'the bundle is empty'],
    ['text', 'hello, this is no firmware and no certificate at all', 'no firmware: '],
    ['half a firmware', Buffer.from('baada5550109', 'hex'), 'at least 40 bytes'],
  ])('fails on %s, and says why', async (_name, bytes, why) => {
    const answer = await canedge(['canedge', 'inspect', file('odd', bytes)]);
    expect(answer.code).toBe(1);
    expect(answer.out).toContain(why);
  });

  it('fails on a file that is not there', async () => {
    expect(await canedge(['canedge', 'inspect', 'none'])).toMatchObject({ code: 1, err: 'NOT_FOUND: cannot read none\n' });
  });
});

describe('headgate canedge render', () => {
  it('shows what is declared without its secrets, and writes the bytes that lie in the bucket', async () => {
    const answer = await inFleet('canedge', 'render', 'truck-3', '--fresh', '--out', 'rendered.json');
    expect(answer).toMatchObject({ code: 0 });
    expect(parseJson(Buffer.from(answer.out))).toMatchObject({
      log: { file: { split_size: 10 } },
      connect: { wifi: { keyformat: 1, accesspoint: [{ ssid: 'depot', pwd: '[secret]' }, {}] }, s3: { server: { secretkey: '[secret]' } } },
    });
    const written = readFileSync(join(dir, 'rendered.json'));
    expect(statSync(join(dir, 'rendered.json')).mode & 0o077).toBe(0);
    expect(answer.err).toContain(`config-01.09.json  CRC-32 ${crc32Hex(written)}`);
    const object = await world.bucket('logs').get('0B000003/config-01.09.json');
    expect(typeof object === 'object' && Buffer.compare(object.bytes, written)).toBe(0);
    expect(takenSecrets(parseJson(written) ?? null, keysOf('0B000003')).get('/connect/s3/server/secretkey')).toBe('not-a-secret');
  });

  it('cannot render for a device whose key nobody has seen, and says so', async () => {
    expect(await inFleet('canedge', 'render', 'truck-2', '--fresh')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^NEVER_REPORTED: .*public key/) as string,
    });
    expect(await inFleet('canedge', 'render', 'truck-9')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^NO_SUCH_DEVICE/) as string,
    });
  });
});

describe('headgate canedge diff', () => {
  it('finds none where the device runs what is declared', async () => {
    expect(await inFleet('canedge', 'diff', 'truck-1', '--fresh')).toMatchObject({ code: 0, out: 'truck-1: no difference is known\n' });
  });

  it('names the fields, and no secret', async () => {
    const base = await repo.read('files/can/base-01.09.json');
    await repo.write('files/can/base-01.09.json', base.replace('600', '300').replace('secrets/bucket.age', 'secrets/bucket-2027.age'));
    await repo.commit('Poll more often', clock.now());
    const answer = await inFleet('canedge', 'diff', 'truck-1', '--fresh');
    expect(answer.code).toBe(2);
    expect(answer.out).toMatch(/^truck-1: 01\.09 [0-9A-F]{8} → 01\.09 [0-9A-F]{8}\n/);
    expect(answer.out).toContain('  connect.s3.sync.ota  600 → 300\n');
    expect(answer.out).toContain('  connect.s3.server.secretkey  [secret] → [secret]\n');
    const json = await inFleet('canedge', 'diff', 'truck-1', '--fresh', '--json');
    expect(JSON.parse(json.out)).toMatchObject({ device: 'truck-1', differs: true, held: null });
  });
});

describe('a plan with configs', () => {
  it('tells the fields that change, for people and machines, and no secret', async () => {
    expect((await inFleet('apply', '--new-ledger')).code).toBeLessThanOrEqual(2);
    const base = await repo.read('files/can/base-01.09.json');
    await repo.write('files/can/base-01.09.json', base.replace('"heartbeat": 300', '"heartbeat": 600'));
    await repo.commit('Report less often', clock.now());
    const plan = await inFleet('plan');
    expect(plan.out).toMatch(/connect\.s3\.sync\.heartbeat +300 → 600/);
    const json = await inFleet('plan', '--json');
    expect(json.out).toContain('"path": "connect.s3.sync.heartbeat"');
    expect((await inFleet('explain', 'truck-3', '--fresh')).out).toMatch(/connect\.s3\.sync\.heartbeat +300 → 600/);
  });
});

describe('headgate canedge encrypt', () => {
  const pair = createECDH('prime256v1');
  pair.generateKeys();
  const keys = { privateKey: pair.getPrivateKey(), kpub: pair.getPublicKey().subarray(1).toString('base64') };
  const config = (): string => JSON.stringify(buildSimConfig('01.09', 'CANedge2'));

  it('gives a config that this device alone can read, another one each time', async () => {
    const device = JSON.parse(readFileSync(`${FIXTURES}/device-d-01.09.03.json`, 'utf8')) as object;
    file('device.json', JSON.stringify({ ...device, kpub: keys.kpub }));
    const outs = [
      (await canedge(['canedge', 'encrypt', file('plain.json', config()), '--device-json', 'device.json'])).out,
      (await canedge(['canedge', 'encrypt', '--kpub', keys.kpub], config())).out,
    ];
    for (const out of outs) {
      const document = parseJson(Buffer.from(out)) ?? null;
      expect(takenSecrets(document, keys)).toEqual(
        new Map([
          ['/connect/wifi/accesspoint/depot/pwd', 'not-a-secret'],
          ['/connect/s3/server/secretkey', 'not-a-secret'],
        ]),
      );
      expect(textAt(document, 'general', 'security', 'kpub')).toHaveLength(88);
    }
    expect(outs[0]).not.toBe(outs[1]);
  });

  it('writes exact bytes, and says their CRC', async () => {
    const answer = await canedge(['canedge', 'encrypt', '--kpub', keys.kpub, '--out', 'config-01.09.json'], config());
    expect(answer).toMatchObject({ code: 0, out: '' });
    expect(answer.err).toContain(`CRC-32 ${crc32Hex(readFileSync(join(dir, 'config-01.09.json')))}`);
  });

  it.each([
    ['a key that is none', ['--kpub', 'x'], config(), 'NOT_ENCRYPTED: the public key of the device is not 64 bytes'],
    [
      'a key of zeros',
      ['--kpub', Buffer.alloc(64).toString('base64')],
      config(),
      'NOT_ENCRYPTED: the public key of the device is all zero',
    ],
    ['no key', [], config(), 'NO_KEY'],
    ['no JSON', ['--kpub', keys.kpub], 'not-a-secret', 'NOT_JSON'],
    ['no secret', ['--kpub', keys.kpub], '{}', 'NOT_ENCRYPTED: it holds no password'],
    ['a flag that is set', ['--kpub', keys.kpub], config().replace('"keyformat":0', '"keyformat":1'), 'NOT_ENCRYPTED: some of its fields'],
    ['a password that does not fit', ['--kpub', keys.kpub], config().replace('not-a-secret', 'not-a-secret'.repeat(4)), 'at most 32 fit'],
  ])('refuses %s', async (_name, flags, input, why) => {
    const answer = await canedge(['canedge', 'encrypt', ...flags], input);
    expect(answer).toMatchObject({ code: 1, out: '' });
    expect(answer.err).toContain(why);
  });
});
