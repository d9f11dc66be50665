import { afterEach, describe, expect, it } from 'vitest';
import { sha256 } from '#kit/digest.ts';
import { verifyChain } from '#ledger/chain.ts';
import { LEASE_TTL_MS } from '#ledger/lease.ts';
import { deviceId, digest } from '#model/ids.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { AppendProblem, Lease, LedgerStore } from '#ports/ledger.ts';
import { VirtualClock } from '#sim/clock.ts';

/** One storage, on which any number of handles can be opened: as many processes as share a ledger. */
export interface LedgerStorage {
  handle(clock: VirtualClock): LedgerStore;
  clean(): Promise<void>;
}

const START = Date.UTC(2026, 10, 21);

function passBody(commit: string): RecordBody {
  return { type: 'pass', commit, tree: digest('0'.repeat(64)), engine: '0.1.0', planned: 0, at: START };
}

function report(device: string, value: string): ReportedDevice {
  return {
    device: deviceId(device),
    serial: '70681',
    model: 'CR1000X',
    heardAt: START,
    online: null,
    gapMs: null,
    problem: null,
    items: { firmware: { kind: 'value', value, facts: { nested: [1, null, 'ø'] }, madeNotBefore: START, source: 'test' } },
    measures: { battery: { value: '12.4', madeNotBefore: null } },
    signs: [],
    memo: { etag: 'abc' },
  };
}

function isAppended(answer: readonly LedgerRecord[] | AppendProblem): answer is readonly LedgerRecord[] {
  return Array.isArray(answer);
}

/** The records of an append that must succeed. */
export async function appended(store: LedgerStore, bodies: readonly RecordBody[], fencing: number): Promise<readonly LedgerRecord[]> {
  const answer = await store.append(bodies, fencing);
  if (!isAppended(answer)) throw new Error(`${answer.code}: ${answer.message}`);
  return answer;
}

async function problemOf(store: LedgerStore, bodies: readonly RecordBody[], fencing: number): Promise<string> {
  const answer = await store.append(bodies, fencing);
  return isAppended(answer) ? 'appended' : answer.code;
}

