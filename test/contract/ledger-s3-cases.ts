import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyChain } from '#ledger/chain.ts';
import { LEASE_TTL_MS } from '#ledger/lease.ts';
import { MANY_SMALL } from '#ledger/stores/s3-segments.ts';
import { deviceId, digest } from '#model/ids.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { LedgerError, type Lease, type LedgerStore } from '#ports/ledger.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import { VirtualClock } from '#sim/clock.ts';
import { type LedgerBucket, runner } from '#test/support/s3-ledger.ts';
import { type ObjectCall, type ObjectTrouble, troubled } from '#test/support/troubled-objects.ts';
import { appended } from './ledger.ts';

const START = Date.UTC(2026, 10, 21);
/** Some hundreds of requests each. */
const LIMIT = { timeout: 120_000 };
const TROUBLES: readonly ObjectTrouble[] = ['lost', 'done-500', 'failed'];

export interface S3CaseSizes {
  /** Appends at once by one runner. */
  readonly appends: number;
  /** Appends at once by several runners under one lease. */
  readonly shared: { readonly appends: number; readonly runners: number };
  /** Races of two contenders for one lease. */
  readonly races: number;
  /** Every how manyth place is tried where a fault can strike or a runner can die. */
  readonly stride: number;
}

function passOf(commit: string): RecordBody {
  return { type: 'pass', commit, tree: digest('0'.repeat(64)), engine: '0.1.0', planned: 0, at: START };
}

function commitsOf(records: readonly LedgerRecord[]): readonly (string | null)[] {
  return records.map(({ body }) => (body.type === 'pass' ? body.commit : body.type));
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    if (error instanceof LedgerError || error instanceof WireError) return error.code;
    throw error;
  }
}

