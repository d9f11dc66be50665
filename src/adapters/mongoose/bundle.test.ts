import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { BundleProblemCode } from './bundle-problem.ts';
import { verifySignatures } from './bundle-signatures.ts';
import { readBundle, type Bundle } from './bundle.ts';
import { buildSimBundle } from './sim-image.ts';

function fixture(name: string): Buffer {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url));
}

const PYTHON = fixture('bundle-python-stored.zip');
const SIGNED = fixture('bundle-python-signed.zip');
const MANIFEST = 'logger-2.0.1/manifest.json';
/** Where its second local entry begins. */
const APP_AT = PYTHON.indexOf('PK\u0003\u0004', 4, 'latin1');

function read(bytes: Uint8Array): Bundle {
  const bundle = readBundle(bytes);
  if (!bundle.ok) throw new Error(bundle.error.text);
  return bundle.value;
}

function problem(bytes: Uint8Array): { readonly code: BundleProblemCode; readonly deviceText: string | null } {
  const bundle = readBundle(bytes);
  if (bundle.ok) throw new Error('the bundle was read');
  const { code, deviceText } = bundle.error;
  return { code, deviceText };
}

/** The same archive with other bytes at some offset. */
function patched(bytes: Uint8Array, at: number, by: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(by, at);
  return copy;
}

function le32(value: number): readonly number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff];
}

/** A bundle that other programs would take, with this manifest. */
function withManifest(change: Parameters<typeof buildSimBundle>[0]['manifest']): Uint8Array {
  return buildSimBundle({ platform: 'esp32', version: '2.0.1', buildId: 'b1', ...(change === undefined ? {} : { manifest: change }) });
}

describe('the bundle of the page, zipped by programs of others', () => {
  it.each(['bundle-python-stored.zip', 'bundle-zip-stored.zip', 'bundle-python-signed.zip'])('%s is read', (name) => {
    const { manifest, manifestBytes, files } = read(fixture(name));
    expect(manifest).toMatchObject({
      name: 'logger',
      platform: 'esp32',
      version: '2.0.1',
      buildId: '20261101-120000/main@abc1234',
      buildTimestamp: '2026-11-01T12:00:00Z',
      description: null,
    });
    expect(manifest.parts.map(({ name: part, type, src, size }) => ({ part, type, src, size }))).toEqual([
      { part: 'app', type: 'app', src: 'app.bin', size: 15 },
      { part: 'fs', type: 'fs', src: 'fs.img', size: 9 },
    ]);
    expect(JSON.parse(new TextDecoder().decode(manifestBytes))).toHaveProperty('build_id');
    // docs/protocols/shadow-devices.md §7: contents, CRC-32 and sums.
    expect([...files.values()].map((file) => [file.name, new TextDecoder().decode(file.bytes), file.crc32.toString(16)])).toEqual([
      ['app.bin', 'firmware-2.0.1\n', '2bf2397c'],
      ['fs.img', 'fs-2.0.1\n', '96f6688b'],
    ]);
    for (const { src, sha1, sha256 } of manifest.parts) {
      const bytes = files.get(src ?? '')?.bytes ?? new Uint8Array();
      expect([hash('sha1', bytes), hash('sha256', bytes)]).toEqual([sha1, sha256]);
    }
  });

  it('refuses what a board refuses, in its words', () => {
    expect(problem(fixture('bundle-python-deflated.zip'))).toEqual({ code: 'COMPRESSED', deviceText: 'Cannot handle compressed .zip' });
    // `zip -r` writes the folder as an entry of its own, before the manifest.
    expect(problem(fixture('bundle-zip-folder.zip')).code).toBe('MANIFEST_NOT_FIRST');
    expect(problem(new TextEncoder().encode('<!DOCTYPE html>')).deviceText).toBe('Malformed archive (invalid file header)');
  });

  it('knows who signed it', () => {
    const keys = [fixture('bundle-key0.pem'), null, fixture('bundle-key2.pem')].map((pem) => pem && new TextDecoder().decode(pem));
    const signed = read(SIGNED);
    expect(verifySignatures(signed, keys)).toEqual([
      { slot: 0, verdict: 'VERIFIED' },
      { slot: 2, verdict: 'VERIFIED' },
    ]);
    const [first = null, , third = null] = keys;
    expect(verifySignatures(signed, [third, null, 'no key']).map(({ verdict }) => verdict)).toEqual(['WRONG', 'BAD_KEY']);
    expect(verifySignatures(signed, [first]).map(({ verdict }) => verdict)).toEqual(['VERIFIED', 'NO_KEY']);
    expect(verifySignatures({ ...signed, manifestBytes: new Uint8Array(3) }, keys).map(({ verdict }) => verdict)).toEqual([
      'WRONG',
      'WRONG',
    ]);
    expect(read(PYTHON).signatures).toEqual([]);
  });
});

