import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { digest } from '#model/ids.ts';
import type { DeviceFacts, PinnedItem } from '#ports/family.ts';
import { shadowFamily } from './family.ts';
import { indexMatch } from '#shadows/mapped/match.ts';
import { shadowName, shadowTerm } from './wire.ts';

const firmware = { reported: '/fw/running', desired: { '/fw/version': '{version}', '/fw/url': '{url}', '/fw/size': '{size}' } };

function facts(options: Readonly<Record<string, Json>>, change: Partial<DeviceFacts> = {}): DeviceFacts {
  return { id: 'gw-1', model: 'gw', serial: null, address: null, labels: {}, values: {}, options, ...change };
}

function pin(item: PinnedItem['item'], document: Json, text = 'bytes'): PinnedItem {
  const bytes = new TextEncoder().encode(text);
  const content = { kind: 'bytes', name: 'file', digest: digest(sha256(bytes)), size: bytes.length, bytes } as const;
  const artifact = item === 'firmware' ? { name: 'gw', version: '1.1', reportsAs: null } : null;
  return { item, artifact, content: item === 'settings' ? null : content, document, firmware: null, certificates: [] };
}

function problemOf(options: Readonly<Record<string, Json>>, pinned: PinnedItem): string {
  const answer = shadowFamily.expectation(facts(options), pinned);
  return answer.ok ? 'ok' : `${answer.error.code}: ${answer.error.summary}`;
}

describe('what is declared', () => {
  it.each<[string, Readonly<Record<string, Json>>, Partial<DeviceFacts>, readonly string[]]>([
    ['as it should be', { firmware }, {}, []],
    ['no thing', { firmware }, { address: 'a/b' }, ['SHADOW_THING']],
    ['a name that is too long', { firmware }, { address: 'x'.repeat(129) }, ['SHADOW_THING']],
    ['no mapping', {}, {}, ['NOT_MAPPED']],
    ['items within each other', { firmware, settings: { a: { reported: '/fw' } } }, {}, ['SHADOW_OVERLAP']],
    ['one key twice', { settings: { a: { reported: '/x' }, b: { reported: '/y', desired: '/x' } } }, {}, ['SHADOW_OVERLAP']],
    ['neighbours with one beginning', { settings: { a: { reported: '/x' }, b: { reported: '/x-y' }, c: { reported: '/xy' } } }, {}, []],
    ['a text that never changes', { firmware: { reported: '/fw', desired: { '/go': 'yes' } } }, {}, ['SHADOW_TEMPLATE']],
    [
      'a text in which nothing is filled in',
      { firmware: { reported: '/fw', desired: { '/a': '{version}', '/b': '{urll}' } } },
      {},
      ['BAD_TEMPLATE'],
    ],
    ['braces that are none of ours', { firmware: { reported: '/fw', desired: { '/a': '{version} {} { x } {"a":1}' } } }, {}, []],
  ])('%s', (_what, options, change, codes) => {
    expect(shadowFamily.lint(facts(options, change)).map(({ code }) => code)).toEqual(codes);
  });

  it('is written key by key, URLs last of all', () => {
    const answer = shadowFamily.expectation(facts({ firmware }), pin('firmware', null));
    expect(answer).toMatchObject({
      ok: true,
      value: {
        value: '1.1',
        facts: {
          writes: [
            { pointer: '/fw/size', kind: 'value', value: 5 },
            { pointer: '/fw/url', kind: 'url', template: '{url}' },
            { pointer: '/fw/version', kind: 'value', value: '1.1' },
          ],
        },
      },
    });
  });

  it.each<[string, Readonly<Record<string, Json>>, PinnedItem, RegExp]>([
    ['an item that is not mapped', { firmware }, pin('config', {}), /^NOT_MAPPED/],
    ['an item of others', { firmware }, pin('program', null), /^UNKNOWN_ITEM/],
    ['null in a document', { config: { reported: '/c' } }, pin('config', { a: { b: null } }), /^UNFIT_DOCUMENT: .* null at \/a\/b$/],
    ['null in a list', { config: { reported: '/c' } }, pin('config', { a: [null] }), /^UNFIT_DOCUMENT/],
    ['too deep', { config: { reported: '/c' } }, pin('config', { a: { b: { c: { d: { e: 1 } } } } }), /^UNFIT_DOCUMENT: .* too deep/],
    ['just deep enough', { config: { reported: '/c' } }, pin('config', { a: { b: { c: { d: 1 } } } }), /^ok$/],
    ['a number that is rounded', { config: { reported: '/c' } }, pin('config', { a: 2 ** 53 }), /^UNFIT_DOCUMENT: .* round/],
    ['too large', { config: { reported: '/c' } }, pin('config', { a: 'x'.repeat(4100) }), /^DOCUMENT_TOO_LARGE: .* 8216 bytes of the 8192/],
    ['no object', { config: { reported: '/c' } }, pin('config', null, '[1]'), /^NOT_A_DOCUMENT/],
    ['a version that it has not', { config: { reported: '/c', reports: 'version' } }, pin('config', { a: 1 }), /^NO_VERSION/],
    ['a setting that is not mapped', { settings: { a: { reported: '/a' } } }, pin('settings', { b: '1' }), /^NOT_MAPPED/],
    ['no number', { settings: { a: { reported: '/a', type: 'number' } } }, pin('settings', { a: '1x' }), /^SETTING_VALUE/],
    ['neither true nor false', { settings: { a: { reported: '/a', type: 'boolean' } } }, pin('settings', { a: 'yes' }), /^SETTING_VALUE/],
  ])('%s', (_what, options, pinned, problem) => {
    expect(problemOf(options, pinned)).toMatch(problem);
  });

  it('is found in the index by its values, where those say it all', () => {
    const item = (name: string, value: string, more: Json = {}) => ({ item: name, value, facts: more });
    const match = (options: Readonly<Record<string, Json>>, ...items: readonly object[]) =>
      indexMatch({ options, items } as never, shadowTerm(shadowName(options)));
    expect(match({ firmware, among: 'thingGroupNames:north' }, item('firmware', '1."1'))).toEqual({
      among: 'thingGroupNames:north',
      declared: String.raw`shadow.name.fleet.reported.fw.running:"1.\"1"`,
    });
    expect(match({ firmware, classic: true }, item('firmware', '1'))?.declared).toBe('shadow.reported.fw.running:"1"');
    expect(match({ config: { reported: '/c' } }, item('config', 'sha256:0'))).toBe(null);
    expect(match({ firmware: { reported: '/a b' } }, item('firmware', '1'))).toBe(null);
    const settings = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`s${index}`, { reported: `/s${index}`, type: 'number' }]));
    const values = Object.fromEntries(Object.keys(settings).map((name) => [name, '1']));
    expect(match({ settings }, item('settings', '', { settings: values }))).toBe(null);
    expect(match({ settings }, item('settings', '', { settings: { s1: '5' } }))?.declared).toBe('shadow.name.fleet.reported.s1:5');
  });

  it.each([
    ['1.10.0', '1.9', 1],
    ['v2', '2.0', 0],
    ['1.0.0-rc1', '1.0.0', -1],
    ['1.0-b', '1.0-a', 1],
  ])('versions: %s and %s', (a, b, sign) => {
    expect(Math.sign(shadowFamily.compareVersions(a, b) ?? Number.NaN)).toBe(sign);
    expect(shadowFamily.compareVersions(a, 'moon')).toBe(null);
  });
});
