import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import sessions from './fixtures/sessions.json' with { type: 'json' };
import vectors from './fixtures/vectors.json' with { type: 'json' };
import { compareVersions, versionBytes, versionText } from './version.ts';
import { type Command, decodeCommand, encodeCommand } from './wire-commands.ts';
import { decodeStatus, encodeOldStatus, encodeStatus, MAX_STATUS_BYTES } from './wire.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const SHA = bytes('097d501382f5817eb2c5f741d37845158c76dd6a8af899001b36b5a75188aeeb');

const plain = { mtu: 512, correlationId: null, update: null };
/** What the page says of each vector in words, as values: a codec must not be tried against itself alone. */
const STATUSES: Readonly<Record<string, object>> = {
  S1: { version: '0.1.0', ...plain },
  S2: { version: '0.1.0', ...plain, mtu: null },
  S3: { version: '0.1.0', ...plain, correlationId: 1 },
  S4: { version: '0.1.0', ...plain, update: { version: '0.1.1', offset: 512 } },
  S5: { version: '0.1.0', ...plain, update: { version: '0.1.1', offset: 0 } },
  S6: { version: '0.1.0', ...plain, correlationId: 4_294_967_295, update: { version: '0.1.1', offset: 65_536 } },
  S7: { version: '0x01', ...plain, mtu: 4 },
  S8: { version: '0x01', ...plain, mtu: 4, update: { version: '0x02', offset: 0 } },
  S9: { version: '0x', ...plain, mtu: 256 },
  S10: { version: '0.1.0', ...plain, update: { version: '0x', offset: 0 } },
  S11: { version: '0.1.0', ...plain, update: { version: '0.0.9', offset: 512 } },
  S12: { version: '0xfffe0001', ...plain },
  S13: { version: '0.1.0', ...plain, mtu: 0 },
  S14: { version: '0.1.0', ...plain, mtu: 1 },
  S15: { version: '0.1.0', ...plain, mtu: 4_294_967_295 },
  S16: { version: '0.1.0', ...plain, update: { version: '0.1.1', offset: 4_294_967_295 } },
};

const next = { version: '0.1.1', correlationId: null };
const COMMANDS: Readonly<Record<string, Command>> = {
  W1: { kind: 'Wait', correlationId: null, poll: null },
  W2: { kind: 'Wait', correlationId: null, poll: 300 },
  W3: { kind: 'Wait', correlationId: 7, poll: 300 },
  Y1: { kind: 'Sync', version: '0.1.0', correlationId: null, poll: null },
  Y2: { kind: 'Sync', version: '0.1.0', correlationId: 1, poll: 300 },
  R1: { kind: 'Write', ...next, offset: 0, data: ascii('hello') },
  R2: { kind: 'Write', ...next, correlationId: 1, offset: 512, data: bytes('deadbf') },
  R3: { kind: 'Write', ...next, offset: 65_536, data: bytes('') },
  P1: { kind: 'Swap', ...next, checksum: SHA },
  P2: { kind: 'Swap', ...next, checksum: bytes('') },
  P3: { kind: 'Swap', ...next, correlationId: 1, checksum: SHA },
};

describe('statuses (§9.1)', () => {
  it.each(vectors.statuses)('$name $encoding', ({ name, encoding, hex: written }) => {
    const said = decodeStatus(bytes(written));
    expect(said).toEqual({ ok: true, value: { status: STATUSES[name], encoding, warnings: [] } });
    if (said.ok) expect(hex(encodeStatus(said.value.status, encoding as 'named' | 'packed'))).toBe(written);
  });

  it('are all of the page', () => {
    expect(new Set(vectors.statuses.map(({ name }) => name))).toEqual(new Set(Object.keys(STATUSES)));
    expect(vectors.statuses).toHaveLength(21);
  });
});

