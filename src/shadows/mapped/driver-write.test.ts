import { expect, it } from 'vitest';
import { serviceOfOne } from '#test/support/shadow-service.ts';
import type { Json } from '#kit/canonical.ts';
import type { JsonObject } from '#model/shadow.ts';
import { performWrite, type WriteTarget } from '#shadows/driver-write.ts';
import { mappedWriting } from './driver-write.ts';
import { withdrawalOf } from './operations.ts';

const WRITING = mappedWriting(() => 'fleet');
const FACTS = {
  writes: [
    { pointer: '/fw/version', kind: 'value', value: '2.0' },
    { pointer: '/fw/url', kind: 'url', template: '{url}' },
  ],
  settings: {},
  patienceMs: 60_000,
  lostAfterMs: 60_000,
};

function target(facts: Json, change: JsonObject = {}, open: object | null = null, heardAt = 0): WriteTarget {
  const operation = { kind: 'change', hardware: 'h', connection: 'iot', device: 'd', item: 'firmware', declared: '2.0', expected: '1.0' };
  const options = { firmware: { reported: '/version', desired: { '/fw/version': '{version}', '/fw/url': '{url}' } }, urlLife: '1h' };
  const context = {
    device: { id: 'd', address: null, hardware: 'h', serial: null, model: 'gw', options, via: { connection: 'iot' } },
    reported: { heardAt },
    content: { name: 'fw.bin' },
    signal: new AbortController().signal,
  };
  return { operation: { ...operation, facts, ...change }, open, context } as unknown as WriteTarget;
}

it.each<[string, JsonObject | undefined]>([
  ['nothing', undefined],
  ['what was there before', { fw: { version: '1.0' } }],
])('leaves in desired %s once an offer whose URL was renewed is withdrawn', async (_what, before) => {
  const service = serviceOfOne({ thing: 'd', shadow: 'fleet' }, { reported: { version: '1.0' } });
  if (before !== undefined) service.write({ desired: before });
  const { ports } = service;
  const open = { attempt: 1, intendedAt: service.now(), reference: null, takenAt: null, undo: null, lastTrouble: null };
  const first = await performWrite(ports, target(FACTS), WRITING);
  if (first.kind !== 'performed') throw new Error('the first was not made');
  service.sleep(3 * 3600);
  const again = { ...open, attempt: 2, reference: first.reference, undo: first.undo, lastTrouble: 'URL_EXPIRED' };
  const second = await performWrite(ports, target(FACTS, {}, again, service.now() - 1), WRITING);
  if (second.kind !== 'performed') throw new Error('the second was not made');
  expect(service.updates[1]?.desired).toEqual({ fw: { url: 'https://files/1' } });
  const [withdrawal] = withdrawalOf({ ...again, operation: target(FACTS).operation, undo: second.undo } as never);
  await performWrite(ports, target(withdrawal?.facts ?? null, { kind: 'withdraw', cause: 'withdrawal' }), WRITING);
  expect(JSON.stringify(service.desired() ?? {})).not.toContain('2.0');
  expect(service.desired()).toMatchObject(before ?? {});
});
