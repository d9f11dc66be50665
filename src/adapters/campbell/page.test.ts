import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CampbellWorld } from '#test/support/campbell.ts';
import mqttConfig from './fixtures/mqtt-config.json' with { type: 'json' };
import signatures from './fixtures/signatures.json' with { type: 'json' };
import vectors from './fixtures/vectors.json' with { type: 'json' };
import { parseOsVersion } from './os-version.ts';

const page = readFileSync('docs/protocols/campbell-mqtt.md', 'utf8');

/** The text below a heading, up to the next one of the same depth or less. */
function section(title: string): string {
  const at = page.indexOf(`\n${title}`);
  if (at < 0) throw new Error(`the page has no ${title}`);
  const depth = /^#+/.exec(title)?.[0].length ?? 2;
  const rest = page.slice(at + title.length + 1);
  const end = new RegExp(`\\n#{2,${depth}} `).exec(rest)?.index ?? rest.length;
  return rest.slice(0, end);
}

/** Rows of the tables of a section, without the head. */
function rows(text: string): readonly (readonly string[])[] {
  const cells = text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  return cells.filter((row) => !row.every((cell) => /^-*$/.test(cell)));
}

const bare = (cell = ''): string => cell.replaceAll('`', '');

describe('the tables of tests hold what the protocol page has', () => {
  it('every exchange of §14, word for word', () => {
    const [, json = ''] = /```json\n([\s\S]*?)```/.exec(section('## 14.')) ?? [];
    const said = JSON.parse(json.replaceAll('<b>', 'cs/v2').replaceAll('<id>', 'QU8Q-9JTY-HVP8')) as readonly { readonly name: string }[];
    expect(said.length).toBeGreaterThan(20);
    const known = new Map(vectors.vectors.map((vector) => [vector.name, vector]));
    for (const vector of said) expect(known.get(vector.name), vector.name).toEqual(vector);
    expect(known.size).toBe(said.length);
  });

  it('every configuration file of §6.3, good and bad', () => {
    const table = rows(section('### 6.3')).filter(([name = '']) => /^[A-HN]\d?b?$/.test(name));
    const good = table.filter((row) => row.length === 4);
    const bad = table.filter((row) => row.length === 3);
    expect(mqttConfig.positive.map(({ name, bytes }) => [name, String(bytes)])).toEqual(good.map(([name, , bytes]) => [name, bytes]));
    for (const [index, vector] of mqttConfig.positive.entries()) {
      const cell = bare(good[index]?.[3]);
      const { hex, starts, sha256 } = vector as { readonly hex?: string; readonly starts?: string; readonly sha256?: string };
      for (const part of [hex, starts, sha256]) if (part !== undefined) expect(cell, vector.name).toContain(part);
      expect(hex ?? sha256, vector.name).toBeDefined();
    }
    expect(mqttConfig.negative.map(({ name, hex }) => [name, hex])).toEqual(bad.map(([name, , hex]) => [name, bare(hex)]));
  });

  it('every spelling of an OS version of §8.1', () => {
    const table = rows(section('### 8.1')).filter((row) => row.length === 4 && row[0] !== 'input');
    expect(table.length).toBeGreaterThanOrEqual(7);
    for (const [input = '', model = '', version = '', build = ''] of table) {
      const texts = [...input.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
      const expected = version.split('<').map((one) => one.trim());
      for (const [index, text] of texts.entries()) {
        const parsed = parseOsVersion(text);
        expect([...(parsed?.parts ?? []), 0, 0].slice(0, 3).join('.'), text).toBe(expected[index]);
        expect(parsed?.model ?? model, text).toBe(model);
        expect(parsed?.build ?? '', text).toBe(build);
      }
    }
    // And those of the first table, as they are seen in messages.
    for (const [, text = ''] of section('### 8.1').matchAll(/`([A-Z][\w-]*\.[\w.]*\d)`/g))
      expect(parseOsVersion(text), text).not.toBeNull();
  });

  it('every signature of §8.4', () => {
    const table = rows(section('### 8.4')).filter(([bytes]) => bytes !== 'bytes');
    const known = new Map(signatures.vectors.map(({ signature, crc }) => [signature, crc]));
    expect(table).toHaveLength(signatures.vectors.length);
    for (const [bytes = '', signature = '', crc = ''] of table) {
      const [decimal = '', hex] = signature.split(' ').map(bare);
      expect(known.has(Number(decimal)), bytes).toBe(true);
      if (hex !== undefined) expect(Number(decimal).toString(16).padStart(4, '0')).toBe(hex);
      if (bare(crc) !== '') expect(known.get(Number(decimal)), bytes).toBe(bare(crc));
    }
  });
});

describe('a configuration file that is none', () => {
  let world: CampbellWorld;

  beforeEach(() => {
    world = new CampbellWorld();
  });

  afterEach(async () => world.close());

  it.each(mqttConfig.negative)('$name is answered with an error, and nothing changes', async ({ hex }) => {
    const logger = await world.logger();
    const before = logger.settings();
    const sender = await world.run(world.connect('sender', { clean: true, marker: false }));
    const from = world.said.length;
    const body = { url: world.files.put('mqttCfg.bin', Buffer.from(hex, 'hex')) };
    await world.run(sender.publish('cs/v2/cc/QU8Q-9JTY-HVP8/mqttConfig', Buffer.from(JSON.stringify(body)), { qos: 0 }));
    await world.clock.advance(10 * 60_000);
    const replies = world.said.slice(from).filter(({ topic }) => topic.includes('/cr/'));
    expect(replies.map(({ text }) => JSON.parse(text) as unknown)).toEqual([{ error: 'MQTT Config file parse failed' }]);
    expect(logger.settings()).toEqual(before);
    expect(logger.effects.map(({ kind }) => kind)).toEqual(['download']);
  });
});