describe('commands (§9.2)', () => {
  it.each(vectors.commands)('$name $encoding', ({ name, encoding, hex: written }) => {
    const command = COMMANDS[name];
    if (command === undefined) throw new Error(`no ${name}`);
    expect(hex(encodeCommand(command, encoding as 'named' | 'packed'))).toBe(written);
    expect(decodeCommand(bytes(written))).toEqual({ ok: true, value: command });
  });

  it('are all of the page', () => {
    expect(new Set(vectors.commands.map(({ name }) => name))).toEqual(new Set(Object.keys(COMMANDS)));
    expect(vectors.commands).toHaveLength(17);
  });

  it.each([
    [23, 18, 54],
    [24, 19, 55],
    [255, 19, 55],
    [256, 20, 56],
    [65_535, 20, 56],
    [65_536, 22, 58],
  ])('a Write of %i bytes has a frame of %i packed, %i named', (size, packed, named) => {
    const command: Command = { kind: 'Write', ...next, offset: 4096, data: new Uint8Array(size) };
    expect(encodeCommand(command, 'packed').length - size).toBe(packed);
    expect(encodeCommand(command, 'named').length - size).toBe(named);
  });

  it('begin with a1 and hold neither tags nor undefined (§9.8)', () => {
    const command = fc.record({ version: fc.uint8Array({ maxLength: 40 }), offset: fc.nat(), data: fc.uint8Array({ maxLength: 70_000 }) });
    fc.assert(
      fc.property(command, fc.option(fc.nat()), fc.constantFrom('named' as const, 'packed' as const), (one, correlationId, encoding) => {
        const sent: Command = { kind: 'Write', version: versionText(one.version), correlationId, offset: one.offset, data: one.data };
        const written = encodeCommand(sent, encoding);
        expect(written[0]).toBe(0xa1);
        expect(decodeCommand(written)).toEqual({ ok: true, value: sent });
      }),
      { numRuns: 50 },
    );
  });

  it('have a JSON form of our own (§1.5)', () => {
    const json = (command: Command): unknown => JSON.parse(Buffer.from(encodeCommand(command, 'json')).toString());
    expect(json({ kind: 'Write', ...next, offset: 8, data: ascii('hello') })).toEqual({
      Write: { version: '0.1.1', correlation_id: null, offset: 8, data: 'aGVsbG8=' },
    });
    expect(json({ kind: 'Swap', ...next, checksum: SHA })).toEqual({
      Swap: { version: '0.1.1', correlation_id: null, checksum: hex(SHA) },
    });
    expect(json({ kind: 'Wait', correlationId: 3, poll: 60 })).toEqual({ Wait: { correlation_id: 3, poll: 60 } });
    expect(json({ kind: 'Sync', ...next, poll: null })).toEqual({ Sync: { version: '0.1.1', correlation_id: null, poll: null } });
  });
});

describe('odd statuses (§9.5)', () => {
  it.each(vectors.oddStatuses)('$verdict $name', ({ verdict, hex: written }) => {
    const said = decodeStatus(bytes(written));
    expect(said.ok).toBe(verdict === 'ok');
    if (said.ok) expect(said.value.status.version).toBe('0.1.0');
  });

  it('are all of the page', () => expect(vectors.oddStatuses).toHaveLength(33));

  it('take the documented `status` for `update`, and say so', () => {
    const documented = vectors.oddStatuses.find(({ name }) => name.includes('documented'))?.hex ?? '';
    expect(decodeStatus(bytes(documented))).toMatchObject({
      ok: true,
      value: { status: { mtu: 512, update: { version: '0.1.1', offset: 512 } }, warnings: ['STATUS_ALIAS'] },
    });
    const text = encodeStatus({ version: 'a', ...plain }, 'named');
    // `status: 1` behind it: the reference passes over it.
    const odd = Uint8Array.from([0xa5, ...text.subarray(1), 0x66, ...ascii('status'), 0x01]);
    expect(decodeStatus(odd)).toMatchObject({ ok: true, value: { status: { update: null }, warnings: ['NOTHING_IN_STATUS'] } });
  });

  it.each([
    ['version as text (G1)', 'TOO_OLD', '0.1.0'],
    ['full G1 status', 'TOO_OLD', '0.1.0'],
    ['version as integer array (G2)', 'TOO_OLD', '0.1.0'],
    ['mtu float 512.0', 'MALFORMED', null],
  ])('%s is %s', (name, code, version) => {
    const written = vectors.oddStatuses.find((one) => one.name === name)?.hex ?? '';
    expect(decodeStatus(bytes(written))).toMatchObject({ ok: false, error: { code, version } });
  });

  it('of an older generation are what the page shows of it', () => {
    const full = vectors.oddStatuses.find(({ name }) => name === 'full G1 status')?.hex;
    expect(hex(encodeOldStatus({ version: '0.1.0', ...plain }))).toBe(full);
  });
});

describe('odd commands (§9.6)', () => {
  it.each(vectors.oddCommands)('$verdict $name', ({ verdict, hex: written }) => {
    expect(decodeCommand(bytes(written)).ok).toBe(verdict === 'ok');
  });

  it('are all of the page', () => expect(vectors.oddCommands).toHaveLength(22));
});

describe('encoder traps (§9.8)', () => {
  // What the named libraries make of a Write of "hello", or begin it with.
  const fields = '0045302e312e3101f60200034568656c6c6f';
  it.each([
    ['a map with a length of two bytes', `b90001655772697465b90004${fields}`, false],
    ['a tag on every map', `d90103a102d90103a4${fields}`, false],
    ['undefined for an absent id', 'a102a40045302e312e3101f70200034568656c6c6f', false],
    ['a Buffer as its JSON form', 'a102a300a26474797065664275666665726464617461850003020100f60200', false],
    ['a tag on the bytes', 'a102a400d84045302e312e3101f6020003d8404568656c6c6f', true],
    ['plain maps', `a102a4${fields}`, true],
  ])('%s', (_name, written, taken) => expect(decodeCommand(bytes(written)).ok).toBe(taken));

  it('are none of ours, in any command', () => {
    for (const command of Object.values(COMMANDS)) {
      for (const encoding of ['packed', 'named'] as const) {
        const written = encodeCommand(command, encoding);
        expect(written[0]).toBe(0xa1);
        // A checksum may hold any byte.
        if (command.kind !== 'Swap') expect(encodeCommand({ ...command, correlationId: null }, encoding)).not.toContain(0xf7);
      }
    }
  });
});

