import { describe, expect, it } from 'vitest';
import { expectTold } from '#test/short-runs/expected.ts';
import { tell } from '#test/short-runs/story.ts';

/** More devices, so that each wave has several and the ledger many pages of the story. */
const SHAPE = { loggers: 12, vans: 8, rollout: 'waves', soak: '1h' } as const;

describe('a story of upgrade, halt, revert and rollback', () => {
  it('told by many short runs with the ledger in git ends as under one process with sqlite', async () => {
    const [short, long] = await Promise.all([tell({ shape: SHAPE, runs: 'short' }), tell({ shape: SHAPE, runs: 'long' })]);
    process.stdout.write(
      `short runs: ${short.processes} processes, ${short.operations.length} operations; one process: ${long.runs} passes\n`,
    );
    expect(short.processes).toBe(short.runs);
    expect(short.operations).toEqual(long.operations);
    expect(short.end).toEqual(long.end);
    expectTold(short);
    expect(short.main.now).toBe(short.main.merged);
    expect(short.main.denied).toContain('main is protected');
  });
});
