import { canonicalJson } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { Place } from '#kit/diagnostics.ts';
import { shortDigest } from '#model/ids.ts';
import type { DeviceId, GroupName } from '#model/ids.ts';
import type { Declared, DeclaredDevice, DeclaredItem, GroupDeclaration } from '#model/declared.ts';
import type { DeclaredDifference, DeclaredItemChange, DifferenceSign, GroupDifference, MovedDevice } from '#model/difference.ts';
import type { ItemName } from '#model/item.ts';
import { groupRules, ruleDifferences, rulesOnlyByMerge } from './rule-difference.ts';

const MOST_EXAMPLES = 5;

/**
 * What `head` declares otherwise than `base`, from the two revisions alone: no report, no ledger, nothing of the world. A
 * device that changes its place, its hardware or anything it is told counts as changing. Sorted; equal input, equal output.
 */
export function declaredDifference(base: Declared, head: Declared): DeclaredDifference {
  const pairs = [...sharedDevices(base, head)];
  const changed = pairs.filter(isToldOtherwise);
  return {
    fleet: head.fleet.name,
    base: base.revision,
    head: head.revision,
    devices: head.size,
    changing: changed.length,
    joining: onlyIn(head, base),
    leaving: onlyIn(base, head),
    replaced: pairs.flatMap(({ was, is }) =>
      was.hardware === is.hardware ? [] : [{ device: is.id, from: hardwareText(was), to: hardwareText(is), place: is.place }],
    ),
    moving: pairs.flatMap(({ was, is }) =>
      was.group === is.group ? [] : [{ device: is.id, from: was.group, to: is.group, place: is.place }],
    ),
    groups: groupDifferences(base, head, changed),
    rules: ruleDifferences(base, head),
    onlyByMerge: rulesOnlyByMerge(base, head),
  };
}

/** A device of both revisions. */
interface Pair {
  readonly was: DeclaredDevice;
  readonly is: DeclaredDevice;
}

function* sharedDevices(base: Declared, head: Declared): Generator<Pair> {
  for (let row = 0; row < head.size; row += 1) {
    const is = head.deviceAt(row);
    const old = base.rowOf(is.id);
    if (old !== undefined) yield { was: base.deviceAt(old), is };
  }
}

function onlyIn(one: Declared, other: Declared): readonly MovedDevice[] {
  const found: MovedDevice[] = [];
  for (let row = 0; row < one.size; row += 1) {
    const { id, group, model, place } = one.deviceAt(row);
    if (other.rowOf(id) === undefined) found.push({ device: id, group, model, place });
  }
  return found;
}

function hardwareText({ serial, address }: DeclaredDevice): string {
  const parts = [serial === null ? null : `serial ${serial}`, address === null ? null : `address ${address}`];
  return parts.filter((part) => part !== null).join(', ') || 'nothing that tells it apart';
}

function isToldOtherwise({ was, is }: Pair): boolean {
  if (was.group !== is.group || was.hardware !== is.hardware) return true;
  return was.items !== is.items && itemPairs({ was, is }).some(isOther);
}

interface ItemPair {
  readonly name: ItemName;
  readonly from: DeclaredItem | undefined;
  readonly to: DeclaredItem | undefined;
}

/** In the order of the head's items; those that are only in the base come last. */
function itemPairs({ was, is }: Pair): readonly ItemPair[] {
  const here = is.items.map((to): ItemPair => ({ name: to.item, from: was.items.find(({ item }) => item === to.item), to }));
  const gone = was.items.filter(({ item }) => !is.items.some((other) => other.item === item));
  return [...here, ...gone.map((from): ItemPair => ({ name: from.item, from, to: undefined }))];
}

function isOther({ from, to }: ItemPair): boolean {
  if (from === undefined || to === undefined) return true;
  if (from.ciphertext !== to.ciphertext) return true;
  return from.value !== to.value || from.version !== to.version || from.content?.digest !== to.content?.digest;
}

