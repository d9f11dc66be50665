import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { at } from './json.ts';
import { compileRuleSchema, isTamePattern, MAX_SCHEMA_BYTES } from './schema.ts';
import { buildRuleSchema, buildSimConfig } from './sim-schema.ts';

function bytesOf(schema: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(schema));
}

function problems(schema: Json, config: Json): readonly string[] {
  const compiled = compileRuleSchema(bytesOf(schema));
  if (!compiled.ok) throw new Error(compiled.error.message);
  return compiled.value.check(config);
}

function codeOf(schema: unknown): string | null {
  const compiled = compileRuleSchema(schema instanceof Uint8Array ? schema : bytesOf(schema));
  return compiled.ok ? null : compiled.error.code;
}

/** A copy with the member at a path replaced; undefined removes it. */
function changed(document: Json, path: readonly string[], value: Json | undefined): Json {
  const [name, ...rest] = path;
  if (name === undefined) return value ?? null;
  const object = document as Readonly<Record<string, Json>>;
  const inner = rest.length === 0 ? value : changed(object[name] ?? {}, rest, value);
  return Object.fromEntries(Object.entries({ ...object, [name]: inner }).filter(([, member]) => member !== undefined));
}

const MODELS = ['CANedge2', 'CANedge2 GNSS', 'CANedge3 GNSS'] as const;
const SERIES = ['01.06', '01.07', '01.08', '01.09'] as const;

describe('draft-07, as §4.2 measured it', () => {
  const config = buildSimConfig('01.09', 'CANedge2');
  const s3 = ['connect', 's3'] as const;
  it.each([
    ['an endpoint without a port', changed(config, [...s3, 'server', 'port'], undefined)],
    ['ota 7', changed(config, [...s3, 'sync', 'ota'], 7)],
    ['ota as text', changed(config, [...s3, 'sync', 'ota'], '600')],
    ['an encrypted flag over a plain secret', changed(config, [...s3, 'server', 'keyformat'], 1)],
    ['an unknown key inside s3', changed(config, [...s3, 'extra'], 1)],
    ['an unknown section', changed(config, ['other'], {})],
    ['a section like s3', changed(config, ['connect', 'xs3y'], {})],
    ['the web server while protocol is S3', changed(config, [...s3, 'sync'], 5)],
  ])('refuses %s', (_name, document) => {
    expect(problems(buildRuleSchema('01.09', 'CANedge2'), document)).not.toEqual([]);
  });

  it.each(SERIES.flatMap((series) => MODELS.map((model) => [series, model] as const)))(
    'takes the default config of %s on a %s',
    (series, model) => {
      expect(problems(buildRuleSchema(series, model), buildSimConfig(series, model))).toEqual([]);
      expect(problems(buildRuleSchema(series), buildSimConfig(series, model))).toEqual([]);
    },
  );

  it('knows date-time', () => {
    const schema = { properties: { a: { type: 'string', format: 'date-time' } } };
    expect(problems(schema, { a: '2026-11-21T10:00:00Z' })).toEqual([]);
    expect(problems(schema, { a: 'yesterday' })).toHaveLength(1);
  });

  it('adds the limits that no schema says, and stops at five lines', () => {
    const document = changed(config, ['can_1'], { transmit: Array.from({ length: 9 }, () => ({ period: 1, delay: 2 })) });
    expect(problems(buildRuleSchema('01.09', 'CANedge2'), document)).toHaveLength(5);
  });

  it('says places and rules, never values', () => {
    const document = changed(config, [...s3, 'server', 'secretkey'], 'pässwort-ganz-geheim');
    const told = problems(buildRuleSchema('01.09', 'CANedge2'), document).join(' ');
    expect(told).toContain('/connect/s3/server/secretkey');
    expect(told).not.toContain('geheim');
  });
});

