import { describe, expect, test } from 'vitest';
import type { MqttConnection, S3Connection } from '#ports/wires.ts';
import { networkClients } from '#transports/wires.ts';
import { ScaledClock, VirtualClock } from './clock.ts';
import type { SimWorldOptions } from './plant.ts';
import { startSimWorld, type SimWorld } from './world.ts';

const START = Date.UTC(2026, 10, 23, 8, 30);
const MINUTE = 60_000;
const place = { file: 'fleet.yaml', line: 1, column: 1 };
const nothing = { username: null, password: null, clientId: null, ca: null, cert: null, key: null, presence: null, withdraw: null };
const field: MqttConnection = { name: 'field', place, type: 'mqtt', url: '${env:MQTT_URL}', ...nothing };
const logs: S3Connection = {
  name: 'logs',
  place,
  type: 's3',
  bucket: 'vehicle-logs',
  region: 'eu-west-2',
  endpoint: null,
  prefix: '',
  accessKeyId: null,
  secretAccessKey: null,
};
const connections: SimWorldOptions['connections'] = [
  { name: 'field', type: 'mqtt' },
  { name: 'logs', type: 's3', bucket: 'vehicle-logs' },
];

function logger(id: string, serial: string) {
  return {
    id,
    model: 'CR1000X',
    serial,
    address: `cr1000x/${serial}`,
    os: 'CR1000X.8.1.0',
    program: { name: 'MET.CR1X', bytes: Buffer.from("'met\nBeginProg\nEndProg\n") },
  };
}

function populate(world: SimWorld): void {
  world.addDevice('campbell', 'field', logger('moor-house', '70681'));
  world.addDevice('campbell', 'field', logger('trout-beck', '13342'));
  world.addDevice('canedge', { connection: 'logs', name: 'truck-1' }, { id: '77E86312', model: 'CANedge2', firmware: '01.08.01' });
}

/** Every message and every object of two simulated hours in which one logger takes a program and loses its line. */
async function play(seed: number): Promise<readonly string[]> {
  const clock = new VirtualClock(START);
  const seen: string[] = [];
  const world = await startSimWorld({ clock, seed, transport: 'memory', connections, clients: networkClients });
  world.broker('field').onPublish((topic, payload, clientId) => {
    if (!topic.startsWith('headgate/')) seen.push(`${clock.now() - START} ${clientId} ${topic} ${Buffer.from(payload).toString('utf8')}`);
  });
  populate(world);
  for (const device of world.devices.values()) await clock.run(device.powerOn());
  await clock.advance(10 * MINUTE);
  const bus = await clock.run(world.wires.bus(field, { role: 'holder' }));
  const url = world.artifactServer.put('MET_v2.CR1X', Buffer.from("'met v2\nBeginProg\nEndProg\n"));
  const command = Buffer.from(JSON.stringify({ url, fileName: 'MET_v2.CR1X' }));
  await clock.run(bus.publish('cs/v2/cc/cr1000x/70681/program', command, { qos: 1 }));
  await clock.advance(30 * MINUTE);
  world.broker('field').dropClient('CR1000X_13342');
  await clock.advance(80 * MINUTE);
  await clock.run(bus.close());
  const bucket = world.bucket('logs');
  for (const object of (await bucket.list({ prefix: '' })).objects)
    seen.push(`${object.key} ${object.etag} ${object.lastModified - START}`);
  seen.push(JSON.stringify([...world.devices].map(([name, device]) => [name, device.truth(), device.effects])));
  const story = [...seen];
  await clock.run(world.close());
  return story;
}

describe('the world in memory', () => {
  test('the same seed and script give the same messages, objects and effects at the same instants', async () => {
    const first = await play(7);
    expect(first.some((line) => line.includes('Program loaded successfully'))).toBe(true);
    expect(first.some((line) => line.startsWith('77E86312/device.json'))).toBe(true);
    expect(first.at(-1)).toContain('MET_v2');
    expect(await play(7)).toEqual(first);
  });

  test('a presigned URL is good for a device until it ends', async () => {
    const clock = new VirtualClock(START);
    const world = await startSimWorld({ clock, seed: 1, transport: 'memory', connections, clients: networkClients });
    const objects = await world.wires.objects(logs);
    await objects.put('fw.bin', Buffer.from('firmware'));
    const url = await objects.presign('fw.bin', 600);
    const get = () => clock.run(world.wires.get(url, { maxBytes: 1000 }));
    expect(Buffer.from((await get()).bytes).toString('utf8')).toBe('firmware');
    await expect(clock.run(world.wires.get(url, { maxBytes: 3 }))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await clock.advance(11 * MINUTE);
    expect((await get()).status).toBe(403);
    await world.close();
  });

  test('a connection or a name that is none is an error at once', async () => {
    const clock = new VirtualClock(START);
    const twice = { clock, seed: 1, transport: 'memory', connections: [...connections, ...connections], clients: networkClients } as const;
    await expect(startSimWorld(twice)).rejects.toThrow(RangeError);
    const world = await startSimWorld({ ...twice, connections });
    populate(world);
    expect(() => world.addDevice('campbell', 'nowhere', logger('x', '1'))).toThrow(RangeError);
    expect(() => world.addDevice('campbell', 'field', logger('moor-house', '1'))).toThrow(RangeError);
    expect(() => world.broker('logs')).toThrow(RangeError);
    expect([world.url('field'), world.url('logs')]).toEqual([null, null]);
    await expect(world.wires.bus({ ...field, name: 'elsewhere' }, { role: 'reader' })).rejects.toMatchObject({
      code: 'UNKNOWN_CONNECTION',
    });
    await world.close();
  });
});

describe('the world on TCP', () => {
  test('the same devices are reached over sockets, by this process and by others', async () => {
    const clock = new ScaledClock(START, 600);
    const world = await startSimWorld({ clock, seed: 7, transport: 'tcp', connections, clients: networkClients });
    populate(world);
    for (const device of world.devices.values()) await device.powerOn();
    expect(world.url('field')).toMatch(/^mqtt:\/\/127\.0\.0\.1:\d+$/);
    const bus = await world.wires.bus(field, { role: 'reader' });
    const online = new Promise<string>((resolve) => bus.listen(({ topic }) => resolve(topic)));
    await bus.subscribe(['cs/v2/state/#'], 1);
    expect(await online).toContain('cs/v2/state/cr1000x/');
    await bus.close();

    const endpoint = world.url('logs');
    const elsewhere = await networkClients.openObjects(
      { ...logs, endpoint },
      { accessKeyId: 'headgate', secretAccessKey: 'headgate-secret' },
    );
    let device: Awaited<ReturnType<typeof elsewhere.get>> = 'missing';
    while (typeof device === 'string') device = await elsewhere.get('77E86312/device.json');
    expect(JSON.parse(Buffer.from(device.bytes).toString('utf8'))).toMatchObject({ id: '77E86312', fw_ver: '01.08.01' });
    expect(device.lastModified).toBeGreaterThanOrEqual(START - 1000);
    await elsewhere.close();
    await world.close();
  });
});
