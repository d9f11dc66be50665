import { afterEach, describe, expect, it } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import { namedAt, valueAt } from '#model/shadow.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { Shadows } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AzureIotConnection } from '#ports/wires.ts';
import { makeAzureHub, type AzureHub, type AzureHubOptions } from '#sim/azure/hub.ts';
import { VirtualClock } from '#sim/clock.ts';
import { openAzureTwins } from './azure-twins.ts';
import { withLook } from './shadow-look.ts';

const START = Date.UTC(2026, 10, 2, 9);
const KEY = Buffer.from('key of the owner').toString('base64');
const PLACE = { thing: 'gw-1', shadow: null };

const connection = {
  name: 'hub',
  place: { file: '', line: 1, column: 1 },
  type: 'azure-iot',
  host: 'Upland.azure-devices.net',
  policy: 'service',
  key: KEY,
  index: 'off',
  indexQuery: null,
} as const satisfies AzureIotConnection;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

class Stage {
  readonly clock = new VirtualClock(START);
  readonly hub: AzureHub;
  readonly twins: Shadows;

  constructor(options: Partial<AzureHubOptions> = {}, change: Partial<AzureIotConnection> = {}) {
    const policies = new Map([['service', { keys: [KEY], permissions: ['ServiceConnect'] as const }]]);
    this.hub = makeAzureHub({ clock: this.clock, host: 'upland.azure-devices.net', policies, ...options });
    this.hub.twins.addDevice('gw-1');
    this.twins = openAzureTwins(
      { ...connection, ...change },
      {
        clock: this.clock,
        exchange: async (request) => {
          const answer = await this.hub.endpoint.handle({ ...request, certificate: null });
          if (answer === 'close') throw Object.assign(new Error('cut'), { code: 'ECONNRESET' });
          if (answer === 'hang') throw new WireError('TIMEOUT', 'later', 'no answer');
          return answer;
        },
      },
    );
    ends.push(() => this.clock.run(this.hub.close()));
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.run(work);
  }

  async code(work: Promise<unknown>): Promise<string> {
    return await this.run(
      work.then(
        () => 'ok',
        (error: unknown) => (error instanceof WireError ? `${error.code} ${error.retry}` : String(error)),
      ),
    );
  }
}

describe('a twin as a classic shadow', () => {
  it('has no section of the hub own, times to the millisecond, and a version that grows with every update', async () => {
    const { hub, twins, clock } = new Stage();
    const read = () => clock.run(twins.get(PLACE));
    const first = await read();
    await clock.advance(1234);
    hub.twins.report('gw-1', { fw: { running: '1.0' } });
    const second = await read();
    hub.twins.write('gw-1', { desired: { fw: { version: '1.1' } }, replace: false, ifMatch: null });
    const third = await read();
    hub.twins.write('gw-1', { tags: { site: 'moor' }, replace: false, ifMatch: null });
    const fourth = await read();
    const all = [first, second, third, fourth];
    if (all.some((one) => one === 'missing') || third === 'missing') throw new Error('no twin');
    expect(all.map((one) => (one === 'missing' ? null : one.version))).toEqual([3, 4, 5, 6]);
    expect([third.desired.state, third.reported.state]).toEqual([{ fw: { version: '1.1' } }, { fw: { running: '1.0' } }]);
    expect(namedAt(third.reported, '/fw/running')).toBe(START + 1234);
  });

  it('is missing where the hub knows no such device, and has no named shadow', async () => {
    const stage = new Stage();
    expect(await stage.run(stage.twins.get({ thing: 'nobody', shadow: null }))).toBe('missing');
    expect(await stage.code(stage.twins.get({ thing: 'gw-1', shadow: 'fleet' }))).toBe('SHADOW_400 never');
    expect(await stage.code(stage.twins.update({ thing: 'nobody', shadow: null, desired: { a: 1 }, version: null }))).toBe(
      'SHADOW_404 never',
    );
  });

  it('is written under its ETag: what another owner wrote in between is a conflict, what the device reported is none', async () => {
    const stage = new Stage();
    const version = async (): Promise<number> => {
      const document = await stage.run(stage.twins.get(PLACE));
      return document === 'missing' ? -1 : (document.version ?? -1);
    };
    const before = await version();
    const write = (at: number | null, fw: string) => stage.run(stage.twins.update({ ...PLACE, desired: { fw }, version: at }));
    stage.hub.twins.report('gw-1', { fw: '1.0' });
    expect(await write(before, '1.1')).toEqual({ version: before + 2, at: START });
    expect(await write(before, '1.2')).toBe('conflict');
    const again = await version();
    stage.hub.twins.write('gw-1', { desired: { note: 1 }, replace: false, ifMatch: null });
    expect(await write(again, '1.2')).toBe('conflict');
    expect(await write(await version(), '1.2')).toMatchObject({ at: START });
    expect(await write(null, '1.3')).toMatchObject({ at: START });
    const end = await stage.run(stage.twins.get(PLACE));
    expect(end === 'missing' ? null : valueAt(end.desired, '/fw')).toBe('1.3');
  });

  it('sees reports as conflicts where the ETag covers them, and settles all the same', async () => {
    const stage = new Stage({ switches: { etagCoversReported: true } });
    const read = await stage.run(stage.twins.get(PLACE));
    if (read === 'missing') throw new Error('no twin');
    stage.hub.twins.report('gw-1', { fw: '1.0' });
    expect(await stage.run(stage.twins.update({ ...PLACE, desired: { fw: '1.1' }, version: read.version }))).toBe('conflict');
  });
});

