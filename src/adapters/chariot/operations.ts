import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { OpenOperation, OperationDraft, OperationRecord } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { offerDraft, patienceIn, withdrawalDraft, type Patience } from '#shadows/drafts.ts';
import { readShadowUndo, type ShadowUndo } from '#shadows/undo.ts';
import { readWrites, type ItemWrites } from './expectation.ts';
import { chariotOptions } from './options.ts';
import { rotationOperations } from './rotation.ts';

/** What an operation carries, apart from its content: plain JSON, no URL. */
export interface OperationFacts extends ItemWrites, Patience {
  /** Whether the device says by itself what it runs or obeys: only that counts then. */
  readonly proven: boolean;
  /** What stands in the device's state when it has given up. */
  readonly failed: readonly string[];
  readonly agent: string | null;
}

/** What a write leaves for confirmation and withdrawal. */
export interface Undo extends ShadowUndo {
  /** How often chariotd was given it, each time after it had taken the last one from the mailbox. */
  readonly tries: number;
  /** The device was told to fetch its shadow again. */
  readonly nudged: boolean;
  /** The last attempt was no more than that: nothing was written for which a device needs time. */
  readonly asked: boolean;
}

const EFFECTS: Readonly<Record<string, readonly string[]>> = {
  firmware: ['restarts the device'],
  program: ['restarts the program'],
  config: ['may restart the program'],
};

/** One offer for each item that differs: keys of one service in the mailbox. */
export function operationsFor({ device, items, reported, drifted }: OperationsRequest): OperationsAnswer {
  const drafts = items.flatMap((item): readonly OperationDraft[] => {
    const writes = drifted.includes(item.item) ? readWrites(item.facts) : null;
    return writes === null ? [] : [draftOf(item, { device, reported, writes })];
  });
  const identity = items.find(({ item }) => item === 'identity' && drifted.includes(item));
  if (identity === undefined) return { drafts, impossible: [] };
  const rotation = rotationOperations(device, identity, reported);
  return { drafts: [...drafts, ...rotation.drafts], impossible: rotation.impossible };
}

function draftOf(
  item: DeclaredItem,
  { device, reported, writes }: { readonly device: DeclaredDevice; readonly reported: ReportedDevice; readonly writes: ItemWrites },
): OperationDraft {
  const options = chariotOptions(device.options);
  const facts: OperationFacts = {
    ...writes,
    proven: item.item !== 'config' || options.config.running !== null,
    failed: item.item === 'firmware' || item.item === 'program' ? options[item.item].failed : [],
    agent: options.agent,
    patienceMs: options.patienceMs,
    lostAfterMs: options.lostAfterMs,
  };
  return { ...offerDraft(item, { reported, facts, effects: EFFECTS[item.item] ?? [], disturbs: true }), prompt: true };
}

export function readOperationFacts(facts: Json): OperationFacts | null {
  const writes = readWrites(facts);
  if (writes === null || !isJsonObject(facts)) return null;
  const { proven, agent, failed } = facts;
  return {
    ...writes,
    proven: proven !== false,
    failed: Array.isArray(failed) ? failed.filter((one) => typeof one === 'string') : [],
    agent: typeof agent === 'string' ? agent : null,
    ...patienceIn(facts),
  };
}

export function readUndo(undo: Json): Undo | null {
  const written = readShadowUndo(undo);
  if (written === null || !isJsonObject(undo)) return null;
  const { tries, nudged, asked } = undo;
  return { ...written, tries: typeof tries === 'number' ? tries : 1, nudged: nudged === true, asked: asked === true };
}

/** Empties the mailbox of what was put into it, as long as chariotd has not come for it. */
export function withdrawalOf(open: OpenOperation): readonly OperationDraft[] {
  const { operation } = open;
  const facts = readOperationFacts(operation.facts);
  if (operation.kind !== 'change' || facts === null) return [];
  const inverse = readUndo(open.undo)?.inverse ?? { [facts.key]: null };
  return [withdrawalDraft(operation, { ...facts, inverse, offered: operation.declared })];
}

export function lostAfterMs(operation: OperationRecord): number {
  return patienceIn(operation.facts).lostAfterMs;
}
