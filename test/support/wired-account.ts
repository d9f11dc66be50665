import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { GetThingShadowCommand, UpdateThingShadowCommand } from '@aws-sdk/client-iot-data-plane';
import { DAY_MS } from '#kit/duration.ts';
import type { JsonObject } from '#model/shadow.ts';
import type { LiveBus } from '#ports/clients.ts';
import type { SimPorts } from '#ports/sim.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeSimPorts } from '#sim/ports.ts';
import { startAwsIot, type AwsServer } from '#sim/aws/server.ts';
import type { ShadowSwitches, WireSwitches } from '#sim/aws/switches.ts';
import { OPEN_POLICY } from '#test/support/aws-stage.ts';
import { Heard, prefixOf, sdkClients, type ShadowPrefix } from '#test/support/shadow-wires.ts';
import { systemClock } from '#transports/clock.ts';
import { httpGet } from '#transports/http.ts';
import { openBus } from '#transports/mqtt.ts';

/** Before the machine's own time, by which TLS judges certificates that are made on the virtual clock. */
export function wiredClock(): VirtualClock {
  return new VirtualClock(Date.now() - 30 * DAY_MS);
}

/** A tick of chariotd; it divides every other delay of docs/protocols/shadow-devices.md §2.10. */
const STEP_MS = 250;
/** Message, answer, and what is said to that. */
const ROUNDS = 3;
const MAX_DOWNLOAD_BYTES = 1024 * 1024;

/** One publication of a device, as it went to its socket. */
export interface Said {
  /** Of the virtual clock. */
  readonly at: number;
  readonly topic: string;
  readonly body: unknown;
}

/** Devices on MQTT over TLS, each with a certificate of its own, and the SDK over HTTPS; time moves only when told to. */
export interface WiredAccount {
  readonly clock: VirtualClock;
  readonly server: AwsServer;
  readonly sdk: ReturnType<typeof sdkClients>;
  /** What a device of that name may touch; all that it publishes is put down in `said`. */
  device(thing: string): Promise<{ readonly ports: SimPorts; readonly said: Said[] }>;
  /** Another client on MQTT, with a certificate of its own. */
  client(name: string): Promise<LiveBus>;
  /** Everybody else's ear, over MQTT: all that the service says of updates. */
  ear(): Promise<Heard>;
  /** Lets so much time go by, a tick at a time or so much; whatever is on a socket arrives first. */
  run(ms: number, stepMs?: number): Promise<void>;
  /** Runs until that holds. Throws after `limitMs` of virtual time, two minutes by default. */
  until(holds: () => boolean, what: string, limitMs?: number): Promise<void>;
  /** As the reconciler writes and reads, over HTTPS with SigV4. */
  update(place: ShadowPrefix, request: JsonObject): Promise<unknown>;
  get(place: ShadowPrefix): Promise<{ readonly state: JsonObject; readonly version: number }>;
  close(): Promise<void>;
}

export interface WiredAccountOptions {
  readonly clock: VirtualClock;
  readonly switches?: Partial<ShadowSwitches & WireSwitches>;
}

export async function openWiredAccount({ clock, switches = {} }: WiredAccountOptions): Promise<WiredAccount> {
  const server = await startAwsIot({ clock, switches });
  server.registry.createPolicy('open', OPEN_POLICY);
  const sdk = sdkClients(server);
  const standing = new Set<LiveBus>();
  const rest = (): Promise<void> => atRest(clock, standing);
  const run = async (ms: number, stepMs = STEP_MS): Promise<void> => {
    await rest();
    for (let left = ms; left > 0; left -= stepMs) {
      await clock.advance(Math.min(stepMs, left));
      await rest();
    }
  };
  const client = (name: string): Promise<LiveBus> => clientOf({ server, standing }, name);
  return {
    clock,
    server,
    sdk,
    device: (thing) => deviceOf({ clock, server, standing }, thing),
    client,
    ear: async () => {
      const bus = await client('ear');
      await bus.subscribe(['$aws/things/+/shadow/+/+'], 1);
      return new Heard(bus);
    },
    run,
    until: async (holds, what, limitMs = 120_000) => {
      for (let gone = 0; !holds(); gone += STEP_MS) {
        if (gone > limitMs) throw new Error(`not within ${limitMs} ms of virtual time: ${what}`);
        await run(STEP_MS);
      }
    },
    update: async (place, request) => {
      const payload = Buffer.from(JSON.stringify(request));
      return parsed((await sdk.data.send(new UpdateThingShadowCommand({ ...named(place), payload }))).payload);
    },
    get: async (place) => {
      const { payload } = await sdk.data.send(new GetThingShadowCommand(named(place)));
      return parsed(payload) as { readonly state: JsonObject; readonly version: number };
    },
    close: async () => {
      for (const bus of standing) await bus.close();
      sdk.destroy();
      await server.close();
    },
  };
}