/** What every ledger store must do, whatever it is made of. */
export function ledgerContract(name: string, open: () => Promise<LedgerStorage>): void {
  describe(`the ledger store ${name}`, () => {
    const opened: { readonly storage: LedgerStorage; readonly handles: LedgerStore[] }[] = [];

    afterEach(async () => {
      for (const { storage, handles } of opened.splice(0)) {
        for (const handle of handles) await handle.close();
        await storage.clean();
      }
    });

    async function setUp(): Promise<{ readonly clock: VirtualClock; readonly handle: () => LedgerStore }> {
      const storage = await open();
      const clock = new VirtualClock(START);
      const handles: LedgerStore[] = [];
      opened.push({ storage, handles });
      const handle = (): LedgerStore => {
        const store = storage.handle(clock);
        handles.push(store);
        return store;
      };
      return { clock, handle };
    }

    async function hold(clock: VirtualClock, store: LedgerStore, holder = 'a'): Promise<Lease> {
      const answer = await clock.run(store.acquire(holder));
      if (answer.kind !== 'held') throw new Error(`busy: ${answer.holder}`);
      return answer.lease;
    }

    it('begins empty', async () => {
      const { handle } = await setUp();
      const store = handle();
      expect(await store.head()).toEqual({ seq: 0, hash: null });
      expect(await store.read()).toEqual([]);
      expect(await store.reports.load()).toEqual([]);
      expect(await store.blobs.get(digest('0'.repeat(64)))).toBeUndefined();
    });

    it('numbers and chains what is appended, and reads it back equal through every handle', async () => {
      const { clock, handle } = await setUp();
      const [first, second] = [handle(), handle()];
      const { fencing } = await hold(clock, first);
      const genesis: RecordBody = { type: 'genesis', ledger: 'upland', fleet: 'upland-network', engine: '0.1.0' };
      const one = await appended(first, [genesis, passBody('a')], fencing);
      expect(await second.read()).toEqual(one);
      const two = await appended(first, [passBody('ø "quoted" \u2028 \ud800')], fencing);
      expect(await appended(first, [], fencing)).toEqual([]);
      const all = [...one, ...two];
      expect(all.map(({ seq, prev }) => [seq, prev])).toEqual([
        [1, null],
        [2, all[0]?.hash],
        [3, all[1]?.hash],
      ]);
      expect(all.map(({ body }) => body)).toEqual([genesis, passBody('a'), passBody('ø "quoted" \u2028 \ud800')]);
      for (const store of [first, second, handle()]) {
        expect(await store.read()).toEqual(all);
        expect(await store.head()).toEqual({ seq: 3, hash: all[2]?.hash });
      }
      expect(verifyChain(all)).toEqual({ ok: true, value: { seq: 3, hash: all[2]?.hash } });
    });

    it('hands out records that do not change under whoever holds them', async () => {
      const { clock, handle } = await setUp();
      const store = handle();
      const { fencing } = await hold(clock, store);
      const bodies = [passBody('a')];
      await appended(store, bodies, fencing);
      bodies[0] = passBody('changed later');
      const before = await store.read();
      await appended(store, [passBody('b')], fencing);
      expect(before.length).toBe(1);
      expect((await store.read()).map(({ body }) => body)).toEqual([passBody('a'), passBody('b')]);
    });

    it('refuses an append with a fencing number that is not that of the lease', async () => {
      const { clock, handle } = await setUp();
      const [first, second] = [handle(), handle()];
      const old = await hold(clock, first);
      await appended(first, [passBody('a')], old.fencing);
      await old.release();
      const young = await hold(clock, second, 'b');
      expect(young.fencing).toBeGreaterThan(old.fencing);
      expect(await problemOf(first, [passBody('stale')], old.fencing)).toBe('FENCED');
      expect(await problemOf(first, [passBody('forged')], young.fencing + 1)).toBe('FENCED');
      await second.read();
      await appended(second, [passBody('b')], young.fencing);
      expect((await first.read()).map(({ body }) => body)).toEqual([passBody('a'), passBody('b')]);
    });

    it('refuses an append when the head is not the one that was last seen, until it is read again', async () => {
      const { clock, handle } = await setUp();
      const [first, second] = [handle(), handle()];
      const { fencing } = await hold(clock, first);
      await first.read();
      await appended(second, [passBody('a')], fencing);
      expect(await problemOf(first, [passBody('b')], fencing)).toBe('MOVED');
      await first.read();
      expect((await appended(first, [passBody('b')], fencing)).map(({ seq }) => seq)).toEqual([2]);
    });

    it('gives a released lease at once, and to one of two only', async () => {
      const { clock, handle } = await setUp();
      const [first, second] = [handle(), handle()];
      const lease = await hold(clock, first);
      expect(lease.leftMs()).toBe(LEASE_TTL_MS);
      await lease.release();
      expect(lease.leftMs()).toBe(0);
      expect(await lease.renew()).toBe(false);
      const began = clock.now();
      const answers = await clock.run(Promise.all([first.acquire('a'), second.acquire('b')]));
      expect(answers.filter((answer) => answer.kind === 'held').length).toBe(1);
      expect(clock.now()).toBe(began);
      await lease.release();
      const [held] = answers.flatMap((answer) => (answer.kind === 'held' ? [answer.lease] : []));
      expect(await held?.renew(), 'an old holder that releases again frees nothing').toBe(true);
    });

    it('lets a contender wait for one TTL, no less, for a holder that is silent', async () => {
      const { clock, handle } = await setUp();
      const lease = await hold(clock, handle(), 'dead');
      await clock.advance(40_000);
      const began = clock.now();
      const taken = await hold(clock, handle(), 'b');
      expect(clock.now() - began).toBeGreaterThanOrEqual(LEASE_TTL_MS);
      expect(clock.now() - began).toBeLessThan(LEASE_TTL_MS + 2000);
      expect(taken.fencing).toBe(lease.fencing + 1);
      expect(lease.leftMs()).toBe(0);
      expect(await lease.renew()).toBe(false);
      expect(await taken.renew()).toBe(true);
    });

    it('does not let a late release free what another holds', async () => {
      const { clock, handle } = await setUp();
      const lease = await hold(clock, handle(), 'slow');
      const taken = await hold(clock, handle(), 'b');
      await lease.release();
      expect(await taken.renew()).toBe(true);
      const began = clock.now();
      await hold(clock, handle(), 'c');
      expect(clock.now() - began).toBeGreaterThanOrEqual(LEASE_TTL_MS);
    });

    it('says busy as soon as the holder is seen to renew', async () => {
      const { clock, handle } = await setUp();
      const lease = await hold(clock, handle(), 'alive');
      const began = clock.now();
      const contender = handle().acquire('b');
      const renewing = clock.sleep(20_000).then(() => lease.renew());
      expect(await clock.run(contender)).toEqual({ kind: 'busy', holder: 'alive' });
      expect(await renewing).toBe(true);
      expect(clock.now() - began).toBeLessThanOrEqual(22_000);
      expect(lease.leftMs()).toBeGreaterThan(LEASE_TTL_MS - 3000);
    });

    it('takes over when the holder releases while it is watched', async () => {
      const { clock, handle } = await setUp();
      const lease = await hold(clock, handle(), 'a');
      const contender = handle().acquire('b');
      void clock.sleep(30_000).then(() => lease.release());
      expect((await clock.run(contender)).kind).toBe('held');
      expect(clock.now() - START).toBeLessThan(32_000);
    });

    it('stops to wait for the lease when aborted', async () => {
      const { clock, handle } = await setUp();
      await hold(clock, handle(), 'a');
      const abort = new AbortController();
      const contender = handle().acquire('b', abort.signal);
      void clock.sleep(5000).then(() => abort.abort(new Error('stopped')));
      await expect(clock.run(contender)).rejects.toThrow('stopped');
    });

    it('keeps the newest report of each device, beside the chain', async () => {
      const { clock, handle } = await setUp();
      const [first, second] = [handle(), handle()];
      const { fencing } = await hold(clock, first);
      await appended(first, [passBody('a')], fencing);
      await first.reports.save([report('b', '1'), report('a', '1')], START);
      await second.reports.save([report('b', '2')], START + 1);
      for (const store of [first, second]) expect(await store.reports.load()).toEqual([report('a', '1'), report('b', '2')]);
      expect((await second.head()).seq).toBe(1);
    });

    it('keeps bytes by their digest', async () => {
      const { handle } = await setUp();
      const [first, second] = [handle(), handle()];
      const bytes = Uint8Array.from([0, 1, 255, 10]);
      const empty = new Uint8Array();
      const [known, none] = [await first.blobs.put(bytes), await first.blobs.put(empty)];
      expect([known, none]).toEqual([sha256(bytes), sha256(empty)]);
      expect(await first.blobs.put(bytes)).toBe(known);
      bytes[0] = 9;
      expect(Uint8Array.from((await second.blobs.get(known)) ?? [])).toEqual(Uint8Array.from([0, 1, 255, 10]));
      expect((await second.blobs.get(none))?.length).toBe(0);
    });
  });
}
