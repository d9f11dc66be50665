import { describe, expect, test } from 'vitest';
import { assert, constantFrom, integer, property, string, uniqueArray } from 'fast-check';
import { checksumOf, isChecksumValue } from './checksums.ts';
import { compareUtf8, continuationToken, listPage, parseContinuationToken, type ListQuery } from './list.ts';

const someKeys = uniqueArray(string({ unit: constantFrom('a', 'b', '/', 'é', '\uFF21', '🛰'), minLength: 1, maxLength: 6 }), {
  maxLength: 40,
});
const somePrefix = string({ unit: constantFrom('a', 'b', '/'), maxLength: 2 });

describe('listing', () => {
  test('pages put together are the whole list, each folder once', () => {
    const asked = [someKeys, somePrefix, constantFrom('', '/', 'b'), integer({ min: 1, max: 5 })] as const;
    const law = property(...asked, (keys, prefix, delimiter, maxKeys) => {
      const sorted = keys.toSorted(compareUtf8);
      const found: string[] = [];
      let from = { after: '', skip: '' };
      for (let page = 0; page <= keys.length; page++) {
        const listing = listPage(sorted, { prefix, delimiter, maxKeys, ...from });
        expect(listing.keys.length + listing.prefixes.length).toBeLessThanOrEqual(maxKeys);
        found.push(...listing.keys, ...listing.prefixes);
        if (listing.next === null) break;
        from = parseContinuationToken(continuationToken(listing.next)) ?? from;
      }
      expect(found.toSorted(compareUtf8)).toEqual(wholeList(sorted, prefix, delimiter));
    });
    assert(law, { numRuns: 1000 });
  });

  test('the order is that of the UTF-8 bytes', () => {
    const text = string({ unit: constantFrom('a', 'z', 'é', '\uD7FF', '\uE000', '\uFF21', '🛰', '\u{10FFFF}'), maxLength: 4 });
    const law = property(text, text, (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    });
    assert(law, { numRuns: 1000 });
  });

  test('a start key inside a folder keeps what is left of the folder', () => {
    const query: ListQuery = { prefix: '', delimiter: '/', after: 'a/1', skip: '', maxKeys: 10 };
    expect(listPage(['a/1', 'a/2', 'b'], query)).toEqual({ keys: ['b'], prefixes: ['a/'], next: null });
  });

  test.for(['', 'x', 'bm9uZQ', Buffer.from('[1,2]').toString('base64url')])('a token that is none of ours: %s', (token) => {
    expect(parseContinuationToken(token)).toBeUndefined();
  });
});

function wholeList(sorted: readonly string[], prefix: string, delimiter: string): readonly string[] {
  const entries = sorted
    .filter((key) => key.startsWith(prefix))
    .map((key) => {
      const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      return at < 0 ? `key ${key}` : `folder ${key.slice(0, at + delimiter.length)}`;
    });
  return [...new Set(entries)].map((entry) => entry.replace(/^(key|folder) /, '')).toSorted(compareUtf8);
}

describe('checksums', () => {
  const digits = Buffer.from('123456789');
  // The check values of the CRC catalogue; SHA by FIPS 180 of the same nine digits.
  test.for([
    ['crc32', 'cbf43926'],
    ['crc32c', 'e3069283'],
    ['crc64nvme', 'ae8b14860a799888'],
    ['sha1', 'f7c3bc1d808e04732adf679965ccc34ca7ae3441'],
    ['sha256', '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'],
  ] as const)('%s', ([algorithm, hex]) => {
    const value = checksumOf(algorithm, digits);
    expect(Buffer.from(value, 'base64').toString('hex')).toBe(hex);
    expect(isChecksumValue(algorithm, value)).toBe(true);
    expect(isChecksumValue(algorithm, `${value}AA`)).toBe(false);
  });
});
