import { canonicalJson, type Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { DAY_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { Reading, ReportedDevice, ReportedItem } from '#model/reported.ts';
import { emptyReport } from '#model/reported.ts';
import { isJsonObject, namedAt, valueAt, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import type { ShadowSeen } from '#ports/shadows.ts';
import { shadowOptions, type ItemMapping, type ShadowOptions } from './options.ts';
import { configValue, desiredKept, membersOf, settingText, settingsText, stateSeen, textAt, type StateSeen } from './wire.ts';

/** What a report of an item keeps for `confirm` and for operations, apart from its value. */
export interface ItemFacts {
  /** Version of the document that it was read of; null where the index has none. */
  readonly version: number | null;
  /** What desired holds where we write, URLs left out. */
  readonly desired: JsonObject;
  readonly taken: StateSeen | null;
  readonly failed: StateSeen | null;
  /** Since when, by the service's time, this very value is reported; null where that is not known. */
  readonly since: Instant | null;
  /** Of a config that is reported as a document: pointers of all its members; null where they are not kept. */
  readonly members: readonly string[] | null;
  /** Of settings: what each is, and when it was last named. */
  readonly settings: Readonly<Record<string, { readonly text: string | null; readonly at: Instant | null }>>;
}

/** A service's clock may run before ours; what is further ahead is nobody's clock. */
const MOST_AHEAD_MS = DAY_MS;

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
  const options = shadowOptions(device.options);
  const known = last?.memo['version'];
  const before = typeof known === 'number' ? known : null;
  if (sight.document === 'missing') {
    if (sight.source === 'index' && before !== null) return undefined;
    return before === null && last !== undefined && !open ? undefined : missingReport(device, last, { options, now });
  }
  const { version } = sight.document;
  if (sight.source !== 'get' && before !== null && (version === null || version < before)) return undefined;
  const same = version === before && version !== null && last?.online === sight.connected && last?.memo['mapping'] === mappingOf(device);
  if (!open && same) return undefined;
  return documentReport(device, { document: sight.document, last, sight }, { options, now });
}

/** What a report was read by: once that has changed, the shadow is read again though it is the same. */
export function mappingOf(device: DeclaredDevice): string {
  const declared = device.items.find(({ item }) => item === 'settings');
  const names = declared === undefined ? null : Object.keys(declaredSettings(declared.facts));
  return sha256(canonicalJson({ options: device.options, names })).slice(0, 16);
}

interface Context {
  readonly options: ShadowOptions;
  readonly now: Instant;
}

function missingReport(device: DeclaredDevice, last: ReportedDevice | undefined, { options, now }: Context): ReportedDevice {
  const detail = `${options.shadow === null ? 'it has no classic shadow' : `it has no shadow ${options.shadow}`}: the device has never reported`;
  const unknown: ReportedItem = { kind: 'unknown', why: 'NEVER_REPORTED', detail, source: 'shadow' };
  const items = Object.fromEntries(mappedItems(device, options).map((item) => [item, unknown]));
  return { ...emptyReport(device.id), heardAt: last?.heardAt ?? null, items, memo: { lookedAt: now, mapping: mappingOf(device) } };
}

function mappedItems(device: DeclaredDevice, options: ShadowOptions): readonly ItemName[] {
  const declared = device.items.some(({ item }) => item === 'settings');
  return [
    ...(options.firmware === null ? [] : (['firmware'] as const)),
    ...(options.config === null ? [] : (['config'] as const)),
    ...(declared || options.settings.size > 0 ? (['settings'] as const) : []),
  ];
}

interface Seen {
  readonly document: ShadowDocument;
  readonly last: ReportedDevice | undefined;
  readonly sight: ShadowSeen;
}

function documentReport(device: DeclaredDevice, { document, last, sight }: Seen, context: Context): ReportedDevice {
  const { options, now } = context;
  const heard = aged(namedAt(document.reported, ''), now);
  const heardAt = heard === null ? (last?.heardAt ?? null) : Math.max(heard, last?.heardAt ?? heard);
  const items = Object.fromEntries(
    mappedItems(device, options).map((item) => [item, standing(itemOf(item, { device, document }, context), last?.items[item])]),
  );
  const measures = Object.fromEntries([...options.measures].flatMap(([name, pointer]) => measureOf(name, { pointer, document, now })));
  return {
    ...emptyReport(device.id),
    ...hardwareOf(device, document, options),
    heardAt,
    online: sight.connected,
    gapMs: gapOf(last, heardAt),
    items,
    measures,
    memo: { version: document.version, lookedAt: now, mapping: mappingOf(device) },
  };
}

/** A value that was reported before stands since then, however often it is named again. */
function standing(item: ReportedItem, last: ReportedItem | undefined): ReportedItem {
  const facts = itemFacts(item);
  if (item.kind !== 'value' || facts === null) return item;
  const before = last?.kind === 'value' && last.value === item.value ? itemFacts(last) : null;
  return { ...item, facts: { ...facts, since: before?.since ?? item.madeNotBefore } as unknown as Json };
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
  options: ShadowOptions,
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

interface Place {
  readonly device: DeclaredDevice;
  readonly document: ShadowDocument;
}

/** One item as the document has it. */
export function itemOf(item: ItemName, { device, document }: Place, { options, now }: Context): ReportedItem {
  if (Object.keys(document.reported.state).length === 0)
    return { kind: 'unknown', why: 'NEVER_REPORTED', detail: 'the device has reported nothing yet', source: 'shadow' };
  if (item === 'settings') return settingsItem(device, document, { options, now });
  const mapping = item === 'firmware' ? options.firmware : options.config;
  if (mapping === null) return { kind: 'unknown', why: 'NEVER_REPORTED', detail: 'nothing says where it is reported', source: 'shadow' };
  const value = item === 'config' ? configValue(mapping, document) : textAt(valueAt(document.reported, mapping.reported));
  const source = `reported${mapping.reported}`;
  if (!value.ok) return { kind: 'unknown', why: 'REPORT_UNREADABLE', detail: value.error, source };
  if (value.value === null)
    return { kind: 'unknown', why: 'NEVER_REPORTED', detail: `the device reports nothing at ${mapping.reported}`, source };
  // That there is no config is as old as the newest that the device said at all.
  const at = namedAt(document.reported, valueAt(document.reported, mapping.reported) === undefined ? '' : mapping.reported);
  return { kind: 'value', value: value.value, facts: factsOf(document, { mapping }), madeNotBefore: aged(at, now), source };
}

function factsOf(document: ShadowDocument, { mapping }: { readonly mapping: ItemMapping }): Json {
  const pointers = mapping.desired.flatMap(([pointer, template]) => (template.includes('{url}') ? [] : [pointer]));
  const facts: ItemFacts = {
    version: document.version,
    desired: desiredKept(pointers, document),
    taken: stateSeen(mapping.taken, document),
    failed: stateSeen(mapping.failed, document),
    since: null,
    members: mapping.reports === 'document' ? membersOf(valueAt(document.reported, mapping.reported)) : null,
    settings: {},
  };
  return facts as unknown as Json;
}

/** The declared settings; all that are mapped where none is declared. */
function settingsItem(device: DeclaredDevice, document: ShadowDocument, { options, now }: Context): ReportedItem {
  const declared = device.items.find(({ item }) => item === 'settings');
  const names = declared === undefined ? [...options.settings.keys()] : Object.keys(declaredSettings(declared.facts));
  const values = new Map<string, { readonly text: string | null; readonly at: Instant | null }>();
  const pointers: string[] = [];
  for (const name of names) {
    const mapping = options.settings.get(name);
    if (mapping === undefined) continue;
    const text = settingText(valueAt(document.reported, mapping.reported));
    values.set(name, { text, at: aged(namedAt(document.reported, mapping.reported), now) });
    pointers.push(mapping.desired);
  }
  const facts: ItemFacts = {
    version: document.version,
    desired: desiredKept(pointers, document),
    taken: null,
    failed: null,
    since: null,
    members: null,
    settings: Object.fromEntries(values),
  };
  const ages = [...values.values()].flatMap(({ at }) => (at === null ? [] : [at]));
  return {
    kind: 'value',
    value: settingsText(new Map([...values].map(([name, { text }]) => [name, text]))),
    facts: facts as unknown as Json,
    madeNotBefore: ages.length > 0 ? Math.max(...ages) : aged(namedAt(document.reported, ''), now),
    source: 'reported',
  };
}

/** What a declared `settings` item says by name. */
export function declaredSettings(facts: Json): Readonly<Record<string, string>> {
  const settings = isJsonObject(facts) ? facts['settings'] : undefined;
  if (!isJsonObject(settings)) return {};
  return Object.fromEntries(Object.entries(settings).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text]] : [])));
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
  if (item?.kind !== 'value' || !isJsonObject(item.facts) || !isJsonObject(item.facts['desired']) || !isJsonObject(item.facts['settings']))
    return null;
  return item.facts as unknown as ItemFacts;
}
