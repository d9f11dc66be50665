import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { configFields } from './config-difference.ts';
import { buildSimConfig } from './sim-schema.ts';

const WIFI = buildSimConfig('01.09', 'CANedge2');

function changed(...[from, to]: readonly [string, string]): Json {
  const text = JSON.stringify(WIFI);
  if (!text.includes(from)) throw new Error(`the config does not hold ${from}`);
  return JSON.parse(text.replace(from, to)) as Json;
}

/** `path: from → to`, a line each. */
function lines(before: Json, after: Json): readonly string[] {
  return configFields(before, after).map(({ path, from, to }) => `${path}: ${from ?? '-'} → ${to ?? '-'}`);
}

describe('the fields of a config that change', () => {
  it.each<[string, Json, readonly string[]]>([
    ['nothing', WIFI, []],
    ['a number', changed('"ota":600', '"ota":300'), ['connect.s3.sync.ota: 600 → 300']],
    ['a text', changed('"meta":""', '"meta":"Truck 9"'), ['general.device.meta: "" → "Truck 9"']],
    ['a member that comes', changed('"syslog":1', '"syslog":1,"trace":{"on":true}'), ['general.debug.trace: - → {on: true}']],
    ['a member that goes', changed('"restart_timer":0', '"x":0'), ['general.debug.x: - → 0', 'general.debug.restart_timer: 0 → -']],
    [
      'an access point that comes, by its name, without its password',
      changed('"accesspoint":[', '"accesspoint":[{"ssid":"yard","pwd":"plain-of-yard","minrssi":9},'),
      ['connect.wifi.accesspoint[yard]: - → {ssid: "yard", pwd: [secret], minrssi: 9}'],
    ],
    ['a type', changed('"ota":600', '"ota":"600"'), ['connect.s3.sync.ota: 600 → "600"']],
  ])('%s', (_name, after, wanted) => {
    expect(lines(WIFI, after)).toEqual(wanted);
  });

  it('members of a list by their names, not their places, and their order by itself', () => {
    const list = (...names: readonly string[]): Json => ({
      can_1: { filter: { id: names.map((name) => ({ name, state: name.length })) } },
    });
    expect(lines(list('a', 'bb'), list('ccc', 'a', 'bb'))).toEqual(['can_1.filter.id[ccc]: - → {name: "ccc", state: 3}']);
    expect(lines(list('a', 'bb'), list('bb', 'a'))).toEqual(['can_1.filter.id (order): a, bb → bb, a']);
    expect(lines(list('a', 'a'), list('a', 'b'))).toEqual(['can_1.filter.id[1].name: "a" → "b"']);
    expect(lines({ a: [1, 2] }, { a: [1, 3, 4] })).toEqual(['a[1]: 2 → 3', 'a[2]: - → 4']);
  });

  it.each([
    ['a WiFi password', '"pwd":"not-a-secret"', '"pwd":"plain-of-wifi"', 'connect.wifi.accesspoint[depot].pwd'],
    ['a secret key', '"secretkey":"not-a-secret"', '"secretkey":"plain-of-bucket"', 'connect.s3.server.secretkey'],
    ['a password where none belongs', '"syslog":1', '"syslog":1,"password":"plain-elsewhere"', 'general.debug.password'],
  ])('of %s that it changes, never what it is', (_name, from, to, path) => {
    const after = changed(from, to);
    for (const [one, other] of [
      [WIFI, after],
      [after, WIFI],
    ] as const) {
      const fields = configFields(one, other);
      expect(fields.map((field) => field.path)).toEqual([path]);
      expect(JSON.stringify(fields)).not.toMatch(/plain-|not-a-secret/);
    }
  });

  it('at most forty-eight, and how many more there are', () => {
    const many = (from: number): Json => Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`f${index}`, from + index]));
    const fields = configFields(many(0), many(1));
    expect(fields).toHaveLength(49);
    expect(fields.at(-1)).toEqual({ path: '12 more fields', from: null, to: null });
  });

  it('in short lines of printable ASCII, whatever a bucket holds', () => {
    const hostile = '\u001b[31m\u202e"\n' + 'x'.repeat(10_000);
    const [field] = configFields({ a: { [hostile]: 1 } }, { a: { [hostile]: hostile } });
    expect(`${field?.path}${field?.to}`).toMatch(/^[ -~…]{1,400}$/);
  });

  it('never throws and tells every change, of any two documents', () => {
    const holds = fc.property(fc.jsonValue({ maxDepth: 6 }), fc.jsonValue({ maxDepth: 6 }), (before, after) => {
      const fields = configFields(before, after);
      const same = JSON.stringify(before) === JSON.stringify(after);
      if (same) expect(fields).toEqual([]);
      for (const { path, from, to } of fields)
        for (const shown of [path, from ?? '', to ?? '']) expect(shown.length).toBeLessThanOrEqual(400);
    });
    fc.assert(holds, { numRuns: 300 });
  });

  it('of a document nested without end, without overflowing', () => {
    let [one, other]: [Json, Json] = [1, 2];
    for (let level = 0; level < 5000; level += 1) [one, other] = [{ a: one }, { a: other }];
    expect(configFields(one, other)).toHaveLength(1);
  });
});