describe('a schema from a bucket is hostile', () => {
  const doubling = Object.fromEntries(
    Array.from({ length: 40 }, (_none, index) => [
      `d${index}`,
      { anyOf: [{ $ref: `#/definitions/d${index + 1}` }, { $ref: `#/definitions/d${index + 1}` }] },
    ]),
  );
  let deep: unknown = {};
  for (let level = 0; level < 200; level += 1) deep = { properties: { a: deep } };
  it.each([
    ['no JSON', new TextEncoder().encode('{'), 'SCHEMA_NOT_JSON'],
    ['a list', [], 'SCHEMA_NOT_JSON'],
    ['too long', new Uint8Array(MAX_SCHEMA_BYTES + 1), 'SCHEMA_TOO_LARGE'],
    ['one that passes everything by being async', { $async: true, type: 'object' }, 'SCHEMA_HOSTILE'],
    ['one that is async further in', { properties: { a: { $async: true } } }, 'SCHEMA_HOSTILE'],
    ['one that names itself', { $id: 'http://example.org/x', type: 'object' }, 'SCHEMA_HOSTILE'],
    ['one that claims another draft', { $schema: 'https://json-schema.org/draft/2020-12/schema' }, 'SCHEMA_HOSTILE'],
    ['one that refers elsewhere', { properties: { a: { $ref: 'http://example.org/x' } } }, 'SCHEMA_HOSTILE'],
    ['one that refers to itself', { properties: { a: { $ref: '#' } } }, 'SCHEMA_HOSTILE'],
    [
      'a circle',
      { definitions: { a: { $ref: '#/definitions/b' }, b: { $ref: '#/definitions/a' } }, properties: { x: { $ref: '#/definitions/a' } } },
      'SCHEMA_HOSTILE',
    ],
    ['a reference to nothing', { properties: { x: { $ref: '#/definitions/nothing' } } }, 'SCHEMA_HOSTILE'],
    [
      'definitions that double',
      { definitions: { ...doubling, d40: { type: 'integer' } }, properties: { x: { $ref: '#/definitions/d0' } } },
      'SCHEMA_HOSTILE',
    ],
    ['too deep', deep, 'SCHEMA_HOSTILE'],
    [
      'too many members',
      { enum: [], properties: Object.fromEntries(Array.from({ length: 30_000 }, (_n, i) => [`p${i}`, {}])) },
      'SCHEMA_HOSTILE',
    ],
    ['a pattern that backtracks for ever', { properties: { a: { pattern: '^(a+)+$' } } }, 'SCHEMA_HOSTILE'],
    ['the same as a pattern of names', { patternProperties: { '^(a|a)*$': {} } }, 'SCHEMA_HOSTILE'],
    ['the same inside a definition', { definitions: { a: { items: { pattern: '(x*)*y' } } } }, 'SCHEMA_HOSTILE'],
    ['a keyword of a wrong type', { properties: 5 }, 'SCHEMA_INVALID'],
    ['a pattern that is none', { properties: { a: { pattern: '(' } } }, 'SCHEMA_INVALID'],
  ])('%s', (_name, schema, code) => {
    expect(codeOf(schema)).toBe(code);
  });

  it('may have members that are called like keywords', () => {
    expect(codeOf({ properties: { id: { type: 'string' }, pattern: { type: 'string' }, $ref: { type: 'string' } } })).toBe(null);
  });

  it('writes no code of its own into ours', () => {
    const schema = { properties: { '");globalThis.owned=1;("': { type: 'string', const: '");globalThis.owned=1;("' } } };
    expect(problems(schema, { '");globalThis.owned=1;("': 5 })).not.toEqual([]);
    expect(at(globalThis, 'owned')).toBeUndefined();
  });
});

describe('patterns', () => {
  it.each([
    '^(?!\\s).*(?<!\\s)$',
    '^([0-1][0-9]|2[0-4]):([0-5][0-9])$',
    '^([0-1][a-fA-F0-9]{7}|[a-fA-F0-9]{1,7})$',
    '^([a-fA-F0-9]{2})*$',
    '^([a-fA-F0-9]{2}){0,64}$',
    '^[ -~]*$',
    '^[a-z0-9]{1}[a-z0-9\\.\\-]{0,62}[a-z0-9]{1}$',
    '^https*://[a-zA-Z0-9_/\\.-]+$',
    '^(|[0-9]{4,8})$',
  ])('of the vendor are tame: %s', (pattern) => {
    expect(isTamePattern(pattern)).toBe(true);
  });

  it.each(['(a+)+', '(a|b)*c', '((a*))+', '([a-z]+){2,}', '(a?){50}', '^.*.*.*.*x$', '(a)\\1', 'x'.repeat(300)])(
    'are refused: %s',
    (pattern) => {
      expect(isTamePattern(pattern)).toBe(false);
    },
  );
});
