import type { MessageBus } from '#ports/message-bus.ts';
import type { Journal } from '#ports/responder.ts';
import { decodeCommand, type Command } from '#adapters/drogue/wire-commands.ts';
import { encodeStatus, type Status } from '#adapters/drogue/wire.ts';
import { SECOND_MS } from '#kit/duration.ts';
import { type Files, MemoryFleet } from './memory-fleet.ts';

export interface NodesOptions {
  readonly journal: Journal;
  /** Rows of the devices, as YAML. */
  readonly rows: readonly string[];
  /** Further members of the group, as YAML. */
  readonly group?: string;
  /** The image of 0.1.1. */
  readonly image: Uint8Array;
  /** Where it comes from, as YAML: the repo when left out. */
  readonly from?: string;
}

/** A fleet of nodes without any hardware: a test speaks for them. */
function nodesFiles({ rows, group = '', image, from = 'from: files/0.1.1.bin' }: NodesOptions, version = '0.1.0'): Files {
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: asked
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: asked, lasting: true }
connections:
  field: { type: mqtt, url: 'mqtt://127.0.0.1:1883' }
  depot: { type: s3, bucket: depot, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, operationsPerMinute: 120, maxAttempts: 3 }
`,
    'devices/nodes.yaml': `kind: Devices\nfamily: drogue\nvia: field\ndefaults: { model: nrf52 }\ndevices:\n${rows.map((row) => `  ${row}\n`).join('')}`,
    'artifacts/node.yaml': `kind: Artifact
name: node
item: firmware
fits: { family: drogue }
versions:
  0.1.0: { from: files/0.1.0.bin }
  0.1.1: { ${from} }
  0.1.2: { from: files/0.1.2.bin }
`,
    'groups/all.yaml': `kind: Group\nname: all\nselect: all\npins: { firmware: node@${version} }\nrollout: together\nsilence: 6h\n${group}`,
    'rollouts/together.yaml': `kind: Rollout
name: together
waves: [{ name: all, gate: { success: 100%, soak: 1m } }]
gate: { quorum: 100%, patience: 12h, then: ask, minimum: 1 }
budget: [{ max: 100% }]
windows: any
`,
    'files/0.1.0.bin': 'the image that they have',
    'files/0.1.1.bin': image,
    'files/0.1.2.bin': 'another image',
  };
}

/** Speaks for nodes, byte by byte, over the broker of a fleet in memory. */
export class Asker {
  readonly fleet: MemoryFleet;
  readonly #options: NodesOptions;
  readonly #bus: MessageBus;
  /** Everything that came on any topic of answers. */
  readonly heard: { readonly topic: string; readonly payload: Uint8Array }[] = [];

  private constructor(fleet: MemoryFleet, options: NodesOptions, bus: MessageBus) {
    this.fleet = fleet;
    this.#options = options;
    this.#bus = bus;
    bus.listen(({ topic, payload }) => void this.heard.push({ topic, payload }));
  }

  /** The ledger has begun, nobody has asked anything yet. */
  static async start(options: NodesOptions, answers: readonly string[] = ['command/inbox/+/dfu']): Promise<Asker> {
    const fleet = await MemoryFleet.start({ files: nodesFiles(options), journal: options.journal });
    const connection = fleet.declared.fleet.connections.get('field');
    if (connection?.type !== 'mqtt') throw new Error('no broker is declared');
    const bus = await fleet.clock.run(fleet.sim.wires.bus(connection, { role: 'reader' }));
    await fleet.clock.run(bus.subscribe(answers, 0));
    const asker = new Asker(fleet, options, bus);
    await fleet.pass({ newLedger: true });
    return asker;
  }

  /** Declares another version for all, and passes. */
  async release(version: string): Promise<void> {
    const files = nodesFiles(this.#options, version);
    this.fleet.repo.commit({ 'groups/all.yaml': files['groups/all.yaml'] ?? '' }, `Nodes to ${version}`);
    await this.fleet.pass();
    await this.fleet.clock.settled();
  }

  /** Publishes bytes, and gives what came back before anything else happened. A second goes by first. */
  async send(topic: string, payload: Uint8Array, afterMs: number = 2 * SECOND_MS): Promise<readonly Uint8Array[]> {
    await this.fleet.clock.advance(afterMs);
    const from = this.heard.length;
    await this.fleet.clock.run(this.#bus.publish(topic, payload, { qos: 1 }));
    await this.fleet.clock.settled();
    return this.heard.slice(from).map(({ payload: answer }) => answer);
  }

  /** Asks as a node does; null for no answer. Throws on two. */
  async ask(node: string, status: Partial<Status>, afterMs?: number): Promise<Command | null> {
    const said = { version: '0.1.0', mtu: 8, correlationId: null, update: null, ...status };
    const answers = await this.send(`dfu/${node}`, encodeStatus(said, 'packed'), afterMs);
    if (answers.length > 1) throw new Error(`${answers.length} answers to one status`);
    const [answer] = answers;
    if (answer === undefined) return null;
    const command = decodeCommand(answer);
    if (!command.ok) throw new Error(command.error);
    return command.value;
  }

  at(node: string, offset: number, afterMs?: number): Promise<Command | null> {
    return this.ask(node, { update: { version: '0.1.1', offset } }, afterMs);
  }

  async close(): Promise<void> {
    await this.fleet.close();
  }
}
