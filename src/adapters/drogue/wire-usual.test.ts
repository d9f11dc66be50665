import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { versionText } from './version.ts';
import { usualStatus } from './wire-usual.ts';
import { decodeStatus, encodeStatus, type Status } from './wire.ts';

const version = fc.uint8Array({ maxLength: 30 }).map((bytes) => versionText(bytes));
const number = fc.nat(0xffff_ffff);
const status: fc.Arbitrary<Status> = fc.record({
  version,
  mtu: fc.option(number),
  correlationId: fc.option(number),
  update: fc.option(fc.record({ version, offset: number })),
});

/** The self-describe tag in front changes nothing (§9.5), and is not of the usual form. */
function generally(bytes: Uint8Array): ReturnType<typeof decodeStatus> {
  return decodeStatus(Uint8Array.from([0xd9, 0xd9, 0xf7, ...bytes]));
}

describe('the usual status', () => {
  it('is read as the general way reads it', () => {
    fc.assert(
      fc.property(status, (said) => {
        const bytes = encodeStatus(said, 'packed');
        const short = [said.version, said.update?.version ?? ''].every((text) => Buffer.from(text).length <= 20);
        if (short) expect(usualStatus(bytes)).toEqual(said);
        expect(generally(bytes)).toMatchObject({ ok: true, value: { status: said, encoding: 'packed' } });
      }),
      { numRuns: 1000 },
    );
  });

  it('with any byte changed, cut or added is read as the general way reads it, or left to that', () => {
    fc.assert(
      fc.property(status, fc.nat(), fc.nat(255), fc.constantFrom('change', 'cut', 'add'), (said, at, byte, how) => {
        const bytes = encodeStatus(said, 'packed');
        const place = at % bytes.length;
        const spoilt =
          how === 'change' ? bytes.with(place, byte) : how === 'cut' ? bytes.subarray(0, place) : Uint8Array.from([...bytes, byte]);
        const read = usualStatus(spoilt);
        if (read !== null) expect(generally(spoilt)).toMatchObject({ ok: true, value: { status: read, encoding: 'packed', warnings: [] } });
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['named keys', encodeStatus({ version: '1', mtu: 8, correlationId: null, update: null }, 'named')],
    ['nothing', new Uint8Array()],
  ])('is not %s', (_name, bytes) => {
    expect(usualStatus(bytes)).toBeNull();
  });
});
