import { compareText } from '#kit/diagnostics.ts';
import type { Content, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { DeviceId } from '#model/ids.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { LedgerView } from '#model/records.ts';
import type { Admission } from '#ports/responder.ts';
import type { Target } from './decide.ts';
import { drogueOptions, topicName, topicOf, type DrogueOptions } from './options.ts';

/** One declared device, and what it is to be told. */
export interface Served {
  readonly device: DeviceId;
  readonly options: DrogueOptions;
  readonly down: string;
  readonly target: Target | null;
  /** Where the bytes of the target come from; null when no revision that is known declares them. */
  readonly content: Content | null;
  readonly settled: readonly string[];
}

/** Who asks where. Keys are whole topics: identity comes from the topic alone. */
export interface Roster {
  /** Connection → topic → those who share it: several behind a gateway. */
  readonly asking: ReadonlyMap<string, ReadonlyMap<string, readonly Served[]>>;
  readonly measuring: ReadonlyMap<string, ReadonlyMap<string, readonly Served[]>>;
  /** Connection → filters to subscribe, sorted. */
  readonly filters: ReadonlyMap<string, readonly string[]>;
  readonly contents: ReadonlyMap<string, Content>;
}

export const NOBODY: Roster = { asking: new Map(), measuring: new Map(), filters: new Map(), contents: new Map() };

/** Everything that a responder needs of an admission, worked out once. With `frozen` nothing is admitted for anybody. */
export function rosterOf(family: string, admission: Admission, frozen = false): Roster {
  const asking = new Map<string, Map<string, Served[]>>();
  const measuring = new Map<string, Map<string, Served[]>>();
  const filters = new Map<string, Set<string>>();
  const contents = new Map<string, Content>();
  for (let row = 0; row < admission.declared.size; row += 1) {
    const device = admission.declared.deviceAt(row);
    if (device.family !== family) continue;
    const options = drogueOptions(device.options);
    const names = { device: topicName(device, options), group: device.group };
    const served = servedOf(admission, { device, options, down: topicOf(options.down, names), frozen });
    if (served.content !== null) contents.set(served.content.digest, served.content);
    for (const connection of new Set([device.via.connection, device.via.to ?? device.via.connection])) {
      add(asking, connection, { topic: topicOf(options.up, names), served });
      const own = setOf(filters, connection);
      own.add(filterOf(options.up));
      if (options.telemetry === null) continue;
      add(measuring, connection, { topic: topicOf(options.telemetry, names), served });
      own.add(filterOf(options.telemetry));
    }
  }
  return { asking, measuring, filters: new Map([...filters].map(([name, set]) => [name, [...set].toSorted(compareText)])), contents };
}

/** A device of this family may ask at any time, so all of them are listened for by one filter. */
function filterOf(template: string): string {
  const levels = template.split('/');
  return levels.map((level) => (level.includes('{device}') || level.includes('{group}') ? '+' : level)).join('/');
}

function setOf(map: Map<string, Set<string>>, key: string): Set<string> {
  const known = map.get(key) ?? new Set<string>();
  map.set(key, known);
  return known;
}

function add(
  map: Map<string, Map<string, Served[]>>,
  connection: string,
  entry: { readonly topic: string; readonly served: Served },
): void {
  const topics = map.get(connection) ?? new Map<string, Served[]>();
  map.set(connection, topics);
  const there = topics.get(entry.topic);
  if (there === undefined) topics.set(entry.topic, [entry.served]);
  else there.push(entry.served);
}

interface Row {
  readonly device: DeclaredDevice;
  readonly options: DrogueOptions;
  readonly down: string;
  readonly frozen: boolean;
}

function servedOf(admission: Admission, { device, options, down, frozen }: Row): Served {
  const items = itemsOf(admission, device);
  const open = frozen ? null : offerOf(admission.view, device);
  const content = open === null ? null : (items.find((item) => item.content?.digest === open.operation.content?.digest)?.content ?? null);
  return {
    device: device.id,
    options,
    down,
    target: open === null ? null : targetOf(admission, device, open),
    content,
    settled: frozen ? [] : settledOf(admission, device, items),
  };
}

/** What the declared release and the present one make of it. */
function itemsOf({ declared, older }: Admission, device: DeclaredDevice): readonly DeclaredItem[] {
  const before = older.flatMap((one) => declared.itemsUnder(one, device) ?? []);
  return [...device.items, ...before].filter(({ item }) => item === 'firmware');
}

/** The open offer of this hardware, unless it is being withdrawn. */
function offerOf(view: LedgerView, device: DeclaredDevice): OpenOperation | null {
  const open = view.open.get(device.id) ?? [];
  const offer = open.findLast(
    ({ operation }) => operation.kind === 'change' && operation.item === 'firmware' && operation.hardware === device.hardware,
  );
  if (offer === undefined || offer.operation.content === null) return null;
  return open.some(({ operation }) => operation.withdraws === offer.operation.id) ? null : offer;
}

function targetOf({ declared, view }: Admission, device: DeclaredDevice, { operation }: OpenOperation): Target | null {
  if (operation.content === null) return null;
  const group = declared.groups.get(operation.group);
  const history = view.groups.get(operation.group);
  return {
    operation: operation.id,
    release: operation.release,
    version: operation.declared,
    digest: operation.content.digest,
    // On the way back the release before is good: it is not judged again (DESIGN.md §4).
    health: history?.rollout?.direction === 'rollback' ? [] : (group?.health ?? []),
    before: history?.begun?.get(device.id),
  };
}

/** Not the version with which the device failed: it must never be marked good. */
function settledOf({ declared, view }: Admission, device: DeclaredDevice, items: readonly DeclaredItem[]): readonly string[] {
  const failed = new Set([...(view.devices.get(device.id)?.failed.values() ?? [])].map(({ release }) => release));
  const group = device.group === null ? undefined : declared.groups.get(device.group);
  const history = device.group === null ? undefined : view.groups.get(device.group);
  const bad = group !== undefined && [group.release.id, history?.rollout?.to ?? group.release.id].some((release) => failed.has(release));
  const barred = bad ? new Set(device.items.filter(({ item }) => item === 'firmware').map(({ value }) => value)) : new Set<string>();
  return [...new Set(items.map(({ value }) => value))].filter((value) => !barred.has(value));
}