describe('the wire', () => {
  it.each([
    ['another key', { key: Buffer.from('other').toString('base64') }, 'SHADOW_401 never'],
    ['another policy', { policy: 'device' }, 'SHADOW_401 never'],
    ['another hub', { host: 'other.azure-devices.net' }, 'SHADOW_401 never'],
    ['a port of its own', { host: 'upland.azure-devices.net:8443' }, 'ok'],
  ])('%s', async (_what, change, code) => {
    const stage = new Stage({}, change);
    expect(await stage.code(stage.twins.get(PLACE))).toBe(code);
  });

  it('says what a hub refuses that does not let it in', async () => {
    const stage = new Stage({}, { key: Buffer.from('other').toString('base64') });
    await expect(stage.run(stage.twins.get(PLACE))).rejects.toThrow(
      'HTTP 401: the hub refuses the token, by policy or key of the connection',
    );
  });

  it.each([
    ['throttle', 'SHADOW_429 later'],
    ['unavailable', 'SHADOW_503 later'],
    ['internal', 'SHADOW_500 later'],
    ['timeout', 'SHADOW_504 later'],
    ['reset-before', 'ECONNRESET later'],
    ['lost-response', 'TIMEOUT later'],
  ] as const)('%s is %s', async (kind, code) => {
    const stage = new Stage();
    stage.hub.faults.addToCalls({ kind }, { times: 1 });
    expect(await stage.code(stage.twins.get(PLACE))).toBe(code);
    expect(await stage.code(stage.twins.get(PLACE))).toBe('ok');
  });

  it('makes a new token before the old one runs out', async () => {
    const stage = new Stage();
    for (let hour = 0; hour < 3; hour += 1) {
      expect(await stage.code(stage.twins.get(PLACE))).toBe('ok');
      await stage.clock.advance(59 * 60 * SECOND_MS);
    }
  });

  it('keeps to the throttles of an S1 unit, so that nothing is refused', async () => {
    const stage = new Stage({ quotas: { getTwin: 100, queryTwins: 20 / 60 } });
    const begun = stage.clock.now();
    await stage.run(Promise.all(Array.from({ length: 400 }, () => stage.twins.get(PLACE))));
    expect(stage.clock.now() - begun).toBe(3 * SECOND_MS);
    const query = { query: '*', shadow: null, next: null };
    await stage.run(Promise.all(Array.from({ length: 4 }, async () => await stage.twins.search?.(query))));
    expect(stage.clock.now() - begun).toBe(12 * SECOND_MS);
  });

  it('opens nothing for what is no host name', () => {
    expect(() => openAzureTwins({ ...connection, host: 'a b' }, { clock: new VirtualClock(START) })).toThrow(/is no host name/);
  });
});

describe('looking at many', () => {
  const things = Array.from({ length: 250 }, (_, at) => `gw-${at + 1}`);
  const looked = async (stage: Stage, index: 'off' | 'all' | 'mismatches', indexQuery: string | null = null) => {
    for (const thing of things.slice(1)) stage.hub.twins.addDevice(thing);
    for (const [at, thing] of things.entries()) stage.hub.twins.report(thing, { fw: at < 3 ? '1.0' : '1.1' });
    const reader = withLook(stage.twins, { clock: stage.clock, log: SILENT_LOG, connection: 'hub', index, indexQuery });
    const match = { among: null, declared: "(IS_DEFINED(properties.reported.fw) AND properties.reported.fw = '1.1')" };
    const wanted = things.map((thing) => ({ thing, open: thing === 'gw-9', known: true, differs: false, version: null, match }));
    return await stage.run(reader.look({ shadow: null, things: wanted }, new AbortController().signal));
  };

  it.each([
    ['off', 250, { getTwin: 250 }],
    ['all', 250, { queryTwins: 3, getTwin: 1 }],
    ['mismatches', 4, { queryTwins: 1, getTwin: 1 }],
  ] as const)('with index: %s sees %i', async (index, count, calls) => {
    const stage = new Stage();
    const sight = await looked(stage, index);
    expect([sight.troubles, sight.seen.length]).toEqual([[], count]);
    expect(Object.fromEntries(stage.hub.endpoint.calls)).toEqual(calls);
    expect(sight.seen.find(({ thing }) => thing === 'gw-9')?.source).toBe('get');
  });

  it('reads each by itself where the hub does not understand what is asked', async () => {
    const stage = new Stage();
    const sight = await looked(stage, 'all', 'thingTypeName:logger');
    expect([sight.troubles, sight.seen.length, stage.hub.endpoint.calls.get('getTwin')]).toEqual([[], 250, 250]);
  });
});
