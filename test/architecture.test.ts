import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { familyProblems, fileViolations, FOLDERS, importCycles, isPure, type SourceFile } from '#test/support/architecture.ts';

function pathsUnder(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .toSorted();
}

const paths = pathsUnder('src');
const sources: readonly SourceFile[] = paths
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
const production = sources.filter(({ path }) => !path.endsWith('.test.ts'));

function rulesBroken(path: string, text: string): readonly string[] {
  return fileViolations({ path, text }).map(({ rule }) => rule);
}

describe('the house', () => {
  it('keeps the table of imports, the purity of the core, and the shape of files', () => {
    expect(sources.length).toBeGreaterThan(20);
    expect(sources.flatMap(fileViolations)).toEqual([]);
  });

  it('has no cycle among its files', () => {
    expect(importCycles(production)).toEqual([]);
  });

  it('documents every folder of src', () => {
    const map = readFileSync('ARCHITECTURE.md', 'utf8');
    const folders = readdirSync('src', { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `src/${entry.name}/` : `src/${entry.name}`,
    );
    expect(folders.filter((folder) => !map.includes(`\`${folder}\``))).toEqual([]);
  });

  it('has only folders of the table', () => {
    expect(readdirSync('src').filter((name) => FOLDERS[name] === undefined)).toEqual([]);
  });

  it('has a complete folder and a line in the registry for each family', () => {
    const families = readdirSync('src/adapters', { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const registry = readFileSync('src/adapters/registry.ts', 'utf8');
    expect(families.length).toBeGreaterThan(0);
    expect(families.flatMap(({ name }) => familyProblems(name, paths, registry))).toEqual([]);
  });
});

describe('the rules themselves', () => {
  it.each([
    ['src/plan/a.ts', "import { x } from '#transports/mqtt.ts';", 'import'],
    ['src/plan/a.ts', "import { x } from '#ports/wire-error.ts';", 'import'],
    ['src/plan/a.ts', "import { x } from '../kit/result.ts';", 'import'],
    ['src/kit/a.ts', "import fs from 'node:fs';", 'import'],
    ['src/execute/a.ts', "import mqtt from 'mqtt';", 'import'],
    ['src/adapters/campbell/driver.ts', "import { S3Client } from '@aws-sdk/client-s3';", 'import'],
    ['src/adapters/campbell/wire.ts', "import { x } from '#adapters/canedge/wire.ts';", 'import'],
    ['src/adapters/registry.ts', "import { x } from './campbell/family.ts';", 'import'],
    ['src/shadows/values.ts', "import { x } from '#adapters/shadow/wire.ts';", 'import'],
    ['src/shadows/values.ts', 'export async function f() { return 1; }', 'pure'],
    ['src/sim/aws/a.ts', "import { x } from '#shadows/values.ts';", 'import'],
    ['src/sim/world.ts', "import { x } from '#adapters/campbell/wire.ts';", 'import'],
    ['src/cli/a.ts', "import { x } from '#sim/broker.ts';", 'import'],
    ['src/reconcile/a.ts', "export { x } from '#test/support/x.ts'; export const y = 1;", 'import'],
    ['src/plan/a.ts', "import fleet from '#schemas/fleet.json' with { type: 'json' };", 'import'],
    ['src/elsewhere/a.ts', "import { x } from '#kit/result.ts';", 'import'],
    ['src/kit/a.test.ts', "import { x } from '../model/ids.ts';", 'import'],
    ['src/view/a.ts', 'export const at = Date.now();', 'pure'],
    ['src/view/a.ts', 'export const at = new Date();', 'pure'],
    ['src/view/a.ts', 'export async function f() { return 1; }', 'pure'],
    ['src/view/a.ts', 'export const f = async () => 1;', 'pure'],
    ['src/view/a.ts', 'export const x = await y();', 'pure'],
    ['src/rollout/a.ts', 'export const f = () => Math.random();', 'pure'],
    ['src/rollout/a.ts', "export const f = () => process.env['X'];", 'pure'],
    ['src/rollout/a.ts', 'setTimeout(f, 1);', 'pure'],
    ['src/rollout/a.ts', 'export const f = () => Temporal.Now.instant();', 'pure'],
    ['src/declare/a.ts', "import { randomUUID } from 'node:crypto';", 'pure'],
    ['src/adapters/campbell/operations.ts', "import { readFileSync } from 'node:fs';", 'pure'],
    ['src/adapters/campbell/operations.ts', "export const f = () => fetch('x');", 'pure'],
    ['src/model/a.ts', "export const f = () => import('./b.ts');", 'pure'],
    ['src/kit/a.ts', 'export default function f() {}', 'default-export'],
    ['src/kit/a.ts', "export * from './b.ts';", 'barrel'],
    ['src/kit/a.ts', "import type { B } from './b.ts';\nexport { x } from './b.ts';", 'barrel'],
    ['src/kit/a.ts', 'export class LedgerManager {}', 'name'],
    ['src/kit/helpers.ts', 'export const a = 1;', 'name'],
    ['src/kit/a.ts', 'export const a = b as any;', 'silencer'],
    ['src/kit/a.ts', '// oxlint-disable-next-line\nexport const a = 1;', 'silencer'],
  ])('%s refuses %s', (path, text, rule) => {
    expect(rulesBroken(path, text)).toContain(rule);
  });

  it.each([
    ['src/plan/a.ts', "import type { Family } from '#ports/family.ts';\nexport const f = (family: Family) => family.name;"],
    ['src/cli/a.ts', "export const f = async () => (await import('#sim/broker.ts')).open();"],
    ['src/adapters/campbell/driver.ts', 'export async function observe() { return Date.now(); }'],
    ['src/adapters/shadow/reports.ts', "import { textAt } from '#shadows/values.ts';\nexport const f = textAt;"],
    ['src/shadows/driver-observe.ts', 'export async function observe() { return 1; }'],
    [
      'src/view/a.ts',
      'export function f(process: string, at: number) { return { fetch: process, day: new Date(at), x: row.performance }; }',
    ],
    ['src/sim/a.ts', "import { x } from '#adapters/campbell/sim-image.ts';\nexport const y = x;"],
    ['src/adapters/registry.ts', "import { campbellEntry } from './campbell/entry.ts';\nexport const all = [campbellEntry];"],
    ['src/plan/a.test.ts', "import { it } from 'vitest';\nit('x', async () => { await f(); });"],
  ])('%s accepts %s', (path, text) => {
    expect(fileViolations({ path, text })).toEqual([]);
  });

  it('names a cycle once, whichever file is seen first', () => {
    const ring = [
      { path: 'src/plan/b.ts', text: "import { a } from './a.ts';" },
      { path: 'src/plan/a.ts', text: "import { c } from './c.ts';" },
      { path: 'src/plan/c.ts', text: "import { b } from '#plan/b.ts';" },
    ];
    expect(importCycles(ring)).toEqual(['src/plan/a.ts → src/plan/c.ts → src/plan/b.ts']);
    expect(importCycles(ring.slice(0, 2))).toEqual([]);
    const typed = [{ path: 'src/plan/b.ts', text: "import type { A } from './a.ts';" }, ...ring.slice(1)];
    expect(importCycles(typed)).toEqual([]);
  });

  it('finds what a family lacks', () => {
    const problems = familyProblems('drum', ['src/adapters/drum/family.ts'], '');
    expect(problems).toContain('src/adapters/drum/wire.ts is missing');
    expect(problems).toContain('src/adapters/drum/fixtures/ is missing');
    expect(problems).toContain('src/adapters/registry.ts has no line for drum');
    expect(problems).not.toContain('src/adapters/drum/family.ts is missing');
  });

  it('counts the family, not its driver and simulator, as pure', () => {
    expect(isPure('src/adapters/campbell/wire.ts')).toBe(true);
    expect(isPure('src/adapters/campbell/driver-observe.ts')).toBe(false);
    expect(isPure('src/adapters/campbell/sim-image.ts')).toBe(false);
    expect(isPure('src/adapters/campbell/wire.test.ts')).toBe(false);
    expect(isPure('src/execute/execute.ts')).toBe(false);
  });
});
