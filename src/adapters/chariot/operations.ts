import type { Json } from '#kit/canonical.ts';
import { HOUR_MS } from '#kit/duration.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { OpenOperation, OperationDraft, OperationRecord } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { readShadowUndo, type ShadowUndo } from '#shadows/undo.ts';
import { readWrites, type ItemWrites } from './expectation.ts';
import { chariotOptions } from './options.ts';

/** What an operation carries, apart from its content: plain JSON, no URL. */
export interface OperationFacts extends ItemWrites {
  /** Whether the device says by itself what it runs or obeys: only that counts then. */
  readonly proven: boolean;
  /** What stands in the device's state when it has given up. */
  readonly failed: readonly string[];
  readonly agent: string | null;
  readonly patienceMs: number;
  readonly lostAfterMs: number;
}

/** What a write leaves for confirmation and withdrawal. */
export interface Undo extends ShadowUndo {
  /** How often chariotd was given it, each time after it had taken the last one from the mailbox. */
  readonly tries: number;
  /** The device was told to fetch its shadow again. */
  readonly nudged: boolean;
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
    return writes === null ? [] : [offerDraft(item, { device, reported, writes })];
  });
  return { drafts, impossible: [] };
}

function offerDraft(
  item: DeclaredItem,
  { device, reported, writes }: { readonly device: DeclaredDevice; readonly reported: ReportedDevice; readonly writes: ItemWrites },
): OperationDraft {
  const options = chariotOptions(device.options);
  const now = reported.items[item.item];
  const facts: OperationFacts = {
    ...writes,
    proven: item.item !== 'config' || options.config.running !== null,
    failed: item.item === 'firmware' || item.item === 'program' ? options[item.item].failed : [],
    agent: options.agent,
    patienceMs: options.patienceMs,
    lostAfterMs: options.lostAfterMs,
  };
  return {
    item: item.item,
    step: item.item,
    kind: 'change',
    delivery: 'offer',
    declared: item.value,
    expected: now?.kind === 'value' ? now.value : null,
    facts: facts as unknown as Json,
    content: item.content,
    deadlineMs: options.patienceMs,
    effects: EFFECTS[item.item] ?? [],
    disturbs: true,
    prompt: true,
  };
}

export function readOperationFacts(facts: Json): OperationFacts | null {
  const writes = readWrites(facts);
  if (writes === null || !isJsonObject(facts)) return null;
  const { proven, agent, failed, patienceMs, lostAfterMs: silenceMs } = facts;
  return {
    ...writes,
    proven: proven !== false,
    failed: Array.isArray(failed) ? failed.filter((one) => typeof one === 'string') : [],
    agent: typeof agent === 'string' ? agent : null,
    patienceMs: typeof patienceMs === 'number' ? patienceMs : HOUR_MS,
    lostAfterMs: typeof silenceMs === 'number' ? silenceMs : HOUR_MS,
  };
}

export function readUndo(undo: Json): Undo | null {
  const written = readShadowUndo(undo);
  if (written === null || !isJsonObject(undo)) return null;
  const { tries, nudged } = undo;
  return { ...written, tries: typeof tries === 'number' ? tries : 1, nudged: nudged === true };
}

/** Empties the mailbox of what was put into it, as long as chariotd has not come for it. */
export function withdrawalOf(open: OpenOperation): readonly OperationDraft[] {
  const { operation } = open;
  const facts = readOperationFacts(operation.facts);
  if (operation.kind !== 'change' || facts === null) return [];
  const inverse = readUndo(open.undo)?.inverse ?? { [facts.key]: null };
  return [
    {
      item: operation.item,
      step: `withdraw-${operation.item}`,
      kind: 'withdraw',
      delivery: 'push',
      declared: operation.expected ?? '',
      expected: null,
      facts: { ...facts, inverse, offered: operation.declared },
      content: null,
      deadlineMs: operation.deadlineMs,
      effects: [],
      disturbs: false,
    },
  ];
}

export function lostAfterMs(operation: OperationRecord): number {
  return readOperationFacts(operation.facts)?.lostAfterMs ?? HOUR_MS;
}
