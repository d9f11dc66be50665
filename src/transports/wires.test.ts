import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { AzureIotConnection, MqttConnection, S3Connection } from '#ports/wires.ts';
import { startBroker } from '#sim/broker.ts';
import { systemClock } from './clock.ts';
import { makeNetworkWires, resolveEnv } from './wires.ts';

const place = { file: 'fleet.yaml', line: 1, column: 1 };
const mqtt: MqttConnection = {
  name: 'field',
  place,
  type: 'mqtt',
  url: 'mqtt://127.0.0.1:1',
  username: null,
  password: null,
  clientId: null,
  ca: null,
  cert: null,
  key: null,
  presence: null,
  withdraw: null,
};
const s3: S3Connection = {
  name: 'logs',
  place,
  type: 's3',
  bucket: 'b',
  region: 'eu-west-2',
  endpoint: null,
  prefix: '',
  accessKeyId: '${env:KEY}',
  secretAccessKey: 'x',
};

const azure: AzureIotConnection = {
  name: 'hub',
  place,
  type: 'azure-iot',
  host: '${env:HUB}',
  policy: 'service',
  key: '${env:NOPE}',
  index: 'off',
  indexQuery: null,
};

describe('network wires', () => {
  const wires = makeNetworkWires({ clock: systemClock, env: { SECRET: 's3cret', EMPTY: '' } });

  test('hand over the password of boards as a secret, and say which variable is missing', () => {
    const password = wires.rpcPassword?.({ ...mqtt, rpcPassword: '${env:SECRET}' });
    expect([password?.reveal(), JSON.stringify(password)]).toEqual(['s3cret', '"[secret]"']);
    expect(wires.rpcPassword?.(mqtt)).toBe(null);
    expect(() => wires.rpcPassword?.({ ...mqtt, rpcPassword: '${env:NONE}' })).toThrow('NONE is not set');
  });

  test('puts files of this machine into every field, and names one that is not there', () => {
    const dir = mkdtempSync(join(tmpdir(), 'wires-'));
    writeFileSync(join(dir, 'password'), 's3cret $&\n');
    writeFileSync(join(dir, 'empty'), '\n');
    expect(resolveEnv(`\${file:${dir}/password}`, {}, 'field')).toBe('s3cret $&');
    for (const name of ['empty', 'none'])
      expect(() => resolveEnv(`\${file:${dir}/${name}}`, {}, 'field')).toThrow(
        `connection field: the file ${dir}/${name} cannot be read, or is empty`,
      );
    rmSync(dir, { recursive: true });
  });

  test('puts the environment into every field', () => {
    expect(resolveEnv('a-${env:A}-${env:B}', { A: '1', B: '$&' }, 'field')).toBe('a-1-$&');
    expect(resolveEnv('plain ${id}', {}, 'field')).toBe('plain ${id}');
  });

  test.each([
    ['password', { password: '${env:NOPE}' }, 'NOPE'],
    ['url', { url: 'mqtt://${env:HOST}' }, 'HOST'],
    ['key', { key: '${env:EMPTY}' }, 'EMPTY'],
  ])('a variable that is not set is named (%s)', async (_field, change, name) => {
    const opening = wires.bus({ ...mqtt, ...change }, { role: 'holder' });
    await expect(opening).rejects.toMatchObject({ code: 'MISSING_ENV', retry: 'never', message: expect.stringContaining(name) as unknown });
  });

  test('the same for a bucket', async () => {
    await expect(wires.objects(s3)).rejects.toMatchObject({ code: 'MISSING_ENV', message: expect.stringContaining('KEY') as unknown });
  });

  test('the same for a hub, its twins and its direct methods', async () => {
    for (const open of [wires.shadows, wires.methods]) {
      const code = 'MISSING_ENV';
      await expect(open?.({ ...azure, host: 'moor.azure-devices.net' })).rejects.toMatchObject({ code });
      await expect(open?.({ ...azure, key: '${env:SECRET}' })).rejects.toMatchObject({ code });
    }
    await expect(wires.methods?.({ ...azure, host: 'a b', key: 'a2V5' })).rejects.toMatchObject({ code: 'BAD_URL' });
  });

  test('a closed port, a malformed URL and bad PEM have codes of their own, and no secret in the message', async () => {
    const refused = wires.bus({ ...mqtt, username: 'u', password: '${env:SECRET}' }, { role: 'reader' });
    await expect(refused).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      retry: 'later',
      message: expect.not.stringContaining('s3cret') as unknown,
    });
    const malformed = wires.bus({ ...mqtt, url: 'https://u:s3cret@h' }, { role: 'reader' });
    await expect(malformed).rejects.toMatchObject({ code: 'BAD_URL', message: expect.not.stringContaining('s3cret') as unknown });
    const badPem = wires.bus(
      { ...mqtt, url: 'mqtts://127.0.0.1:1', ca: Buffer.from('x'), cert: Buffer.from('nonsense') },
      { role: 'reader' },
    );
    await expect(badPem).rejects.toMatchObject({ code: 'TLS_BAD_CREDENTIALS', retry: 'never' });
  });
});

describe('sessions of one broker', () => {
  const wires = makeNetworkWires({ clock: systemClock, env: {} });

  test('the holder has the declared id and a session that stays; readers have ids of their own, and leave nothing', async () => {
    const broker = await startBroker();
    const connection = { ...mqtt, url: broker.url ?? '', clientId: 'headgate-upland' };
    const holder = await wires.bus(connection, { role: 'holder' });
    await holder.subscribe(['t'], 1);
    const readers = [await wires.bus(connection, { role: 'reader' }), await wires.bus(connection, { role: 'reader' })];
    const ids = readers.map(({ clientId }) => clientId);
    expect(new Set(['headgate-upland', ...ids]).size).toBe(3);
    expect(new Set(broker.clients)).toEqual(new Set(['headgate-upland', ...ids]));
    await holder.settle();
    await holder.close();
    for (const reader of readers) {
      await reader.subscribe(['t'], 1);
      await reader.publish('t', Buffer.from('while the holder is away'), { qos: 1 });
      await reader.close();
    }
    const heard: (readonly [string, boolean])[] = [];
    const again = await wires.bus(connection, { role: 'holder' });
    again.listen(({ payload, fresh }) => heard.push([Buffer.from(payload).toString(), fresh]));
    await again.settle();
    expect(heard).toEqual(readers.map(() => ['while the holder is away', false]));
    await again.close();
    await broker.close();
  });

  test('an attempt that is under way ends with its signal', async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const ending = new AbortController();
    const opening = wires.bus({ ...mqtt, url: `mqtt://127.0.0.1:${port}` }, { role: 'holder' }, ending.signal);
    silent.once('connection', () => ending.abort(new Error('enough')));
    await expect(opening).rejects.toThrow('enough');
    silent.close();
  });
});