describe('what is wrong with it', () => {
  const long = `logger/${'n'.repeat(50)}`;
  it.each<readonly [string, Uint8Array, BundleProblemCode, string | null]>([
    ['nothing', new Uint8Array(), 'NOT_A_ZIP', 'Malformed archive (invalid file header)'],
    ['an archive without entries', PYTHON.subarray(-22), 'NOT_A_ZIP', 'Malformed archive (invalid file header)'],
    ['something before it', Buffer.concat([Buffer.from('#!'), PYTHON]), 'NOT_A_ZIP', 'Malformed archive (invalid file header)'],
    ['something after it', Buffer.concat([PYTHON, Buffer.from('more')]), 'BAD_DIRECTORY', null],
    ['a broken file', patched(PYTHON, APP_AT + 30 + 'logger-2.0.1/app.bin'.length, [0]), 'BAD_CRC', 'Invalid CRC'],
    ['two sizes', patched(PYTHON, APP_AT + 22, le32(14)), 'MALFORMED', 'Malformed archive'],
    [
      'a size beyond the end',
      patched(patched(PYTHON, APP_AT + 18, le32(-1)), APP_AT + 22, le32(-1)),
      'TRUNCATED',
      'Incomplete update package',
    ],
    ['the size after the data', patched(PYTHON, APP_AT + 6, [8]), 'SIZE_AFTER_DATA', null],
    ['encryption', patched(PYTHON, APP_AT + 6, [1]), 'ENCRYPTED', null],
    ['a name with a zero', patched(PYTHON, APP_AT + 30, [0]), 'BAD_NAME', null],
    ['a name that is no UTF-8', patched(PYTHON, APP_AT + 30, [0xff]), 'BAD_NAME', null],
    ['another name in the directory', patched(PYTHON, PYTHON.lastIndexOf('app.bin'), [0x41]), 'BAD_DIRECTORY', null],
    ['a directory that skips an entry', patched(PYTHON, PYTHON.length - 12, [2]), 'BAD_DIRECTORY', null],
    ['a manifest that is no JSON', renamed('"name":', '"name"?'), 'BAD_MANIFEST', 'Failed to parse manifest'],
    ['no platform', withManifest({ platform: undefined }), 'FIELD_MISSING', 'Required manifest field missing'],
    ['no version', withManifest({ version: undefined }), 'FIELD_MISSING', 'Required manifest field missing'],
    ['no build id', withManifest({ build_id: ' ' }), 'FIELD_MISSING', 'Required manifest field missing'],
    ['no parts', withManifest({ parts: undefined }), 'FIELD_MISSING', 'Required manifest field missing'],
    ['parts without any', withManifest({ parts: {} }), 'FIELD_MISSING', null],
    ['a version that is a number', withManifest({ version: 2 }), 'BAD_MANIFEST', null],
    ['a platform with an escape sequence', withManifest({ platform: '\u001b[31m' }), 'BAD_MANIFEST', null],
    ['a part with an escape sequence', withManifest({ parts: { '\u001b[2J': {} } }), 'BAD_MANIFEST', null],
    ['a file with an escape sequence', withManifest({ parts: { app: { src: '\u001b[2J' } } }), 'BAD_MANIFEST', null],
    ['a part that is a text', withManifest({ parts: { app: 'app.bin' } }), 'BAD_MANIFEST', null],
    ['a sum that is none', withManifest({ parts: { app: { src: 'app.bin', cs_sha1: 'abc' } } }), 'BAD_MANIFEST', null],
    [
      'a sum of something else',
      withManifest({ parts: { app: { src: 'app.bin', cs_sha256: '0'.repeat(64) } } }),
      'BAD_DIGEST',
      'Digest mismatch',
    ],
    ['a size of something else', withManifest({ parts: { app: { src: 'app.bin', size: 3 } } }), 'BAD_SIZE', null],
    ['a size below zero', withManifest({ parts: { app: { src: 'app.bin', size: -1 } } }), 'BAD_MANIFEST', null],
    ['a part without its file', withManifest({ parts: { app: { src: 'other.bin' } } }), 'PART_MISSING', 'Incomplete update package'],
    ['the manifest as a part', withManifest({ parts: { app: { src: 'manifest.json' } } }), 'PART_MISSING', 'Incomplete update package'],
    [
      'too many parts',
      withManifest({ parts: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`p${index}`, {}])) }),
      'TOO_MANY_PARTS',
      null,
    ],
    ['a huge manifest', withManifest({ description: 'x'.repeat(64 * 1024) }), 'MANIFEST_TOO_LARGE', null],
    ['a long name', buildSimBundle({ platform: 'esp32', version: '1', buildId: 'b', app: long }), 'LONG_NAME', 'Too long file name'],
    ['the same name twice', fixture('bundle-python-twice.zip'), 'DUPLICATE_NAME', null],
    ['signatures that are no JSON', patched(SIGNED, 30 + MANIFEST.length + 4, [0x5b]), 'BAD_SIGNATURES', null],
    ['a ninth signature', patched(SIGNED, SIGNED.indexOf('sig0') + 3, [0x38]), 'BAD_SIGNATURES', null],
    ['a signature that is no base64', patched(SIGNED, SIGNED.indexOf('sig0":"') + 7, [0x2a]), 'BAD_SIGNATURES', null],
    ['an extra field beyond its end', patched(SIGNED, 30 + MANIFEST.length + 2, [0xff, 0xff]), 'BAD_SIGNATURES', null],
  ])('%s', (_what, bytes, code, deviceText) => {
    expect(problem(bytes)).toEqual({ code, deviceText });
  });

  it('is told with its place', () => {
    const bundle = readBundle(patched(PYTHON, APP_AT + 6, [1]));
    expect(bundle).toEqual({
      ok: false,
      error: {
        code: 'ENCRYPTED',
        text: `the entry is encrypted ("logger-2.0.1/app.bin", byte ${APP_AT})`,
        entry: 'logger-2.0.1/app.bin',
        offset: APP_AT,
        deviceText: null,
      },
    });
  });

  it('refuses another platform where a board does: before it looks at the rest', () => {
    const broken = patched(PYTHON, APP_AT + 6, [1]);
    expect(readBundle(broken, { platform: 'stm32' })).toMatchObject({ error: { code: 'WRONG_PLATFORM', deviceText: 'Wrong platform' } });
    expect(readBundle(PYTHON, { platform: 'ESP32' }).ok).toBe(true);
  });

  it('takes names of prototypes for names', () => {
    const part = '{"src":"app.bin"}';
    const manifest: unknown = JSON.parse(`{"parts":{"__proto__":${part},"constructor":${part}}}`);
    const { manifest: its } = read(withManifest(manifest as { parts: {} }));
    expect(its.parts.map(({ name }) => name)).toEqual(['__proto__', 'constructor']);
    expect(its.description).toBeNull();
    const inherited: unknown = JSON.parse('{"__proto__":{"build_id":"inherited"}}');
    expect(problem(withManifest({ ...(inherited as {}), build_id: undefined })).code).toBe('FIELD_MISSING');
  });
});

