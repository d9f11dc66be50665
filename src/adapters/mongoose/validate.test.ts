import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mongooseFamily } from './family.ts';
import { declare } from '#declare/declare.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import { BUILD, mongooseFiles } from '#test/support/mongoose-fleet.ts';
import { buildSimBundle } from './sim-image.ts';

const BUNDLE = 'files/board-2.0.0.zip';
const AT = Date.UTC(2026, 10, 23);

/** What validate says of a fleet that pins this bundle: no network, no board. */
function validated(bytes: Uint8Array): readonly string[] {
  const { diagnostics } = declare({
    revision: revisionOfFiles({ ...mongooseFiles({ firmware: '2.0.0' }), [BUNDLE]: bytes }),
    families: new Map([['mongoose', mongooseFamily]]),
    at: AT,
  });
  return diagnostics.map(({ severity, code, place, summary }) => `${severity} ${code} ${place.file}:${place.line} ${summary}`);
}

function built(change: Partial<Parameters<typeof buildSimBundle>[0]>): Uint8Array {
  return buildSimBundle({ platform: 'esp32', version: '2.0.0', buildId: BUILD, ...change });
}

function fixture(name: string): Uint8Array {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url));
}

describe('validate', () => {
  it('has nothing against a bundle that the boards take', () => {
    expect(validated(built({}))).toEqual([]);
    expect(validated(built({ platform: 'ESP32' }))).toEqual([]);
  });

  it.each<readonly [string, Uint8Array, RegExp]>([
    ['for another platform', built({ platform: 'esp8266' }), /^error WRONG_PLATFORM .* for platform esp8266, .* takes esp32$/],
    ['of another version', built({ version: '2.0.1' }), /^error WRONG_VERSION .* is version 2\.0\.1, and 2\.0\.0 is declared$/],
    ['without a build id', built({ manifest: { build_id: undefined } }), /^error BAD_BUNDLE .* the manifest has no build_id/],
    ['without a version', built({ manifest: { version: undefined } }), /^error BAD_BUNDLE .* the manifest has no version/],
    [
      'that is compressed',
      fixture('bundle-python-deflated.zip'),
      /^error BAD_BUNDLE .* compressed \(method 8\): a device takes stored entries only, so build the bundle with mos, or zip it with zip -0/,
    ],
    ['that was zipped with its folder', fixture('bundle-zip-folder.zip'), /^error BAD_BUNDLE .* the first entry must be manifest\.json/],
    ['that is cut off', built({}).subarray(0, 400), /^error BAD_BUNDLE .* the entry says \d+ bytes, and \d+ follow|ends in the middle/],
    ['that is a page', new TextEncoder().encode('<html>404</html>'), /^error BAD_BUNDLE .* this is no zip archive/],
    [
      'with a sum of other bytes',
      built({ manifest: { parts: { app: { src: 'app.bin', cs_sha1: '0'.repeat(40) } } } }),
      /^error BAD_BUNDLE .* the SHA-1 of part app/,
    ],
  ])('refuses one %s, once, at the pin', (_what, bytes, text) => {
    const told = validated(bytes);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(text);
    expect(told[0]).toMatch(/ groups\/all\.yaml:\d+ /);
  });
});
