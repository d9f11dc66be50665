import { expect, it } from 'vitest';
import { serviceOfOne } from '#test/support/shadow-service.ts';
import type { Json } from '#kit/canonical.ts';
import type { JsonObject } from '#model/shadow.ts';
import { performWrite, type WriteTarget } from '#shadows/driver-write.ts';
import { WRITING } from './driver-write.ts';
import { withdrawalOf } from './operations.ts';

const FACTS = {
  key: 'firmware',
  leaves: { want: '2.0.0' },
  urls: {},
  proven: true,
  failed: [],
  agent: null,
  patienceMs: 60_000,
  lostAfterMs: 60_000,
};

function target(facts: Json, change: JsonObject = {}, open: object | null = null): WriteTarget {
  const operation = {
    kind: 'change',
    hardware: 'h',
    connection: 'iot',
    device: 'gw-1',
    item: 'firmware',
    declared: '2.0.0',
    expected: '1.0.0',
  };
  const context = {
    device: { id: 'gw-1', address: null, hardware: 'h', serial: null, model: 'gw', options: {}, via: { connection: 'iot' } },
    content: { name: 'gw.bin' },
    signal: new AbortController().signal,
  };
  return { operation: { ...operation, facts, ...change }, open, context } as unknown as WriteTarget;
}

it.each<[string, JsonObject | undefined]>([
  ['nothing', undefined],
  ['what lay there before, whole', { firmware: { want: '0.9.0', note: 'by hand' } }],
])('leaves in the mailbox %s once an offer that was given twice is withdrawn', async (_what, before) => {
  const service = serviceOfOne({ thing: 'gw-1', shadow: null }, { reported: { firmware: { want: '1.0.0', running: '1.0.0' } } });
  if (before !== undefined) service.write({ desired: before });
  service.sleep(60);
  const { ports } = service;
  const open = { attempt: 1, intendedAt: service.now(), reference: null, takenAt: null, undo: null, lastTrouble: null };
  const first = await performWrite(ports, target(FACTS), WRITING);
  if (first.kind !== 'performed') throw new Error('the first was not made');
  service.sleep(400);
  // Its delta was lost: the same once more, named again so that the service makes a delta of it.
  const again = { ...open, attempt: 2, reference: first.reference, undo: first.undo, lastTrouble: 'DELTA_LOST' };
  const second = await performWrite(ports, target(FACTS, {}, again), WRITING);
  if (second.kind !== 'performed') throw new Error('the second was not made');
  expect(service.updates.map(({ desired }) => desired)[1]).toEqual({ firmware: { want: '2.0.0' } });
  const [withdrawal] = withdrawalOf({ ...again, operation: target(FACTS).operation, undo: second.undo } as never);
  await performWrite(ports, target(withdrawal?.facts ?? null, { kind: 'withdraw', cause: 'withdrawal' }), WRITING);
  expect(service.desired()).toEqual(before);
});

it('tells the agent to fetch, and nothing of an order that lies there still', async () => {
  const service = serviceOfOne({ thing: 'gw-1', shadow: null }, { reported: { firmware: { want: '1.0.0', running: '1.0.0' } } });
  service.write({ desired: { agent: { nonce: 'an-order-1', order: 'reprovision' } } });
  service.sleep(600);
  const open = {
    attempt: 3,
    intendedAt: service.now() - 500_000,
    reference: service.now() - 500_000,
    takenAt: null,
    lastTrouble: 'LIVELOCK',
  };
  const undo = { version: 1, at: service.now() - 500_000, inverse: {}, expires: null, tries: 2, nudged: false };
  const facts = { ...FACTS, agent: 'agent' };
  expect(await performWrite(service.ports, target(facts, {}, { ...open, undo }), WRITING)).toMatchObject({ kind: 'performed' });
  expect(service.desired()).toEqual({ firmware: { want: '2.0.0' }, agent: { nonce: expect.stringMatching(/-3$/) } });
});
