import { defineConfig } from 'vitest/config';
import { SkipReporter } from './test/support/reporter.ts';

const report = process.env['HEADGATE_TEST_REPORT'];

const suites = {
  unit: { include: ['src/**/*.test.ts', 'test/**/*.test.ts'], exclude: ['test/servers/**', 'test/long/**'], limitMs: 20_000, node: [] },
  servers: { include: ['test/servers/**/*.test.ts'], exclude: [], limitMs: 120_000, node: [] },
  // Where memory is measured, collections are called for, and what V8 sets aside for young objects must not grow in between.
  long: { include: ['test/long/**/*.test.ts'], exclude: [], limitMs: 1_800_000, node: ['--expose-gc', '--max-semi-space-size=4'] },
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
    projects: Object.entries(suites).map(([name, suite]) => ({
      test: {
        name,
        include: suite.include,
        exclude: suite.exclude,
        testTimeout: suite.limitMs,
        hookTimeout: suite.limitMs,
        execArgv: suite.node,
        env: { TZ: 'UTC' },
      },
    })),
  },
});
