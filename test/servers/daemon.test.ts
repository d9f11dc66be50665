import { afterEach, describe, expect, it } from 'vitest';
import type { LedgerRecord } from '#model/records.ts';
import { until, type DaemonFleet } from '#test/support/daemon-fleet.ts';
import { startDaemon, untilReady, type DaemonRun, type RunFlags } from '#test/support/daemon-run.ts';
import { startMosquitto } from '#test/support/mosquitto.ts';
import { watchedFleet, type WatchedFleet, type WatchedFleetOptions } from '#test/support/watched-fleet.ts';

const EVERY_SECOND = { schedule: '* * * * * *' };
const BLOCK = 512;
const BLOCKS = 20;

let watched: WatchedFleet;
let fleet: DaemonFleet;
let daemons: DaemonRun[] = [];

afterEach(async () => {
  for (const one of daemons) await one.stop();
  daemons = [];
  await watched.close();
});

async function begin(options: Partial<WatchedFleetOptions> = {}): Promise<void> {
  watched = await watchedFleet({ blocks: BLOCKS, ...options });
  fleet = watched.fleet;
}

async function daemon(flags: RunFlags = {}): Promise<DaemonRun> {
  const started = await startDaemon(fleet, flags);
  daemons.push(started);
  return started;
}

function isHalt({ body }: LedgerRecord): boolean {
  return body.type === 'event' && body.event.kind === 'rollout-halted';
}

/** A node that asks again soon, so that an outage costs the test little. */
const QUICK = { mtu: BLOCK, timings: { timeoutMs: 500, backoffMs: 0, rebootMs: 100 } };
/** A node that takes a second for each block. */
const SLOW = { mtu: BLOCK, timings: { timeoutMs: 1000, backoffMs: 1000, rebootMs: 100 } };

async function converged(reader: { metrics(): Promise<ReadonlyMap<string, number>> }): Promise<void> {
  const all = fleet.nodes.length;
  await until('the fleet has converged', async () => (await reader.metrics()).get('headgate_devices_converged{group="all"}') === all);
}

describe('a daemon at a real broker', () => {
  it('passes on its schedule, goes on after the broker was gone, and ends within 5 s in the middle of transfers', async () => {
    await begin({ node: () => ({ ...QUICK, timings: { ...QUICK.timings, backoffMs: 1000 } }), blocks: 6 });
    const first = await daemon(EVERY_SECOND);
    await untilReady(first);
    await fleet.declare('0.1.1');
    await until('transfers are under way', () => fleet.nodes.every((node) => node.blocks >= 1));
    await watched.mosquitto.stop();
    await until(
      'the loss is noticed',
      async () => (await first.metrics()).get('headgate_broker_connected{connection="field",role="reader"}') === 0,
    );
    await watched.mosquitto.start();
    await until(
      'the connection stands again',
      async () => (await first.metrics()).get('headgate_broker_connected{connection="field",role="reader"}') === 1,
    );
    const before = fleet.nodes.map((node) => node.blocks);
    await until('transfers go on', () => fleet.nodes.every((node, index) => node.blocks > (before[index] ?? 0)));
    const { code, ms } = await first.stop();
    const passes = first.log
      .filter(({ msg }) => msg === 'pass begins' || String(msg).startsWith('pass: '))
      .map(({ msg }) => msg === 'pass begins');
    expect(passes.length).toBeGreaterThan(5);
    // Never two at once, although they were due more often than they ended.
    expect(passes).toEqual(passes.map((_begins, index) => index % 2 === 0));
    expect(code).toBe(0);
    expect(ms).toBeLessThan(5000);
    expect(watched.updated()).toBe(false);
    const second = await daemon(EVERY_SECOND);
    await until('all nodes run the new image', watched.updated);
    // Whoever had begun went on where it was: no block was taken twice.
    expect(fleet.nodes.map((node) => node.blocks)).toEqual([6, 6]);
    await converged(second);
  });

  it('lets two pass on one ledger without doing a thing twice, and a halt reaches the responder of a third within 5 s', async () => {
    await begin({ nodes: 3, node: (index) => (index === 0 ? QUICK : SLOW) });
    fleet.nodes[0]?.fault('failSwap', true);
    const responder = await daemon({ only: 'responder' });
    await daemon({ only: 'passes', ...EVERY_SECOND });
    await daemon({ only: 'passes', ...EVERY_SECOND });
    await untilReady(responder);
    await fleet.declare('0.1.1');
    await until('the rollout has halted', async () => (await fleet.records()).some(isHalt));
    const haltedAt = performance.now();
    const slow = ['node-002', 'node-003'];
    await until('both slow nodes are told to wait', () => slow.every((node) => watched.toldTo(node).at(-1)?.kind === 'Wait'));
    expect(performance.now() - haltedAt).toBeLessThan(5000);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(slow.map((node) => watched.toldTo(node).at(-1)?.kind)).toEqual(['Wait', 'Wait']);
    expect(Math.max(...fleet.nodes.slice(1).map((node) => node.blocks))).toBeLessThan(BLOCKS);
    const intents = (await fleet.records()).flatMap(({ body }) => (body.type === 'intent' ? [`${body.operation.id} ${body.attempt}`] : []));
    expect(intents.length).toBeGreaterThan(0);
    expect(new Set(intents).size).toBe(intents.length);
    expect(fleet.nodes[0]?.effects.filter(({ kind }) => kind === 'swap').length).toBe(1);
  });

  it.each([
    ['names a broker that stalls bursts by 40 ms, in the log and in its metrics', false],
    ['says nothing of one that does not', true],
  ])('%s', async (_name, nodelay) => {
    await begin({ nodes: 1, mosquitto: await startMosquitto({ nodelay }) });
    const one = await daemon();
    await untilReady(one);
    const stalls = async (): Promise<number> => (await one.metrics()).get('headgate_dfu_burst_stalls_total') ?? Number.NaN;
    const warnings = () => one.log.filter(({ msg, connection }) => String(msg).includes('stalls bursts') && connection === 'field');
    if (!nodelay) {
      await until('a stall is seen', async () => (await stalls()) > 0);
      expect(warnings()).toMatchObject([{ level: 'warn', msg: expect.stringContaining('set_tcp_nodelay true') as unknown }]);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await stalls()).toBe(0);
    expect(warnings()).toEqual([]);
  });

  it('opens everything anew when told to reload, and loses no node by it', async () => {
    await begin({ node: () => QUICK });
    const one = await daemon();
    await untilReady(one);
    await fleet.declare('0.1.1');
    one.reload();
    await until('all nodes run the new image', watched.updated);
    expect(one.log.some(({ msg }) => msg === 'reloaded')).toBe(true);
  });
});
