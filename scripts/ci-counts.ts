/**
 * What a suite's report counts, for .ci/run: `node scripts/ci-counts.ts REPORT STATUS SUITE FAILURES` prints
 * `PASSED FAILED` of vitest's JSON report, and adds to the file FAILURES what each failed test said.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

interface Test {
  readonly status: string;
  readonly fullName: string;
  readonly failureMessages?: readonly string[];
}

interface File {
  readonly name: string;
  readonly status: string;
  readonly message?: string;
  readonly assertionResults: readonly Test[];
}

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly File[];
}

const MESSAGE_LINES = 12;

function readReport(path: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}

function told(place: string, message: string): string {
  const lines = message.split('\n').slice(0, MESSAGE_LINES);
  return [place, ...lines.map((line) => `    ${line}`)].join('\n');
}

/** One entry per failed test, and one per file that failed without one: it could not be loaded, so nothing of it was proven. */
function failuresOf(file: File): readonly string[] {
  const path = relative(process.cwd(), file.name);
  const failed = file.assertionResults.filter((test) => test.status === 'failed');
  if (failed.length > 0) return failed.map((test) => told(`${path} > ${test.fullName}`, (test.failureMessages ?? []).join('\n')));
  return file.status === 'failed' ? [told(path, file.message ?? 'could not be loaded')] : [];
}

const [path = '', status = '', suite = '', failuresPath = ''] = process.argv.slice(2);
const report = readReport(path);
const failures = report === undefined ? ['wrote no report that can be read'] : report.testResults.flatMap(failuresOf);
// An error outside of any test, a skipped one, or a process that died after its report.
const all = failures.length === 0 && status !== '0' ? [`no test failed, and yet the run ended with ${status}`] : failures;
appendFileSync(failuresPath, all.map((failure) => `${suite}: ${failure}\n`).join(''));
console.log(`${report?.numPassedTests ?? 0} ${all.length}`);
