import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { crc32Hex } from '#kit/digest.ts';
import { buildFirmwareImage, parseFirmwareImage } from './image.ts';
import { compileRuleSchema } from './schema.ts';

const vector = Uint8Array.from(
  Buffer.from(readFileSync(`${import.meta.dirname}/fixtures/firmware-smallest.hex`, 'utf8').replaceAll(/\s/g, ''), 'hex'),
);

function patched(at: number, ...bytes: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(vector);
  copy.set(bytes, at);
  return copy;
}

function codeOf(bytes: Uint8Array): string | null {
  const parsed = parseFirmwareImage(bytes);
  return parsed.ok ? null : parsed.error.code;
}

describe('the vector of §14.5', () => {
  it('is what the page says', () => {
    expect(vector.length).toBe(111);
    expect(crc32Hex(vector)).toBe('2BFE7B9D');
    expect(createHash('md5').update(vector).digest('hex')).toBe('f1c32373471532d6e14fe098f5051aae');
  });

  it('parses as the vendor says', () => {
    const parsed = parseFirmwareImage(vector);
    expect(parsed.ok && parsed.value).toMatchObject({
      model: { name: 'CANedge2', type: '0000001F' },
      version: '01.09.03',
      series: '01.09',
      schema: { document: { type: 'object' } },
      config: { document: { general: {} } },
    });
  });

  it.each(['CANedge2', '0000001F'])('is built byte for byte for %s', (model) => {
    const built = buildFirmwareImage({ model, version: '01.09.03', schema: '{"type":"object"}', config: '{"general":{}}' });
    expect(Buffer.compare(built, vector)).toBe(0);
  });
});

describe('an image that is none', () => {
  it.each([
    ['of an unknown model', patched(0, 1, 2, 3, 4), 'UNKNOWN_MODEL'],
    ['with an impossible version', patched(5, 200), 'BAD_VERSION'],
    ['whose schema begins beyond the end', patched(24, 0, 0, 1, 0), 'BAD_BLOCK'],
    ['whose schema is longer than the file', patched(28, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 'BAD_BLOCK'],
    ['whose config lies in the header', patched(32, 0, 0, 0, 4), 'BAD_BLOCK'],
    ['whose config is empty', patched(36, 0, 0, 0, 0), 'BAD_BLOCK'],
    ['whose blocks overlap', patched(32, 0, 0, 0, 0x48), 'OVERLAPPING_BLOCKS'],
    ['whose schema is no JSON', patched(0x40, 0x21), 'NOT_JSON'],
    ['whose config is no UTF-8', patched(0x51, 0xff), 'NOT_JSON'],
    ['shorter than the header', vector.slice(0, 39), 'TOO_SHORT'],
    ['that is empty', new Uint8Array(), 'TOO_SHORT'],
    ['cut off within the config', vector.slice(0, 0x55), 'BAD_BLOCK'],
  ])('%s', (_name, bytes, code) => {
    expect(codeOf(bytes)).toBe(code);
  });

  it('tells the header of one model from another', () => {
    const other = buildFirmwareImage({ model: 'CANedge3 GNSS', version: '01.09.03', schema: {}, config: {} });
    const parsed = parseFirmwareImage(other);
    expect(parsed.ok && parsed.value.model.type).toBe('0000007D');
  });

  it('shows a default config that its own schema refuses', () => {
    const schema = { type: 'object', required: ['connect'] };
    const parsed = parseFirmwareImage(buildFirmwareImage({ model: 'CANedge2', version: '01.09.03', schema, config: {} }));
    if (!parsed.ok) throw new Error(parsed.error.message);
    const compiled = compileRuleSchema(parsed.value.schema.bytes);
    expect(compiled.ok && compiled.value.check(parsed.value.config.document)).toEqual(["/: must have required property 'connect'"]);
  });

  it('is not built for a model or version that is none', () => {
    expect(() => buildFirmwareImage({ model: 'CANedge9', version: '01.09.03', schema: {}, config: {} })).toThrow(RangeError);
    expect(() => buildFirmwareImage({ model: 'CANedge2', version: '1.9', schema: {}, config: {} })).toThrow(RangeError);
  });
});
