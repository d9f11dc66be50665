import type { Json } from '#kit/canonical.ts';
import { durationText, HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { OpenOperation, OperationDraft, OperationRecord } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { withdrawalDraft } from '#shadows/drafts.ts';
import { readShadowUndo, type ShadowUndo } from '#shadows/undo.ts';
import { readFirmwareFacts, type FirmwareFacts } from './expectation.ts';
import { mongooseOptions, type Ota } from './options.ts';
import { firmwareSeen, otaPointer } from './reports.ts';
import { onTrial, triedIn } from './wire.ts';

/** Brings a firmware; makes one on trial final; goes back from one. */
export type Step = 'update' | 'commit' | 'revert';

/** What an operation carries, apart from its content: plain JSON, no URL. */
export interface OperationFacts {
  readonly step: Step;
  readonly ota: Ota;
  readonly platform: string;
  /** Whether it waits for a commit of ours, and how long the board waits for that; null where it commits by itself. */
  readonly commitTimeoutMs: number | null;
  readonly updateTimeoutMs: number;
  readonly lostAfterMs: number;
  /** Pointer of the URL in desired. */
  readonly pointer: string;
}

/** What an attempt leaves for confirmation and withdrawal; over calls all but the last two are null. */
export interface Undo {
  readonly shadow: ShadowUndo | null;
  /** Digest of the URL of this attempt; null where none went out. */
  readonly url: string | null;
  readonly expires: Instant | null;
  /** What the board answered to the call: null for nothing (yet). */
  readonly said: { readonly ok: boolean; readonly message: string | null; readonly at: Instant } | null;
  /** What stood in OTA.Status before: it is no word on this attempt. */
  readonly stale: string | null;
}

const COMMIT_DEADLINE_MS = 2 * MINUTE_MS;
const REVERT_DEADLINE_MS = 3 * MINUTE_MS;

/** One update for each firmware that differs; what is on trial is made final, or gone back from, first. */
export function operationsFor({ device, items, reported, drifted }: OperationsRequest): OperationsAnswer {
  const drafts: OperationDraft[] = [];
  const impossible: Impossible[] = [];
  for (const item of items) {
    const facts = drifted.includes(item.item) ? readFirmwareFacts(item.facts) : null;
    if (facts === null) continue;
    const answer = stepFor(item, { device, reported, facts });
    if ('reason' in answer) impossible.push(answer);
    else drafts.push(answer);
  }
  return { drafts, impossible };
}

interface Context {
  readonly device: DeclaredDevice;
  readonly reported: ReportedDevice;
  readonly facts: FirmwareFacts;
}

function stepFor(item: DeclaredItem, context: Context): OperationDraft | Impossible {
  const { reported, facts } = context;
  const tried = trialOf(reported.items.firmware);
  if (item.item === 'firmware' && tried !== null && tried === item.value) return commitDraft(item, context, tried);
  if (tried !== null) return endTrial(item, context, tried);
  const arch = firmwareSeen(reported.items[item.item])?.arch ?? null;
  if (item.item === 'firmware' && arch !== null && arch.toLowerCase() !== facts.platform.toLowerCase()) {
    const evidence = `WRONG_PLATFORM: the board is ${arch}, and the bundle is for ${facts.platform}`;
    return { item: item.item, reason: 'INCOMPATIBLE', evidence };
  }
  return updateDraft(item, context);
}

/** What the board tries now, null for nothing. */
function trialOf(item: ReportedItem | undefined): string | null {
  return item?.kind === 'value' ? triedIn(item.value) : null;
}

function updateDraft(item: DeclaredItem, { device, reported, facts }: Context): OperationDraft {
  const options = mongooseOptions(device.options);
  const commits = options.commit === 'rpc' && item.item === 'firmware';
  const { commitTimeoutMs } = options;
  return {
    ...draftOf(item, { device, reported, facts }, 'update'),
    delivery: facts.ota === 'shadow' ? 'offer' : 'push',
    ...(facts.ota === 'shadow' ? { prompt: true as const } : {}),
    content: item.content,
    deadlineMs: options.updateTimeoutMs,
    effects: ['restarts the device', ...(commits ? [`goes back unless it is committed within ${durationText(commitTimeoutMs)}`] : [])],
    disturbs: true,
    attentionMs: commits ? commitTimeoutMs : null,
  };
}

function commitDraft(item: DeclaredItem, context: Context, tried: string): OperationDraft | Impossible {
  const { reported, facts, device } = context;
  const seen = firmwareSeen(reported.items.firmware);
  const options = mongooseOptions(device.options);
  if (options.commit === 'self' || !facts.calls) {
    const evidence = `TRIAL: runs ${tried}, which the board itself commits or goes back from`;
    return { item: item.item, reason: 'PRECONDITION_MOVED', evidence };
  }
  return {
    ...draftOf(item, context, 'commit'),
    deadlineMs: COMMIT_DEADLINE_MS,
    completes: { step: 'update', healthySince: seen?.bootedAt ?? seen?.since ?? 0 },
  };
}

/** Nothing else can be brought to a board in a trial: it must be over first (docs/protocols/shadow-devices.md §3.4, rule 2). */
function endTrial(item: DeclaredItem, context: Context, tried: string): OperationDraft | Impossible {
  const { reported, facts } = context;
  const before = firmwareSeen(reported.items.firmware)?.before ?? null;
  if (item.item === 'firmware' && facts.calls && before !== null)
    return {
      ...draftOf(item, context, 'revert'),
      declared: before,
      deadlineMs: REVERT_DEADLINE_MS,
      effects: ['restarts the device'],
      disturbs: true,
      attentionMs: null,
      completes: { step: 'update', healthySince: null },
    };
  const evidence = `TRIAL: runs ${tried}, and goes back by itself when its commit window ends`;
  return { item: item.item, reason: 'PRECONDITION_MOVED', evidence };
}

function draftOf(item: DeclaredItem, { device, reported, facts }: Context, step: Step): OperationDraft {
  const options = mongooseOptions(device.options);
  const now = reported.items[item.item];
  const own: OperationFacts = {
    step,
    ota: facts.ota,
    platform: facts.platform,
    commitTimeoutMs: options.commit === 'rpc' && item.item === 'firmware' ? options.commitTimeoutMs : null,
    updateTimeoutMs: options.updateTimeoutMs,
    lostAfterMs: options.lostAfterMs,
    pointer: otaPointer(options, 'url'),
  };
  return {
    item: item.item,
    step,
    kind: 'change',
    delivery: 'push',
    declared: item.value,
    expected: now?.kind === 'value' ? now.value : null,
    facts: own as unknown as Json,
    content: null,
    deadlineMs: COMMIT_DEADLINE_MS,
    effects: [],
    disturbs: false,
  };
}

export function readOperationFacts(facts: Json): OperationFacts | null {
  if (!isJsonObject(facts)) return null;
  const { step, ota, platform, commitTimeoutMs, updateTimeoutMs, lostAfterMs: silenceMs, pointer } = facts;
  if (step !== 'update' && step !== 'commit' && step !== 'revert') return null;
  if ((ota !== 'shadow' && ota !== 'rpc' && ota !== 'mdash') || typeof platform !== 'string' || typeof pointer !== 'string') return null;
  return {
    step,
    ota,
    platform,
    commitTimeoutMs: typeof commitTimeoutMs === 'number' ? commitTimeoutMs : null,
    updateTimeoutMs: typeof updateTimeoutMs === 'number' ? updateTimeoutMs : 10 * MINUTE_MS,
    lostAfterMs: typeof silenceMs === 'number' ? silenceMs : HOUR_MS,
    pointer,
  };
}

/** What the last attempt left; null where there was none, or it cannot be read. */
export function readUndo(undo: Json): Undo | null {
  if (!isJsonObject(undo)) return null;
  const { url, expires, said, stale } = undo;
  const shadow = readShadowUndo(undo);
  const at = isJsonObject(said) ? said['at'] : null;
  return {
    shadow,
    url: typeof url === 'string' ? url : null,
    expires: typeof expires === 'number' ? expires : null,
    said:
      isJsonObject(said) && typeof at === 'number'
        ? { ok: said['ok'] === true, message: typeof said['message'] === 'string' ? said['message'] : null, at }
        : null,
    stale: typeof stale === 'string' ? stale : null,
  };
}

/** Takes the URL out of desired, as long as the board has not taken it. */
export function withdrawalOf({ operation, undo }: OpenOperation): readonly OperationDraft[] {
  const facts = readOperationFacts(operation.facts);
  if (operation.kind !== 'change' || operation.delivery !== 'offer' || facts === null) return [];
  return [withdrawalDraft(operation, { ...facts, offered: readUndo(undo)?.url ?? null })];
}

export function lostAfterMs(operation: OperationRecord): number {
  return readOperationFacts(operation.facts)?.lostAfterMs ?? HOUR_MS;
}

/** The value that the board has while it tries what the operation brings. */
export function trialValue({ declared }: Pick<OperationRecord, 'declared'>): string {
  return onTrial(declared);
}