describe('the vectors', () => {
  const page = readFileSync('docs/protocols/drogue-dfu.md', 'utf8');

  /** What stands in the block of a section of the page. */
  function block(section: string): readonly string[] {
    const [, text = ''] =
      new RegExp(`### ${section.replace('.', String.raw`\.`)} [\\s\\S]*?\n\`\`\`\n([\\s\\S]*?)\n\`\`\``).exec(page) ?? [];
    return text.split('\n');
  }

  const hexOf = (line: string): string => {
    const last = line.split(/[| ]/).at(-1) ?? '';
    return /^[0-9a-f]+$/.test(last) ? last : '';
  };

  it.each([
    ['9.1', vectors.statuses],
    ['9.2', vectors.commands],
    ['9.5', vectors.oddStatuses],
    ['9.6', vectors.oddCommands],
  ])('are all that stand in §%s, byte for byte', (section, known) => {
    expect(known.map(({ hex: written }) => written)).toEqual(block(section).map(hexOf));
  });

  it.each([
    ['9.3', sessions.packed],
    ['9.4', sessions.named],
  ])('are all that stand in §%s, in order', (section, known) => {
    const lines = block(section).filter((line) => /^[DS]>[DS] /.test(line));
    expect(known.map(({ from, hex: written }) => `${from === 'device' ? 'D>S' : 'S>D'} ${written}`)).toEqual(lines);
  });
});

describe('JSON statuses (§1.5)', () => {
  const object = { version: '0.1.0', mtu: 256, update: { version: '0.1.1', offset: 8 } };
  it.each([
    ['an object', JSON.stringify(object)],
    ['a text that holds one, as Drogue Cloud makes it', JSON.stringify(JSON.stringify(object))],
    ['the documented key', JSON.stringify({ version: '0.1.0', mtu: 256, status: object.update })],
  ])('%s is read', (_name, text) => {
    expect(decodeStatus(ascii(text))).toMatchObject({
      ok: true,
      value: { status: { version: '0.1.0', mtu: 256, correlationId: null, update: { version: '0.1.1', offset: 8 } }, encoding: 'json' },
    });
  });

  it.each([
    '{"version":["0"]}',
    '{"version":"0.1.0","mtu":-1}',
    '{"version":"0.1.0","mtu":1e9999}',
    '{"version":"0.1.0","update":{"version":"0.1.1"}}',
    '{"mtu":5}',
    '"',
    '"null"',
    '{',
    ' [1]',
  ])('%s is refused', (text) => {
    expect(decodeStatus(ascii(text))).toMatchObject({ ok: false, error: { code: 'MALFORMED' } });
  });
});

describe('hostile input', () => {
  it('is answered by a value, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        expect(typeof decodeStatus(noise).ok).toBe('boolean');
        expect(typeof decodeCommand(noise).ok).toBe('boolean');
      }),
      { numRuns: 2000 },
    );
  });

  it('with one byte changed is read or refused, never half read', () => {
    const known = vectors.statuses.map(({ hex: written }) => bytes(written));
    fc.assert(
      fc.property(fc.constantFrom(...known), fc.nat(), fc.nat(255), (status, at, byte) => {
        const said = decodeStatus(status.with(at % status.length, byte));
        if (!said.ok) return;
        const again = decodeStatus(encodeStatus(said.value.status, said.value.encoding === 'packed' ? 'packed' : 'named'));
        expect(again).toMatchObject({ ok: true, value: { status: said.value.status } });
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['a map of 2³² entries', 'bbffffffffffffffff'],
    ['an array of 2³² elements', '9affffffff'],
    ['a byte string longer than the message', 'a1005affffffff30'],
    ['a tower of arrays', `a20041300a${'81'.repeat(500)}00`],
    ['a tower of tags', `${'c1'.repeat(5000)}a100`],
    ['an endless map', `a20041300abf${'00'.repeat(9)}`],
    ['chunks within chunks', 'a20041300a5f5f4100ffff'],
    ['a break for a value', 'a20041300aff'],
    ['a reserved length', 'a1001c'],
  ])('%s is refused', (_name, written) => {
    expect(decodeStatus(bytes(written)).ok).toBe(false);
  });

  it('of more than 16 KiB is not looked at', () => {
    expect(decodeStatus(new Uint8Array(MAX_STATUS_BYTES + 1).fill(0xa1))).toMatchObject({ ok: false, error: { code: 'TOO_LARGE' } });
  });
});

describe('versions (§7.5)', () => {
  it('are one to one with their texts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (version) => {
        expect(versionBytes(versionText(version))).toEqual(version);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const own = versionText(Buffer.from(text));
        expect(versionText(versionBytes(own))).toBe(own);
      }),
    );
  });

  it.each([
    ['0.1.9', '0.1.10', -1],
    ['v1.2', '1.2.0', 0],
    ['2', '1.9.9', 1],
    ['2dbedf0', '2dbedf1', null],
    ['2dbedf0', '2dbedf0', 0],
  ])('%s and %s compare as %s', (a, b, order) => expect(compareVersions(a, b)).toBe(order));
});
