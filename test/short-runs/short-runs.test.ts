import { describe, expect, it } from 'vitest';
import { expectTold } from './expected.ts';
import { tell } from './story.ts';

/** The fewest devices with which three waves have members. test/long tells the story with more. */
const SHAPE = { loggers: 4, vans: 2, rollout: 'waves', soak: '5m' } as const;

describe('a story of upgrade, halt, revert and rollback', () => {
  it('told by many short runs with the ledger in git ends as under one process with sqlite', { timeout: 120_000 }, async () => {
    const [short, long] = await Promise.all([tell({ shape: SHAPE, runs: 'short' }), tell({ shape: SHAPE, runs: 'long' })]);
    expect(long.processes).toBe(1);
    expect(short.processes).toBe(short.runs);
    expect(short.runs).toBeGreaterThan(15);
    expect(short.operations).toEqual(long.operations);
    expect(short.end).toEqual(long.end);
    expectTold(short);
    expect(short.main.now).toBe(short.main.merged);
    expect(short.main.denied).toContain('main is protected');
  });
});
