import { MINUTE_MS } from '#kit/duration.ts';
import { unreachable } from '#kit/result.ts';
import type { DeviceId, Digest, GroupName, Instant, OperationId } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { Reason } from '#model/reasons.ts';
import type {
  DeviceHistory,
  GroupHistory,
  InventoryEntry,
  LedgerRecord,
  LedgerView,
  RecordBody,
  RefusedBeginning,
} from '#model/records.ts';
import type { RolloutEvent } from '#model/rollout.ts';

export interface FoldOptions {
  /** The reducer of rollout events (rollout owns their meaning). */
  readonly event: (history: GroupHistory, event: RolloutEvent) => GroupHistory;
  /** An earlier fold of the same ledger: only records after its `seq` are looked at. */
  readonly from?: LedgerView;
}

const EMPTY_GROUP: GroupHistory = { lineage: [], blocked: [], rollout: null, past: [] };

export function emptyView(): LedgerView {
  return {
    ledger: null,
    seq: 0,
    engine: null,
    planned: 0,
    commit: null,
    tree: null,
    recentIntents: [],
    devices: new Map(),
    open: new Map(),
    groups: new Map(),
  };
}

/** The fold under way: private copies of the maps, made once; the values in them are replaced, never changed. */
interface Draft {
  ledger: string | null;
  seq: number;
  engine: string | null;
  planned: number;
  commit: string | null;
  tree: Digest | null;
  readonly intents: Instant[];
  readonly devices: Map<DeviceId, DeviceHistory>;
  readonly open: Map<DeviceId, readonly OpenOperation[]>;
  readonly groups: Map<GroupName, GroupHistory>;
  /** The device of each open operation: outcomes name only the operation. */
  readonly owners: Map<OperationId, DeviceId>;
  /** Maps of failures that this fold made itself, and so may add to. */
  readonly own: WeakSet<object>;
}

/** One for all the devices that never failed: a fleet has a hundred thousand of them. */
const NO_FAILURES: DeviceHistory['failed'] = new Map();

type Failure = DeviceHistory['failed'] extends ReadonlyMap<OperationId, infer Entry> ? Entry : never;
type BodyOf<Type extends RecordBody['type']> = Extract<RecordBody, { type: Type }>;

/**
 * Folds records, in order, into the view of the ledger; records up to `from.seq` are passed over. Linear in the new
 * records, plus one copy of the maps. Neither the records nor `from` are changed.
 */
export function foldRecords(records: readonly LedgerRecord[], options: FoldOptions): LedgerView {
  const from = options.from ?? emptyView();
  const first = records.findIndex((record) => record.seq > from.seq);
  if (first < 0) return from;
  const draft = draftOf(from);
  for (let at = first; at < records.length; at += 1) {
    const record = records[at];
    if (record !== undefined) fold(draft, record, options.event);
  }
  return {
    ledger: draft.ledger,
    seq: draft.seq,
    engine: draft.engine,
    planned: draft.planned,
    commit: draft.commit,
    tree: draft.tree,
    recentIntents: lastMinute(draft.intents),
    devices: draft.devices,
    open: draft.open,
    groups: draft.groups,
  };
}

function draftOf(view: LedgerView): Draft {
  const owners = new Map<OperationId, DeviceId>();
  for (const [device, open] of view.open) {
    for (const { operation } of open) owners.set(operation.id, device);
  }
  return {
    ledger: view.ledger,
    seq: view.seq,
    engine: view.engine,
    planned: view.planned,
    commit: view.commit,
    tree: view.tree,
    intents: [...view.recentIntents],
    devices: new Map(view.devices),
    open: new Map(view.open),
    groups: new Map(view.groups),
    owners,
    own: new WeakSet(),
  };
}

function fold(draft: Draft, record: LedgerRecord, reduce: FoldOptions['event']): void {
  const { body, seq } = record;
  draft.seq = seq;
  switch (body.type) {
    case 'genesis':
      draft.ledger = body.ledger;
      draft.engine = body.engine;
      return;
    case 'pass':
      draft.commit = body.commit;
      draft.tree = body.tree;
      draft.engine = body.engine;
      draft.planned = body.planned;
      return;
    case 'inventory':
      foldInventory(draft, body);
      return;
    case 'pinned':
      foldPinned(draft, body);
      return;
    case 'event':
      foldEvent(draft, body.event, reduce);
      return;
    case 'intent':
      foldIntent(draft, body);
      return;
    case 'outcome':
      foldOutcome(draft, body, seq);
      return;
    case 'taken':
      amend(draft, body.operation, (open) => (open.takenAt === null ? { ...open, takenAt: body.at } : open));
      return;
    case 'closed':
      foldClosed(draft, body, seq);
      return;
    case 'converged':
      for (const { device, personal } of body.entries) {
        const history = draft.devices.get(device);
        if (history !== undefined)
          draft.devices.set(device, { ...history, personalDone: personal, releaseDone: body.release, changing: false });
      }
      return;
    default:
      unreachable(body);
  }
}

