import { describe, expect, test } from 'vitest';
import { inProcessGet, answeringS3 } from '#sim/in-process-get.ts';
import { VirtualClock } from '#sim/clock.ts';
import { objectStoreContract } from '#test/contract/object-store.ts';
import { makeS3Endpoint } from './endpoint.ts';
import { makeS3Faults } from './faults.ts';
import { makeMemoryObjects, SIM_S3_URL } from './objects.ts';
import { makeS3Store } from './store.ts';

const START = Date.parse('2026-11-24T08:00:00.750Z');

function world() {
  const clock = new VirtualClock(START);
  const store = makeS3Store({ clock, buckets: ['b'] });
  const faults = makeS3Faults();
  return { clock, store, faults, objects: makeMemoryObjects(store, 'b', { faults }) };
}

objectStoreContract('objects in memory', () => {
  const { clock, store, objects } = world();
  const get = inProcessGet([answeringS3(SIM_S3_URL, makeS3Endpoint({ clock, store }))]);
  return Promise.resolve({
    store: objects,
    prefixed: (prefix) => Promise.resolve(makeMemoryObjects(store, 'b', prefix)),
    missing: () => Promise.resolve(makeMemoryObjects(store, 'none')),
    fetch: (url) => get(url),
    now: () => clock.now(),
    close: () => Promise.resolve(),
  });
});

describe('objects in memory', () => {
  test.for([
    ['slow-down', 'S3_503', 'later', false],
    ['internal-error', 'S3_500', 'later', false],
    ['deny', 'S3_403', 'never', false],
    ['reset-before', 'ECONNRESET', 'later', false],
    ['reset-after', 'ECONNRESET', 'later', true],
    ['lost-response', 'TIMEOUT', 'later', true],
  ] as const)('%s is %s, %s', async ([kind, code, retry, applied]) => {
    const { objects, faults, store } = world();
    faults.add({ kind }, { times: 1 });
    await expect(objects.put('k', Buffer.from('x'))).rejects.toMatchObject({ name: 'WireError', code, retry });
    expect(store.get('b', 'k') !== undefined).toBe(applied);
    await expect(objects.put('k', Buffer.from('x'))).resolves.toHaveProperty('etag');
  });

  test('a stale list, a delay, and a store that ignores conditions', async () => {
    const { objects, faults, store, clock } = world();
    faults.add({ kind: 'stale-list', view: store.snapshot() });
    await objects.put('k', Buffer.from('one'));
    expect((await objects.list({ prefix: '' })).objects).toEqual([]);
    faults.clear();
    expect((await objects.list({ prefix: '' })).objects).toHaveLength(1);
    expect(await objects.put('k', Buffer.from('two'), { ifAbsent: true })).toBe('conflict');
    faults.ignoreConditions = true;
    expect(await objects.put('k', Buffer.from('two'), { ifAbsent: true })).toHaveProperty('etag');
    faults.add({ kind: 'delay', ms: 2000 });
    await clock.run(objects.head('k'));
    expect(clock.now()).toBe(START + 2000);
  });

  test('bytes that were handed in or out can be changed without changing the object', async () => {
    const { objects } = world();
    const mine = Buffer.from('abc');
    await objects.put('k', mine);
    mine.fill(0);
    const first = await objects.get('k');
    if (typeof first === 'string') throw new Error(first);
    first.bytes.fill(0);
    expect(await objects.get('k')).toMatchObject({ bytes: Uint8Array.from(Buffer.from('abc')) });
  });

  test('Last-Modified is the clock in whole seconds', async () => {
    const { objects, clock } = world();
    await objects.put('k', Buffer.from('x'));
    expect(await objects.head('k')).toMatchObject({ lastModified: START - 750 });
    await clock.advance(250);
    await objects.put('k', Buffer.from('x'));
    expect(await objects.head('k')).toMatchObject({ lastModified: START + 250 });
  });

  test('requests are counted by kind', async () => {
    const { objects, store } = world();
    await objects.put('k', Buffer.from('x'));
    await objects.get('k');
    await objects.get('none');
    expect(Object.fromEntries(store.requests)).toEqual({ PutObject: 1, GetObject: 2 });
  });
});
