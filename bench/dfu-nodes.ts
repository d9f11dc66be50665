import type { Socket } from 'node:net';
import { encodeStatus } from '#adapters/drogue/wire.ts';
import { openSocket, publishPacket, type Publish } from './dfu-wire.ts';

export interface Slice {
  readonly target: 'echo' | 'dfu';
  readonly mtu: number;
  readonly ms: number;
}

export interface SliceAnswer {
  readonly blocks: number;
  readonly ms: number;
  /** Blocks that were not what was asked for. */
  readonly wrong: number;
}

/** Of the packed form: docs/protocols/drogue-dfu.md §1.2. */
const WAIT = 0;
const ASK_AGAIN_MS = 200;
/** An answer that has not come by then will not come. */
const LATEST_MS = 5000;

/** What a node sends at each offset, built before: the load must cost next to nothing beside the servers. */
type Statuses = readonly Buffer[];

class Node {
  readonly #name: string;
  readonly #image: Buffer;
  #socket: Socket | null = null;
  #statuses: Statuses = [];
  #mtu = 0;
  #checks = false;
  #at = 0;
  running = false;
  /** An answer is on its way. */
  waits = false;
  blocks = 0;
  wrong = 0;

  constructor(name: string, image: Buffer) {
    this.#name = name;
    this.#image = image;
  }

  async connect(url: string): Promise<void> {
    const filter = `command/inbox/${this.#name}/dfu`;
    this.#socket = await openSocket(url, { clientId: this.#name, filter, qos: 0, onPublish: (publish) => this.#take(publish) });
  }

  begin({ target, mtu }: Slice): void {
    this.#mtu = mtu;
    this.#checks = target === 'dfu';
    const topic = target === 'dfu' ? `dfu/${this.#name}` : `echo/${mtu}/${this.#name}`;
    this.#statuses = Array.from({ length: this.#image.length / mtu }, (_, block) => {
      const update = block === 0 ? null : { version: '0.1.1', offset: block * mtu };
      return publishPacket(topic, encodeStatus({ version: '0.1.0', mtu, correlationId: null, update }, 'packed'), 1);
    });
    this.#at = 0;
    this.running = true;
    this.#ask();
  }

  #ask(): void {
    const status = this.#statuses[this.#at];
    if (status === undefined) return;
    this.waits = true;
    this.#socket?.write(status);
  }

  #take({ payload }: Publish): void {
    this.waits = false;
    if (!this.running) return;
    if (this.#checks && payload[1] === WAIT) {
      // The image is being fetched.
      setTimeout(() => this.#ask(), ASK_AGAIN_MS);
      return;
    }
    this.blocks += 1;
    const end = (this.#at + 1) * this.#mtu;
    if (this.#checks && payload.readUInt32BE(payload.length - 4) !== this.#image.readUInt32BE(end - 4)) this.wrong += 1;
    this.#at = (this.#at + 1) % this.#statuses.length;
    this.#ask();
  }
}

/** Nodes that pull an image over and over, for as long as they are told. */
async function main(): Promise<void> {
  const [, , url = '', names = '', bytes = ''] = process.argv;
  const image = imageOf(Number(bytes));
  const nodes = names.split(',').map((name) => new Node(name, image));
  for (const node of nodes) await node.connect(url);
  process.on('message', (message) => void slice(nodes, message as Slice).then((answer) => process.send?.(answer)));
  process.once('disconnect', () => process.exit(0));
  process.send?.('ready');
}

async function slice(nodes: readonly Node[], wanted: Slice): Promise<SliceAnswer> {
  for (const node of nodes) Object.assign(node, { blocks: 0, wrong: 0 });
  const began = performance.now();
  for (const node of nodes) node.begin(wanted);
  await new Promise((resolve) => setTimeout(resolve, wanted.ms));
  const ms = performance.now() - began;
  for (const node of nodes) node.running = false;
  const sum = (pick: (node: Node) => number): number => nodes.reduce((total, node) => total + pick(node), 0);
  const answer = { blocks: sum((node) => node.blocks), ms, wrong: sum((node) => node.wrong) };
  // What is still on its way must not be counted for the next one.
  for (const end = performance.now() + LATEST_MS; nodes.some((node) => node.waits) && performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return answer;
}

/** As test/support/daemon-fleet.ts makes it. */
function imageOf(bytes: number): Buffer {
  const image = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) image.writeUInt32BE(Math.imul(at + 1, 2_654_435_761) >>> 0, at);
  return image;
}

await main();
