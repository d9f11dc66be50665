import { canonicalJson, type Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { ReportedItem } from '#model/reported.ts';
import { isJsonObject, valueAt, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import { agedAt, newest } from '#shadows/ages.ts';
import { shadowReport, type ShadowContents, type ShadowRead, type ShadowReading } from '#shadows/report.ts';
import { hardwareOf, isSilent, measuresOf, textAt, thingOf } from '#shadows/values.ts';
import { indexMatch, type IndexTerm } from './match.ts';
import { declaredSettings } from './declared-settings.ts';
import { mappedOptions, type ItemMapping, type MappedOptions } from './options.ts';
import { configValue, desiredKept, membersOf, settingText, settingsText, stateSeen, type StateSeen } from './values.ts';

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

/** How devices are read by their mapping. */
export interface MappedPlace {
  /** Which of a thing's shadows: null for the classic one. */
  shadow(device: Pick<DeclaredDevice, 'options'>): string | null;
  /** What is said where the service has nothing of the device. */
  absence(device: Pick<DeclaredDevice, 'options'>): string;
  /** How the index of the service is asked. */
  term(device: Pick<DeclaredDevice, 'options'>): IndexTerm;
}

export function mappedReading(place: MappedPlace): ShadowReading {
  const absent = (device: DeclaredDevice): ReturnType<ShadowContents['absent']> => ({
    items: mappedItems(device, mappedOptions(device.options)),
    detail: `${place.absence(device)}: the device has never reported`,
  });
  return {
    thing: thingOf,
    shadow: (device) => place.shadow(device),
    match: (device) => indexMatch(device, place.term(device)),
    readAs: mappingOf,
    reportOf: (device, last, glance) => shadowReport({ readAs: mappingOf, absent, read }, device, { ...glance, last }),
  };
}

/** What a report was read by: once that has changed, the shadow is read again though it is the same. */
function mappingOf(device: DeclaredDevice): string {
  const declared = device.items.find(({ item }) => item === 'settings');
  const names = declared === undefined ? null : Object.keys(declaredSettings(declared.facts));
  return sha256(canonicalJson({ options: device.options, names })).slice(0, 16);
}

interface Context {
  readonly options: MappedOptions;
  readonly now: Instant;
}

function mappedItems(device: DeclaredDevice, options: MappedOptions): readonly ItemName[] {
  const declared = device.items.some(({ item }) => item === 'settings');
  return [
    ...(options.firmware === null ? [] : (['firmware'] as const)),
    ...(options.config === null ? [] : (['config'] as const)),
    ...(declared || options.settings.size > 0 ? (['settings'] as const) : []),
  ];
}

function read(device: DeclaredDevice, { document, last, now }: ShadowRead): ReturnType<ShadowContents['read']> {
  const options = mappedOptions(device.options);
  const items = Object.fromEntries(
    mappedItems(device, options).map((item) => [item, standing(itemOf(item, { device, document }, { options, now }), last?.items[item])]),
  );
  return { ...hardwareOf(device, document, options), items, measures: measuresOf(options.measures, document, now) };
}

/** A value that was reported before stands since then, however often it is named again. */
function standing(item: ReportedItem, last: ReportedItem | undefined): ReportedItem {
  const facts = itemFacts(item);
  if (item.kind !== 'value' || facts === null) return item;
  const before = last?.kind === 'value' && last.value === item.value ? itemFacts(last) : null;
  return { ...item, facts: { ...facts, since: before?.since ?? item.madeNotBefore } as unknown as Json };
}

interface Place {
  readonly device: DeclaredDevice;
  readonly document: ShadowDocument;
}

/** One item as the document has it. */
export function itemOf(item: ItemName, { device, document }: Place, { options, now }: Context): ReportedItem {
  if (isSilent(document))
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
  const at = agedAt(document.reported, valueAt(document.reported, mapping.reported) === undefined ? '' : mapping.reported, now);
  return { kind: 'value', value: value.value, facts: factsOf(document, { mapping }), madeNotBefore: at, source };
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
    values.set(name, { text, at: agedAt(document.reported, mapping.reported, now) });
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
  return {
    kind: 'value',
    value: settingsText(new Map([...values].map(([name, { text }]) => [name, text]))),
    facts: facts as unknown as Json,
    madeNotBefore: newest([...values.values()].map(({ at }) => at)) ?? agedAt(document.reported, '', now),
    source: 'reported',
  };
}

/** What a report keeps of an item; null for one that another family or version wrote. */
export function itemFacts(item: ReportedItem | undefined): ItemFacts | null {
  if (item?.kind !== 'value' || !isJsonObject(item.facts) || !isJsonObject(item.facts['desired']) || !isJsonObject(item.facts['settings']))
    return null;
  return item.facts as unknown as ItemFacts;
}
