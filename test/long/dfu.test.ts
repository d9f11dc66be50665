import { afterEach, describe, expect, it } from 'vitest';
import { startDaemonFleet, until, type DaemonFleet } from '#test/support/daemon-fleet.ts';
import { startDaemonProcess, type DaemonProcess } from '#test/support/daemon-process.ts';
import { countOf } from '#test/support/long-share.ts';
import { startMosquitto, type Mosquitto } from '#test/support/mosquitto.ts';

const NODES = countOf(1000);
/** A share is of both: 1,000 nodes with 256 KiB, or 100 with 32. */
const IMAGE_BYTES = NODES === 1000 ? 256 * 1024 : 32 * 1024;
const MTU = NODES === 1000 ? 2048 : 1024;
const LIMIT_MS = NODES === 1000 ? 15 * 60_000 : 60_000;
const MOST_GROWTH_BYTES = 64 * 1024 * 1024;

let mosquitto: Mosquitto | null = null;
let fleet: DaemonFleet | null = null;
const daemons: DaemonProcess[] = [];

afterEach(async () => {
  for (const daemon of daemons.splice(0).toReversed()) await daemon.stop();
  await fleet?.close();
  await mosquitto?.close();
});

/** Passes in a process of their own: what is measured is the server that nodes pull from. */
async function started(made: DaemonFleet, only: 'responder' | 'passes'): Promise<DaemonProcess> {
  const daemon = await startDaemonProcess(made, ['--log-level', 'warn', '--only', only]);
  daemons.push(daemon);
  return daemon;
}

async function resident(server: DaemonProcess): Promise<number> {
  return (await server.metrics()).get('process_resident_memory_bytes') ?? Number.NaN;
}

describe('strict nodes over mosquitto, with every hundredth message lost and every hundredth doubled', () => {
  it(`${NODES} of them: each runs the whole image in the end, out of one copy`, { timeout: LIMIT_MS + 60_000 }, async () => {
    mosquitto = await startMosquitto();
    const timings = { timeoutMs: 2500, backoffMs: 0, rebootMs: 200, telemetryMs: 3_600_000 };
    const made = (fleet = await startDaemonFleet({
      url: mosquitto.url,
      nodes: NODES,
      imageBytes: IMAGE_BYTES,
      node: () => ({ mtu: MTU, timings }),
    }));
    for (const node of made.nodes) {
      for (const fault of ['loseUp', 'loseDown', 'duplicateUp', 'duplicateDown']) node.fault(fault, 0.01);
    }
    const server = await started(made, 'responder');
    await started(made, 'passes');
    await until(
      'all nodes were answered',
      async () => ((await server.metrics()).get('headgate_dfu_statuses_total') ?? 0) > 3 * NODES,
      60_000,
    );
    const before = await resident(server);
    let most = before;
    await made.declare('0.1.1');
    const began = performance.now();
    const whole = (): boolean => made.nodes.every((node) => node.imageDigest() === made.digest);
    await until(
      'every node runs the image',
      async () => {
        most = Math.max(most, await resident(server));
        return whole();
      },
      LIMIT_MS,
    );
    const seconds = (performance.now() - began) / 1000;
    const metrics = await server.metrics();
    const blocks = metrics.get('headgate_dfu_blocks_total') ?? 0;
    process.stdout.write(
      `${NODES} nodes, ${IMAGE_BYTES / 1024} KiB, mtu ${MTU}: ${seconds.toFixed(1)} s, ${Math.round(blocks / seconds)} blocks/s, grown by ${Math.round((most - before) / 2 ** 20)} MiB\n`,
    );
    expect(made.nodes.flatMap(({ effects }) => effects.filter(({ kind }) => kind === 'damaged'))).toEqual([]);
    expect(made.nodes.filter(({ effects }) => effects.filter(({ kind }) => kind === 'flash').length !== 1)).toEqual([]);
    expect(metrics.get('headgate_dfu_images')).toBe(1);
    expect(most - before).toBeLessThan(MOST_GROWTH_BYTES);
  });
});
