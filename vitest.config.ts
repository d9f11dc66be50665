import { defineConfig } from 'vitest/config';
import { SkipReporter } from './test/support/reporter.ts';

const report = process.env['HEADGATE_TEST_REPORT'];

const suites = {
  unit: { include: ['src/**/*.test.ts', 'test/**/*.test.ts'], exclude: ['test/servers/**', 'test/long/**'], limitMs: 20_000 },
  servers: { include: ['test/servers/**/*.test.ts'], exclude: [], limitMs: 120_000 },
  long: { include: ['test/long/**/*.test.ts'], exclude: [], limitMs: 1_800_000 },
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
        env: { TZ: 'UTC' },
      },
    })),
  },
});
