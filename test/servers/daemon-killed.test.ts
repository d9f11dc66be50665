import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { until, type DaemonFleet } from '#test/support/daemon-fleet.ts';
import { startDaemonProcess, type DaemonProcess } from '#test/support/daemon-process.ts';
import { samplesOf } from '#test/support/daemon-run.ts';
import { watchedFleet, type WatchedFleet, type WatchedFleetOptions } from '#test/support/watched-fleet.ts';

const run = promisify(execFile);
const BLOCK = 512;
const BLOCKS = 100;

let watched: WatchedFleet;
let fleet: DaemonFleet;
let processes: DaemonProcess[] = [];

afterEach(async () => {
  for (const child of processes) await child.stop();
  processes = [];
  await watched.close();
});

async function begin(options: Partial<WatchedFleetOptions> = {}): Promise<void> {
  watched = await watchedFleet({ blocks: BLOCKS, ...options });
  fleet = watched.fleet;
}

async function daemonProcess(flags: readonly string[]): Promise<DaemonProcess> {
  const started = await startDaemonProcess(fleet, flags);
  processes.push(started);
  return started;
}

/** How often a node was told to begin at the beginning. */
function begun(node: string): number {
  return watched.toldTo(node).filter((command) => command.kind === 'Write' && command.offset === 0).length;
}

/** A node that asks again soon, so that an outage costs the test little. */
const QUICK = { mtu: BLOCK, timings: { timeoutMs: 500, backoffMs: 0, rebootMs: 100 } };
async function converged(reader: { metrics(): Promise<ReadonlyMap<string, number>> }): Promise<void> {
  const all = fleet.nodes.length;
  await until('the fleet has converged', async () => (await reader.metrics()).get('headgate_devices_converged{group="all"}') === all);
}

describe('daemons that are killed', () => {
  it('is killed in the middle of transfers and begun again: every node finishes, none from zero, and no wave is lost', async () => {
    const waves = 'waves: [{ name: canary, count: 2 }, { name: rest }]';
    await begin({ nodes: 6, rollout: waves, node: () => ({ ...QUICK, mtu: BLOCK }) });
    const names = fleet.nodes.map(({ id }) => id);
    const first = await daemonProcess([]);
    await fleet.declare('0.1.1');
    await until('the canaries are in mid-transfer', () => fleet.nodes.some((node) => node.blocks > 10));
    await first.kill();
    const second = await daemonProcess([]);
    await until('the rest is in mid-transfer', () => fleet.nodes.filter((node) => node.blocks > 10).length > 4);
    await second.kill();
    const third = await daemonProcess([]);
    await until('all nodes run the new image', watched.updated);
    await converged(third);
    expect(names.map(begun)).toEqual(names.map(() => 1));
    const events = (await fleet.records()).flatMap(({ body }) => (body.type === 'event' ? [body.event] : []));
    const passed = events.flatMap((event) => (event.kind === 'wave-passed' ? [event.wave] : []));
    expect(passed).toEqual(['canary', 'rest']);
    expect(events.filter(({ kind }) => kind === 'rollout-began').length).toBe(1);
    // A monitor's own parser reads what it says.
    const { stdout } = await run('/usr/bin/python3', ['-c', PARSER, `${third.url}/metrics`]);
    const read = JSON.parse(stdout) as Readonly<Record<string, string>>;
    const samples = samplesOf(await (await fetch(`${third.url}/metrics`)).text());
    expect(read['headgate_passes']).toBe('counter');
    expect(read['headgate_devices_converged']).toBe('gauge');
    expect(Object.keys(read).length).toBeGreaterThan(20);
    expect(samples.get('headgate_dfu_jumps_total')).toBe(0);
    expect(await third.stop()).toBe(0);
  });

  it('shares the nodes of one broker with another one, which takes over when it is killed', async () => {
    await begin({ nodes: 6, node: () => QUICK });
    const one = await daemonProcess(['--instance', 'one']);
    const two = await daemonProcess(['--instance', 'two']);
    await fleet.declare('0.1.1');
    await until('transfers are under way', () => fleet.nodes.every((node) => node.blocks > 10));
    await one.kill();
    await until('all nodes run the new image', watched.updated);
    expect(fleet.nodes.map(({ id }) => begun(id))).toEqual(fleet.nodes.map(() => 1));
    await converged(two);
    // A status that both had answered would have brought a block twice.
    expect(fleet.nodes.map((node) => node.blocks)).toEqual(fleet.nodes.map(() => 100));
  });
});

/** The client library of Prometheus itself, as Debian packs it: name and type of each family of metrics. */
const PARSER = `
import json, sys, urllib.request
from prometheus_client.parser import text_string_to_metric_families
text = urllib.request.urlopen(sys.argv[1]).read().decode()
print(json.dumps({family.name: family.type for family in text_string_to_metric_families(text)}))
`;
