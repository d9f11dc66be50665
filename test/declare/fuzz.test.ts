import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fc } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { declare } from '#declare/declare.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import { AT, brokenRepos, CORPUS, FAMILIES } from './corpus.ts';

type Files = Readonly<Record<string, Uint8Array>>;

const ENCODER = new TextEncoder();
const EXAMPLE = join(import.meta.dirname, '..', '..', 'fleet-example');

function folder(root: string): Files {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(root, name)).isFile());
  return Object.fromEntries(names.map((name) => [relative('.', name), new Uint8Array(readFileSync(join(root, name)))]));
}

/** The example, and broken repos small enough to be mutated a thousand times. */
const SEEDS: readonly Files[] = [
  folder(EXAMPLE),
  ...brokenRepos()
    .filter((name) => name !== 'yaml-too-large' && name !== 'path-symlink')
    .map((name) => folder(join(CORPUS, name))),
];

const SMALL = folder(join(CORPUS, 'no-owner'));

/** It answers; what it says is sorted, has places within the files, and decides whether there is a declaration. */
function check(files: Files): void {
  const revision = revisionOfFiles(files);
  const { declared, diagnostics } = declare({ revision, families: FAMILIES, at: AT });
  expect(declared === null).toBe(diagnostics.some((one) => one.severity === 'error'));
  for (const { place, code, summary } of diagnostics) {
    expect(code).toMatch(/^[A-Z0-9_]+$/);
    expect(summary).not.toBe('');
    expect(place.line).toBeGreaterThanOrEqual(1);
    expect(place.column).toBeGreaterThanOrEqual(1);
    expect(place.file === 'fleet.yaml' || revision.files.has(place.file)).toBe(true);
  }
  if (declared === null) return;
  for (let row = 0; row < declared.size; row += 1) expect(declared.deviceAt(row).row).toBe(row);
}

/** Pieces that mean something to YAML, JSON, CSV or Headgate, and so lead further in than noise does. */
const PIECES = [
  '\t',
  '\n',
  '\r\n',
  '  ',
  ': ',
  '- ',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
  '#',
  '&a ',
  '*a',
  '!x ',
  '|',
  '>',
  '---\n',
  '<<: ',
  '? ',
  '%YAML 1.1\n',
  ',',

  '${',
  '}',
  '${id}',
  '${value:x}',
  '${env:X}',
  '${age:x}',
  '${series}',
  '@',
  '../',
  '/',
  ';',
  '#REF!',
  '5.1E+17',
  '\uFEFF',
  '\u0000',
  '\uFFFD',
  '🚜',

  'null',
  'true',
  '0',
  '-1',
  '101%',
  '1e9',
  '99999999999999999999d',
  '2027-02-30',
  'all',
  'kind: Group\n',
  '__proto__',
  'constructor',
  'toString',
];

const mutation = fc.record({
  file: fc.nat(),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.nat({ max: 12 }),
  insert: fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 4, unit: 'binary' })),
});

function mutate(files: Files, changes: readonly { file: number; at: number; remove: number; insert: string }[]): Files {
  const out: Record<string, Uint8Array> = { ...files };
  const paths = Object.keys(files).filter((path) => /\.(ya?ml|csv|json)$/.test(path));
  for (const { file, at, remove, insert } of changes) {
    const path = paths[file % paths.length] ?? 'fleet.yaml';
    const bytes = out[path] ?? new Uint8Array();
    const start = Math.floor(at * bytes.length);
    out[path] = new Uint8Array([...bytes.subarray(0, start), ...ENCODER.encode(insert), ...bytes.subarray(start + remove)]);
  }
  return out;
}

const paths = fc.constantFrom('fleet.yaml', 'devices/a.yaml', 'devices/a.csv', 'groups/a.yaml', 'artifacts/a.yaml', 'files/a.json');
const kinds = fc.constantFrom('Fleet', 'Devices', 'Artifact', 'Group', 'Set', 'Rollout', 'Window', 'Override', 'Approval', 'Nothing');
const keys = fc.constantFrom(
  'name',
  'select',
  'pins',
  'waves',
  'gate',
  'devices',
  'connections',
  'ledger',
  'versions',
  'fits',
  'allow',
  'values',
  '__proto__',
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(...PIECES),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(keys, tie('tree'), { maxKeys: 4 }),
  ),
}));

describe('declare never throws', () => {
  it('on repos with pieces put in and taken out', () => {
    const seeds = fc.nat({ max: SEEDS.length - 1 });
    const changes = fc.array(mutation, { minLength: 1, maxLength: 6 });
    expect(() =>
      fc.assert(
        fc.property(seeds, changes, (seed, made) => check(mutate(SEEDS[seed] ?? {}, made))),
        { numRuns: 1000 },
      ),
    ).not.toThrow();
  });

  it('on random bytes', () => {
    const files = fc.dictionary(paths, fc.uint8Array({ maxLength: 400 }));
    expect(() => fc.assert(fc.property(files, check), { numRuns: 500 })).not.toThrow();
  });

  it('on documents of any shape', () => {
    const shapes = fc.property(kinds, fc.dictionary(keys, tree), (kind, members) => {
      check({ ...SMALL, 'groups/fuzz.yaml': ENCODER.encode(JSON.stringify({ kind, ...members })) });
    });
    expect(() => fc.assert(shapes, { numRuns: 1000 })).not.toThrow();
  });
});
