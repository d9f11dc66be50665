import { describe, expect, it } from 'vitest';
import { deviceId, groupName, operationId, releaseId } from '#model/ids.ts';
import type { Operation } from '#model/operation.ts';
import type { Admitted } from '#model/rollout.ts';
import type { Driver, DriverOutcome, Precheck } from '#ports/driver.ts';
import type { Lease } from '#ports/ledger.ts';
import { SILENT_LOG } from '#ports/log.ts';
import { WireError } from '#ports/wire-error.ts';
import { VirtualClock } from '#sim/clock.ts';
import { syntheticDeclared } from '#test/support/synthetic.ts';
import { execute } from './execute.ts';
import type { ExecuteInput } from './execute.ts';
import { retryDelayMs } from './retry.ts';

const declared = syntheticDeclared({ devices: 3, groups: 1 });

function admitted(row: number, step: string, notBefore = 0): Admitted {
  const device = declared.deviceAt(row);
  const operation: Operation = {
    id: operationId(`${device.id} ${step}`),
    device: device.id,
    family: 'synthetic',
    connection: 'field',
    hardware: device.hardware,
    group: groupName('group-0'),
    release: releaseId('r'),
    occasion: 0,
    cause: 'rollout',
    item: 'firmware',
    step,
    kind: 'change',
    delivery: 'push',
    declared: 'new',
    expected: 'old',
    facts: null,
    content: null,
    deadlineMs: 1000,
    effects: [],
    disturbs: true,
  };
  return { operation, attempt: 1, notBefore };
}

interface Bench {
  readonly calls: string[];
  readonly clock: VirtualClock;
  readonly input: ExecuteInput;
}

function bench(options: {
  readonly admitted: readonly Admitted[];
  readonly precheck?: (operation: Operation) => Precheck;
  readonly perform?: (operation: Operation, signal: AbortSignal, clock: VirtualClock) => Promise<DriverOutcome>;
  readonly lease?: Partial<Lease>;
}): Bench {
  const clock = new VirtualClock(0);
  const calls: string[] = [];
  const driver: Driver = {
    observe: () => Promise.resolve({ reports: [], troubles: [] }),
    precheck: (operation) => Promise.resolve(options.precheck?.(operation) ?? { kind: 'clear' }),
    perform: async (operation, _open, { signal }) => {
      calls.push(`${operation.id} at ${clock.now()}`);
      await clock.sleep(10);
      return options.perform?.(operation, signal, clock) ?? { kind: 'performed', reference: clock.now(), undo: null };
    },
    close: () => Promise.resolve(),
  };
  const lease: Lease = {
    fencing: 7,
    leftMs: () => 90_000,
    renew: () => Promise.resolve(true),
    release: () => Promise.resolve(),
    ...options.lease,
  };
  return {
    calls,
    clock,
    input: {
      admitted: options.admitted,
      deviceFor: ({ device }) => {
        const row = declared.rowOf(device);
        return row === undefined ? undefined : { device: declared.deviceAt(row), reported: undefined };
      },
      open: () => null,
      driverOf: () => driver,
      lease,
      clock,
      wireClock: clock,
      log: SILENT_LOG,
    },
  };
}

const idOf = (row: number): string => deviceId(declared.deviceAt(row).id);

describe('execute', () => {
  it('answers in the order of what was admitted, and waits for the instant of each', async () => {
    const { calls, clock, input } = bench({ admitted: [admitted(1, 'a', 5000), admitted(0, 'b', 0)] });
    const outcomes = await clock.run(execute(input));
    expect(outcomes.map((one) => one.admitted.operation.step)).toEqual(['a', 'b']);
    expect(calls).toEqual([`${idOf(0)} b at 0`, `${idOf(1)} a at 5000`]);
  });

  it('does one operation at a time on a device, in their order', async () => {
    const { calls, clock, input } = bench({ admitted: [admitted(0, 'first'), admitted(0, 'second'), admitted(1, 'other')] });
    await clock.run(execute(input));
    expect(calls.toSorted()).toEqual([`${idOf(0)} first at 0`, `${idOf(0)} second at 10`, `${idOf(1)} other at 0`].toSorted());
  });

  it('performs nothing that the precheck found done or refused', async () => {
    const { calls, clock, input } = bench({
      admitted: [admitted(0, 'done'), admitted(1, 'moved')],
      precheck: ({ step }) =>
        step === 'done'
          ? { kind: 'already', reference: 3, undo: null }
          : { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: 'somebody else was there' },
    });
    const outcomes = await clock.run(execute(input));
    expect(outcomes.map((one) => one.result.kind)).toEqual(['already', 'refused']);
    expect(calls).toEqual([]);
  });

  it('makes a broken wire an outcome with the instant of the next attempt', async () => {
    const { clock, input } = bench({
      admitted: [admitted(0, 'a')],
      perform: () => Promise.reject(new WireError('ECONNREFUSED', 'later', 'nobody listens')),
    });
    const [outcome] = await clock.run(execute(input));
    expect(outcome?.result).toMatchObject({ kind: 'trouble', code: 'ECONNREFUSED' });
    const retryAt = outcome?.result.kind === 'trouble' ? outcome.result.retryAt : 0;
    expect(retryAt).toBeGreaterThanOrEqual(60_000);
    expect(retryAt).toBeLessThanOrEqual(75_010);
  });

  it('lets a bug through: only broken wires are outcomes', async () => {
    const { clock, input } = bench({ admitted: [admitted(0, 'a')], perform: () => Promise.reject(new TypeError('a bug')) });
    await expect(clock.run(execute(input))).rejects.toThrow('a bug');
  });

  it('calls off a perform that takes longer than its limit', async () => {
    const { clock, input } = bench({
      admitted: [admitted(0, 'a')],
      perform: async (_operation, signal, time) => {
        await time.sleep(3_600_000, signal);
        return { kind: 'performed', reference: 0, undo: null };
      },
    });
    const [outcome] = await clock.run(execute(input));
    expect(outcome?.result).toMatchObject({ kind: 'trouble', code: 'TIMEOUT' });
    expect(clock.now()).toBeLessThan(60_000);
  });

  it('begins nothing with less lease left than one perform may take', async () => {
    const { calls, clock, input } = bench({
      admitted: [admitted(0, 'a'), admitted(1, 'b')],
      lease: { leftMs: () => 10_000, renew: () => Promise.resolve(false) },
    });
    const outcomes = await clock.run(execute(input));
    expect(calls).toEqual([]);
    expect(outcomes.map((one) => (one.result.kind === 'trouble' ? one.result.code : one.result.kind))).toEqual([
      'LEASE_LOST',
      'LEASE_LOST',
    ]);
  });
});

describe('retryDelayMs', () => {
  it.each([
    ['now', 1, 0, 0],
    ['later', 1, 60_000, 75_000],
    ['later', 3, 240_000, 300_000],
    ['later', 30, 3_600_000, 4_500_000],
    ['never', 1, 3_600_000, 3_600_000],
  ] as const)('%s, attempt %i: between %i and %i ms', (retry, attempt, least, most) => {
    const delay = retryDelayMs({ retry, attempt, operation: operationId('x') });
    expect(delay).toBeGreaterThanOrEqual(least);
    expect(delay).toBeLessThanOrEqual(most);
  });
});
