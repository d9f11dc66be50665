import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '#ports/clock.ts';
import { memoryBroker, startBroker, type Broker } from '#sim/broker.ts';
import type { Answer } from '#sim/in-process-get.ts';
import { answerMdash, type MdashRequest } from './endpoint.ts';
import { MdashHub } from './hub.ts';
import { linkOverMqtt } from './mqtt-link.ts';
import { upgradeMdash } from './websocket-link.ts';
import { MDASH_SWITCHES, type MdashSwitches } from './switches.ts';

export const SIM_MDASH_KEY = 'headgate';
/** Far above any bundle. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

export interface MdashOptions {
  readonly clock: Clock;
  readonly switches?: Partial<MdashSwitches>;
  readonly keys?: readonly string[];
}

/** An account of mDash in this process, with the broker that its devices connect to. */
export interface SimMdash {
  readonly broker: Broker;
  /** A device of the account; its client id at the broker is its name. One that is there already is let be. */
  register(id: string): { readonly token: string };
  isOnline(id: string): boolean;
  /** A WebSocket of a device, or of who listens to notifications. */
  upgrade(request: IncomingMessage, socket: Duplex): void;
  /** One call to the REST API. */
  handle(request: MdashRequest): Promise<Answer>;
  /** Changes what is unknown of mDash from now on. */
  set(change: Partial<MdashSwitches>): void;
  /** What was asked, in order: `POST /devices/ID/rpc/OTA.Commit`. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** docs/protocols/shadow-devices.md §5; what is unknown of it are switches. */
export function makeMdash({ clock, switches, keys = [SIM_MDASH_KEY] }: MdashOptions, broker = memoryBroker({ clock })): SimMdash {
  const set = { ...MDASH_SWITCHES, ...switches };
  const hub = new MdashHub(clock, set);
  const known = new Set(keys);
  const requests: string[] = [];
  linkOverMqtt(hub, broker);
  return {
    broker,
    register: (id) => ({ token: hub.register(id).token }),
    isOnline: (id) => hub.isOnline(id),
    upgrade: (request, socket) => upgradeMdash({ hub, keys: known }, request, socket),
    requests,
    set: (change) => void Object.assign(set, change),
    handle(request) {
      requests.push(`${request.method} ${request.target.replace(/\?.*$/, '').replace(/^\/api\/v2/, '')}`);
      return answerMdash({ hub, switches: set, keys: known }, request);
    },
    close: () => broker.close(),
  };
}

export interface MdashServer extends SimMdash {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** `mqtt://127.0.0.1:PORT`, for devices. */
  readonly mqttUrl: string;
}

/** The same over HTTP and MQTT on free ports of this machine. */
export async function startMdash(options: MdashOptions): Promise<MdashServer> {
  const broker = await startBroker({ clock: options.clock });
  const mdash = makeMdash(options, broker);
  const upgraded = new Set<Duplex>();
  const server = createServer((incoming, outgoing) => void converse(mdash, incoming, outgoing));
  server.on('upgrade', (request, socket) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    mdash.upgrade(request, socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...mdash,
    url: `http://127.0.0.1:${port}`,
    mqttUrl: broker.url ?? '',
    close: async () => {
      for (const socket of upgraded) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await mdash.close();
    },
  };
}

async function converse(mdash: SimMdash, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const body = await bodyOf(incoming);
  if (body === null) {
    outgoing.writeHead(413).end();
    return;
  }
  const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
  const answer = await mdash.handle({ method: incoming.method ?? '', target: incoming.url ?? '', headers, body });
  if (answer === 'hang') return;
  if (answer === 'close') incoming.socket.destroy();
  else outgoing.writeHead(answer.status, answer.headers).end(answer.bytes);
}

async function bodyOf(incoming: IncomingMessage): Promise<Uint8Array | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    }
  } catch {
    // The client went away: nobody reads an answer.
    return new Uint8Array();
  }
  return size <= MAX_BODY_BYTES ? Buffer.concat(chunks) : null;
}
