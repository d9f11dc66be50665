import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { changedTests, digestsOf, readPassed, textsOf, writePassed } from './changed-tests.ts';

/** What passed in this checkout, kept where nothing is committed. */
const PASSED = '.cache/check-passed.json';

/** Tests beside the code, and the rules of the house. */
function isChecked(path: string): boolean {
  return (path.startsWith('src/') && path.endsWith('.test.ts')) || path === 'test/architecture.test.ts';
}

/** Runs those of them of which something changed since they passed here; `npm test` runs all, whatever passed before. */
function main(): void {
  const texts = textsOf('.');
  const tests = [...texts.keys()].filter(isChecked);
  const before = digestsOf(tests, texts);
  const passed = readPassed(PASSED);
  const changed = changedTests(before, passed);
  if (changed.length === 0) return;
  const folder = mkdtempSync(join(tmpdir(), 'headgate-check-'));
  const report = join(folder, 'report.json');
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', ...changed.map((path) => resolve(path))];
  const env = { ...process.env, HEADGATE_TEST_REPORT: report };
  const { status } = spawnSync(process.execPath, vitest, { stdio: ['ignore', 'inherit', 'inherit'], env });
  const green = new Set(greenIn(report));
  rmSync(folder, { recursive: true, force: true });
  // What was edited meanwhile is not what ran.
  const after = digestsOf(tests, textsOf('.'));
  const kept = tests.flatMap((test) => {
    const digest = before.get(test) ?? '';
    const stands = passed[test] === digest || (green.has(test) && after.get(test) === digest);
    return stands ? [[test, digest] as const] : [];
  });
  writePassed(PASSED, Object.fromEntries(kept));
  process.exitCode = status ?? 1;
}

interface TestReport {
  readonly testResults: readonly { readonly name: string; readonly status: string }[];
}

function greenIn(report: string): readonly string[] {
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as TestReport;
    return testResults.filter(({ status }) => status === 'passed').map(({ name }) => relative('.', name));
  } catch {
    return [];
  }
}

main();
