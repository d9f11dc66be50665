import { describe, expect, it } from 'vitest';
import { DAY_MS, MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { readShadowDocument, type ShadowDocument } from '#model/shadow.ts';
import type { ShadowSeen } from '#ports/shadows.ts';
import { shadowReport, type Glance, type ShadowContents } from './report.ts';

/** Of the service, in seconds. */
const T = 1_767_225_600;
const NOW = T * 1000 + MINUTE_MS;
const device = { id: 'd', options: { a: 1 } } as unknown as DeclaredDevice;

const contents: ShadowContents = {
  readAs: ({ options }) => JSON.stringify(options),
  absent: () => ({ items: ['firmware'], detail: 'no shadow' }),
  read: (_, { document }) => ({
    serial: null,
    model: null,
    problem: null,
    items: {},
    measures: { fw: { value: `v${document.version}`, madeNotBefore: null } },
  }),
};

function documentOf(version: number | null, at = T): ShadowDocument {
  const document = readShadowDocument({
    state: { reported: { fw: `v${version}` } },
    metadata: { reported: { fw: { timestamp: at } } },
    ...(version === null ? {} : { version }),
  });
  if (document === null) throw new Error('no document');
  return document;
}

function glance(document: ShadowSeen['document'], source: ShadowSeen['source'], more: Partial<Glance> = {}): Glance {
  return { sight: { thing: 'd', document, source, connected: null, connectedSince: null }, open: false, now: NOW, ...more };
}

function reported(last: ReportedDevice | undefined, seen: Glance, of = device): ReportedDevice | undefined {
  return shadowReport(contents, of, { ...seen, last });
}

function seenFirst(version: number, at = T): ReportedDevice {
  const report = reported(undefined, glance(documentOf(version, at), 'get'));
  if (report === undefined) throw new Error('nothing new');
  return report;
}

describe('what a look at a shadow says', () => {
  it('passes over what an index or the news have of an older version, and takes what was got', () => {
    const last = seenFirst(8);
    for (const source of ['index', 'news'] as const) expect(reported(last, glance(documentOf(7), source))).toBeUndefined();
    expect(reported(last, glance(documentOf(null), 'index'))).toBeUndefined();
    expect(reported(last, glance(documentOf(7), 'get'))?.measures['fw']?.value).toBe('v7');
    expect(reported(last, glance(documentOf(9), 'index'))?.memo['version']).toBe(9);
  });

  it('says nothing of a version that is known, unless something is open or it is read otherwise now', () => {
    const last = seenFirst(8);
    const same = documentOf(8);
    expect(reported(last, glance(same, 'get'))).toBeUndefined();
    expect(reported(last, glance(same, 'get', { open: true }))?.memo['lookedAt']).toBe(NOW);
    const other = { ...device, options: { a: 2 } } as DeclaredDevice;
    expect(reported(last, glance(same, 'get'), other)?.memo['readAs']).toBe('{"a":2}');
    const sight = { ...glance(same, 'index').sight, connected: true };
    expect(reported(last, glance(same, 'index', { sight }))?.online).toBe(true);
  });

  it('counts silence up to when it looked, and no further: what was not looked at is not silent', () => {
    expect(seenFirst(8).silentMs).toBe(MINUTE_MS);
    const later = reported(seenFirst(8), glance(documentOf(8), 'get', { open: true, now: NOW + DAY_MS }));
    expect(later?.silentMs).toBe(DAY_MS + MINUTE_MS);
    expect(reported(undefined, glance(documentOf(8, T + 3600), 'get'))?.silentMs).toBe(0);
  });

  it('tells once that there is no shadow, and not because an index has lost it', () => {
    const absent = reported(undefined, glance('missing', 'index'));
    expect(absent?.items.firmware).toMatchObject({ kind: 'unknown', why: 'NEVER_REPORTED', detail: 'no shadow' });
    expect(reported(absent, glance('missing', 'get'))).toBeUndefined();
    expect(reported(absent, glance('missing', 'get', { open: true }))).toBeDefined();
    const last = seenFirst(8);
    expect(reported(last, glance('missing', 'index'))).toBeUndefined();
    expect(reported(last, glance('missing', 'get'))).toMatchObject({ heardAt: T * 1000, memo: { readAs: '{"a":1}' } });
  });

  it('learns the gap by quarters, and takes no age from a clock that runs a day ahead', () => {
    const first = seenFirst(1);
    const second = reported(first, glance(documentOf(2, T + 40), 'get'));
    expect([first.gapMs, second?.gapMs]).toEqual([null, 40_000]);
    const third = reported(second, glance(documentOf(3, T + 120), 'get', { now: NOW + DAY_MS }));
    expect(third?.gapMs).toBe(50_000);
    const ahead = reported(second, glance(documentOf(3, T + 40 + 2 * 86_400), 'get'));
    expect([ahead?.heardAt, ahead?.gapMs]).toEqual([(T + 40) * 1000, 40_000]);
  });
});
