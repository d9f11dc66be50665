import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { isJsonObject, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import { agedAt, newest } from '#shadows/ages.ts';
import { shadowReport, type Glance, type ShadowContents, type ShadowRead } from '#shadows/report.ts';
import { hardwareOf, isSilent, keptOf, measuresOf, pointerOf, textAt } from '#shadows/values.ts';
import { identityKey } from './identity.ts';
import { saidIdentity } from './identity-report.ts';
import { CHARIOT_ITEMS, chariotOptions, ownKeys, type ChariotItem, type ChariotOptions, type InstalledKey } from './options.ts';
import { documentValue, holds, NO_NUMBERS, without } from './wire.ts';

/** What a report of an item keeps for `confirm`, apart from its value. */
export interface ItemFacts {
  /** Version of the document that it was read of; null where the index has none. */
  readonly version: number | null;
  /** When it was looked at, by our clock: a nudge needs a moment. */
  readonly lookedAt: Instant;
  /** Whether the mailbox holds something for this service. */
  readonly pending: boolean;
  /** Whether the device reports the service at all. */
  readonly known: boolean;
  /** Of what is installed: what the file says by name, URLs and all that is no short text left out; of a config its digest, and how many members. */
  readonly file: JsonObject;
  /** When the device last named anything of the file, URLs too. */
  readonly fileAt: Instant | null;
  readonly state: { readonly text: string; readonly at: Instant | null } | null;
  /** The device's own key went with a fetch (shadow-devices.md §2.12 F10): the value is the one that was known before. */
  readonly gone: boolean;
}

/** What a document says of a device, over what was known; undefined when it says nothing new. */
export function reportOf(device: DeclaredDevice, last: ReportedDevice | undefined, glance: Glance): ReportedDevice | undefined {
  return shadowReport({ readAs, absent, read }, device, { ...glance, last });
}

/** What a report was read by: once that has changed, the shadow is read again though it is the same. */
export function readAs(device: DeclaredDevice): string {
  return JSON.stringify([device.options, device.items.map(({ item }) => item)]);
}

function absent(device: DeclaredDevice): ReturnType<ShadowContents['absent']> {
  const detail = 'it has no classic shadow: chariotd has never connected under this name';
  return { items: device.items.map(({ item }) => item), detail };
}

function read(device: DeclaredDevice, { document, last, now }: ShadowRead): ReturnType<ShadowContents['read']> {
  const options = chariotOptions(device.options);
  const declared = new Set<ItemName>(device.items.map(({ item }) => item));
  const items = Object.fromEntries(
    CHARIOT_ITEMS.filter((item) => declared.has(item) || document.reported.state[options[item].key] !== undefined).map((item) => [
      item,
      itemOf(item, document, { options, now, last: last?.items[item] }),
    ]),
  );
  const identity = declared.has('identity')
    ? { identity: saidIdentity(document, { key: identityKey(device.options), agent: options.agent, now, last: last?.items.identity }) }
    : {};
  return {
    ...hardwareOf(device, document, options),
    items: { ...items, ...identity },
    measures: measuresOf(options.measures, document, now),
  };
}

interface Context {
  readonly options: ChariotOptions;
  readonly now: Instant;
  /** What was known of the item before. */
  readonly last: ReportedItem | undefined;
}

/** One item as the document has it. */
export function itemOf(item: ChariotItem, document: ShadowDocument, context: Context): ReportedItem {
  if (isSilent(document))
    return { kind: 'unknown', why: 'NEVER_REPORTED', detail: 'the device has reported nothing yet', source: 'shadow' };
  return item === 'config' ? configItem(document, context) : installedItem(item, document, context);
}

function installedItem(item: 'firmware' | 'program', document: ShadowDocument, { options, now, last }: Context): ReportedItem {
  const { key, running, state, write } = options[item];
  const section = document.reported.state[key];
  const at = (name: string): Instant | null => agedAt(document.reported, pointerOf(key, name), now);
  const source = `reported${pointerOf(key, running)}`;
  const said = textAt(isJsonObject(section) ? section[running] : undefined, NO_NUMBERS);
  if (!said.ok) return { kind: 'unknown', why: 'REPORT_UNREADABLE', detail: said.error, source };
  const names = isJsonObject(section) ? told(write).filter((name) => section[name] !== undefined) : [];
  const stateText = textAt(isJsonObject(section) ? section[state] : undefined);
  const facts: ItemFacts = {
    version: document.version,
    lookedAt: now,
    pending: document.desired.state[key] !== undefined,
    known: section !== undefined,
    file: isJsonObject(section) ? keptOf(Object.fromEntries(names.map((name) => [name, section[name]]))) : {},
    fileAt: isJsonObject(section) ? newest(write.map(([name]) => at(name))) : null,
    state: stateText.ok && stateText.value !== null ? { text: stateText.value, at: at(state) } : null,
    gone: said.value === null,
  };
  if (said.value !== null) return { kind: 'value', value: said.value, facts: facts as unknown as Json, madeNotBefore: at(running), source };
  if (last?.kind === 'value') return { ...last, facts: facts as unknown as Json };
  const detail = `the device does not say what runs at ${pointerOf(key, running)}`;
  return { kind: 'unknown', why: 'NEVER_REPORTED', detail, source };
}

/** A written file, or one that the device also says it obeys. */
function configItem(document: ShadowDocument, { options, now }: Context): ReportedItem {
  const service = options.config;
  const { key, running } = service;
  const section = document.reported.state[key];
  const value = documentValue(without(section, ownKeys(service)));
  const obeyed = running === null ? value : isJsonObject(section) ? section[running] : undefined;
  const names = isJsonObject(section) ? Object.keys(section).filter((name) => !ownKeys(service).includes(name)) : [];
  const namedOf = (...path: readonly string[]): Instant | null => agedAt(document.reported, pointerOf(key, ...path), now);
  const at = section === undefined ? null : namedOf();
  const facts: ItemFacts = {
    version: document.version,
    lookedAt: now,
    pending: document.desired.state[key] !== undefined,
    known: section !== undefined,
    file: { digest: value, ...(isJsonObject(section) ? { members: names.length } : {}) },
    fileAt: isJsonObject(section) ? newest(names.map((name) => namedOf(name))) : at,
    state: null,
    gone: false,
  };
  const obeys = obeyed === value;
  const said = typeof obeyed === 'string' ? obeyed.slice(0, 40) : 'nothing';
  return {
    kind: 'value',
    value: obeys || value === 'none' ? value : `${value}, runs ${said}`,
    facts: facts as unknown as Json,
    // `{}` has no leaf, so no age of its own: that there is no file is as old as the newest that the device said.
    madeNotBefore: at ?? agedAt(document.reported, '', now),
    source: `reported${pointerOf(key)}`,
  };
}

/** Names under which the file says what is wanted; a URL is another one with each attempt and says nothing. */
function told(write: InstalledKey['write']): readonly string[] {
  return write.flatMap(([name, template]) => (template.includes('{url}') ? [] : [name]));
}

/**
 * Whether the file is that of these leaves. Where nothing is kept of them (a URL alone) it must have been written after
 * `since`: its time is all that tells it from the one before.
 */
export function holdsFile({ file, fileAt }: ItemFacts, leaves: JsonObject, since: Instant): boolean {
  const kept = keptOf(leaves);
  return fileAt !== null && holds(file, kept) && (Object.keys(kept).length > 0 || fileAt > since);
}

/**
 * Whether the file came to say something else than these leaves after the device last said what runs: power that goes between
 * an installation and its report leaves it so, and what runs is not known until the device says it again.
 */
export function isToldSince(reported: Extract<ReportedItem, { kind: 'value' }>, leaves: JsonObject): boolean {
  const seen = itemFacts(reported);
  const kept = keptOf(leaves);
  if (seen === null || seen.fileAt === null || Object.keys(kept).length === 0 || Object.keys(seen.file).length === 0) return false;
  return seen.fileAt > (reported.madeNotBefore ?? 0) && !holds(seen.file, kept);
}

/** What a report keeps of an item; null for one that another family or version wrote. */
export function itemFacts(item: ReportedItem | undefined): ItemFacts | null {
  if (
    item?.kind !== 'value' ||
    !isJsonObject(item.facts) ||
    !isJsonObject(item.facts['file']) ||
    typeof item.facts['pending'] !== 'boolean'
  )
    return null;
  return item.facts as unknown as ItemFacts;
}