/** What a ledger in a bucket must withstand, on any server that honours conditional writes. */
export function s3LedgerCases(server: string, open: () => Promise<LedgerBucket>, sizes: S3CaseSizes): void {
  describe(`a ledger in a bucket of ${server}`, () => {
    let bucket: LedgerBucket;
    let raw: ObjectStore;
    let prefixes = 0;

    beforeAll(async () => {
      bucket = await open();
      raw = await bucket.connect();
    });
    afterAll(async () => {
      await raw.close();
      await bucket.close();
    });

    interface Stage {
      readonly clock: VirtualClock;
      readonly prefix: string;
      runner(strike?: (call: ObjectCall) => ObjectTrouble | undefined | Promise<ObjectTrouble | undefined>): LedgerStore;
      hold(store: LedgerStore): Promise<Lease>;
      keys(folder?: string): Promise<readonly string[]>;
      text(key: string): Promise<string>;
      write(key: string, text: string): Promise<void>;
    }

    function stage(): Stage {
      prefixes += 1;
      const prefix = `case-${prefixes}`;
      const clock = new VirtualClock(START);
      const list = async (folder: string): Promise<readonly string[]> => {
        const page = await raw.list({ prefix: `${prefix}/${folder}` });
        if (page.next !== null) throw new Error('more than a page');
        return page.objects.map(({ key }) => key.slice(prefix.length + 1));
      };
      return {
        clock,
        prefix,
        runner: (strike = () => undefined) =>
          runner(bucket, clock, {
            prefix,
            through: (store) => troubled(store, (call) => strike({ ...call, key: call.key.slice(prefix.length + 1) })),
          }),
        hold: async (store) => {
          const answer = await clock.run(store.acquire('a'));
          if (answer.kind !== 'held') throw new Error(`busy: ${answer.holder}`);
          return answer.lease;
        },
        keys: (folder = '') => list(folder),
        text: async (key) => {
          const found = await raw.get(`${prefix}/${key}`);
          if (typeof found === 'string') throw new Error(`${key} is ${found}`);
          return Buffer.from(found.bytes).toString();
        },
        write: async (key, text) => {
          await raw.put(`${prefix}/${key}`, Buffer.from(text));
        },
      };
    }

    /** Three appends, the lease given back: what a run leaves behind. */
    async function written(at: Stage): Promise<void> {
      const store = at.runner();
      const lease = await at.hold(store);
      await at.clock.run(appended(store, [passOf('a'), passOf('b')], lease.fencing));
      await at.clock.run(appended(store, [passOf('c')], lease.fencing));
      await at.clock.run(appended(store, [passOf('d')], lease.fencing));
      await at.clock.run(lease.release());
      await store.close();
    }

    /** What was put aside is there, and the new ledger counts on from the fencing numbers of the old one. */
    async function expectBegun(at: Stage, store: LedgerStore): Promise<void> {
      expect((await at.keys('aside/')).length).toBeGreaterThan(1);
      expect(await at.keys('records/')).toEqual([]);
      expect(await at.clock.run(store.begun?.() ?? Promise.resolve(true))).toBe(false);
      const lease = await at.hold(store);
      expect(lease.fencing).toBeGreaterThan(1);
      await at.clock.run(appended(store, [passOf('new')], lease.fencing));
      await at.clock.run(store.beginAnew?.() ?? Promise.resolve());
      expect(commitsOf(await store.read()), 'one that is whole is left alone').toEqual(['new']);
    }

    it('lays each append down as one object of readable lines, beside one head', async () => {
      const at = stage();
      await written(at);
      expect((await at.keys()).map((key) => key.replace(/[0-9a-f]{16}\.jsonl$/, 'HASH.jsonl'))).toEqual([
        'head.json',
        'records/000000000002-000000000001-HASH.jsonl',
        'records/000000000003-000000000003-HASH.jsonl',
        'records/000000000004-000000000004-HASH.jsonl',
        'witness.json',
      ]);
      const [, first = ''] = await at.keys();
      expect((await at.text(first)).split('\n')[0]).toMatch(
        /^\{"body":\{"at":\d+,"commit":"a",.*"type":"pass"\},"fencing":1,"hash":"[0-9a-f]{64}","prev":null,"seq":1,"version":1\}$/,
      );
      expect(JSON.parse(await at.text('head.json'))).toMatchObject({
        format: 'headgate-ledger',
        lease: { fencing: 1, held: false, holder: 'a' },
        records: { seq: 4 },
      });
    });

    it('writes nothing by a look', async () => {
      const at = stage();
      const writes: string[] = [];
      const store = at.runner(({ kind, key }) => {
        if (kind === 'put' || kind === 'delete') writes.push(key);
        return undefined;
      });
      await store.read();
      await store.head();
      await store.reports.load();
      await store.blobs.get(digest('0'.repeat(64)));
      expect(writes).toEqual([]);
      expect(await at.keys()).toEqual([]);
      await store.close();
    });

    it('tries the server out before the first lease of a process only, and leaves nothing of it', async () => {
      const at = stage();
      const probes: string[] = [];
      const store = at.runner(({ kind, key }) => {
        if (key.startsWith('probe-')) probes.push(kind);
        return undefined;
      });
      const lease = await at.hold(store);
      expect(probes.toSorted()).toEqual(['delete', 'put', 'put', 'put', 'put']);
      await at.clock.run(lease.release());
      await at.hold(store);
      expect(probes.length).toBe(5);
      expect((await at.keys()).filter((key) => key.startsWith('probe-'))).toEqual([]);
      await store.close();
    });

    it(`loses nothing of ${sizes.appends} appends at once by one runner`, async () => {
      const at = stage();
      const store = at.runner();
      const { fencing } = await at.hold(store);
      const names = Array.from({ length: sizes.appends }, (_, index) => `${index}`);
      await at.clock.run(Promise.all(names.map((commit) => appended(store, [passOf(commit), passOf(commit)], fencing))));
      await store.close();
      const other = at.runner();
      const records = await other.read();
      expect(commitsOf(records)).toEqual(names.flatMap((commit) => [commit, commit]));
      expect(verifyChain(records).ok).toBe(true);
      await other.close();
    });

    const { shared } = sizes;
    it(`loses nothing of ${shared.appends} appends by ${shared.runners} runners at once, and doubles nothing`, LIMIT, async () => {
      const at = stage();
      const first = at.runner();
      const { fencing } = await at.hold(first);
      const runners = Array.from({ length: shared.runners }, () => at.runner());
      const each = Math.ceil(shared.appends / shared.runners);
      const work = runners.map(async (store, number) => {
        for (let index = 0; index < each; index += 1) await insist(store, passOf(`${number}.${index}`), fencing);
      });
      await at.clock.run(Promise.all(work));
      const records = await first.read();
      const expected = runners.flatMap((_, number) => Array.from({ length: each }, (_unused, index) => `${number}.${index}`));
      expect(records.length).toBe(expected.length);
      expect(new Set(commitsOf(records))).toEqual(new Set(expected));
      expect(verifyChain(records).ok).toBe(true);
      for (const store of [first, ...runners]) await store.close();
    });

    it(`gives the lease to one of two in each of ${sizes.races} races`, LIMIT, async () => {
      const at = stage();
      const runners = [at.runner(), at.runner()];
      for (let race = 1; race <= sizes.races; race += 1) {
        const answers = await at.clock.run(Promise.all(runners.map((store, number) => store.acquire(`${number}`))));
        const held = answers.flatMap((answer, number) => (answer.kind === 'held' ? [{ lease: answer.lease, number }] : []));
        expect(held.length).toBe(1);
        for (const { lease, number } of held) {
          expect(lease.fencing).toBe(race);
          const store = runners[number];
          await store?.read();
          if (store !== undefined) await at.clock.run(appended(store, [passOf(`${race}`)], lease.fencing));
          await at.clock.run(lease.release());
        }
      }
      const [store] = runners;
      expect(commitsOf((await store?.read()) ?? [])).toEqual(Array.from({ length: sizes.races }, (_, race) => `${race + 1}`));
      for (const one of runners) await one.close();
    });

    it('goes on when any one of its writes is answered with an error or not at all, done or not', LIMIT, async () => {
      let struck = 0;
      for (const trouble of TROUBLES) {
        for (let number = 0; ; number += sizes.stride) {
          const at = stage();
          let writes = 0;
          const store = at.runner(({ kind }) => {
            if (kind !== 'put') return undefined;
            writes += 1;
            return writes === number + 1 ? trouble : undefined;
          });
          const lease = await at.hold(store);
          await at.clock.run(appended(store, [passOf('a'), passOf('b')], lease.fencing));
          expect(await at.clock.run(lease.renew())).toBe(true);
          await at.clock.run(appended(store, [passOf('c')], lease.fencing));
          await at.clock.run(store.reports.save([], START));
          await at.clock.run(lease.release());
          expect(commitsOf(await store.read()), `${trouble} at write ${number + 1}`).toEqual(['a', 'b', 'c']);
          const other = at.runner();
          expect((await at.clock.run(other.acquire('b'))).kind).toBe('held');
          expect(at.clock.now() - START, 'the lease was given back').toBeLessThan(LEASE_TTL_MS);
          await other.close();
          await store.close();
          if (writes <= number) break;
          struck += 1;
        }
      }
      expect(struck).toBeGreaterThan((3 * 10) / sizes.stride);
    });

    it('has whole appends only, wherever a runner dies', async () => {
      let died = 0;
      for (let number = 0; ; number += sizes.stride) {
        const at = stage();
        let calls = 0;
        let dead = false;
        const store = at.runner(({ kind }) => {
          calls += kind === 'put' ? 1 : 0;
          dead ||= calls > number;
          return dead ? 'denied' : undefined;
        });
        const run = async (): Promise<void> => {
          const lease = await at.hold(store);
          await appended(store, [passOf('a'), passOf('b')], lease.fencing);
          await appended(store, [passOf('c'), passOf('d')], lease.fencing);
        };
        const ended = await codeOf(at.clock.run(run()));
        const next = at.runner();
        const lease = await at.hold(next);
        const found = commitsOf(await next.read());
        expect([[], ['a', 'b'], ['a', 'b', 'c', 'd']]).toContainEqual(found);
        await at.clock.run(appended(next, [passOf('e')], lease.fencing));
        expect(commitsOf(await next.read())).toEqual([...found, 'e']);
        const third = at.runner();
        expect(commitsOf(await third.read())).toEqual([...found, 'e']);
        for (const one of [store, next, third]) await one.close();
        if (ended === 'no error' && !dead) break;
        died += 1;
      }
      expect(died).toBeGreaterThan(8 / sizes.stride);
    });

    it('lets no append land that was on its way while another took the lease', async () => {
      const at = stage();
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      let reached = (): void => undefined;
      const waiting = new Promise<void>((resolve) => (reached = resolve));
      let slow = false;
      const zombie = at.runner(async ({ kind, key }) => {
        if (!slow || kind !== 'put' || key !== 'head.json') return undefined;
        reached();
        await held;
        return undefined;
      });
      const old = await at.hold(zombie);
      await at.clock.run(appended(zombie, [passOf('a')], old.fencing));
      slow = true;
      const late = codeOf(
        appended(zombie, [passOf('late')], old.fencing).catch((error: unknown) => {
          throw error instanceof WireError ? error : new WireError(String(error), 'never', '');
        }),
      );
      await waiting;
      const heir = at.runner();
      const young = await at.hold(heir);
      expect(young.fencing).toBe(old.fencing + 1);
      await heir.read();
      release();
      expect(await at.clock.run(late)).not.toBe('no error');
      await at.clock.run(appended(heir, [passOf('b')], young.fencing));
      expect(commitsOf(await heir.read())).toEqual(['a', 'b']);
      expect(await zombie.append([passOf('stale')], old.fencing)).toMatchObject({ code: 'FENCED' });
      await zombie.close();
      await heir.close();
    });

    it('keeps the lease over a renewal that hangs, as long as its time lasts', async () => {
      const at = stage();
      let hangs = false;
      const store = at.runner(() => (hangs ? 'hang' : undefined));
      const lease = await at.hold(store);
      await at.clock.run(appended(store, [passOf('a')], lease.fencing));
      hangs = true;
      const began = at.clock.now();
      const renewing = lease.renew();
      await at.clock.advance(20_000);
      hangs = false;
      expect(await at.clock.run(renewing)).toBe(true);
      expect(at.clock.now() - began).toBeLessThan(LEASE_TTL_MS);
      await at.clock.run(appended(store, [passOf('b')], lease.fencing));
      await store.close();
    });

    describe('many small objects', () => {
      const many = Array.from({ length: MANY_SMALL + 6 }, (_, index) => `${index}`);

      async function appendMany(at: Stage, store: LedgerStore): Promise<void> {
        const { fencing } = await at.hold(store);
        for (const commit of many) await at.clock.run(appended(store, [passOf(commit)], fencing));
      }

      it('are put together, and nothing is lost', LIMIT, async () => {
        const at = stage();
        const store = at.runner();
        await appendMany(at, store);
        expect((await at.keys('records/')).length).toBe(7);
        const early = at.runner();
        expect(commitsOf(await early.read())).toEqual(many);
        for (const one of [store, early]) await one.close();
      });

      it('and what dead runners left behind, go only when the larger one is there', LIMIT, async () => {
        const cases = [
          ['no object goes', ({ kind }: ObjectCall) => (kind === 'delete' ? 'denied' : undefined)],
          ['some objects go', ({ kind, key }: ObjectCall) => (kind === 'delete' && key.includes('00000001') ? 'denied' : undefined)],
          [
            'the larger one is refused',
            ({ kind, key }: ObjectCall) =>
              kind === 'put' && key.includes('-000000000001-') && !key.includes('000000000001-000000000001') ? 'denied' : undefined,
          ],
          [
            'the answer to the larger one is lost',
            ({ kind, key }: ObjectCall) => (kind === 'put' && key.includes('64-000000000001-') ? 'lost' : undefined),
          ],
        ] as const;
        for (const [name, strike] of cases.filter((_, index) => index % sizes.stride === 0)) {
          const at = stage();
          const store = at.runner(strike);
          await appendMany(at, store);
          const orphan = 'records/000000000003-000000000003-00000000dead0000.jsonl';
          await at.write(orphan, 'half a rec');
          const other = at.runner();
          expect(commitsOf(await other.read()), name).toEqual(many);
          expect(commitsOf(await store.read()), name).toEqual(many);
          const lease = await at.hold(other);
          for (const commit of many) await at.clock.run(appended(other, [passOf(commit)], lease.fencing));
          expect(await at.keys('records/'), name).not.toContain(orphan);
          expect((await at.keys('records/')).length, name).toBeLessThan(MANY_SMALL);
          const third = at.runner();
          expect(commitsOf(await third.read()), name).toEqual([...many, ...many]);
          for (const one of [store, other, third]) await one.close();
        }
      });

      it('are read by who listed them before they were put together', LIMIT, async () => {
        const at = stage();
        const store = at.runner();
        const { fencing } = await at.hold(store);
        for (const commit of many.slice(0, MANY_SMALL - 1)) await at.clock.run(appended(store, [passOf(commit)], fencing));
        let overtaken = false;
        const reader = at.runner(async ({ kind, key }) => {
          if (overtaken || kind !== 'get' || !key.startsWith('records/')) return undefined;
          overtaken = true;
          await appended(store, [passOf('last')], fencing);
          return undefined;
        });
        expect(commitsOf(await at.clock.run(reader.read()))).toEqual([...many.slice(0, MANY_SMALL - 1), 'last']);
        expect(overtaken).toBe(true);
        expect((await at.keys('records/')).length).toBe(1);
        for (const one of [store, reader]) await one.close();
      });
    });

    describe('reports', () => {
      const reportOf = (device: string, value: string): ReportedDevice => ({
        device: deviceId(device),
        serial: null,
        model: null,
        heardAt: START,
        online: null,
        gapMs: null,
        problem: null,
        items: {},
        measures: { battery: { value, madeNotBefore: null } },
        signs: [],
        memo: {},
      });
      const devices = Array.from({ length: 200 }, (_, index) => `d${String(index).padStart(3, '0')}`);

      it('are written where they changed only', async () => {
        const at = stage();
        const puts: string[] = [];
        const store = at.runner(({ kind, key }) => {
          if (kind === 'put') puts.push(key);
          return undefined;
        });
        await at.clock.run(
          store.reports.save(
            devices.map((device) => reportOf(device, '12')),
            START,
          ),
        );
        expect(puts.length).toBe(32);
        puts.length = 0;
        await at.clock.run(store.reports.save([...devices.map((device) => reportOf(device, '12')), reportOf('d007', '11')], START));
        expect(puts.length).toBe(1);
        expect((await store.reports.load()).map(({ device, measures }) => [device, measures['battery']?.value])).toEqual(
          devices.map((device) => [device, device === 'd007' ? '11' : '12']),
        );
        await store.close();
      });

      it('of two runners at once are both kept, whatever happens to the answers', LIMIT, async () => {
        for (const trouble of TROUBLES) {
          const at = stage();
          let calls = 0;
          const runners = [0, 1].map(() => at.runner(({ kind }) => (kind === 'put' && (calls += 1) % 3 === 0 ? trouble : undefined)));
          const half = (odd: number): readonly ReportedDevice[] =>
            devices.filter((_, index) => index % 2 === odd).map((device) => reportOf(device, `${odd}`));
          await at.clock.run(Promise.all(runners.map((store, odd) => store.reports.save(half(odd), START))));
          const loaded = await runners[0]?.reports.load();
          expect(loaded?.map(({ measures }) => measures['battery']?.value)).toEqual(devices.map((_, index) => `${index % 2}`));
          for (const one of runners) await one.close();
        }
      });

      it('that cannot be read are missing, those beside them not; bytes that were changed are missing until they are put again', async () => {
        const at = stage();
        const store = at.runner();
        await store.reports.save([reportOf('a', '1'), reportOf('b', '1')], START);
        const [key = ''] = await at.keys('reports/');
        const name = await store.blobs.put(Buffer.from('previous config'));
        await at.write(key, `{"device":\n{"device":7}\n${(await at.text(key)).slice(0, -1)}`);
        await at.write(`blobs/${name}`, 'previous');
        const other = at.runner();
        expect((await other.reports.load()).map(({ device }) => device)).toEqual(['a', 'b']);
        await at.write(key, (await at.text(key)).slice(0, -9));
        expect((await other.reports.load()).length).toBe(1);
        expect(await other.blobs.get(name)).toBeUndefined();
        await other.blobs.put(Buffer.from('previous config'));
        expect(Buffer.from((await other.blobs.get(name)) ?? []).toString()).toBe('previous config');
        for (const one of [store, other]) await one.close();
      });
    });

    describe('what was done to it from outside', () => {
      const damages: readonly (readonly [string, string, (at: Stage, records: readonly string[]) => Promise<void>])[] = [
        ['an object that was cut off', 'BROKEN_CHAIN', async (at, [key = '']) => at.write(key, (await at.text(key)).slice(0, -20))],
        [
          'an object whose last record is missing',
          'BROKEN_CHAIN',
          async (at, [key = '']) => at.write(key, `${(await at.text(key)).split('\n')[0] ?? ''}\n`),
        ],
        ['an object that was changed', 'BROKEN_CHAIN', async (at, [key = '']) => at.write(key, (await at.text(key)).replace('"a"', '"x"'))],
        ['an object that is gone', 'BROKEN_CHAIN', (at, [, key = '']) => raw.delete(`${at.prefix}/${key}`)],
        ['the last object gone', 'BROKEN_CHAIN', (at, records) => raw.delete(`${at.prefix}/${records.at(-1) ?? ''}`)],
        ['an empty object', 'BROKEN_CHAIN', (at, [, key = '']) => at.write(key, '')],
        ['a head that was cut off', 'BROKEN_CHAIN', async (at) => at.write('head.json', (await at.text('head.json')).slice(0, 40))],
        ['a head that is gone', 'REWOUND', (at) => raw.delete(`${at.prefix}/head.json`)],
        ['a head that is something else', 'NOT_A_LEDGER', (at) => at.write('head.json', '{"name":"theirs"}')],
        [
          'a head of a newer engine',
          'TOO_NEW',
          async (at) => at.write('head.json', (await at.text('head.json')).replace('"version":1', '"version":2')),
        ],
      ];
      it.each(damages)('%s: %s', async (_name, code, damage) => {
        const at = stage();
        await written(at);
        await damage(at, await at.keys('records/'));
        const store = at.runner();
        expect(await codeOf(at.clock.run(store.read()))).toBe(code);
        const began = await at.text('head.json').catch(() => 'gone');
        const taking = await codeOf(at.clock.run(store.acquire('b')));
        if (code !== 'BROKEN_CHAIN' || began === 'gone') expect(taking).toBe(code);
        const anew = at.runner();
        const beginning = await codeOf(at.clock.run(anew.beginAnew?.() ?? Promise.resolve()));
        expect(beginning).toBe(code === 'BROKEN_CHAIN' || code === 'REWOUND' ? 'no error' : code);
        if (beginning === 'no error') await expectBegun(at, anew);
        for (const one of [store, anew]) await one.close();
      });

      it('a head that was put back to any earlier state, whoever looks', async () => {
        const at = stage();
        const seen = new Set<string>();
        const store = at.runner(async () => {
          const now = await at.clock.track(at.text('head.json').catch(() => null));
          if (now !== null) seen.add(now);
          return undefined;
        });
        for (const commit of ['a', 'b', 'c']) {
          const lease = await at.hold(store);
          await at.clock.run(appended(store, [passOf(commit)], lease.fencing));
          await at.clock.run(appended(store, [passOf(`${commit}2`)], lease.fencing));
          await at.clock.run(lease.release());
        }
        await store.read();
        const states = [...seen];
        const last = states.pop() ?? '';
        expect(states.length).toBeGreaterThan(9);
        for (const [index, state] of states.entries()) {
          await at.write('head.json', state);
          const other = at.runner();
          // The state right before the release says as much of the records as the last one.
          const expected = index === states.length - 1 ? 'no error' : 'REWOUND';
          expect(await codeOf(other.read()), `state ${index}`).toBe(expected);
          if (expected === 'REWOUND') expect(await codeOf(store.head())).toBe('REWOUND');
          await other.close();
        }
        await at.write('head.json', last);
        expect(commitsOf(await store.read())).toEqual(['a', 'a2', 'b', 'b2', 'c', 'c2']);
        await store.close();
      });

      it('everything gone: an empty ledger for who comes new, not for who has seen it', async () => {
        const at = stage();
        const store = at.runner();
        const lease = await at.hold(store);
        await at.clock.run(appended(store, [passOf('a')], lease.fencing));
        for (const key of await at.keys()) await raw.delete(`${at.prefix}/${key}`);
        expect(await codeOf(store.read())).toBe('REWOUND');
        expect(await codeOf(at.clock.run(store.append([passOf('b')], lease.fencing)))).toBe('REWOUND');
        const other = at.runner();
        expect(await other.read()).toEqual([]);
        await store.close();
        await other.close();
      });
    });
  });
}

/** Appends as soon as the head is the one that was read: what a runner with news does. */
async function insist(store: LedgerStore, body: RecordBody, fencing: number): Promise<void> {
  for (;;) {
    await store.read();
    const answer = await store.append([body], fencing);
    if (!('code' in answer)) return;
    if (answer.code !== 'MOVED') throw new Error(answer.message);
  }
}