function foldInventory(draft: Draft, body: BodyOf<'inventory'>): void {
  for (const device of body.left) {
    draft.devices.delete(device);
    dropOpen(draft, device, isPush);
  }
  for (const entry of body.set) {
    draft.devices.set(entry.device, enter(draft.devices.get(entry.device), entry, body.tree));
    dropOpen(draft, entry.device, (open) => open.operation.hardware !== entry.hardware && isPush(open));
  }
}

/** The first facts stay: only new hardware, which begins without a past, is pinned anew. */
function foldPinned(draft: Draft, body: BodyOf<'pinned'>): void {
  for (const { device, hardware, facts } of body.entries) {
    const history = draft.devices.get(device);
    if (history?.hardware === hardware && history.pinned === undefined) draft.devices.set(device, { ...history, pinned: facts });
  }
}

/** What was pushed is done or never will be; an offer lies where it was laid until it is withdrawn. */
function isPush({ operation }: OpenOperation): boolean {
  return operation.kind === 'change' && operation.delivery === 'push';
}

/** New hardware begins without a past: what was known of the old box says nothing of this one. */
function enter(known: DeviceHistory | undefined, entry: InventoryEntry, tree: Digest): DeviceHistory {
  const { hardware, group, personal } = entry;
  if (known === undefined || known.hardware !== hardware) {
    return { hardware, group, personal, personalTree: tree, personalDone: null, releaseDone: null, lastClosed: {}, failed: NO_FAILURES };
  }
  if (known.personal === personal) return { ...known, group };
  // The device is told something else now: what it refused before is no verdict on that.
  return { ...known, group, personal, personalTree: tree, failed: NO_FAILURES, spent: {}, refused: {} };
}

function dropOpen(draft: Draft, device: DeviceId, drops: (open: OpenOperation) => boolean): void {
  const open = draft.open.get(device);
  if (open === undefined) return;
  const kept: OpenOperation[] = [];
  for (const one of open) {
    if (drops(one)) draft.owners.delete(one.operation.id);
    else kept.push(one);
  }
  setOpen(draft, device, kept);
}

function setOpen(draft: Draft, device: DeviceId, open: readonly OpenOperation[]): void {
  if (open.length === 0) draft.open.delete(device);
  else draft.open.set(device, open);
}

function foldEvent(draft: Draft, event: RolloutEvent, reduce: FoldOptions['event']): void {
  const group = event.kind === 'rollout-began' ? event.rollout.group : event.group;
  draft.groups.set(group, reduce(draft.groups.get(group) ?? EMPTY_GROUP, event));
  const again = event.kind === 'device-again' ? draft.devices.get(event.device) : undefined;
  if (event.kind === 'device-again' && again !== undefined)
    draft.devices.set(event.device, { ...again, failed: NO_FAILURES, spent: {}, refused: {} });
}

/** A further intent for an open operation is its next attempt: what the last one left to undo is kept, the rest begins anew. */
function foldIntent(draft: Draft, body: BodyOf<'intent'>): void {
  const { operation, attempt, at } = body;
  draft.intents.push(at);
  const history = draft.devices.get(operation.device);
  // A correction of drift leads back to what was seen: other items that differ were still changed at the device.
  const begins = operation.kind === 'change' && operation.cause !== 'drift' && history?.changing !== true;
  if (begins && history !== undefined) draft.devices.set(operation.device, { ...history, changing: true });
  const open = draft.open.get(operation.device) ?? [];
  const begun = { operation, attempt, intendedAt: at, reference: null, takenAt: null, retryAt: null };
  const index = open.findIndex((one) => one.operation.id === operation.id);
  const known = open[index];
  if (known === undefined) {
    draft.owners.set(operation.id, operation.device);
    draft.open.set(operation.device, [...open, { ...begun, undo: null, lastTrouble: null }]);
    return;
  }
  draft.open.set(operation.device, open.with(index, { ...known, ...begun }));
}

/** Replaces an open operation; nothing when it is not open (closed, or dropped with its hardware). */
function amend(draft: Draft, id: OperationId, change: (open: OpenOperation) => OpenOperation): void {
  const device = draft.owners.get(id);
  const open = device === undefined ? undefined : draft.open.get(device);
  if (device === undefined || open === undefined) return;
  const index = open.findIndex((one) => one.operation.id === id);
  const known = open[index];
  if (known === undefined) return;
  const changed = change(known);
  if (changed !== known) draft.open.set(device, open.with(index, changed));
}

/** The outcome of an earlier attempt than the last intended one says nothing of the last one. */
function foldOutcome(draft: Draft, body: BodyOf<'outcome'>, seq: number): void {
  const { result } = body;
  if (result.kind === 'refused') {
    if (body.attempt > 1 && NOT_NOW.has(result.reason)) return putOff(draft, body, `${result.reason}: ${result.evidence}`);
    const open = take(draft, body.operation, (one) => one.attempt === body.attempt);
    if (open === null) return;
    countClosed(draft, open.operation, seq);
    countSpent(draft, open.operation, open.attempt - 1);
    if (open.operation.kind === 'change') noteRefused(draft, open.operation, { ...result, at: body.at });
    return;
  }
  forgetRefused(draft, body.operation);
  amend(draft, body.operation, (open) => {
    if (open.attempt !== body.attempt) return open;
    if (result.kind === 'trouble') return { ...open, retryAt: result.retryAt, lastTrouble: `${result.code}: ${result.evidence}` };
    return { ...open, reference: result.reference, undo: result.undo };
  });
}

