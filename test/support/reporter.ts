import type { Reporter, TestModule } from 'vitest/node';

/** The tests that did not run, by their full names: skipped, or left as a to-do. */
function skippedTests(modules: readonly TestModule[]): readonly string[] {
  const names: string[] = [];
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      if (test.result().state === 'skipped') names.push(`${module.relativeModuleId} > ${test.fullName}`);
    }
  }
  return names.toSorted();
}

/**
 * In CI a test that does not run is a failure: a suite that skips what it cannot do proves nothing. A run that a person
 * narrowed with `-t` skips the rest on purpose, so it is only named there.
 */
export class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = skippedTests(modules);
    if (skipped.length === 0 || process.env['CI'] === undefined) return;
    process.stderr.write(`\n${skipped.length} skipped, which is a failure in CI:\n${skipped.map((name) => `  ${name}\n`).join('')}`);
    process.exitCode = 1;
  }
}
