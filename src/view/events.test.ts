import { describe, expect, it } from 'vitest';
import { deviceId } from '#model/ids.ts';
import { stepToName } from '#model/operation.ts';
import { closedText, operationText } from './events.ts';

const barn = deviceId('barn');

describe('one of several operations of an item', () => {
  it.each([
    { item: 'firmware', step: 'commit', completes: { step: 'update', healthySince: null }, named: 'commit' },
    { item: 'firmware', step: 'update', named: null },
    { item: 'identity', step: 'switch', named: 'switch' },
    { item: 'identity', step: 'withdraw-20251120T083000Z', named: 'withdraw-20251120T083000Z' },
    { item: 'identity', step: 'load-identity', named: null },
  ] as const)('$item by $step is told as $named', ({ named, ...operation }) => {
    expect(stepToName(operation)).toBe(named);
  });

  it('is told with its step when it is sent and when it ends', () => {
    const completes = { step: 'update', healthySince: null };
    const operation = {
      device: barn,
      item: 'firmware',
      step: 'commit',
      kind: 'change',
      declared: '2.0',
      expected: '1.0',
      completes,
    } as const;
    expect(operationText(operation)).toBe('barn firmware commit, 1.0 → 2.0');
    const closed = { device: barn, item: 'firmware', closing: 'failed', code: 'ROLLED_BACK' } as const;
    expect(closedText({ ...closed, step: 'commit' })).toBe('barn firmware commit failed ROLLED_BACK');
    expect(closedText(closed)).toBe('barn firmware failed ROLLED_BACK');
  });
});
