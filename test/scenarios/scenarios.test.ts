import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runScenario } from '#sim/scenario/runner.ts';
import { scenarioPorts } from '#test/support/scenario-ports.ts';

const FOLDER = import.meta.dirname;
const scripts = readdirSync(FOLDER).filter((name) => name.endsWith('.script'));

/**
 * The stories that a reviewer reads: what a script shows is compared with its .out file, which `npm run golden` rewrites.
 * Its `expect` lines are never rewritten: they must hold either way.
 */
describe('scenarios', () => {
  it('there are at least twelve', () => {
    expect(scripts.length).toBeGreaterThanOrEqual(12);
  });

  it.each(scripts)('%s', { timeout: 120_000 }, async (name) => {
    const { output, failures } = await runScenario(readFileSync(join(FOLDER, name), 'utf8'), scenarioPorts({ seed: 1 }));
    expect(failures, output).toEqual([]);
    const golden = join(FOLDER, name.replace(/\.script$/, '.out'));
    if (process.env['GOLDEN'] === 'write') writeFileSync(golden, output);
    expect(output).toBe(readFileSync(golden, 'utf8'));
  });
});
