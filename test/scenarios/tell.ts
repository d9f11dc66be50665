import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runScenario } from '#sim/scenario/runner.ts';
import { scenarioPorts } from '#test/support/scenario-ports.ts';

const FOLDER = import.meta.dirname;

/** Beginnings of names; what begins otherwise is of no one family, and told in scenarios.test.ts. */
export const SCENARIOS_OF = {
  campbell: ['loggers-', 'certificates-', 'endpoint-', 'trust-'],
  canedge: ['canedge-'],
  chariot: ['gateways-'],
  drogue: ['nodes-'],
  mongoose: ['boards-'],
  shadows: ['shadows-', 'twins-'],
} as const;

/** Names of scripts, sorted. */
export function scriptsNamed(fits: (name: string) => boolean): readonly string[] {
  return readdirSync(FOLDER).filter((name) => name.endsWith('.script') && fits(name));
}

/**
 * The stories that a reviewer reads: what a script shows is compared with its .out file, which `npm run golden` rewrites.
 * Its `expect` lines are never rewritten: they must hold either way. One test file for each part, so that they run side by side.
 */
export function tellScenarios(part: string, scripts: readonly string[]): void {
  describe(`scenarios of ${part}`, () => {
    it('has scripts', () => {
      expect(scripts).not.toEqual([]);
    });

    it.each(scripts)('%s', { timeout: 120_000 }, async (name) => {
      const { output, failures } = await runScenario(readFileSync(join(FOLDER, name), 'utf8'), scenarioPorts({ seed: 1 }));
      expect(failures, output).toEqual([]);
      const golden = join(FOLDER, name.replace(/\.script$/, '.out'));
      if (process.env['GOLDEN'] === 'write') writeFileSync(golden, output);
      expect(output).toBe(readFileSync(golden, 'utf8'));
    });
  });
}
