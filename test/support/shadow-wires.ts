import { Agent } from 'node:https';
import { IoTClient } from '@aws-sdk/client-iot';
import { GetThingShadowCommand, IoTDataPlaneClient, UpdateThingShadowCommand } from '@aws-sdk/client-iot-data-plane';
import type { LiveBus } from '#ports/clients.ts';
import type { BusMessage } from '#ports/message-bus.ts';
import type { SimWill } from '#ports/sim.ts';
import type { Broker } from '#sim/broker.ts';
import type { VirtualClock } from '#sim/clock.ts';
import { SIM_AWS_CREDENTIALS, type AwsServer } from '#sim/aws/server.ts';
import type { PeerCertificate } from '#sim/peer-certificate.ts';
import { openBus } from '#transports/mqtt.ts';
import type { SeenUpdate, ShadowSubject } from '#test/support/shadow-vectors.ts';

export interface ShadowPrefix {
  readonly thing: string;
  readonly shadow: string | null;
}

export function prefixOf({ thing, shadow }: ShadowPrefix): string {
  return `$aws/things/${thing}/shadow${shadow === null ? '' : `/name/${shadow}`}`;
}

/** A client of a broker in memory on a virtual clock. */
export function memoryClient(
  broker: Broker,
  clock: VirtualClock,
  session: {
    readonly clientId: string;
    readonly username?: string;
    readonly certificate?: PeerCertificate;
    readonly will?: SimWill;
    readonly clean?: boolean;
  },
): Promise<LiveBus> {
  const { clientId, username, certificate = null, will, clean = true } = session;
  return openBus({
    url: 'memory',
    streamBuilder: () => broker.stream(certificate),
    clientId,
    ...(username === undefined ? {} : { username }),
    ...(will === undefined ? {} : { will }),
    clean,
    clock,
    limitClock: clock,
    protocol: 4,
    keepAliveSeconds: 0,
    reconnect: false,
    markerTopic: null,
  });
}

/** What came on each topic since it was asked last, parsed. */
export class Heard {
  #messages: BusMessage[] = [];

  constructor(bus: LiveBus) {
    bus.listen((message) => this.#messages.push(message));
  }

  /** In order of arrival: the topic below `prefix`, and the document. */
  take(prefix: string): readonly (readonly [string, unknown])[] {
    const taken = this.#messages.filter(({ topic }) => topic.startsWith(`${prefix}/`));
    this.#messages = this.#messages.filter((message) => !taken.includes(message));
    return taken.map(
      ({ topic, payload }) => [topic.slice(prefix.length + 1), JSON.parse(Buffer.from(payload).toString()) as unknown] as const,
    );
  }
}

function seenUpdate(messages: readonly (readonly [string, unknown])[]): SeenUpdate {
  return Object.fromEntries(messages.map(([topic, document]) => [topic.replace(/^update\//, ''), document]));
}

const ANSWERS = ['get/accepted', 'get/rejected', 'update/accepted', 'update/rejected', 'update/delta', 'update/documents'];

function answersBelow(place: ShadowPrefix): readonly string[] {
  return ANSWERS.map((answer) => `${prefixOf(place)}/${answer}`);
}

/** A shadow as a device reaches it, in memory. */
export async function mqttSubject(
  bus: LiveBus,
  clock: VirtualClock,
  place: ShadowPrefix,
): Promise<ShadowSubject & { readonly heard: Heard }> {
  const prefix = prefixOf(place);
  const heard = new Heard(bus);
  await bus.subscribe(answersBelow(place), 1);
  const ask = async (verb: string, bytes: Uint8Array): Promise<readonly (readonly [string, unknown])[]> => {
    await bus.publish(`${prefix}/${verb}`, bytes, { qos: 1 });
    await clock.settled();
    return heard.take(prefix);
  };
  return {
    heard,
    update: async (bytes) => seenUpdate(await ask('update', bytes)),
    get: async () => (await ask('get', new Uint8Array()))[0]?.[1],
    minute: () => clock.advance(60_000),
  };
}

interface SdkLogin {
  readonly secretAccessKey?: string;
  /** Client certificate with its key, PEM: shown beside the signature. */
  readonly certificate?: { readonly cert: string; readonly key: string };
}

/** The clients of the SDK as they come, with nothing but an endpoint, a CA and keys. */
export function sdkClients(server: Pick<AwsServer, 'httpsUrl' | 'caCertificate'>, more: SdkLogin = {}) {
  const { secretAccessKey, certificate } = more;
  const httpsAgent = new Agent({ ca: server.caCertificate, keepAlive: true, ...certificate });
  const options = {
    endpoint: server.httpsUrl,
    region: 'eu-central-1',
    credentials: { ...SIM_AWS_CREDENTIALS, ...(secretAccessKey === undefined ? {} : { secretAccessKey }) },
    maxAttempts: 1,
    requestHandler: { httpsAgent },
  };
  const [data, control] = [new IoTDataPlaneClient(options), new IoTClient(options)];
  return {
    data,
    control,
    destroy: () => {
      data.destroy();
      control.destroy();
      httpsAgent.destroy();
    },
  };
}

/** What a client listens to that hears all updates: no more than 50 filters are granted. */
export const ALL_UPDATES = ['$aws/things/+/shadow/update/+', '$aws/things/+/shadow/name/+/update/+'];

/** A shadow as the SDK reaches it; its messages are heard by `listener`, which listens to ALL_UPDATES. */
export function sdkSubject(
  data: IoTDataPlaneClient,
  place: ShadowPrefix,
  around: { readonly listener: LiveBus; minute(): Promise<void> },
): ShadowSubject {
  const target = { thingName: place.thing, ...(place.shadow === null ? {} : { shadowName: place.shadow }) };
  const heard = new Heard(around.listener);
  return {
    update: async (bytes) => {
      const answer = await data.send(new UpdateThingShadowCommand({ ...target, payload: bytes })).then(
        ({ payload }) => ({ accepted: parsed(payload) }),
        (error: unknown) => ({ rejected: error }),
      );
      await around.listener.settle();
      const seen = seenUpdate(heard.take(prefixOf(place)));
      return 'rejected' in answer ? { ...seen, ...answer } : seen;
    },
    get: async () => parsed((await data.send(new GetThingShadowCommand(target))).payload),
    minute: () => around.minute(),
  };
}

function parsed(payload: Uint8Array | undefined): unknown {
  return JSON.parse(Buffer.from(payload ?? []).toString());
}
