import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { digest } from '#model/ids.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { readShadowDocument, type JsonObject } from '#model/shadow.ts';
import type { DeviceFacts, PinnedItem } from '#ports/family.ts';
import { indexMatch } from '#shadows/mapped/match.ts';
import { mappedReading } from '#shadows/mapped/reports.ts';
import { twinFamily } from './family.ts';
import { keyFlaw, twinSize, twinTerm } from './wire.ts';

const firmware = { reported: '/fw/running', desired: { '/fw/version': '{version}', '/fw/url': '{url}' } };
const config = { reported: '/config' };

function facts(options: Readonly<Record<string, Json>>, change: Partial<DeviceFacts> = {}): DeviceFacts {
  return { id: 'gw-1', model: 'gw', serial: null, address: null, labels: {}, values: {}, options, ...change };
}

function pin(item: PinnedItem['item'], document: Json, version = '1.1'): PinnedItem {
  const bytes = new TextEncoder().encode('bytes');
  const content = { kind: 'bytes', name: 'file', digest: digest(sha256(bytes)), size: bytes.length, bytes } as const;
  const artifact = item === 'firmware' ? { name: 'gw', version, reportsAs: null } : null;
  return { item, artifact, content: item === 'settings' ? null : content, document, firmware: null, certificates: [] };
}

describe('what is declared', () => {
  it.each<[string, Readonly<Record<string, Json>>, Partial<DeviceFacts>, readonly string[]]>([
    ['as it should be', { firmware, config }, { connectionType: 'azure-iot' }, []],
    ['an id with a space', { firmware }, { address: 'gw 1' }, ['TWIN_DEVICE']],
    ['a dot in a key of desired', { config: { reported: '/config', desired: { '/files/config.json': '{document}' } } }, {}, ['TWIN_KEY']],
    ['a $ in a key of reported', { firmware: { ...firmware, reported: '/$fw' } }, {}, ['TWIN_KEY']],
    ['a space in a setting', { settings: { a: { reported: '/a b' } } }, {}, ['TWIN_KEY']],
    ['a control character where a measure lies', { firmware, measures: { uptime: '/up\u0007' } }, {}, ['TWIN_KEY']],
    ['a dot in the state', { firmware: { ...firmware, failed: { at: '/fw.state', when: ['no'] } } }, {}, ['TWIN_KEY']],
    ['nothing', {}, {}, ['NOT_MAPPED']],
    ['one within the other', { firmware, settings: { a: { reported: '/fw/version' } } }, {}, ['SHADOW_OVERLAP']],
  ])('%s', (_what, options, change, codes) => {
    expect(twinFamily.lint(facts(options, change)).map(({ code }) => code)).toEqual(codes);
  });

  it.each<[string, Json, string]>([
    ['a document', { net: { apn: 'a' } }, 'ok'],
    ['a key with a dot', { 'a.b': 1 }, 'UNFIT_DOCUMENT'],
    ['a key with a dot, deep', { a: [{ b: { 'c.d': 1 } }] }, 'UNFIT_DOCUMENT'],
    ['null', { a: null }, 'UNFIT_DOCUMENT'],
    ['4096 bytes of text', { a: 'é'.repeat(2048) }, 'ok'],
    ['one more', { a: `${'é'.repeat(2048)}x` }, 'UNFIT_DOCUMENT'],
    ['the last integer', { a: 4_503_599_627_370_495 }, 'ok'],
    ['one more', { a: 4_503_599_627_370_496 }, 'UNFIT_DOCUMENT'],
    ['nine levels below its own', nested(9), 'ok'],
    ['ten', nested(10), 'UNFIT_DOCUMENT'],
    ['32 KB with its key', large(32 * 1024 - 'config'.length), 'ok'],
    ['a byte more', large(32 * 1024 - 'config'.length + 1), 'DOCUMENT_TOO_LARGE'],
    ['a list', [1], 'NOT_A_DOCUMENT'],
  ])('a config that is %s', (_what, document, code) => {
    const answer = twinFamily.expectation(facts({ config }), pin('config', document));
    expect(answer.ok ? 'ok' : answer.error.code).toBe(code);
  });

  it('counts a config that is written twice as two', () => {
    const twice = { ...config, desired: { '/a': '{document}', '/b': '{document}' } };
    const code = (bytes: number): string => {
      const answer = twinFamily.expectation(facts({ config: twice }), pin('config', large(bytes)));
      return answer.ok ? 'ok' : answer.error.code;
    };
    expect([code(16 * 1024 - 1), code(16 * 1024)]).toEqual(['ok', 'DOCUMENT_TOO_LARGE']);
  });

  it('refuses a text that no twin holds', () => {
    const long = { ...firmware, desired: { '/fw/note': `{version}${'x'.repeat(4096)}` } };
    const answer = twinFamily.expectation(facts({ firmware: long }), pin('firmware', null));
    expect(answer.ok ? 'ok' : answer.error.code).toBe('UNFIT_VALUE');
  });

  it.each([
    ['a', null],
    ['wi-fi_2', null],
    ['ключ', null],
    ['', 'is empty'],
    ['a.b', 'has a dot'],
    ['$a', 'has a $'],
    ['a b', 'has a space'],
    ['a\u0085', 'has a control character'],
    ['x'.repeat(1025), 'is longer than 1024 bytes'],
  ])('the key %j', (key, flaw) => {
    expect(keyFlaw(key)).toBe(flaw);
  });

  it('counts as a hub does', () => {
    expect(twinSize({ ab: 'é', n: 1, t: true, o: { k: 'x\u0001' }, l: [1, 'a'] })).toBe(2 + 2 + 1 + 8 + 1 + 4 + 1 + 1 + 1 + 1 + 8 + 1);
  });
});

