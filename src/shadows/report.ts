import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import { emptyReport, type ReportedDevice, type ReportedItem } from '#model/reported.ts';
import type { ShadowDocument } from '#model/shadow.ts';
import type { IndexMatch, ShadowSeen } from '#ports/shadows.ts';
import { gapOf, heardAtOf } from './ages.ts';

/** What a look brought of one device. `open`: an operation is open, so it is told even where nothing changed. `now` is ours. */
export interface Glance {
  readonly sight: ShadowSeen;
  readonly open: boolean;
  readonly now: Instant;
}

/** How a family reads its shadows. */
export interface ShadowReading {
  thing(device: DeclaredDevice): string;
  /** Which of the thing's shadows: null for the classic one. */
  shadow(device: DeclaredDevice): string | null;
  /** What the index has of a device that is as declared; null where it cannot tell. */
  match(device: DeclaredDevice): IndexMatch | null;
  /** What a report is read by: once that has changed, the shadow is read again though it is the same. */
  readAs(device: DeclaredDevice): string;
  /** A whole new report; undefined when the look says nothing new. Most answer what shadowReport gives. */
  reportOf(device: DeclaredDevice, last: ReportedDevice | undefined, glance: Glance): ReportedDevice | undefined;
}

/** What a family makes of one document. */
export interface ShadowContents {
  readAs(device: DeclaredDevice): string;
  /** What is said of a device without that shadow: NEVER_REPORTED for these items, with these words. */
  absent(device: DeclaredDevice): { readonly items: readonly ItemName[]; readonly detail: string };
  /** Its items, measures, and what it says it is. `last` is what was known before. */
  read(device: DeclaredDevice, seen: ShadowRead): Pick<ReportedDevice, 'serial' | 'model' | 'problem' | 'items' | 'measures'>;
}

export interface ShadowRead {
  readonly document: ShadowDocument;
  readonly last: ReportedDevice | undefined;
  readonly now: Instant;
}

/**
 * What a document says of a device, over what was known; undefined when it says nothing new. An index lags behind: what it
 * has of an older version is passed over. The memo keeps `version`, `lookedAt` and `readAs`.
 */
export function shadowReport(
  contents: ShadowContents,
  device: DeclaredDevice,
  { last, sight, open, now }: Glance & { readonly last: ReportedDevice | undefined },
): ReportedDevice | undefined {
  const before = knownVersion(last);
  if (sight.document === 'missing') {
    if (sight.source === 'index' && before !== null) return undefined;
    return before === null && last !== undefined && !open ? undefined : absentReport(contents, device, { last, now });
  }
  const { document, connected } = sight;
  if (sight.source !== 'get' && before !== null && (document.version === null || document.version < before)) return undefined;
  const same = document.version !== null && document.version === before && last?.online === connected;
  if (!open && same && !isReadOtherwise(contents, device, last)) return undefined;
  const heardAt = heardAtOf(last, document, now);
  return {
    ...emptyReport(device.id),
    ...contents.read(device, { document, last, now }),
    heardAt,
    online: connected,
    gapMs: gapOf(last, heardAt),
    // Until this look it was silent; since then nobody has looked.
    ...(heardAt === null ? {} : { silentMs: Math.max(0, now - heardAt) }),
    memo: { version: document.version, lookedAt: now, readAs: contents.readAs(device) },
  };
}

/** Version of the document that a report was read of; null where there was none. */
export function knownVersion(last: ReportedDevice | undefined): number | null {
  const known = last?.memo['version'];
  return typeof known === 'number' ? known : null;
}

/** Whether a report was read by other options than those of now: it says nothing of what they say. */
export function isReadOtherwise(
  { readAs }: Pick<ShadowContents, 'readAs'>,
  device: DeclaredDevice,
  last: ReportedDevice | undefined,
): boolean {
  return last !== undefined && last.memo['readAs'] !== readAs(device);
}

function absentReport(
  contents: ShadowContents,
  device: DeclaredDevice,
  { last, now }: { readonly last: ReportedDevice | undefined; readonly now: Instant },
): ReportedDevice {
  const { items, detail } = contents.absent(device);
  const unknown: ReportedItem = { kind: 'unknown', why: 'NEVER_REPORTED', detail, source: 'shadow' };
  return {
    ...emptyReport(device.id),
    heardAt: last?.heardAt ?? null,
    items: Object.fromEntries(items.map((item) => [item, unknown])),
    memo: { lookedAt: now, readAs: contents.readAs(device) },
  };
}
