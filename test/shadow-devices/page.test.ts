import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import shell from '#adapters/chariot/fixtures/shell.json' with { type: 'json' };
import { sha256 } from '#kit/digest.ts';
import { pageItems, rowsOf } from './page.ts';

const DIGEST_LETTERS = 8;

/** Rows of proofs.md: what, the digest of its words, what shows it. */
const PROOFS = readFileSync('test/shadow-devices/proofs.md', 'utf8')
  .split('\n')
  .filter((line) => /^\| .+ \| [0-9a-f]{8} \| /.test(line))
  .map((line) => line.slice(2, -2).split(' | ') as [string, string, string]);

describe('what docs/protocols/shadow-devices.md says is shown', () => {
  it('each vector, rule and failure mode, in the words that the tests were written from', () => {
    const said = pageItems().map(({ id, text }) => [id, sha256(text).slice(0, DIGEST_LETTERS)]);
    expect(said.length).toBeGreaterThan(80);
    expect(PROOFS.map(([id, digest]) => [id, digest])).toEqual(said);
  });

  it.each(PROOFS)('%s', (_id, _digest, by) => {
    // What no test can show says why.
    if (by.startsWith('not shown: ')) expect(by.length).toBeGreaterThan(30);
    const files = by.startsWith('not shown: ') ? [] : by.split(' · ');
    for (const one of files) {
      const [, file = '', words = ''] = /^`([^`]+)` (.+)$/.exec(one) ?? [];
      expect(existsSync(file), one).toBe(true);
      expect(readFileSync(file, 'utf8').includes(words), one).toBe(true);
    }
  });

  it('what a SHELL file makes of values, row by row of §2.6', () => {
    const rows = rowsOf('### 2.6').flatMap(([inputs = '', , read = '']) => {
      const texts = [...inputs.matchAll(/`([^`]+)`/g)].map(([, text = '']) => JSON.parse(text) as unknown);
      return texts.map((input) => [input, read.includes('`') ? (JSON.parse(/`([^`]+)`/.exec(read)?.[1] ?? '') as unknown) : input]);
    });
    // Texts and arrays are values of a key, objects are whole files.
    const isFile = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);
    const trips = rows.map(([from, to]) => (isFile(from) ? { from, to } : { from: { v: from }, to: { v: to } }));
    expect(trips.length).toBeGreaterThan(8);
    for (const trip of trips) expect(shell.roundTrips).toContainEqual(trip);
  });
});
