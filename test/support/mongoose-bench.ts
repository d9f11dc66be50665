import { buildSimBundle, type SimBundleOptions } from '#adapters/mongoose/sim-image.ts';
import { makeMongooseDevice, type MongooseSimOptions } from '#adapters/mongoose/sim.ts';
import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { LiveBus } from '#ports/clients.ts';
import type { SimDevice } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import type { HttpAnswer } from '#ports/wires.ts';
import { makeAwsIot, type AwsIot, type AwsIotOptions } from '#sim/aws/aws-iot.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeSimPorts } from '#sim/ports.ts';
import { memoryClient } from './shadow-wires.ts';

export const BOARD = 'esp32_AABBCC';
export const CALLER = 'recon-1';
const MAC = 'A4CF12AABBCC';

export const HARDWARE: MongooseSimOptions = {
  id: BOARD,
  mac: MAC,
  platform: 'esp32',
  app: 'logger',
  firmware: { version: '1.0', buildId: '20260101-120000' },
  host: null,
  generation: '2018',
  commitTimeout: 600,
  account: { username: 'fleet', password: 's3cret', realm: 'RPC', algorithm: 'MD5' },
  keys: [],
  signatureMask: -1,
};

export const SERVED = 'https://fw.example/a/2.0.zip';

/** The firmware of the vectors, where nothing else is said. */
export function bundleOf(options: Partial<SimBundleOptions> = {}): Uint8Array {
  return buildSimBundle({ platform: 'esp32', version: '2.0', buildId: '20261101-120000', ...options });
}

/** 185 kB, so that 50,000 bytes are 27 % of it. */
export const BUNDLE = bundleOf({ size: 184_300 });

export interface Published {
  readonly topic: string;
  readonly text: string;
  readonly body: Json;
}

export interface Fetched {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** One board at the shadow service and its broker, in memory on a virtual clock, with everything that it publishes. */
export interface MongooseBench {
  readonly aws: AwsIot;
  readonly clock: VirtualClock;
  readonly board: SimDevice;
  readonly cloud: LiveBus;
  /** Lets time go by. */
  advance(ms: number): Promise<void>;
  /** What the board asked for by HTTP. */
  readonly fetched: readonly Fetched[];
  /** What is served, by URL without its query. */
  serve(url: string, answer: Uint8Array | HttpAnswer | WireError): void;
  /** Everything that the board published since it was asked last. */
  published(): readonly Published[];
  /** The same of its shadow: `reported` of each update. */
  reported(): readonly JsonObject[];
  publish(topic: string, text: string): Promise<void>;
  /** Publishes a text to the board's topic of calls, or below it. */
  tell(text: string, below?: string): Promise<void>;
  /** Calls, waits, and gives every reply to the caller. */
  call(method: string, params?: JsonObject, waitMs?: number): Promise<readonly Published[]>;
  want(url: string): Promise<void>;
}

export async function onBench(
  run: (bench: MongooseBench) => Promise<void>,
  {
    hardware = {},
    switches = {},
    faults = {},
  }: { hardware?: Partial<MongooseSimOptions>; switches?: AwsIotOptions['switches']; faults?: JsonObject } = {},
): Promise<void> {
  const clock = new VirtualClock(Date.UTC(2026, 10, 21, 12));
  const aws = makeAwsIot({ clock, switches });
  await clock.track(import('mqtt'));
  const cloud = await clock.run(memoryClient(aws.broker, clock, { clientId: 'cloud' }));
  const served = new Map<string, Uint8Array | HttpAnswer | WireError>();
  const fetched: Fetched[] = [];
  const ports = makeSimPorts({
    clock,
    seed: 1,
    id: BOARD,
    connect: ({ clientId }) => memoryClient(aws.broker, clock, { clientId }),
    objects: () => Promise.reject(new Error('a board has no bucket')),
    get: (url, headers) => {
      fetched.push({ url, headers });
      return answerOf(served.get(url.replace(/\?.*$/, '')));
    },
  });
  const board = makeMongooseDevice({ ...HARDWARE, ...hardware }, ports);
  for (const [name, value] of Object.entries(faults)) board.fault(name, value ?? null);
  let news: Published[] = [];
  aws.broker.onPublish((topic, payload, clientId) => {
    const text = new TextDecoder().decode(payload);
    if (clientId === BOARD) news.push({ topic, text, body: jsonOf(text) });
  });
  const published = (isMeant: (frame: Published) => boolean = () => true): readonly Published[] => {
    const taken = news.filter(isMeant);
    news = news.filter((frame) => !taken.includes(frame));
    return taken;
  };
  const publish = async (topic: string, text: string): Promise<void> => {
    await clock.run(cloud.publish(topic, new TextEncoder().encode(text), { qos: 1 }));
    await clock.settled();
  };
  const tell = (text: string, below = ''): Promise<void> => publish(`${BOARD}/rpc${below}`, text);
  let calls = 100;
  await clock.run(board.powerOn());
  await clock.settled();
  await run({
    aws,
    clock,
    board,
    cloud,
    advance: (ms) => clock.advance(ms),
    fetched,
    serve: (url, answer) => void served.set(url, answer),
    published: () => published(),
    reported: () =>
      published().flatMap(({ topic, body }) => {
        const state = topic.endsWith('/update') && isJsonObject(body) ? body['state'] : undefined;
        const reported = isJsonObject(state) ? state['reported'] : undefined;
        return isJsonObject(reported) ? [reported] : [];
      }),
    publish,
    tell,
    call: async (method, params = {}, waitMs = 0) => {
      calls += 1;
      await tell(JSON.stringify({ id: calls, src: CALLER, method, params }));
      if (waitMs > 0) await clock.advance(waitMs);
      return published(({ topic }) => topic === `${CALLER}/rpc`);
    },
    want: (url) => publish(`$aws/things/${BOARD}/shadow/update`, JSON.stringify({ state: { desired: { ota: { url } } } })),
  });
  await clock.run(board.powerOff());
  await clock.run(cloud.close());
  await aws.close();
}

export function jsonOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

export function answerOf(served: Uint8Array | HttpAnswer | WireError | undefined): Promise<HttpAnswer> {
  if (served === undefined) return Promise.reject(new WireError('ECONNREFUSED', 'later', 'nobody listens there'));
  if (served instanceof WireError) return Promise.reject(served);
  if (!(served instanceof Uint8Array)) return Promise.resolve(served);
  return Promise.resolve({ status: 200, headers: { 'content-length': String(served.length) }, bytes: served });
}