/** Reasons for which a repeat is refused, and which say nothing of what became of the attempt before. */
const NOT_NOW: ReadonlySet<Reason> = new Set(['OFFLINE', 'IN_FLIGHT', 'NEVER_REPORTED', 'REPORT_UNREADABLE', 'IDENTITY_MISMATCH']);
const NOT_NOW_MS = 5 * MINUTE_MS;

/**
 * A repeat that was not begun is no attempt, and ends nothing: closed, the operation would be planned anew, its attempts
 * counted from one, and an offer that lies there forgotten.
 */
function putOff(draft: Draft, { operation, attempt, at }: BodyOf<'outcome'>, why: string): void {
  amend(draft, operation, (open) =>
    open.attempt === attempt ? { ...open, attempt: attempt - 1, retryAt: at + NOT_NOW_MS, lastTrouble: why } : open,
  );
}

/** Removes an open operation and gives it; null when it is not open or does not fit. */
function take(draft: Draft, id: OperationId, fits: (open: OpenOperation) => boolean): OpenOperation | null {
  const device = draft.owners.get(id);
  const open = device === undefined ? undefined : draft.open.get(device);
  const found = open?.find((one) => one.operation.id === id && fits(one));
  if (device === undefined || open === undefined || found === undefined) return null;
  draft.owners.delete(id);
  setOpen(
    draft,
    device,
    open.filter((one) => one !== found),
  );
  return found;
}

function foldClosed(draft: Draft, body: BodyOf<'closed'>, seq: number): void {
  const open = take(draft, body.operation, () => true);
  countClosed(draft, body, seq);
  if (body.closing === 'succeeded') forgetSpent(draft, body.device, body.item);
  if (open === null || (body.closing !== 'failed' && body.closing !== 'quarantined')) return;
  addFailure(draft, open, { code: body.code ?? body.closing, evidence: body.evidence, release: open.operation.release, at: body.at });
}

function countClosed(draft: Draft, closed: { readonly device: DeviceId; readonly item: ItemName }, seq: number): void {
  const history = draft.devices.get(closed.device);
  if (history === undefined) return;
  draft.devices.set(closed.device, { ...history, lastClosed: { ...history.lastClosed, [closed.item]: seq } });
}

/** The same again, planned from the same report, counts on. */
function noteRefused(
  draft: Draft,
  { device, item, step, declared, expected }: OpenOperation['operation'],
  why: Pick<RefusedBeginning, 'reason' | 'evidence' | 'at'>,
): void {
  const history = draft.devices.get(device);
  if (history === undefined) return;
  const last = history.refused?.[item];
  const again = last?.step === step && last.declared === declared && last.expected === expected;
  const { reason, evidence, at } = why;
  const refused: RefusedBeginning = { step, declared, expected, reason, evidence, times: again ? last.times + 1 : 1, at };
  draft.devices.set(device, { ...history, refused: { ...history.refused, [item]: refused } });
}

function forgetRefused(draft: Draft, id: OperationId): void {
  const device = draft.owners.get(id);
  const history = device === undefined ? undefined : draft.devices.get(device);
  if (device === undefined || history?.refused === undefined) return;
  const item = draft.open.get(device)?.find(({ operation }) => operation.id === id)?.operation.item;
  if (item === undefined || history.refused[item] === undefined) return;
  const { [item]: _refused, ...others } = history.refused;
  draft.devices.set(device, { ...history, refused: others });
}

/** No attempt was made before: there is nothing to remember. */
function countSpent(draft: Draft, { device, item, release }: OpenOperation['operation'], attempts: number): void {
  const history = draft.devices.get(device);
  if (history === undefined || attempts === 0) return;
  draft.devices.set(device, { ...history, spent: { ...history.spent, [item]: { release, attempts } } });
}

function forgetSpent(draft: Draft, device: DeviceId, item: ItemName): void {
  const history = draft.devices.get(device);
  if (history?.spent?.[item] === undefined) return;
  const { [item]: _spent, ...others } = history.spent;
  draft.devices.set(device, { ...history, spent: others });
}

function addFailure(draft: Draft, open: OpenOperation, failure: Failure): void {
  const { device, id } = open.operation;
  const history = draft.devices.get(device);
  if (history === undefined) return;
  let failed = history.failed as Map<OperationId, Failure>;
  if (!draft.own.has(failed)) {
    failed = new Map(failed);
    draft.own.add(failed);
    draft.devices.set(device, { ...history, failed });
  }
  failed.set(id, failure);
}

/** The intents of the minute before the newest: as much of the token bucket's past as can still matter. */
function lastMinute(intents: readonly Instant[]): readonly Instant[] {
  let newest = Number.NEGATIVE_INFINITY;
  for (const at of intents) newest = Math.max(newest, at);
  return intents.filter((at) => at > newest - MINUTE_MS).toSorted((a, b) => a - b);
}
