import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { EMPTY_SHADOW } from '#model/shadow.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { Shadows } from '#ports/shadows.ts';
import type { AwsIotConnection } from '#ports/wires.ts';
import { makeAwsIot, type AwsIot } from '#sim/aws/aws-iot.ts';
import { ScaledClock, VirtualClock } from '#sim/clock.ts';
import { openAwsIot } from './aws-iot.ts';
import { openBus } from './mqtt.ts';
import { withLook } from './shadow-look.ts';
import { openShadowsOverBus } from './shadows-mqtt.ts';

const START = 1_767_225_600_000;
const CREDENTIALS = { accessKeyId: 'headgate', secretAccessKey: 'headgate-secret' };
const place = { thing: 'gw-1', shadow: 'fleet' } as const;

interface Rig {
  readonly aws: AwsIot;
  readonly shadows: Shadows;
}

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

function account(): AwsIot {
  // Signatures go by real time, so the account does.
  const aws = makeAwsIot({
    clock: new ScaledClock(Date.now(), 1),
    credentials: [CREDENTIALS],
    signatures: { maxSkewMs: 300_000, now: () => Date.now() },
    endpoint: () => 'nowhere.invalid',
  });
  closing.push(() => aws.close());
  return aws;
}

/** AWS IoT behind a real socket, without TLS. */
async function served(aws: AwsIot): Promise<string> {
  const server: Server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
      const { method = '', url = '' } = incoming;
      void aws.endpoint.handle({ method, target: url, headers, body: Buffer.concat(chunks), certificate: null }).then((answer) => {
        if (answer === 'close') incoming.socket.destroy();
        else if (answer !== 'hang') outgoing.writeHead(answer.status, { ...answer.headers }).end(answer.bytes);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  closing.push(() => Promise.resolve(server.closeAllConnections()));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function connection(endpoint: string | null): AwsIotConnection {
  return {
    name: 'cloud',
    place: { file: 'fleet.yaml', line: 1, column: 1 },
    type: 'aws-iot',
    region: 'eu-central-1',
    endpoint,
    index: 'all',
    indexQuery: null,
  };
}

async function overHttp(): Promise<Rig> {
  const aws = account();
  const url = await served(aws);
  const shadows = await openAwsIot(connection(url), { credentials: CREDENTIALS, controlEndpoint: url, callLimitMs: 1000 });
  closing.push(() => shadows.close());
  return { aws, shadows };
}

async function overMqtt(): Promise<Rig> {
  const aws = account();
  const clock = new ScaledClock(Date.now(), 1);
  const bus = await openBus({
    url: 'memory',
    clientId: 'reader',
    clean: true,
    clock,
    protocol: 4,
    streamBuilder: () => aws.broker.stream(),
  });
  closing.push(() => bus.close());
  const shadows = openShadowsOverBus(bus, { clock });
  closing.push(() => shadows.close());
  return { aws, shadows };
}

function report(aws: AwsIot, thing: string, reported: object): void {
  aws.shadows.update({ thing, shadow: 'fleet' }, Buffer.from(JSON.stringify({ state: { reported } })));
}

describe.each([
  ['HTTP, by the real SDK over a socket', overHttp],
  ['MQTT', overMqtt],
] as const)('shadows over %s', (_name, rig) => {
  it('are read with the time of each leaf, and missing ones are told from empty ones', async () => {
    const { aws, shadows } = await rig();
    expect(await shadows.get(place)).toBe('missing');
    report(aws, 'gw-1', { fw: { version: '1.0.0' } });
    const read = await shadows.get(place);
    expect(read).toMatchObject({ version: 1, desired: { state: {}, times: {} }, reported: { state: { fw: { version: '1.0.0' } } } });
    if (read === 'missing') throw new Error('missing');
    expect(read.reported.times).toEqual({ fw: { version: { timestamp: expect.any(Number) } } });
    expect(await shadows.get({ thing: 'gw-1', shadow: null })).toBe('missing');
  });

  it('are written under the lock of a version: changed keys, null for one that goes, a conflict for whoever came late', async () => {
    const { aws, shadows } = await rig();
    report(aws, 'gw-1', { fw: '1' });
    expect(await shadows.update({ ...place, desired: { fw: '2', note: 'x' }, version: 1 })).toMatchObject({ version: 2 });
    expect(await shadows.update({ ...place, desired: { fw: '3' }, version: 1 })).toBe('conflict');
    expect(await shadows.update({ ...place, desired: { note: null }, version: 2 })).toMatchObject({ version: 3 });
    expect(aws.shadows.contentOf(place)?.state).toEqual({ desired: { fw: '2' }, reported: { fw: '1' } });
    expect(await shadows.update({ thing: 'new', shadow: null, desired: { a: 1 }, version: null })).toMatchObject({ version: 1 });
  });

  it('say by codes what was refused, and never quote it', async () => {
    const { shadows } = await rig();
    const tooMuch = shadows.update({ ...place, desired: { secret: 'x'.repeat(9000) }, version: null });
    await expect(tooMuch).rejects.toMatchObject({ code: 'SHADOW_413', retry: 'never' });
    await expect(tooMuch).rejects.not.toThrow(/xxx/);
    const deep = shadows.update({ ...place, desired: { a: { b: { c: { d: { e: { f: { g: { h: { i: 1 } } } } } } } } }, version: null });
    await expect(deep).rejects.toMatchObject({ code: 'SHADOW_400', retry: 'never' });
  });

  it('carry many questions at once, each to its own answer', async () => {
    const { aws, shadows } = await rig();
    const things = Array.from({ length: 60 }, (_, index) => `gw-${index}`);
    for (const [index, thing] of things.entries()) report(aws, thing, { index });
    const answers = await Promise.all(things.map((thing) => shadows.get({ thing, shadow: 'fleet' })));
    expect(answers.map((one) => (one === 'missing' ? one : one.reported.state['index']))).toEqual(things.map((_, index) => index));
  });

  it('end at the signal', async () => {
    const { shadows } = await rig();
    const controller = new AbortController();
    controller.abort(new Error('stopped'));
    await expect(shadows.get(place, controller.signal)).rejects.toThrow('stopped');
  });
});

describe('AWS IoT over HTTP', () => {
  it.each([
    ['throttle', 'SHADOW_429'],
    ['unavailable', 'SHADOW_503'],
    ['internal', 'SHADOW_500'],
    ['reset-before', 'ECONNRESET'],
    ['lost-response', 'TIMEOUT'],
  ] as const)('says %s as %s, to be tried later', async (kind, code) => {
    const { aws, shadows } = await overHttp();
    aws.faults.addToCalls({ kind }, { operations: ['UpdateThingShadow'] });
    await expect(shadows.update({ ...place, desired: { a: 1 }, version: null })).rejects.toMatchObject({ code, retry: 'later' });
  });

  it('sends an update once, whatever is said to it: a lost answer may have been done', async () => {
    const { aws, shadows } = await overHttp();
    aws.faults.addToCalls({ kind: 'reset-after' }, { operations: ['UpdateThingShadow'] });
    await expect(shadows.update({ ...place, desired: { a: 1 }, version: null })).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(aws.shadows.contentOf(place)?.version).toBe(1);
  });

  it('is refused for another key, for good', async () => {
    const url = await served(account());
    const shadows = await openAwsIot(connection(url), { credentials: { ...CREDENTIALS, secretAccessKey: 'other' } });
    closing.push(() => shadows.close());
    await expect(shadows.get(place)).rejects.toMatchObject({ code: 'SHADOW_403', retry: 'never' });
  });

  it('pages through the index, with presence and shadows by name, and says where there is none', async () => {
    const { aws, shadows } = await overHttp();
    const query = { query: '*', shadow: 'fleet', next: null };
    await expect(shadows.search?.(query)).rejects.toMatchObject({ code: 'INDEX_NOT_READY' });
    aws.index.configuration = { things: 'REGISTRY_AND_SHADOW', connectivity: 'STATUS', namedShadows: ['fleet'] };
    for (let index = 0; index < 120; index += 1) {
      aws.registry.createThing(`gw-${index}`);
      if (index !== 7) report(aws, `gw-${index}`, { fw: index < 3 ? '1' : '2' });
    }
    const first = await shadows.search?.(query);
    expect(first?.found).toHaveLength(100);
    const second = await shadows.search?.({ ...query, next: first?.next ?? null });
    expect(second?.found).toHaveLength(20);
    expect(second?.next).toBe(null);
    const found = [...(first?.found ?? []), ...(second?.found ?? [])];
    expect(found.find(({ thing }) => thing === 'gw-7')?.document).toBe(null);
    expect(found.find(({ thing }) => thing === 'gw-1')?.document).toMatchObject({ version: 1, reported: { state: { fw: '1' } } });
    const old = await shadows.search?.({ ...query, query: 'NOT (shadow.name.fleet.reported.fw:"2")' });
    expect(old?.found.map(({ thing }) => thing).toSorted()).toEqual(['gw-0', 'gw-1', 'gw-2', 'gw-7']);
    await expect(shadows.search?.({ ...query, query: '"' })).rejects.toMatchObject({ code: 'INDEX_QUERY', retry: 'never' });
  });
});

describe('a look by the index', () => {
  async function looker(index: 'all' | 'mismatches') {
    const { aws, shadows } = await overHttp();
    aws.index.configuration = { things: 'REGISTRY_AND_SHADOW', connectivity: 'STATUS', namedShadows: ['fleet'] };
    const asked: string[] = [];
    const counted: Shadows = {
      ...shadows,
      get: (one, signal) => {
        asked.push(`get ${one.thing}`);
        return shadows.get(one, signal);
      },
      search: (query, signal) => {
        asked.push(query.query);
        return shadows.search?.(query, signal) ?? Promise.reject(new Error('no index'));
      },
    };
    const options = {
      clock: new ScaledClock(Date.now(), 1),
      log: SILENT_LOG,
      connection: 'cloud',
      index,
      indexQuery: 'thingName:gw*',
    } as const;
    const reader = withLook(counted, options);
    const look = async (
      names: readonly string[],
      change: {
        readonly open?: string;
        readonly known?: boolean;
        readonly fw?: string;
        readonly version?: number;
        readonly differs?: boolean;
      } = {},
    ) => {
      const { open, known = true, fw = '1', version = null, differs = false } = change;
      const match = { among: null, declared: `shadow.name.fleet.reported.fw:"${fw}"` };
      const things = names.map((thing) => ({ thing, open: thing === open, known, differs, version, match }));
      const sight = await reader.look({ shadow: 'fleet', things }, new AbortController().signal);
      return { seen: sight.seen.map(({ thing, source }) => `${thing} ${source}`), asked: asked.splice(0), troubles: sight.troubles };
    };
    return { aws, look };
  }

  it('takes what the index has, and gets what is open, what it does not know, and what it has no shadow of', async () => {
    const { aws, look } = await looker('all');
    for (const thing of ['gw-1', 'gw-2', 'gw-3', 'gw-4']) if (thing !== 'gw-3') aws.registry.createThing(thing);
    for (const thing of ['gw-1', 'gw-2', 'gw-3', 'other']) report(aws, thing, { fw: '1' });
    expect(await look(['gw-1', 'gw-2', 'gw-3', 'gw-4'], { open: 'gw-2' })).toEqual({
      seen: ['gw-1 index', 'gw-2 get', 'gw-3 get', 'gw-4 get'],
      asked: ['thingName:gw*', 'get gw-2', 'get gw-3', 'get gw-4'],
      troubles: [],
    });
    aws.index.configuration = { ...aws.index.configuration, namedShadows: [] };
    expect((await look(['gw-1', 'gw-2'])).seen).toEqual(['gw-1 get', 'gw-2 get']);
  });

  it('asks for mismatches once for each match, passes over what matches, and gets the strangers', async () => {
    const { aws, look } = await looker('mismatches');
    for (const [thing, fw] of [
      ['gw-1', '1'],
      ['gw-2', '2'],
      ['gw-3', '1'],
    ] as const) {
      aws.registry.createThing(thing);
      report(aws, thing, { fw });
    }
    expect(await look(['gw-1', 'gw-2', 'gw-3'], { open: 'gw-3' })).toMatchObject({
      seen: ['gw-2 index', 'gw-3 get'],
      asked: ['(thingName:gw*) AND NOT (shadow.name.fleet.reported.fw:"1")', 'get gw-3'],
    });
    expect((await look(['gw-1', 'gw-2'], { known: false })).asked).toEqual([expect.stringContaining('NOT'), 'get gw-1']);
  });

  it('gets what is no mismatch any more, and was not as declared when it was last read', async () => {
    const { aws, look } = await looker('mismatches');
    for (const thing of ['gw-1', 'gw-2']) aws.registry.createThing(thing);
    report(aws, 'gw-1', { fw: '1' });
    report(aws, 'gw-2', { fw: '2' });
    expect((await look(['gw-1', 'gw-2'], { differs: true })).seen).toEqual(['gw-1 get', 'gw-2 index']);
  });

  it.each(['all', 'mismatches'] as const)(
    'gets what is older in the index than what was read: it may have been made again (%s)',
    async (index) => {
      const { aws, look } = await looker(index);
      aws.registry.createThing('gw-1');
      report(aws, 'gw-1', { fw: '2' });
      expect((await look(['gw-1'], { version: 1 })).seen).toEqual(['gw-1 index']);
      expect((await look(['gw-1'], { version: 2 })).seen).toEqual(['gw-1 get']);
    },
  );

  it('reads each by itself where the index cannot be asked, and says what broke of which thing', async () => {
    const { aws, look } = await looker('all');
    aws.index.configuration = { things: 'OFF', connectivity: 'OFF', namedShadows: [] };
    report(aws, 'gw-1', { fw: '1' });
    aws.faults.addToCalls({ kind: 'deny' }, { operations: ['GetThingShadow'], prefix: 'gw-2' });
    expect(await look(['gw-1', 'gw-2'])).toMatchObject({ seen: ['gw-1 get'], troubles: [{ code: 'SHADOW_403' }] });
  });
});

describe('shadows over MQTT', () => {
  it('tell news of each update to whoever watches that name, and pass over what is no document', async () => {
    const { aws, shadows } = await overMqtt();
    const heard: string[] = [];
    const stop = await shadows.watch?.(['fleet'], {
      news: ({ thing, shadow, document }) => heard.push(`${thing} ${shadow ?? ''} ${document.version ?? ''}`),
      lost: () => heard.push('lost'),
    });
    const device = await openBus({
      url: 'memory',
      clientId: 'gw-1',
      clean: true,
      clock: new ScaledClock(Date.now(), 1),
      protocol: 4,
      markerTopic: null,
      streamBuilder: () => aws.broker.stream(),
    });
    closing.push(() => device.close());
    const say = (shadow: string, text: string): Promise<void> =>
      device.publish(`$aws/things/gw-1/shadow${shadow}/update`, new TextEncoder().encode(text), { qos: 1 });
    await say('/name/fleet', '{"state":{"reported":{"fw":"1"}}}');
    await say('/name/other', '{"state":{"reported":{"fw":"1"}}}');
    await say('', '{"state":{"reported":{"fw":"1"}}}');
    await say('/name/fleet', 'no JSON');
    await say('/name/fleet', '{"state":{"reported":{"fw":"2"}}}');
    await expect.poll(() => heard).toEqual(['gw-1 fleet 1', 'gw-1 fleet 2']);
    stop?.();
  });

  it('take no answer for theirs that has another token, thing or name', async () => {
    const clock = new VirtualClock(START);
    const sent: { readonly topic: string; readonly body: { readonly clientToken: string } }[] = [];
    const listeners = new Set<(message: { topic: string; payload: Uint8Array }) => void>();
    const shadows = openShadowsOverBus(
      {
        clientId: 'x',
        expires: false,
        subscribe: () => Promise.resolve(),
        publish: (topic, payload) => {
          sent.push({ topic, body: JSON.parse(new TextDecoder().decode(payload)) as { clientToken: string } });
          return Promise.resolve();
        },
        listen: (listener) => {
          listeners.add(listener as never);
          return () => undefined;
        },
        settle: () => Promise.resolve(),
        close: () => Promise.resolve(),
      },
      { clock },
    );
    const asked = shadows.get(place);
    await expect.poll(() => sent.length).toBe(1);
    const [{ body }] = sent as [(typeof sent)[0]];
    const answer = (topic: string, token: string): void => {
      const payload = new TextEncoder().encode(JSON.stringify({ state: {}, version: 9, timestamp: 1, clientToken: token }));
      listeners.forEach((listener) => listener({ topic, payload }));
    };
    answer('$aws/things/gw-2/shadow/name/fleet/get/accepted', body.clientToken);
    answer('$aws/things/gw-1/shadow/get/accepted', body.clientToken);
    answer('$aws/things/gw-1/shadow/name/fleet/get/accepted', 'of somebody else');
    await expect(clock.run(asked)).rejects.toMatchObject({ code: 'TIMEOUT', retry: 'later' });
    expect(body.clientToken.length).toBeLessThanOrEqual(64);
  });

  /** A service whose news and answers come as a test tells. */
  function told(get: (news: (version: number) => void) => number) {
    const document = (version: number) => ({ ...EMPTY_SHADOW, version });
    let news = (_version: number): void => undefined;
    const shadows: Shadows = {
      get: () => Promise.resolve(document(get(news))),
      update: () => Promise.resolve('conflict'),
      watch: (_names, listener) => {
        news = (version) => listener.news({ ...place, document: document(version) });
        return Promise.resolve(() => undefined);
      },
      close: () => Promise.resolve(),
    };
    const options = { clock: new VirtualClock(START), log: SILENT_LOG, connection: 'field', index: 'off', indexQuery: null } as const;
    const reader = withLook(shadows, options);
    return async (version: number | null): Promise<readonly string[]> => {
      const things = [{ thing: place.thing, open: false, known: version !== null, differs: false, version, match: null }];
      const { seen } = await reader.look({ shadow: place.shadow, things }, new AbortController().signal);
      return seen.map(({ source, document: one }) => `${source} ${one === 'missing' ? one : (one.version ?? '')}`);
    };
  }

  it('keep what is told right behind the answer to a first look', async () => {
    const look = told((news) => {
      // In one packet with the answer: heard before whoever asked goes on.
      queueMicrotask(() => news(6));
      return 5;
    });
    expect(await look(null)).toEqual(['get 5']);
    expect(await look(5)).toEqual(['news 6']);
    expect(await look(6)).toEqual([]);
  });

  it('pass over what is told before the answer, and is in it', async () => {
    const look = told((news) => {
      news(5);
      return 5;
    });
    expect(await look(null)).toEqual(['get 5']);
    expect(await look(5)).toEqual([]);
  });

  it('are read again where nobody kept what was told: a pass that failed', async () => {
    const versions = [5, 6];
    let tell = (_version: number): void => undefined;
    const look = told((news) => {
      tell = news;
      return versions.shift() ?? 7;
    });
    expect(await look(null)).toEqual(['get 5']);
    tell(6);
    expect(await look(5)).toEqual(['news 6']);
    expect(await look(5)).toEqual(['get 6']);
    expect(await look(6)).toEqual([]);
  });

  it('are looked at once, then by news alone; after a loss all are read again', async () => {
    const { aws, shadows } = await overMqtt();
    let gets = 0;
    const counted: Shadows = {
      ...shadows,
      get: (...request) => {
        gets += 1;
        return shadows.get(...request);
      },
    };
    const options = {
      clock: new ScaledClock(Date.now(), 1),
      log: SILENT_LOG,
      connection: 'field',
      index: 'off',
      indexQuery: null,
    } as const;
    const reader = withLook(counted, options);
    const kept = new Map<string, number | null>();
    const look = async () => {
      const things = ['gw-1', 'gw-2'].map((thing) => ({
        thing,
        open: false,
        known: true,
        differs: false,
        version: kept.get(thing) ?? null,
        match: null,
      }));
      const sight = await reader.look({ shadow: 'fleet', things }, new AbortController().signal);
      for (const { thing, document } of sight.seen) kept.set(thing, document === 'missing' ? null : document.version);
      return sight;
    };
    report(aws, 'gw-1', { fw: '1' });
    expect((await look()).seen.map(({ thing, source }) => `${thing} ${source}`)).toEqual(['gw-1 get', 'gw-2 get']);
    expect((await look()).seen).toEqual([]);
    await shadows.update({ ...place, desired: { fw: '2' }, version: null });
    await expect.poll(async () => (await look()).seen.map(({ thing, source }) => `${thing} ${source}`)).toEqual(['gw-1 news']);
    expect(gets).toBe(2);
    aws.broker.dropAll();
    // While the connection comes back a look may get one of them, and the next one the other.
    const again = new Set<string>();
    const lookAgain = async (): Promise<readonly string[]> => {
      for (const { thing, source } of (await look()).seen) if (source === 'get') again.add(thing);
      return [...again].toSorted();
    };
    await expect.poll(lookAgain, { interval: 100 }).toEqual(['gw-1', 'gw-2']);
    expect(gets).toBeGreaterThanOrEqual(4);
  });
});