/** As NODE_EXTRA_CA_CERTS does for a process, so that our own transports find the server as they find that of AWS. Returns the way back. */
export function trustAlso(certificate: string): () => void {
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, certificate]);
  return () => setDefaultCACertificates(before);
}

interface Around {
  readonly clock: VirtualClock;
  readonly server: AwsServer;
  readonly standing: Set<LiveBus>;
}

/** An acknowledged message has passed all that its connection was sent before: a client at rest has heard everything. */
async function atRest(clock: VirtualClock, standing: ReadonlySet<LiveBus>): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    await clock.settled();
    for (const bus of standing) if (bus.connected) await bus.publish('at/rest', new Uint8Array(), { qos: 1 }).catch(() => undefined);
  }
  await clock.settled();
}

async function deviceOf({ clock, server, standing }: Around, thing: string): ReturnType<WiredAccount['device']> {
  const said: Said[] = [];
  const { certificate: cert, key } = await server.enrol(thing, ['open']);
  const ports = makeSimPorts({
    clock,
    seed: 1,
    id: thing,
    connect: async ({ credentials, endpoint: _given, ...session }) => {
      const login = credentials?.username == null ? {} : { username: credentials.username };
      const tls = { url: server.mqttUrl, ca: server.caCertificate, cert, key };
      const bus = await clock.track(openBus({ ...session, ...login, ...tls, clock }));
      standing.add(bus);
      bus.onLost(() => standing.delete(bus));
      const still = clock.tracked(bus);
      return put(still, (topic, payload) => said.push({ at: clock.now(), topic, body: parsed(payload) }));
    },
    objects: () => Promise.reject(new Error('there is no bucket for devices here')),
    get: (url, headers) => clock.track(httpGet(url, { maxBytes: MAX_DOWNLOAD_BYTES, headers })),
  });
  return { ports, said };
}

function put(bus: LiveBus, note: (topic: string, payload: Uint8Array) => void): LiveBus {
  return new Proxy(bus, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (name !== 'publish') return member;
      return (...args: Parameters<LiveBus['publish']>): Promise<void> => {
        note(args[0], args[1]);
        return target.publish(...args);
      };
    },
  });
}

async function clientOf({ server, standing }: Omit<Around, 'clock'>, clientId: string): Promise<LiveBus> {
  const { certificate: cert, key } = await server.enrol(clientId, ['open']);
  const tls = { url: server.mqttUrl, ca: server.caCertificate, cert, key };
  const bus = await openBus({ ...tls, clientId, clean: true, protocol: 4, markerTopic: null, reconnect: false, clock: systemClock });
  standing.add(bus);
  return bus;
}

function named({ thing, shadow }: ShadowPrefix): { readonly thingName: string; readonly shadowName?: string } {
  return { thingName: thing, ...(shadow === null ? {} : { shadowName: shadow }) };
}

function parsed(payload: Uint8Array | undefined): unknown {
  const text = Buffer.from(payload ?? []).toString();
  return text === '' ? null : (JSON.parse(text) as unknown);
}

/** The verb and the body of what a device said of that shadow. */
export function saidOf(said: readonly Said[], place: ShadowPrefix): readonly { readonly verb: string; readonly body: unknown }[] {
  const prefix = `${prefixOf(place)}/`;
  return said.filter(({ topic }) => topic.startsWith(prefix)).map(({ topic, body }) => ({ verb: topic.slice(prefix.length), body }));
}
