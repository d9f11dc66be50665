import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { sha256 } from '#kit/digest.ts';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import type { DrogueSimDevice, DrogueSimOptions } from '#adapters/drogue/sim.ts';
import type { LedgerRecord } from '#model/records.ts';
import { runPass } from '#reconcile/pass.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import { drogueAlone } from '#sim/alone.ts';
import { systemClock } from '#transports/clock.ts';
import { commitFiles, createRepository, networkClients, openWorld } from '#world.ts';

const AUTHOR = { name: 'Field Team', email: 'field@example.org' };

export interface DaemonFleetOptions {
  /** Of the broker. */
  readonly url: string;
  readonly nodes: number;
  /** Of the image of 0.1.1, in bytes. */
  readonly imageBytes: number;
  /** `waves: [...]` and what else a Rollout has, as YAML. */
  readonly rollout?: string;
  /** Of the node of that index, from 0, beside the topics. */
  node?(index: number): Partial<DrogueSimOptions>;
  /** More of `options:` of each device. */
  readonly options?: string;
}

/** A fleet of DFU nodes in a git repository of its own, with a ledger in sqlite, and the nodes on a real broker. */
export interface DaemonFleet {
  readonly dir: string;
  /** Where daemons keep their own: below it, one folder each. */
  readonly state: string;
  readonly env: Readonly<Record<string, string>>;
  readonly nodes: readonly DrogueSimDevice[];
  /** SHA-256 of the image of 0.1.1. */
  readonly digest: string;
  /** Commits that the group runs this version; gives the commit. */
  declare(version: string): Promise<string>;
  commit(file: string, text: string): Promise<string>;
  records(): Promise<readonly LedgerRecord[]>;
  close(): Promise<void>;
}

/** Writes the repository, switches the nodes on at 0.1.0, and begins the ledger with what they report. */
export async function startDaemonFleet(options: DaemonFleetOptions): Promise<DaemonFleet> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-daemon-'));
  const image = imageOf(options.imageBytes);
  const files = filesOf(options);
  for (const [name, content] of Object.entries({ ...files, 'files/0.1.0.bin': imageOf(64), 'files/0.1.1.bin': image })) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), content);
  }
  await createRepository({ dir, branch: 'main', message: 'The fleet as it stands', author: AUTHOR, at: Date.now() });
  const env = { MQTT_URL: options.url };
  const nodes = drogueAlone(nodeOptions(options), null, {
    clients: networkClients,
    clock: systemClock,
    seed: 1,
    broker: { url: options.url },
  });
  for (const node of nodes) await node.powerOn();
  await adopt(dir, env, options.nodes);
  const ledger = openSqliteLedger({ path: join(dir, '.headgate/ledger.db'), clock: systemClock });
  const commit = async (file: string, text: string): Promise<string> => {
    const changed = { [file]: new TextEncoder().encode(text) };
    const answer = await commitFiles({ dir, author: AUTHOR, message: `Change ${file}`, files: changed });
    if (!answer.ok) throw new Error(answer.error.message);
    return answer.value;
  };
  return {
    dir,
    state: join(dir, '.headgate', 'daemons'),
    env,
    nodes,
    digest: sha256(image),
    declare: (version) => commit('groups/all.yaml', groupOf(version)),
    commit,
    records: () => ledger.read(),
    close: async () => {
      for (const node of nodes) await node.powerOff();
      await ledger.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** The first pass: takes what the nodes say as the present state. */
async function adopt(dir: string, env: Readonly<Record<string, string>>, nodes: number): Promise<void> {
  const world = openWorld({ repo: dir, env });
  const report = await runPass(world, makeDeclareState(), { mode: 'apply', newLedger: true, listenMs: 1200 + 25 * nodes });
  await world.close();
  if (report.result === null) throw new Error(JSON.stringify(report.refusal ?? report.diagnostics));
}

function nodeOptions({ nodes, node }: DaemonFleetOptions): readonly DrogueSimOptions[] {
  return Array.from({ length: nodes }, (_, index) => ({
    id: nameOf(index),
    firmware: '0.1.0',
    profile: 'strict' as const,
    driver: 'strict' as const,
    timings: { timeoutMs: 1000, backoffMs: 0, rebootMs: 100, telemetryMs: 60_000 },
    ...node?.(index),
  }));
}

function nameOf(index: number): string {
  return `node-${String(index + 1).padStart(3, '0')}`;
}

/** Not two blocks of it are alike. */
function imageOf(bytes: number): Buffer {
  const image = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) image.writeUInt32BE(Math.imul(at + 1, 2_654_435_761) >>> 0, at);
  return image;
}

function groupOf(version: string): string {
  return `kind: Group
name: all
select: all
pins: { firmware: node@${version} }
rollout: steps
silence: 1h
`;
}

function filesOf({ nodes, rollout = 'waves: [{ name: all }]', options = '' }: DaemonFleetOptions): Readonly<Record<string, string>> {
  const names = Array.from({ length: nodes }, (_, index) => `  ${nameOf(index)}: {}`);
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: trial
branch: main
zone: Europe/London
ledger: { store: "sqlite:.headgate/ledger.db", id: trial, lasting: true }
connections:
  field: { type: mqtt, url: "\${env:MQTT_URL}" }
limits: { change: 100%, operationsPerMinute: 6000 }
daemon: { schedule: '0 0 1 1 *', webhook: '\${env:HOOK_SECRET}' }
`,
    'devices/nodes.yaml': `kind: Devices
family: drogue
via: field
defaults: { model: node, options: { poll: 1s, wait: 1s${options} } }
devices:
${names.join('\n')}
`,
    'artifacts/node.yaml': `kind: Artifact
name: node
item: firmware
fits: { family: drogue }
versions:
  0.1.0: { from: files/0.1.0.bin }
  0.1.1: { from: files/0.1.1.bin }
`,
    'groups/all.yaml': groupOf('0.1.0'),
    'rollouts/steps.yaml': `kind: Rollout\nname: steps\n${rollout}\nwindows: any\n`,
    '.gitignore': '.headgate\n',
  };
}

/** Looks until it is so; throws with what was waited for when it takes too long. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
