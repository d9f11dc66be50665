import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { Secret, SECRET_TEXT, secretText } from '#kit/secret.ts';
import type { PinnedItem } from '#ports/family.ts';
import { contentOf, declaredTruck } from '#test/support/canedge.ts';
import { livingConfig } from '#test/support/canedge-configs.ts';
import { inSeries } from './config-series.ts';
import { canedgeFamily } from './family.ts';
import { at, parseJson } from './json.ts';

const secret = (text: string): Secret => new Secret(new TextEncoder().encode(text));

function pin(name: string, document: Json, change: Partial<PinnedItem> = {}): PinnedItem {
  const content = contentOf(name, new TextEncoder().encode(JSON.stringify(document)));
  return { item: 'config', artifact: null, content, document, firmware: null, certificates: [], ...change };
}

const OLD = livingConfig('CANedge2', '01.06');
const truck = (options: Readonly<Record<string, Json>> = {}) => declaredTruck({}, { options });

function fitted(given: PinnedItem, options: Readonly<Record<string, Json>> = {}) {
  const answer = inSeries(truck(options), given);
  if (!answer.ok) throw new Error(answer.error.summary);
  return answer.value;
}

describe('the series that a config is rendered for', () => {
  it.each<[string, PinnedItem, Readonly<Record<string, Json>>, string, string | null]>([
    ['that of the firmware beside it', pin('base.json', OLD, { firmware: '01.08.05' }), {}, '01.08', null],
    ['that of the options, without a firmware', pin('base.json', OLD), { series: '01.07' }, '01.07', null],
    ['that of the file’s own name, without both', pin('base-01.06.json', OLD), {}, '01.06', null],
    ['that of the firmware, migrated from the file’s', pin('base-01.06.json', OLD, { firmware: '01.09.03' }), {}, '01.09', '01.06'],
    [
      'that of the firmware before that of the options',
      pin('base-01.09.json', OLD, { firmware: '01.09.03' }),
      { series: '01.08' },
      '01.09',
      null,
    ],
  ])('is %s', (_name, given, options, series, from) => {
    expect(fitted(given, options)).toMatchObject({ series, migratedFrom: from });
  });

  it.each<[string, PinnedItem, Readonly<Record<string, Json>>, string]>([
    ['nothing says it', pin('base.json', OLD), {}, 'CONFIG_SERIES_UNKNOWN'],
    ['the file is of a later one', pin('base-01.09.json', OLD, { firmware: '01.08.05' }), {}, 'MIGRATION_BACKWARDS'],
    ['nothing is published of the way', pin('base-01.05.json', OLD, { firmware: '01.08.05' }), {}, 'MIGRATION_UNKNOWN'],
    ['the options forbid to migrate', pin('base-01.06.json', OLD, { firmware: '01.08.05' }), { migrate: false }, 'CONFIG_OTHER_SERIES'],
  ])('is a mistake where %s', (_name, given, options, code) => {
    const answer = inSeries(truck(options), given);
    expect(answer.ok ? null : answer.error.code).toBe(code);
  });

  it('one declared file serves three series, and says what it could not carry over', () => {
    const points = Array.from({ length: 5 }, (_, index) => ({ ssid: `depot ${index}`, pwd: '', minrssi: 0 }));
    const document = {
      ...(OLD as object),
      connect: { ...(at(OLD, 'connect') as object), wifi: { mode: 0, keyformat: 0, accesspoint: points } },
    };
    for (const firmware of ['01.06.03', '01.07.05', '01.09.03']) {
      const series = firmware.slice(0, 5);
      const answer = canedgeFamily.expectation(truck(), pin('base-01.06.json', document, { firmware }));
      if (!answer.ok) throw new Error(answer.error.summary);
      const { content, warnings = [], facts } = answer.value;
      const rendered = content?.kind === 'bytes' ? parseJson(content.bytes) : undefined;
      expect(content?.name).toBe(`config-${series}.json`);
      expect(at(rendered, 'connect', 'wifi', 'accesspoint')).toHaveLength(series === '01.06' ? 5 : 4);
      expect(warnings.map(({ code }) => code)).toEqual(series === '01.06' ? [] : ['CONFIG_MIGRATED']);
      expect(at(facts, 'migrated', 'from')).toBe(series === '01.06' ? undefined : '01.06');
    }
  });

  it('secrets move with their fields, and go with those that go', () => {
    const points = Array.from({ length: 5 }, (_, index) => ({ ssid: `depot ${index}`, pwd: SECRET_TEXT, minrssi: 0 }));
    const document = {
      ...(OLD as object),
      connect: { ...(at(OLD, 'connect') as object), wifi: { mode: 0, keyformat: 0, accesspoint: points } },
    };
    const secrets = new Map(points.map((_, index) => [`/connect/wifi/accesspoint/${index}/pwd`, secret(`plain ${index}`)]));
    const given = pin('base-01.06.json', document, { firmware: '01.09.03', secrets });
    const { pin: after } = fitted(given);
    expect([...(after.secrets ?? [])].map(([path, one]) => [path, secretText(one)])).toEqual(
      Array.from({ length: 4 }, (_, index) => [`/connect/wifi/accesspoint/${index}/pwd`, `plain ${index}`]),
    );
    expect(JSON.stringify(after.document)).not.toContain('plain');
    expect(at(after.document, 'connect', 'wifi', 'accesspoint')).toHaveLength(4);
    expect(JSON.stringify(after.document)).not.toContain('/connect/');
  });
});
