import { describe, expect, it } from 'vitest';
import { changedTests, digestsOf } from '#scripts/changed-tests.ts';

const FILES = {
  'src/a.test.ts': "import { a } from './a.ts';",
  'src/a.ts': "import { deep } from '#kit/deep.ts';\nimport type { T } from './types.ts';",
  'src/types.ts': 'export type T = 1;',
  'src/kit/deep.ts': "export const late = () => import('./late.ts');",
  'src/kit/late.ts': "export { x } from './a.ts';\nimport schema from '#schemas/x.json' with { type: 'json' };",
  'src/kit/a.ts': 'export const x = 1;',
  'src/other.ts': 'export const other = 1;',
  'src/house.test.ts': "import { run } from '#test/support/run.ts';",
  'test/support/run.ts': "spawn(process.execPath, ['src/cli/main.ts']);",
  'src/child.test.ts': "import { own } from './child.ts';",
  'src/child.ts': 'spawn(process.execPath);',
  'schemas/x.json': '{}',
  'package-lock.json': '{}',
  'vitest.config.ts': 'export default {};',
};
const TESTS = ['src/a.test.ts', 'src/house.test.ts', 'src/child.test.ts'];

function changedBy(edits: Readonly<Record<string, string>>): readonly string[] {
  const passed = Object.fromEntries(digestsOf(TESTS, new Map(Object.entries(FILES))));
  return changedTests(digestsOf(TESTS, new Map(Object.entries({ ...FILES, ...edits }))), passed);
}

describe('the tests that a check runs', () => {
  it('are none when nothing changed, and all when nothing has passed', () => {
    expect(changedBy({})).toEqual([]);
    expect(changedTests(digestsOf(TESTS, new Map(Object.entries(FILES))), {})).toEqual(TESTS);
  });

  it.each([
    ['the test itself', 'src/a.test.ts'],
    ['what it imports', 'src/a.ts'],
    ['what that imports as a type', 'src/types.ts'],
    ['what that imports by a path of the house', 'src/kit/deep.ts'],
    ['what is imported late', 'src/kit/late.ts'],
    ['what is exported again', 'src/kit/a.ts'],
  ])('are those that reach a change of %s, and those that run what they do not import', (_what, path) => {
    expect(changedBy({ [path]: 'something else' })).toEqual(['src/a.test.ts', 'src/house.test.ts']);
  });

  it('are not those that do not reach it', () => {
    expect(changedBy({ 'src/other.ts': 'something else' })).toEqual(['src/house.test.ts']);
    expect(changedBy({ 'src/new.ts': 'something new' })).toEqual(['src/house.test.ts']);
  });

  it.each(['schemas/x.json', 'package-lock.json', 'vitest.config.ts', 'docs/new.md'])('are all when %s changes', (path) => {
    expect(changedBy({ [path]: 'something else' })).toEqual(TESTS);
  });
});
