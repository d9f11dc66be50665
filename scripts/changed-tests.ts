import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { sha256 } from '#kit/digest.ts';

/** What passed last: by test file, the digest of all that it depends on. */
type Passed = Readonly<Record<string, string>>;

const IMPORT = /\b(?:from|import)\s*\(?\s*'([^']+)'/g;
/** A test with one of these reads or runs sources that it does not import: it depends on every file. */
const REACHES_FURTHER = /process\.execPath|node:worker_threads|parseAst|['"`](?:src|scripts|bench|bin|dist)(?:\/|['"`])/;
const OWN_IMPORTS: readonly (readonly [prefix: string, folder: string])[] = [
  ['#test/', 'test/'],
  ['#scripts/', 'scripts/'],
  ['#bench/', 'bench/'],
  ['#schemas/', 'schemas/'],
  ['#', 'src/'],
];

/** Texts of the files of a checkout by path from its root, those that git ignores left out. Throws where there is no git. */
export function textsOf(root: string): ReadonlyMap<string, string> {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
  const texts = new Map<string, string>();
  for (const path of new Set(listed.split('\0'))) {
    const text = path === '' ? undefined : textAt(join(root, path));
    if (text !== undefined) texts.set(path, text);
  }
  return texts;
}

function textAt(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

/**
 * For each test file the digest of what its result depends on: the sources that it imports and those that these import,
 * and every file that is no source (fixtures, pages, schemas, the lockfile). All sources where a test reaches further.
 */
export function digestsOf(tests: readonly string[], texts: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const digests = new Map([...texts].map(([path, text]) => [path, sha256(text)]));
  const isSource = (path: string): boolean => path.endsWith('.ts');
  const digestOfAll = (paths: Iterable<string>): string =>
    sha256(
      [...paths]
        .toSorted()
        .map((path) => `${path} ${digests.get(path)}`)
        .join('\n'),
    );
  const common = digestOfAll([...texts.keys()].filter((path) => !isSource(path) || path.endsWith('.config.ts')));
  const all = digestOfAll(texts.keys());
  return new Map(
    tests.map((test) => {
      const reached = reachedFrom(test, texts);
      const further = [...reached].some((path) => isOfTests(path) && REACHES_FURTHER.test(texts.get(path) ?? ''));
      return [test, further ? all : sha256(`${process.version} ${common} ${digestOfAll(reached)}`)];
    }),
  );
}

function isOfTests(path: string): boolean {
  return path.startsWith('test/') || path.endsWith('.test.ts');
}

function reachedFrom(test: string, texts: ReadonlyMap<string, string>): ReadonlySet<string> {
  const reached = new Set([test]);
  for (const path of reached) {
    for (const [, specifier = ''] of (texts.get(path) ?? '').matchAll(IMPORT)) {
      const target = targetOf(path, specifier);
      if (target !== null && texts.has(target)) reached.add(target);
    }
  }
  return reached;
}

/** Null for a package: the lockfile speaks for it. */
function targetOf(from: string, specifier: string): string | null {
  if (specifier.startsWith('./')) return posix.join(posix.dirname(from), specifier);
  const own = OWN_IMPORTS.find(([prefix]) => specifier.startsWith(prefix));
  return own === undefined ? null : own[1] + specifier.slice(own[0].length);
}

/** The tests that have not passed as they and their dependencies are now, in their order. */
export function changedTests(digests: ReadonlyMap<string, string>, passed: Passed): readonly string[] {
  return [...digests].filter(([test, digest]) => passed[test] !== digest).map(([test]) => test);
}

export function readPassed(path: string): Passed {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Passed;
  } catch {
    return {};
  }
}

export function writePassed(path: string, passed: Passed): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(passed));
}
