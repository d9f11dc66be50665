import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { campbellFamily } from '#adapters/campbell/family.ts';
import { buildOsImage } from '#adapters/campbell/sim-image.ts';
import type { CampbellSimDevice } from '#adapters/campbell/sim.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import { brokenCommands, brokenReports, type FuzzMessage } from '#test/support/campbell-fuzz.ts';
import { CampbellWorld, contentOf, declaredLogger, programText, type ItemToDeclare } from '#test/support/campbell.ts';
import { shareOf } from '#test/support/long-share.ts';

const MESSAGES = 20_000;
const FIRST = 2000;
const COLLECTED_EVERY = 1000;
const MOST_GROWTH = 16 * 1024 * 1024;
const SECOND = 1000;
const MINUTE = 60_000;
/** Each is a run of its own; in CI some of them, at least one. */
const SEEDS = Array.from({ length: 10 }, (_, index) => `seed ${index}`);

const NEW_OS: ItemToDeclare = {
  item: 'firmware',
  value: 'CR1000X.8.2.1',
  content: contentOf('os.obj', buildOsImage({ model: 'CR1000X', version: '8.2.1' })),
};
const NEW_PROGRAM: ItemToDeclare = { item: 'program', value: 'CPU:met_v2.CR1X', content: contentOf('met_v2.CR1X', programText('met_v2')) };

/**
 * The codec of MQTT keeps a few bytes for each length of a packet below 16 KiB that it ever wrote: out of a pool each of them
 * would keep a whole slab alive, and what is measured would be the pool.
 */
Buffer.poolSize = 0;

let world: CampbellWorld;
let sender: MessageBus;

beforeEach(async () => {
  world = new CampbellWorld();
  sender = await world.run(world.connect('sender', { clean: true, marker: false }));
});

afterEach(async () => world.close());

/** In bytes, once all garbage is collected. Called for often: what piles up between two collections is V8's choice, not ours. */
function residentBytes(): number {
  if (globalThis.gc === undefined) throw new Error('needs node --expose-gc');
  for (let round = 0; round < 3; round += 1) globalThis.gc();
  return process.memoryUsage().rss;
}

/** Publishes them all, in bursts; gives by how much the process grew from the first 2,000 on. */
async function bombard(messages: Generator<FuzzMessage>, between: () => Promise<void>): Promise<number> {
  let atFirst = 0;
  for (let sent = 0; sent < MESSAGES; sent += 100) {
    for (let one = 0; one < 100; one += 1) {
      const { topic, payload } = messages.next().value as FuzzMessage;
      await world.run(sender.publish(topic, payload, { qos: 0 }));
    }
    await world.clock.settled();
    await between();
    world.said.length = 0;
    if ((sent + 100) % COLLECTED_EVERY !== 0) continue;
    const resident = residentBytes();
    if (sent + 100 === FIRST) atFirst = resident;
  }
  return residentBytes() - atFirst;
}

interface Case {
  readonly device: DeclaredDevice;
  readonly open: OpenOperation | null;
}

/** Converged, proven, failed, waiting, switched off: in every dialect and form of address. */
async function cases(): Promise<readonly Case[]> {
  const made = async (serial: string, address: string, dialect: 'legacy' | 'os80' | 'v2') => {
    const device = declaredLogger({ id: deviceId(`logger-${serial}`), serial, address, options: { dialect } });
    const devices = [...known, device];
    await world.observe(devices);
    const sim = await world.logger({ id: serial, serial, address, dialect, statusIntervalMs: 0 });
    await world.observe(devices);
    known.push(device);
    return { device, sim };
  };
  const known: DeclaredDevice[] = [];
  const carryOut = async (device: DeclaredDevice, item: ItemToDeclare): Promise<OpenOperation> => {
    // While one is followed nobody listens to the others.
    await world.observe(known);
    await world.clock.advance(2 * MINUTE);
    await world.observe(known);
    const open = await world.perform(device, world.operation(device, item));
    await world.follow(device, open, 20 * MINUTE);
    return open;
  };
  const converged = await made('1', 'AAAA-AAAA-0001', 'os80');
  const proven = await made('2', 'cr1000x/2', 'os80');
  const failed = await made('3', 'cr1000x/3', 'legacy');
  const waiting = await made('4', 'AAAA-AAAA-0004', 'v2');
  const gone = await made('5', 'AAAA-AAAA-0005', 'os80');
  const result: Case[] = [{ device: converged.device, open: null }];
  result.push({ device: proven.device, open: await carryOut(proven.device, NEW_OS) });
  failed.sim.fault('compileError', true);
  result.push({ device: failed.device, open: await carryOut(failed.device, NEW_PROGRAM) });
  waiting.sim.fault('silentStatus', true);
  result.push({ device: waiting.device, open: await carryOut(waiting.device, NEW_OS) });
  await world.run(gone.sim.powerOff());
  result.push({ device: gone.device, open: null });
  await world.observe(known);
  await world.clock.advance(2 * MINUTE);
  await world.observe(known);
  return result;
}

/** All that a report says but for when something was heard, and what becomes of the operation by it. */
function verdict({ device, open }: Case): unknown {
  const { items, measures, problem, online, signs, model, serial } = world.reportOf(device);
  const confirmation = open === null ? null : campbellFamily.confirm(open, world.reportOf(device));
  return { items, measures, problem, online, signs, model, serial, confirmation };
}

describe.each(shareOf(SEEDS, 'campbell fuzz'))('%s: 20,000 messages that are no report', (seed) => {
  it('change no verdict of the reconciler', async () => {
    const all = await cases();
    const devices = all.map(({ device }) => device);
    const before = all.map(verdict);
    expect(before.map((one) => (one as { readonly confirmation: { readonly kind: string } | null }).confirmation?.kind ?? null)).toEqual([
      null,
      'confirmed',
      'failed',
      'open',
      null,
    ]);
    const messages = brokenReports(
      devices.map(({ address }) => address ?? ''),
      seed,
    );
    const grown = await bombard(messages, async () => {
      await world.clock.advance(SECOND);
      await world.observe(devices);
    });
    expect(all.map(verdict)).toEqual(before);
    process.stdout.write(`reconciler, ${seed}: ${(grown / 1024 / 1024).toFixed(1)} MB more after 20,000 messages than after 2,000\n`);
    expect(grown).toBeLessThanOrEqual(MOST_GROWTH);
  });

  it('have no effect on loggers', async () => {
    const loggers: CampbellSimDevice[] = [];
    const addresses = ['AAAA-AAAA-0001', 'cr1000x/2', 'AAAA-AAAA-0003'];
    for (const [index, dialect] of (['os80', 'legacy', 'v2'] as const).entries()) {
      loggers.push(
        await world.logger({ id: `${index}`, serial: `${index}`, address: addresses[index] ?? '', dialect, stateIntervalMs: 0 }),
      );
    }
    const shown = (): unknown =>
      loggers.map((one) => [one.truth(), one.settings(), one.files(), one.constants(), one.effects, one.powered]);
    const before = JSON.stringify(shown());
    const grown = await bombard(brokenCommands(addresses, seed), () => world.clock.advance(MINUTE));
    expect(JSON.stringify(shown())).toBe(before);
    expect(world.broker.clients).toHaveLength(4);
    process.stdout.write(`loggers, ${seed}: ${(grown / 1024 / 1024).toFixed(1)} MB more after 20,000 messages than after 2,000\n`);
    expect(grown).toBeLessThanOrEqual(MOST_GROWTH);
  });
});
