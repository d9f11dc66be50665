import { describe, expect, it } from 'vitest';
import { sha256 } from '#kit/digest.ts';
import fixtures from './fixtures/mqtt-config.json' with { type: 'json' };
import { buildMqttConfig, MQTT_CONFIG_SETTINGS, parseMqttConfig, type MqttConfigEntry } from './mqtt-config.ts';

interface Positive {
  readonly name: string;
  readonly entries: readonly (readonly [number, string])[];
  readonly bytes: number;
  readonly hex?: string;
  readonly starts?: string;
  readonly sha256?: string;
  readonly terminator?: boolean;
}

const TEXTS: ReadonlyMap<string, string> = new Map(
  Object.entries(fixtures.texts).map(([name, text]) => [`<${name}>`, typeof text === 'string' ? text : text.repeat.repeat(text.times)]),
);
const POSITIVE = fixtures.positive as unknown as readonly Positive[];

function entriesOf({ entries }: Positive): readonly MqttConfigEntry[] {
  return entries.map(([id, value]) => ({ id, value: TEXTS.get(value) ?? value }));
}

function built(entries: readonly MqttConfigEntry[]): Uint8Array {
  const file = buildMqttConfig(entries);
  if (!file.ok) throw new Error(file.error.text);
  return file.value;
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** docs/protocols/campbell-mqtt.md §6.3. */
describe('mqttCfg.bin', () => {
  it.each(POSITIVE)('$name is built and read to the byte', (vector) => {
    const entries = entriesOf(vector);
    const whole = built(entries);
    // Vector D is the one without a terminator: what we write has one.
    const bytes = vector.terminator === false ? whole.subarray(0, -2) : whole;
    expect(bytes.length).toBe(vector.bytes);
    if (vector.hex !== undefined) expect(hexOf(bytes)).toBe(vector.hex);
    if (vector.starts !== undefined) expect(hexOf(bytes).startsWith(vector.starts)).toBe(true);
    if (vector.sha256 !== undefined) expect(sha256(bytes)).toBe(vector.sha256);
    expect(parseMqttConfig(bytes)).toEqual({ ok: true, value: entries });
    expect(parseMqttConfig(whole)).toEqual({ ok: true, value: entries });
    expect(parseMqttConfig(whole.subarray(0, -2))).toEqual({ ok: true, value: entries });
    expect(parseMqttConfig(whole, { terminatorOptional: false })).toEqual({ ok: true, value: entries });
  });

  it.each(fixtures.negative)('$name is refused: $why', ({ hex, code }) => {
    expect(parseMqttConfig(Buffer.from(hex, 'hex'))).toMatchObject({ ok: false, error: { code } });
  });

  it('without its end is refused where the end is asked for', () => {
    expect(parseMqttConfig(Buffer.from('00200009000000023532', 'hex'), { terminatorOptional: false })).toMatchObject({
      error: { code: 'CUT_SHORT' },
    });
  });

  it('with an unknown id is read where that is allowed, without it', () => {
    const file = Buffer.from('00200011000000017800090000000235320000', 'hex');
    expect(parseMqttConfig(file)).toMatchObject({ error: { code: 'UNKNOWN_ID', id: 17, offset: 2 } });
    expect(parseMqttConfig(file, { passUnknownIds: true })).toEqual({ ok: true, value: [{ id: 9, value: '52' }] });
  });

  it.each([
    ['with bytes behind its end', '0020000000', 'TRAILING_BYTES'],
    ['with half a terminator', '0020000900000002353200', 'CUT_SHORT'],
    ['with half a head', '00200009000000', 'CUT_SHORT'],
    ['with a length of 4 GiB', '002000090000ffff', 'CUT_SHORT'],
    ['with a setting twice', '0020000900000001310009000000013200', 'REPEATED_ID'],
    ['with a byte beyond ASCII', '00200005000000018000', 'VALUE_CHARACTERS'],
    ['with a null byte in a text', '00200005000000010000', 'VALUE_CHARACTERS'],
    ['with a port that is none', '0020000600000006363535333636', 'VALUE_RANGE'],
    ['that is empty', '', 'HEADER'],
  ])('%s is refused', (_name, hex, code) => expect(parseMqttConfig(Buffer.from(hex, 'hex'))).toMatchObject({ ok: false, error: { code } }));

  it('cut anywhere is refused, or is what ends there', () => {
    const whole = built([
      { id: 5, value: 'broker.example.net' },
      { id: 6, value: '8883' },
    ]);
    const ends = new Set([2, 26, 36, 38]);
    for (let end = 0; end <= whole.length; end += 1) expect(parseMqttConfig(whole.subarray(0, end)).ok).toBe(ends.has(end));
  });
});

describe('the builder', () => {
  it.each(MQTT_CONFIG_SETTINGS)('holds the limits of $name', ({ id, longest, range }) => {
    const code = (value: string): string => {
      const file = buildMqttConfig([{ id, value }]);
      return file.ok ? 'ok' : file.error.code;
    };
    if (range === null) {
      expect([code('x'.repeat(longest)), code('x'.repeat(longest + 1)), code('é')]).toEqual(['ok', 'VALUE_TOO_LONG', 'VALUE_CHARACTERS']);
    } else {
      const [lowest, highest] = range;
      expect([`${lowest}`, `${highest}`, `${highest + 1}`, '', '-1', '1.5', '0x1', ' 1'].map(code)).toEqual([
        'ok',
        'ok',
        ...Array(6).fill('VALUE_RANGE'),
      ]);
    }
  });

  it.each([0, 17, 21, 255, 65_536, -1])('refuses id %i', (id) =>
    expect(buildMqttConfig([{ id, value: 'x' }])).toMatchObject({ ok: false, error: { code: 'UNKNOWN_ID', id } }),
  );

  it('refuses a setting twice', () => {
    expect(
      buildMqttConfig([
        { id: 5, value: 'a' },
        { id: 5, value: 'b' },
      ]),
    ).toMatchObject({ ok: false, error: { code: 'REPEATED_ID' } });
  });

  it.each(MQTT_CONFIG_SETTINGS)('and the reader never say the value of $name', ({ id, longest }) => {
    const secret = `tell-nobody${'é'.repeat(longest)}`;
    const refused = buildMqttConfig([{ id, value: secret }]);
    expect(refused.ok).toBe(false);
    expect(JSON.stringify(refused)).not.toContain('tell-nobody');
    const file = Buffer.concat([
      Buffer.from([0, 0x20, 0, id, 0, 0, 0, 13]),
      Buffer.from('tell-nobody', 'latin1'),
      Buffer.from([0x80, 0x80]),
    ]);
    const read = parseMqttConfig(file);
    expect(read.ok).toBe(false);
    expect(JSON.stringify(read)).not.toContain('tell-nobody');
  });
});
