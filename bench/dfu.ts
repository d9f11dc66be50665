import { join } from 'node:path';
import { openJournal } from '#daemon/journal.ts';
import { runPass } from '#reconcile/pass.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import { startDaemonFleet, type DaemonFleet } from '#test/support/daemon-fleet.ts';
import { startMosquitto } from '#test/support/mosquitto.ts';
import { openWorld } from '#world.ts';
import type { Slice, SliceAnswer } from './dfu-nodes.ts';
import { Part } from './dfu-process.ts';

/** Processor time of the responder per block, against an echo server on the same broker in the same run. */
const LIMIT = 2;
/** Throughput of the responder against that of the echo server. */
const LEAST_THROUGHPUT = 0.9;

const NODES = Number(process.env['DFU_NODES'] ?? 100);
const IMAGE_BYTES = 256 * 1024;
const MTUS = (process.env['DFU_MTUS'] ?? '512,1024,4096').split(',').map(Number);
const ROUNDS = Number(process.env['DFU_ROUNDS'] ?? 7);
/** Rounds that only warm the code. */
const WARMING = 2;
const SLICE_MS = 1200;

interface Taken {
  readonly blocksPerSecond: number;
  readonly cpuPerBlock: number;
  readonly rss: number;
}

/**
 * Nodes that pull an image over a real mosquitto (with set_tcp_nodelay true): the responder as the daemon hosts it, and an
 * echo server that answers with a prebuilt packet of the same size, in turns. The ratio is the worst of processor time per
 * block over the sizes of blocks; throughput below nine tenths of the floor's counts as over the limit.
 */
export async function dfuBench(): Promise<{ name: string; results: { label: string; ms: number }[]; ratio: number; limit: number }> {
  const mosquitto = await startMosquitto();
  const fleet = await startDaemonFleet({ url: mosquitto.url, nodes: NODES, imageBytes: IMAGE_BYTES, options: ', verifies: true' });
  const parts: Part[] = [];
  try {
    for (const node of fleet.nodes) await node.powerOff();
    await offer(fleet);
    const start = async (name: string, args: readonly string[]): Promise<Part> => {
      const part = await Part.start(`bench/dfu-${name}.ts`, args, fleet.env);
      parts.push(part);
      return part;
    };
    const servers = { echo: await start('echo', [mosquitto.url]), dfu: await start('daemon', [fleet.dir, fleet.state]) };
    const nodes = await start('nodes', [mosquitto.url, fleet.nodes.map(({ id }) => id).join(','), String(IMAGE_BYTES)]);
    const results: { label: string; ms: number }[] = [];
    let worst = 0;
    const before = await servers.dfu.usage();
    for (const mtu of MTUS) worst = Math.max(worst, await compare({ mtu, nodes, servers, results }));
    const grownMiB = ((await servers.dfu.usage()).rss - before.rss) / 2 ** 20;
    results.push({ label: `memory of the responder grew by ${Math.round(grownMiB)} MiB`, ms: 0 });
    return { name: 'dfu', results, ratio: worst, limit: LIMIT };
  } finally {
    for (const part of parts) await part.close();
    await fleet.close();
    await mosquitto.close();
  }
}

/** Lets the rollout admit everybody, as a pass beside the responder does. */
async function offer(fleet: DaemonFleet): Promise<void> {
  await fleet.declare('0.1.1');
  const journal = openJournal({ dir: join(fleet.state, 'responder'), role: 'reader' });
  if (!journal.ok) throw new Error(journal.error.message);
  const world = openWorld({ repo: fleet.dir, env: fleet.env, journal: journal.value });
  const report = await runPass(world, makeDeclareState(), { mode: 'apply', nextPassMs: 60_000 });
  await world.close();
  const offered = report.result?.executed.filter(({ result }) => result.kind === 'performed').length;
  if (offered !== NODES)
    throw new Error(
      `only ${offered ?? 0} of ${NODES} nodes were offered the image: ${JSON.stringify(report.result?.decision.held.slice(0, 2))}`,
    );
}

interface Compared {
  readonly mtu: number;
  readonly nodes: Part;
  readonly servers: { readonly echo: Part; readonly dfu: Part };
  readonly results: { label: string; ms: number }[];
}

async function compare({ mtu, nodes, servers, results }: Compared): Promise<number> {
  const taken: Record<'echo' | 'dfu', Taken[]> = { echo: [], dfu: [] };
  for (let round = -WARMING; round < ROUNDS; round += 1) {
    for (const target of ['echo', 'dfu'] as const) {
      const one = await take(nodes, servers[target], { target, mtu, ms: SLICE_MS });
      if (round >= 0) taken[target].push(one);
    }
  }
  const cpu = median(taken.dfu.map(({ cpuPerBlock }, index) => cpuPerBlock / (taken.echo[index]?.cpuPerBlock ?? Number.NaN)));
  const rate = median(taken.dfu.map(({ blocksPerSecond }, index) => blocksPerSecond / (taken.echo[index]?.blocksPerSecond ?? Number.NaN)));
  for (const target of ['echo', 'dfu'] as const) {
    const of = (pick: (one: Taken) => number): number => median(taken[target].map(pick));
    const figures = `${Math.round(of((one) => one.blocksPerSecond))} blocks/s, ${of((one) => one.cpuPerBlock).toFixed(1)} us/block, ${Math.round(of((one) => one.rss) / 2 ** 20)} MiB`;
    results.push({ label: `${NODES} nodes, mtu ${mtu}, ${target}: ${figures}`, ms: of((one) => one.cpuPerBlock) / 1000 });
  }
  results.push({ label: `mtu ${mtu}: processor time ${cpu.toFixed(2)} x, throughput ${rate.toFixed(2)} x`, ms: 0 });
  return rate < LEAST_THROUGHPUT ? Math.max(cpu, LIMIT + LEAST_THROUGHPUT / rate) : cpu;
}

async function take(nodes: Part, server: Part, slice: Slice): Promise<Taken> {
  const before = await server.usage();
  const { blocks, ms, wrong } = (await nodes.ask(slice)) as SliceAnswer;
  const after = await server.usage();
  if (wrong > 0 || blocks === 0) throw new Error(`${slice.target} at mtu ${slice.mtu}: ${wrong} of ${blocks} blocks were wrong`);
  return { blocksPerSecond: (blocks * 1000) / ms, cpuPerBlock: (after.cpu - before.cpu) / blocks, rss: after.rss };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