function groupDifferences(base: Declared, head: Declared, changed: readonly Pair[]): readonly GroupDifference[] {
  const names = [...new Set([...base.groups.keys(), ...head.groups.keys()])].toSorted(compareText);
  const byGroup = Map.groupBy(changed, ({ is }) => is.group);
  return names.flatMap((name) => groupDifference({ name, was: base.groups.get(name), is: head.groups.get(name) }, byGroup.get(name) ?? []));
}

interface GroupPair {
  readonly name: GroupName;
  readonly was: GroupDeclaration | undefined;
  readonly is: GroupDeclaration | undefined;
}

function groupDifference({ name, was, is }: GroupPair, changed: readonly Pair[]): readonly GroupDifference[] {
  const some = is ?? was;
  if (some === undefined) return [];
  const parts = partDifferences(was, is);
  const rules = was === undefined || is === undefined ? [] : groupRules(was, is);
  const sign: DifferenceSign = was === undefined ? 'joins' : is === undefined ? 'leaves' : 'changes';
  if (sign === 'changes' && parts.length === 0 && rules.length === 0 && changed.length === 0) return [];
  return [
    {
      group: name,
      sign,
      place: some.place,
      from: was?.release.id ?? null,
      to: is?.release.id ?? null,
      devices: some.rows.length,
      changing: changed.length,
      parts,
      items: itemChanges(changed),
      rules,
    },
  ];
}

function partDifferences(was: GroupDeclaration | undefined, is: GroupDeclaration | undefined): GroupDifference['parts'] {
  const before = new Map(was?.release.parts.map(({ id, digest }) => [id, digest]));
  const after = new Map(is?.release.parts.map(({ id, digest }) => [id, digest]));
  return [...new Set([...before.keys(), ...after.keys()])].toSorted(compareText).flatMap((id) => {
    if (before.get(id) === after.get(id)) return [];
    return [{ id, sign: !before.has(id) ? ('joins' as const) : !after.has(id) ? ('leaves' as const) : ('changes' as const) }];
  });
}

interface ItemGathered {
  readonly change: Pick<DeclaredItemChange, 'item' | 'from' | 'to'>;
  readonly place: Place;
  readonly models: Map<string, number>;
  readonly examples: DeviceId[];
}

/** Devices whose item goes from the same declared version to the same other one, together. */
function itemChanges(changed: readonly Pair[]): readonly DeclaredItemChange[] {
  const found = new Map<string, ItemGathered>();
  for (const pair of changed) {
    for (const items of itemPairs(pair).filter(isOther)) {
      const change = { item: items.name, from: items.from?.version ?? null, to: versionAfter(items) };
      const place = items.to?.place ?? items.from?.place ?? pair.is.place;
      const key = canonicalJson([change.item, change.from, change.to]);
      const entry = found.get(key) ?? { change, place, models: new Map<string, number>(), examples: [] };
      entry.models.set(pair.is.model, (entry.models.get(pair.is.model) ?? 0) + 1);
      if (entry.examples.length < MOST_EXAMPLES) entry.examples.push(pair.is.id);
      found.set(key, entry);
    }
  }
  return [...found.values()]
    .map(({ change, place, models, examples }) => ({ ...change, place, examples, models: byCount(models) }))
    .toSorted((a, b) => compareText(a.item, b.item) || compareText(`${a.to}\n${a.from}`, `${b.to}\n${b.from}`));
}

/** A file or layers may keep their name while what is in them changes: said by the digest of the new content. */
function versionAfter({ from, to }: ItemPair): string | null {
  if (to === undefined) return null;
  if (from?.version !== to.version) return to.version;
  return to.content === null ? `${to.version} (other value)` : `${to.version} (other content, ${shortDigest(to.content.digest)})`;
}

function byCount(models: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  return [...models].toSorted(([a, m], [b, n]) => n - m || compareText(a, b));
}