/** A document that a hub counts as so many bytes. */
function large(bytes: number): Json {
  const count = Math.ceil(bytes / 4096);
  const texts = Array.from({ length: count }, (_, at) => 'x'.repeat((at === 0 ? bytes - 4096 * (count - 1) : 4096) - 4));
  return Object.fromEntries(texts.map((text, at) => [`key${at}`, text]));
}

function nested(levels: number): Json {
  let value: Json = 1;
  for (let level = 0; level <= levels - 1; level += 1) value = { a: value };
  return { a: value };
}

describe('what a query asks', () => {
  const options = {
    firmware,
    settings: { site: { reported: '/site' }, n: { reported: '/n', type: 'number' } },
    among: "tags.site = 'moor'",
  };
  const match = (over: Readonly<Record<string, Json>>, ...items: readonly object[]) =>
    indexMatch({ options: over, items } as never, twinTerm);

  it('names what is declared, and asks first whether it is there', () => {
    expect(
      match(options, { item: 'firmware', value: "a'b\\n\n" }, { item: 'settings', facts: { settings: { n: '5', site: 'a' } } }),
    ).toEqual({
      among: "tags.site = 'moor'",
      declared: [
        String.raw`(IS_DEFINED(properties.reported.fw.running) AND properties.reported.fw.running = 'a\'b\\n\u000a')`,
        '(IS_DEFINED(properties.reported.n) AND properties.reported.n = 5)',
        "(IS_DEFINED(properties.reported.site) AND properties.reported.site = 'a')",
      ].join(' AND '),
    });
  });

  it('cannot tell for a document, nor for a key that the language reads otherwise', () => {
    expect(match({ config }, { item: 'config', value: 'sha256:1' })).toBeNull();
    expect(match({ firmware: { reported: '/fw-1' } }, { item: 'firmware', value: '1' })).toBeNull();
  });
});

const OPTIONS = { firmware, config, settings: { interval: { reported: '/interval', desired: '/want/interval', type: 'number' } } };
const device = { id: 'gw-1', model: 'gw', serial: null, options: OPTIONS, items: [] } as unknown as DeclaredDevice;
const { reportOf } = mappedReading({ shadow: () => null, absence: () => 'nothing', term: () => twinTerm });

