import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import rpc from '#adapters/mongoose/fixtures/rpc.json' with { type: 'json' };
import boards from '#adapters/mongoose/fixtures/shadow.json' with { type: 'json' };
import sessions from '#adapters/chariot/fixtures/sessions.json' with { type: 'json' };
import shell from '#adapters/chariot/fixtures/shell.json' with { type: 'json' };
import { sha256 } from '#kit/digest.ts';
import { GATEWAY_EXAMPLES } from './gateway-vectors.ts';
import { documentsIn, pageItems, rowsOf } from './page.ts';

const DIGEST_LETTERS = 8;

/** Rows of proofs.md: what, the digest of its words, what shows it. */
const PROOFS = readFileSync('test/shadow-devices/proofs.md', 'utf8')
  .split('\n')
  .filter((line) => /^\| .+ \| [0-9a-f]{8} \| /.test(line))
  .map((line) => line.slice(2, -2).split(' | ') as [string, string, string]);

/** Documents of vectors that the tests have in other words. */
const OTHERWISE: Readonly<Record<string, unknown>> = {
  // Step `tell` of the vector, which makes the request of it.
  A2: { state: { desired: { firmware: { want: '2.0.1', url: 'https://fw.example/2.0.1.bin' } } }, version: 1, clientToken: 'r-1' },
  // The page leaves its token out.
  A6: { state: { reported: { js: { fw: '3.0.0' }, nk: {} }, desired: null }, version: 41 },
  // A word of the page for the URL that the board has taken before.
  B5: { state: { reported: { ota: { url: '<old>' } } } },
};

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

  it.each([
    [/^A\d+$/, [sessions, shell, GATEWAY_EXAMPLES], 24],
    [/^B\d$/, [boards], 10],
    [/^§4\.5$/, [rpc], 11],
  ] as const)('the documents of the vectors %s are what the tests are fed', (id, fed, least) => {
    const found = new Set(fed.flatMap(partsOf));
    const documents = pageItems()
      .filter((item) => id.test(item.id))
      .flatMap((item) => documentsIn(item.text).map((document) => [item.id, canonical(document)] as const));
    expect(documents.length).toBeGreaterThanOrEqual(least);
    const missing = documents.filter(([of, document]) => !found.has(document) && document !== canonical(OTHERWISE[of]));
    expect(missing).toEqual([]);
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

/** A value and all that is in it, texts that are JSON read too, each in one form. */
function partsOf(value: unknown): readonly string[] {
  const inner = typeof value === 'string' ? documentsIn(value) : typeof value === 'object' && value !== null ? Object.values(value) : [];
  return [canonical(value), ...inner.flatMap(partsOf)];
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
