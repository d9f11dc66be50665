import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { OpenOperation, OperationDraft, OperationRecord } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { isJsonObject, sameJson, type JsonObject } from '#model/shadow.ts';
import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { offerDraft, patienceIn, withdrawalDraft, type Patience } from '#shadows/drafts.ts';
import { readShadowUndo } from '#shadows/undo.ts';
import { declaredSettings } from './declared-settings.ts';
import { mappedOptions } from './options.ts';
import { itemFacts } from './reports.ts';
import { documentDigest } from '#shadows/values.ts';
import { nulls, readWrites, settingText, type Write } from './values.ts';

/** What an operation carries, apart from its content: plain JSON, no URL. */
export interface OperationFacts extends Patience {
  readonly writes: readonly Write[];
  /** Of settings: what each declared one must be reported as. */
  readonly settings: Readonly<Record<string, string>>;
}

const EFFECTS: Readonly<Record<string, readonly string[]>> = {
  firmware: ['restarts the device'],
  config: ['may restart the device'],
  settings: [],
};

/** Why an item cannot be offered though it differs, in words; null where it can. */
export type Hindrance = (item: DeclaredItem, writes: readonly Write[], reported: ReportedDevice) => string | null;

/** One offer for each item that differs: its keys of desired. What has a hindrance is UNSUPPORTED. */
export function mappedOperations({ device, items, reported, drifted }: OperationsRequest, hindrance: Hindrance): OperationsAnswer {
  const drafts: OperationDraft[] = [];
  const impossible: Impossible[] = [];
  for (const item of items) {
    if (!drifted.includes(item.item)) continue;
    const writes = readWrites(isJsonObject(item.facts) ? item.facts['writes'] : undefined);
    if (writes === null) continue;
    const evidence = hindrance(item, writes, reported) ?? withoutSize(writes);
    if (evidence === null) drafts.push(draftOf(item, { device, reported, writes }));
    else impossible.push({ item: item.item, reason: 'UNSUPPORTED', evidence });
  }
  return { drafts, impossible };
}

function withoutSize(writes: readonly Write[]): string | null {
  const sizeless = writes.find((write) => write.kind === 'value' && write.value === null);
  return sizeless === undefined ? null : `its size is written to ${sizeless.pointer}, and the artifact does not say it`;
}

function draftOf(
  item: DeclaredItem,
  from: { readonly device: DeclaredDevice; readonly reported: ReportedDevice; readonly writes: readonly Write[] },
): OperationDraft {
  const { device, reported } = from;
  const options = mappedOptions(device.options);
  const facts: OperationFacts = {
    writes: changedWrites(item, from),
    settings: item.item === 'settings' ? changedSettings(item, reported) : {},
    patienceMs: options.patienceMs,
    lostAfterMs: options.lostAfterMs,
  };
  return offerDraft(item, { reported, facts, effects: EFFECTS[item.item] ?? [], disturbs: item.item !== 'settings' });
}

/** Of settings only those that differ: each is a key of its own. */
function changedWrites(
  item: DeclaredItem,
  { device, reported, writes }: { readonly device: DeclaredDevice; readonly reported: ReportedDevice; readonly writes: readonly Write[] },
): readonly Write[] {
  if (item.item !== 'settings') return writes;
  const { settings } = mappedOptions(device.options);
  const changed = new Set(Object.keys(changedSettings(item, reported)).map((name) => settings.get(name)?.desired));
  // Where all are reported as declared, the record itself is what differs.
  if (changed.size === 0) return writes.filter((write) => isOverwritten(write, itemFacts(reported.items[item.item])?.desired ?? {}));
  return writes.filter(({ pointer }) => changed.has(pointer));
}

function changedSettings(item: DeclaredItem, reported: ReportedDevice): Readonly<Record<string, string>> {
  const said = itemFacts(reported.items[item.item])?.settings ?? {};
  return Object.fromEntries(Object.entries(declaredSettings(item.facts)).filter(([name, text]) => said[name]?.text !== text));
}

export function readOperationFacts(facts: Json): OperationFacts | null {
  if (!isJsonObject(facts)) return null;
  const writes = readWrites(facts['writes']);
  return writes === null ? null : { writes, settings: declaredSettings(facts), ...patienceIn(facts) };
}

/**
 * Takes our keys back: to what they were before, or to nothing. A device is not told of a key that is gone
 * (docs/protocols/aws-iot.md X9): it then has nothing to do, which is what is meant.
 */
export function withdrawalOf(open: OpenOperation): readonly OperationDraft[] {
  const { operation } = open;
  const facts = readOperationFacts(operation.facts);
  if (operation.kind !== 'change' || facts === null) return [];
  const inverse = readShadowUndo(open.undo)?.inverse ?? nulls(facts.writes.map(({ pointer }) => pointer));
  return [withdrawalDraft(operation, { writes: facts.writes, inverse, offered: operation.declared })];
}

export function lostAfterMs(operation: OperationRecord): number {
  return patienceIn(operation.facts).lostAfterMs;
}

/** Whether what a report keeps of desired is still what was written; URLs and documents are not kept. */
export function stillOurs(writes: readonly Write[], desired: JsonObject): boolean {
  return writes.every((write) => write.kind !== 'value' || sameJson(desired[write.pointer] ?? null, write.value));
}

/**
 * Whether desired holds something else where this is written: by what a report keeps of it. What is not there, and what is
 * not kept, is not.
 */
export function isOverwritten(write: Write, desired: JsonObject): boolean {
  const value = Object.hasOwn(desired, write.pointer) ? desired[write.pointer] : undefined;
  if (value === undefined || value === null || write.kind === 'url') return false;
  return write.kind === 'document' ? documentDigest(value) !== write.digest : !sameJson(value, write.value);
}

/** An operation that changes nothing at the device: it writes a record again that somebody else has overwritten. */
export function restoresRecord({ kind, declared, expected }: OperationRecord): boolean {
  return kind === 'change' && declared === expected;
}

/** The settings of a report that an operation has to change, with what the device says of each now. */
export function settingsSeen(
  item: ItemName,
  facts: OperationFacts,
  reported: ReportedDevice,
): readonly { readonly name: string; readonly wanted: string; readonly text: string | null; readonly at: Instant | null }[] {
  const said = itemFacts(reported.items[item])?.settings ?? {};
  return Object.entries(facts.settings).map(([name, wanted]) => {
    const seen = said[name];
    return { name, wanted, text: settingText(seen?.text ?? null), at: seen?.at ?? null };
  });
}