function reported(desired: JsonObject, version = 5): ReportedDevice {
  const said = { fw: { running: '1.1' }, config: { apn: 'a' }, interval: 60 };
  const document = readShadowDocument({ state: { desired, reported: said }, version });
  if (document === null) throw new Error('no document');
  const sight = { thing: 'gw-1', document, source: 'get', connected: null, connectedSince: null } as const;
  const report = reportOf(device, undefined, { sight, open: true, now: 1_767_225_600_000 });
  if (report === undefined) throw new Error('nothing new');
  return report;
}

function declared(item: 'firmware' | 'config' | 'settings', document: Json = null): DeclaredItem {
  const answer = twinFamily.expectation(facts(OPTIONS), pin(item, document));
  if (!answer.ok) throw new Error(answer.error.summary);
  return { item, ...answer.value } as unknown as DeclaredItem;
}

function valueIn(report: ReportedDevice, item: 'firmware' | 'config' | 'settings'): Extract<ReportedItem, { kind: 'value' }> {
  const value = report.items[item];
  if (value?.kind !== 'value') throw new Error('no value');
  return value;
}

describe('the record', () => {
  const firmwareItem = declared('firmware');
  const configItem = declared('config', { apn: 'a' });
  const settingsItem = declared('settings', { interval: '60' });
  it.each<[string, DeclaredItem, JsonObject, boolean]>([
    ['nobody has written', firmwareItem, {}, false],
    ['as it was written', firmwareItem, { fw: { version: '1.1', url: 'u' } }, false],
    ['with another URL', firmwareItem, { fw: { version: '1.1', url: 'other' } }, false],
    ['with a key of somebody else beside it', firmwareItem, { fw: { version: '1.1', note: 1 } }, false],
    ['with another version', firmwareItem, { fw: { version: '0.9' } }, true],
    ['with another type in its place', firmwareItem, { fw: { version: 7 } }, true],
    ['with the same document', configItem, { config: { apn: 'a' } }, false],
    ['with another document', configItem, { config: { apn: 'b' } }, true],
    ['with the same setting', settingsItem, { want: { interval: 60 } }, false],
    ['with another setting', settingsItem, { want: { interval: 90 } }, true],
  ])('%s: the device is as declared', (_what, item, desired, differs) => {
    const value = valueIn(reported(desired), item.item as 'firmware');
    expect(value.value).toBe(item.value);
    expect(twinFamily.contradicts?.(item, value)).toBe(differs);
  });

  it('says which key, is written again as it was declared, and is proven by reading it', () => {
    const wrong = reported({ want: { interval: 90 } });
    const value = valueIn(wrong, 'settings');
    expect(twinFamily.differences?.(settingsItem, { reported: value, present: () => null })).toEqual([
      { path: 'desired/want/interval', from: '90', to: '60' },
    ]);
    const { drafts } = twinFamily.operations({ device, items: [settingsItem], reported: wrong, drifted: ['settings'] });
    expect(drafts).toMatchObject([
      { declared: 'interval=60', expected: 'interval=60', facts: { writes: [{ pointer: '/want/interval', value: 60 }] } },
    ]);
    const open = {
      operation: { ...drafts[0], id: 'o' },
      reference: 1_767_225_500_000,
      undo: { version: 6, inverse: {}, expires: null },
      takenAt: null,
      lastTrouble: null,
    } as unknown as OpenOperation;
    expect(twinFamily.confirm(open, wrong).kind).toBe('open');
    expect(twinFamily.confirm(open, reported({ want: { interval: 60 } }, 6))).toEqual({
      kind: 'confirmed',
      evidence: 'desired says interval=60 again',
    });
    expect(twinFamily.confirm(open, reported({ want: { interval: 90 } }, 7))).toMatchObject({ kind: 'trouble', code: 'OFFER_REPLACED' });
  });
});
