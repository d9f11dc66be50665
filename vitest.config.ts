import { defineConfig } from 'vitest/config';
import { SkipReporter } from './test/support/reporter.ts';

interface Suite {
  readonly include: string[];
  readonly exclude?: string[];
  readonly limitMs: number;
  readonly setup?: string[];
  /** Read before each file of tests. */
  readonly before?: string[];
  readonly node?: string[];
  /** Whether each file has a process, and with it modules, of its own. */
  readonly isolate?: boolean;
}

const report = process.env['HEADGATE_TEST_REPORT'];

const suites: Readonly<Record<string, Suite>> = {
  // Half of what these cost was reading the same modules for each file anew. A file that changes what is global puts it
  // back. Young objects of a simulated fleet die within a pass: with room for a pass, few of them are copied.
  unit: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['test/servers/**', 'test/long/**'],
    limitMs: 20_000,
    node: ['--min-semi-space-size=32', '--max-semi-space-size=64'],
    isolate: false,
    before: ['test/support/property-seed.ts'],
  },
  servers: { include: ['test/servers/**/*.test.ts'], limitMs: 120_000, setup: ['test/servers/setup.ts'] },
  // Where memory is measured, collections are called for, and what V8 sets aside for young objects must not grow in between.
  long: { include: ['test/long/**/*.test.ts'], limitMs: 1_800_000, node: ['--expose-gc', '--max-semi-space-size=4'] },
};

/**
 * Three suites: `unit` needs nothing but npm packages, `servers` the programs of the test machine, `long` an hour.
 * HEADGATE_TEST_REPORT=FILE also writes vitest's JSON report, which .ci/run adds up.
 */
export default defineConfig({
  test: {
    reporters: [
      'default',
      new SkipReporter(),
      ...(report === undefined ? [] : [['json', { outputFile: report }] as ['json', { outputFile: string }]]),
    ],
    watch: false,
    // Left alone, vitest keeps one processor for itself: of two, half.
    maxWorkers: '100%',
    projects: Object.entries(suites).map(([name, suite]) => ({
      test: {
        name,
        include: suite.include,
        exclude: suite.exclude ?? [],
        globalSetup: suite.setup ?? [],
        setupFiles: suite.before ?? [],
        testTimeout: suite.limitMs,
        hookTimeout: suite.limitMs,
        // A second, vitest's own, is not enough for a socket on a machine that others use too.
        expect: { poll: { timeout: suite.limitMs / 2 } },
        execArgv: suite.node ?? [],
        isolate: suite.isolate ?? true,
        env: { TZ: 'UTC' },
      },
    })),
  },
});
