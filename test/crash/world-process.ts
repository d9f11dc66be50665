import { createInterface } from 'node:readline';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { ScaledClock } from '#sim/clock.ts';
import { addDeclaredDevice, connectionsOf } from '#sim/fleet.ts';
import { startSimWorld } from '#sim/world.ts';
import { SIM_CREDENTIALS } from '#sim/s3/store.ts';
import { networkClients } from '#world.ts';
import { worldEnd } from './end-state.ts';
import { declaredIn } from './play.ts';
import { SCALE, wallMs } from './processes.ts';
import type { WorldReady, WorldRequest } from './processes.ts';
import { STORY_START } from './repo.ts';

/**
 * The world of a story as a process of its own: servers on TCP, devices, and a scaled clock. Says one line when the devices
 * have reported, then answers each line from stdin with one; ends when stdin does.
 */
const [dir = '', ...parked] = process.argv.slice(2);
const origin = { instant: STORY_START, wallMs: wallMs() };
const clock = new ScaledClock(STORY_START, SCALE);
const declared = await declaredIn(dir);
const world = await startSimWorld({ clock, seed: 1, transport: 'tcp', clients: networkClients, connections: connectionsOf(declared) });
for (let row = 0; row < declared.size; row += 1) {
  await addDeclaredDevice(world, declared, { device: declared.deviceAt(row).id, options: {} });
}
await firstHeartbeats();
for (const device of parked) await world.devices.get(device)?.powerOff();

const ready: WorldReady = {
  origin,
  env: {
    FIELD_URL: world.url('field') ?? '',
    BUCKET_URL: world.url('logs') ?? '',
    AWS_ACCESS_KEY_ID: SIM_CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: SIM_CREDENTIALS.secretAccessKey,
  },
};
say(ready);
for await (const line of createInterface({ input: process.stdin })) say(await answer(JSON.parse(line) as WorldRequest));
await world.close();

async function answer(request: WorldRequest): Promise<unknown> {
  for (const device of request.powerOn) await world.devices.get(device)?.powerOn();
  await clock.sleep(request.afterMs);
  return worldEnd(world.devices, world.bucket('logs'));
}

async function firstHeartbeats(): Promise<void> {
  const cans = [...world.devices.values()].filter((device) => !('program' in device.truth()));
  const limit = clock.now() + 60 * MINUTE_MS;
  for (;;) {
    const { objects } = await world.bucket('logs').list({ prefix: '' });
    if (objects.filter(({ key }) => key.endsWith('/device.json')).length === cans.length) return;
    if (clock.now() > limit) throw new Error('the devices did not report');
    await clock.sleep(5 * SECOND_MS);
  }
}

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
