import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { declare } from '#declare/declare.ts';
import { placeText, type Diagnostic } from '#kit/diagnostics.ts';
import { AT, brokenRepos, CORPUS, FAMILIES, revisionOfFolder } from './corpus.ts';

function lineOf(diagnostic: Diagnostic): string {
  return `${diagnostic.code} ${placeText(diagnostic.place)}${diagnostic.severity === 'warning' ? ' warning' : ''}`;
}

describe('the corpus of broken fleet repos', () => {
  const repos = brokenRepos();

  it('has at least forty of them', () => {
    expect(repos.length).toBeGreaterThanOrEqual(40);
  });

  it.each(repos)('%s is told exactly its mistakes, each at its token', (name) => {
    const { declared, diagnostics } = declare({ revision: revisionOfFolder(join(CORPUS, name)), families: FAMILIES, at: AT });
    const told = diagnostics.map((diagnostic) => `${lineOf(diagnostic)}\n`).join('');
    const golden = join(CORPUS, name, 'expected.txt');
    if (process.env['GOLDEN'] === 'write') writeFileSync(golden, told);
    expect(told).toBe(readFileSync(golden, 'utf8'));
    expect(told).not.toBe('');
    expect(declared === null).toBe(diagnostics.some((diagnostic) => diagnostic.severity === 'error'));
    // A secret that was found is never repeated.
    expect(JSON.stringify(diagnostics)).not.toMatch(/correct-horse|AKIAIOSFODNN7EXAMPLE|AAEC/);
  });
});
