import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '#cli/run.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { VirtualClock } from '#sim/clock.ts';
import type { ScenarioRepo } from '#sim/scenario/stage.ts';
import type { SimWorld } from '#sim/world.ts';
import { fakeProcess } from '#test/support/fake-process.ts';
import { scenarioPorts } from '#test/support/scenario-ports.ts';

const ports = scenarioPorts({ seed: 1 });
const clock = new VirtualClock(ports.start);

let repo: ScenarioRepo;
let sim: SimWorld;

beforeAll(async () => {
  repo = await ports.makeRepo('mixed', clock.now());
  const declared = await ports.declareAt(repo.dir, clock.now());
  sim = (await ports.makeWorld(declared, clock)) as SimWorld;
  for (let row = 0; row < declared.size; row += 1) {
    await clock.run(ports.addDevice(sim, declared, { device: declared.deviceAt(row).id, options: {} }));
  }
}, 60_000);

afterAll(async () => {
  await sim.close();
  await repo.close();
});

interface Answer {
  readonly code: number;
  readonly out: string;
}

/** One command line over the wires of the world in memory. Time stands still unless `timed`. */
async function headgate(args: readonly string[], timed = false): Promise<Answer> {
  const process = fakeProcess({ cwd: repo.dir, clock, wireClock: clock, wires: sim.wires });
  const running = runCli(args, process);
  const code = await (timed ? clock.run(running) : running);
  if (process.err() !== '') throw new Error(process.err());
  return { code, out: process.out() };
}

/** What happened at the devices and what lies in the buckets. */
async function traces(): Promise<unknown> {
  const effects = [...sim.devices].map(([name, device]) => [name, device.effects.map(({ kind, detail }) => `${kind} ${detail}`)]);
  const buckets = await Promise.all(
    ['logs', 'depot'].map(async (name) => {
      const { objects } = await sim.bucket(name).list({ prefix: '' });
      return objects.filter(({ key }) => !key.endsWith('/device.json')).map(({ key, etag }) => `${key} ${etag}`);
    }),
  );
  return { effects, buckets };
}

describe('over the same state', { timeout: 120_000 }, () => {
  it('a fleet is taken as it is', async () => {
    const answer = await headgate(['apply', '--new-ledger', '--listen', '35m', '--json'], true);
    expect(JSON.parse(answer.out)).toMatchObject({ exit: 0, operations: [], status: { devices: 10, converged: 10 } });
  });

  it('`plan --at TIME --json` gives the same bytes twice', async () => {
    const vans = await repo.read('groups/vans.yaml');
    await repo.write('groups/vans.yaml', vans.replace('01.08.04', '01.08.05'));
    const stations = await repo.read('devices/loggers.csv');
    await repo.write('devices/loggers.csv', stations.replace('ALDER_v1', 'ALDER_v2'));
    await repo.commit('Change both', clock.now());
    const at = new Date(clock.now() + 5 * MINUTE_MS).toISOString();
    const first = await headgate(['plan', '--at', at, '--json']);
    expect(first.code).toBe(2);
    const plan = JSON.parse(first.out) as { readonly plan: { readonly devices: readonly unknown[] } };
    expect(plan.plan.devices.length).toBe(5);
    expect((await headgate(['plan', '--at', at, '--json'])).out).toBe(first.out);
    const later = await headgate(['plan', '--at', new Date(clock.now() + 60 * MINUTE_MS).toISOString(), '--json']);
    expect(later.out, 'the time that is asked for is in it').not.toBe(first.out);
  });

  it('`apply` does what is planned, until there is nothing left', async () => {
    const operations: string[] = [];
    for (let pass = 1; pass <= 40; pass += 1) {
      const answer = await headgate(['apply', '--listen', '10m', '--json'], true);
      const done = JSON.parse(answer.out) as { readonly operations: readonly { readonly device: string; readonly outcome: string }[] };
      operations.push(...done.operations.filter(({ outcome }) => outcome === 'performed').map(({ device }) => device));
      if (answer.code === 0) break;
    }
    expect(operations.toSorted()).toEqual(['alder', 'van-1', 'van-2', 'van-3', 'van-4']);
    expect(sim.devices.get('alder')?.truth()['program']).toBe('CPU:ALDER_v2.CR1X');
    expect(sim.devices.get('van-4')?.truth()['firmware']).toBe('01.08.05');
  });

  it('a second `apply` on the converged fleet performs nothing, and leaves no trace anywhere', async () => {
    const before = await traces();
    const history = await headgate(['history', '--json']);
    const answer = await headgate(['apply', '--json']);
    expect(JSON.parse(answer.out)).toMatchObject({ exit: 0, operations: [], status: { devices: 10, converged: 10, open: 0 }, held: [] });
    expect(await traces()).toEqual(before);
    expect((await headgate(['history', '--json'])).out).toBe(history.out);
    await clock.advance(30 * MINUTE_MS);
    expect(await traces()).toEqual(before);
    expect((await headgate(['plan'])).code).toBe(0);
  });
});
