import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LedgerError } from '#ports/ledger.ts';
import { VirtualClock } from '#sim/clock.ts';
import { type SimBucket, runner, simBucket } from '#test/support/s3-ledger.ts';
import { s3LedgerCases } from './ledger-s3-cases.ts';
import { ledgerContract } from './ledger.ts';

ledgerContract('s3', async () => {
  const bucket = await simBucket();
  return { handle: (clock) => runner(bucket, clock), clean: () => bucket.close() };
});

s3LedgerCases('our own server', simBucket, { appends: 200, shared: { appends: 40, runners: 4 }, races: 20, stride: 1 });

describe('a server that ignores conditions', () => {
  let bucket: SimBucket;

  beforeAll(async () => {
    bucket = await simBucket();
  });
  afterAll(() => bucket.close());

  it('gets no ledger: NO_CONDITIONS, and nothing stays behind', async () => {
    bucket.server.faults.ignoreConditions = true;
    const clock = new VirtualClock(0);
    const store = runner(bucket, clock);
    const refused = await clock.run(store.acquire('a')).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(LedgerError);
    expect(refused).toMatchObject({ code: 'NO_CONDITIONS' });
    expect(bucket.server.store.list('ledgers', { prefix: '', delimiter: '', after: '', skip: '', maxKeys: 10 }).keys).toEqual([]);
    expect(await store.read(), 'to look is harmless').toEqual([]);
    bucket.server.faults.clear();
    expect((await clock.run(store.acquire('a'))).kind, 'a verdict is not kept when the server was mended').toBe('held');
    await store.close();
  });

  it('is known by its own word too, and a server that fails is not called one', async () => {
    const clock = new VirtualClock(0);
    const takeBack = bucket.server.faults.add({ kind: 'slow-down' }, { operations: ['PutObject'], times: 2 });
    const store = runner(bucket, clock, { prefix: 'busy' });
    expect((await clock.run(store.acquire('a'))).kind).toBe('held');
    takeBack();
    bucket.server.faults.add({ kind: 'deny' }, { operations: ['PutObject'] });
    const other = runner(bucket, clock, { prefix: 'denied' });
    await expect(clock.run(other.acquire('a'))).rejects.toMatchObject({ code: 'S3_403' });
    bucket.server.faults.clear();
    await store.close();
    await other.close();
  });
});