/** The manifest with other letters in it, its CRC-32 put right in both places. */
function renamed(from: string, to: string): Uint8Array {
  const start = 30 + MANIFEST.length;
  const size = new DataView(PYTHON.buffer, PYTHON.byteOffset).getUint32(18, true);
  const changed = patched(PYTHON, PYTHON.indexOf(from), [...Buffer.from(to)]);
  const sum = le32(crc32(changed.subarray(start, start + size)));
  const central = PYTHON.indexOf('PK\u0001\u0002', 0, 'latin1');
  return patched(patched(changed, 14, sum), central + 16, sum);
}

describe('each byte', () => {
  it('when flipped is refused, or is one that nobody checks', () => {
    const unchecked = uncheckedBytes();
    const passed: number[] = [];
    for (let at = 0; at < SIGNED.length; at += 1) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const bundle = readBundle(patched(SIGNED, at, [(SIGNED[at] ?? 0) ^ mask]));
        if (bundle.ok && !passed.includes(at)) passed.push(at);
      }
    }
    expect(passed.filter((at) => !unchecked.has(at))).toEqual([]);
    expect(passed.length).toBeGreaterThan(20);
  });

  it('when cut off is refused', () => {
    for (let length = 0; length < SIGNED.length; length += 1) expect(readBundle(SIGNED.subarray(0, length)).ok).toBe(false);
  });

  it('at random never throws', () => {
    let seed = 20261101;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed % below;
    };
    for (let round = 0; round < 3000; round += 1) {
      const bytes = Uint8Array.from(SIGNED);
      for (let changes = 1 + next(6); changes > 0; changes -= 1) bytes[next(bytes.length)] = next(256);
      const bundle = readBundle(bytes.subarray(next(8) === 0 ? next(40) : 0));
      expect(bundle.ok || bundle.error.text.length > 0).toBe(true);
    }
  });
});

/**
 * What no sum and no other header covers: versions, dates and attributes of the headers, and signatures, which hold against
 * keys alone.
 */
function uncheckedBytes(): ReadonlySet<number> {
  const view = new DataView(SIGNED.buffer, SIGNED.byteOffset, SIGNED.byteLength);
  const free = new Set<number>();
  const add = (from: number, length: number): void => {
    for (let at = from; at < from + length; at += 1) free.add(at);
  };
  for (let at = SIGNED.indexOf('PK\u0003\u0004', 0, 'latin1'); at >= 0; at = SIGNED.indexOf('PK\u0003\u0004', at + 1, 'latin1')) {
    // The version that is needed; date and time.
    add(at + 4, 2);
    add(at + 10, 4);
    add(at + 30 + view.getUint16(at + 26, true), view.getUint16(at + 28, true));
  }
  for (let at = SIGNED.indexOf('PK\u0001\u0002', 0, 'latin1'); at >= 0; at = SIGNED.indexOf('PK\u0001\u0002', at + 1, 'latin1')) {
    add(at + 4, 4);
    add(at + 12, 4);
    add(at + 36, 6);
    add(at + 46 + view.getUint16(at + 28, true), view.getUint16(at + 30, true));
  }
  return free;
}
