import type { Json } from '#kit/canonical.ts';
import { DAY_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import { emptyReport, type Reading, type ReportedDevice, type ReportedItem } from '#model/reported.ts';
import { isJsonObject, namedAt, valueAt, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import type { ShadowSeen } from '#ports/shadows.ts';
import { CHARIOT_ITEMS, chariotOptions, ownKeys, type ChariotItem, type ChariotOptions, type InstalledKey } from './options.ts';
import { documentValue, textAt, without } from './wire.ts';

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
  /** Of what is installed: what the file says by name, URLs and all that is no short text left out; of a config its digest. */
  readonly file: JsonObject;
  /** When the device last named anything of the file. */
  readonly fileAt: Instant | null;
  readonly state: { readonly text: string; readonly at: Instant | null } | null;
  /** The device's own key went with a fetch (shadow-devices.md §2.12 F10): the value is the one that was known before. */
  readonly gone: boolean;
}

/** A service's clock may run before ours; what is further ahead is nobody's clock. */
const MOST_AHEAD_MS = DAY_MS;
/** A report keeps texts of the file up to this length. */
const LONGEST_KEPT = 200;

/**
 * What a document says of a device, over what was known; undefined when it says nothing new. An index lags behind: what it
 * has of an older version is passed over. `now` is ours.
 */
export function reportOf(
  device: DeclaredDevice,
  last: ReportedDevice | undefined,
  seen: { readonly sight: ShadowSeen; readonly open: boolean; readonly now: Instant },
): ReportedDevice | undefined {
  const { sight, open, now } = seen;
  const known = last?.memo['version'];
  const before = typeof known === 'number' ? known : null;
  if (sight.document === 'missing') {
    if (sight.source === 'index' && before !== null) return undefined;
    return before === null && last !== undefined && !open ? undefined : missingReport(device, last, now);
  }
  const { version } = sight.document;
  if (sight.source !== 'get' && before !== null && (version === null || version < before)) return undefined;
  const same = version === before && version !== null && last?.online === sight.connected && last?.memo['readAs'] === readAs(device);
  if (!open && same) return undefined;
  return documentReport(device, last, { document: sight.document, connected: sight.connected, now });
}

/** What a report was read by: once that has changed, the shadow is read again though it is the same. */
export function readAs(device: DeclaredDevice): string {
  return JSON.stringify([device.options, device.items.map(({ item }) => item)]);
}

function missingReport(device: DeclaredDevice, last: ReportedDevice | undefined, now: Instant): ReportedDevice {
  const detail = 'it has no classic shadow: chariotd has never connected under this name';
  const unknown: ReportedItem = { kind: 'unknown', why: 'NEVER_REPORTED', detail, source: 'shadow' };
  const items = Object.fromEntries(device.items.map(({ item }) => [item, unknown]));
  return { ...emptyReport(device.id), heardAt: last?.heardAt ?? null, items, memo: { lookedAt: now, readAs: readAs(device) } };
}

interface Seen {
  readonly document: ShadowDocument;
  readonly connected: boolean | null;
  readonly now: Instant;
}

function documentReport(device: DeclaredDevice, last: ReportedDevice | undefined, seen: Seen): ReportedDevice {
  const { document, connected, now } = seen;
  const options = chariotOptions(device.options);
  const heard = aged(namedAt(document.reported, ''), now);
  const heardAt = heard === null ? (last?.heardAt ?? null) : Math.max(heard, last?.heardAt ?? heard);
  const declared = new Set<ItemName>(device.items.map(({ item }) => item));
  const items = Object.fromEntries(
    CHARIOT_ITEMS.filter((item) => declared.has(item) || document.reported.state[options[item].key] !== undefined).map((item) => [
      item,
      itemOf(item, document, { options, now, last: last?.items[item] }),
    ]),
  );
  const measures = Object.fromEntries([...options.measures].flatMap(([name, pointer]) => measureOf(name, { pointer, document, now })));
  return {
    ...emptyReport(device.id),
    ...hardwareOf(device, document, options),
    heardAt,
    online: connected,
    gapMs: gapOf(last, heardAt),
    items,
    measures,
    memo: { version: document.version, lookedAt: now, readAs: readAs(device) },
  };
}

/** Its usual gap: a quarter of the way to the newest one each time, so that one long silence does not make it. */
function gapOf(last: ReportedDevice | undefined, heardAt: Instant | null): number | null {
  if (last?.heardAt == null || heardAt === null || heardAt <= last.heardAt) return last?.gapMs ?? null;
  const gap = heardAt - last.heardAt;
  return last.gapMs === null ? gap : Math.round(last.gapMs + (gap - last.gapMs) / 4);
}

/** An age that cannot be is none. */
function aged(at: Instant | null, now: Instant): Instant | null {
  return at === null || at > now + MOST_AHEAD_MS ? null : at;
}

/** What the device says it is, and whether that is what is declared. */
export function hardwareOf(
  device: Pick<DeclaredDevice, 'serial' | 'model'>,
  document: ShadowDocument,
  options: ChariotOptions,
): Pick<ReportedDevice, 'serial' | 'model' | 'problem'> {
  const said = (pointer: string | null): string | null => {
    const text = pointer === null ? null : textAt(valueAt(document.reported, pointer));
    return text?.ok === true ? text.value : null;
  };
  const [serial, model] = [said(options.serial), said(options.model)];
  const strange =
    serial !== null && device.serial !== null && serial !== device.serial
      ? `reports serial ${serial}, ${device.serial} is declared`
      : model !== null && model.toUpperCase() !== device.model.toUpperCase()
        ? `reports model ${model}, ${device.model} is declared`
        : null;
  return { serial, model, problem: strange === null ? null : { reason: 'IDENTITY_MISMATCH', detail: strange } };
}

interface Context {
  readonly options: ChariotOptions;
  readonly now: Instant;
  /** What was known of the item before. */
  readonly last: ReportedItem | undefined;
}

/** One item as the document has it. */
export function itemOf(item: ChariotItem, document: ShadowDocument, context: Context): ReportedItem {
  if (Object.keys(document.reported.state).length === 0)
    return { kind: 'unknown', why: 'NEVER_REPORTED', detail: 'the device has reported nothing yet', source: 'shadow' };
  return item === 'config' ? configItem(document, context) : installedItem(item, document, context);
}

function installedItem(item: 'firmware' | 'program', document: ShadowDocument, { options, now, last }: Context): ReportedItem {
  const { key, running, state, write } = options[item];
  const section = document.reported.state[key];
  const at = (name: string): Instant | null => aged(namedAt(document.reported, pointerOf(key, name)), now);
  const source = `reported${pointerOf(key, running)}`;
  const said = textAt(isJsonObject(section) ? section[running] : undefined);
  if (!said.ok) return { kind: 'unknown', why: 'REPORT_UNREADABLE', detail: said.error, source };
  const names = isJsonObject(section) ? told(write).filter((name) => section[name] !== undefined) : [];
  const stateText = textAt(isJsonObject(section) ? section[state] : undefined);
  const facts: ItemFacts = {
    version: document.version,
    lookedAt: now,
    pending: document.desired.state[key] !== undefined,
    known: section !== undefined,
    file: isJsonObject(section) ? keptOf(Object.fromEntries(names.map((name) => [name, section[name]]))) : {},
    fileAt: newest(names.map(at)),
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
  const namedOf = (...path: readonly string[]): Instant | null => aged(namedAt(document.reported, pointerOf(key, ...path)), now);
  const at = section === undefined ? null : namedOf();
  const facts: ItemFacts = {
    version: document.version,
    lookedAt: now,
    pending: document.desired.state[key] !== undefined,
    known: section !== undefined,
    file: { digest: value },
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
    madeNotBefore: at ?? aged(namedAt(document.reported, ''), now),
    source: `reported${pointerOf(key)}`,
  };
}

function pointerOf(...names: readonly string[]): string {
  return names.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** Names under which the file says what is wanted; a URL is another one with each attempt and says nothing. */
function told(write: InstalledKey['write']): readonly string[] {
  return write.flatMap(([name, template]) => (template.includes('{url}') ? [] : [name]));
}

/** Short plain values. URLs hold signatures: nothing of them is kept. */
export function keptOf(file: JsonObject): JsonObject {
  const kept = Object.entries(file).flatMap(([name, value]): readonly (readonly [string, Json])[] => {
    if (typeof value === 'number' || typeof value === 'boolean') return [[name, value]];
    return typeof value === 'string' && value.length <= LONGEST_KEPT && !/^\w+:\/\//.test(value) ? [[name, value]] : [];
  });
  return Object.fromEntries(kept);
}

function newest(instants: readonly (Instant | null)[]): Instant | null {
  const known = instants.flatMap((at) => (at === null ? [] : [at]));
  return known.length === 0 ? null : Math.max(...known);
}

function measureOf(
  name: string,
  { pointer, document, now }: { readonly pointer: string; readonly document: ShadowDocument; readonly now: Instant },
): readonly (readonly [string, Reading])[] {
  const value = valueAt(document.reported, pointer);
  if ((typeof value !== 'string' || value.length > 100) && typeof value !== 'number' && typeof value !== 'boolean') return [];
  return [[name, { value: String(value), madeNotBefore: aged(namedAt(document.reported, pointer), now) }]];
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
