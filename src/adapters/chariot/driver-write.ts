import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { Instant } from '#model/ids.ts';
import {
  inversePatch,
  isJsonObject,
  mergePatches,
  namedAt,
  patchBetween,
  sameJson,
  type JsonObject,
  type ShadowDocument,
} from '#model/shadow.ts';
import { SKEW_MS } from '#shadows/ages.ts';
import {
  contentDocument,
  contentUrl,
  refused,
  type Already,
  type Prepared,
  type Refused,
  type ShadowWriting,
  type Stop,
  type WriteAct,
} from '#shadows/driver-write.ts';
import { hardwareOf, thingOf } from '#shadows/values.ts';
import { prepareWithdrawal } from './driver-withdraw.ts';
import { readOperationFacts, readUndo, type OperationFacts, type Undo } from './operations.ts';
import { CHARIOT_ITEMS, chariotOptions, type ChariotItem, type ChariotOptions } from './options.ts';
import { holdsFile, isToldSince, itemFacts, itemOf, type ItemFacts } from './reports.ts';
import { mustBeAsked } from './unsaid.ts';
import { changes, without } from './wire.ts';

/** So often it is given the same before it is told to fetch its shadow (docs/protocols/shadow-devices.md §2.13). */
const TRIES = 2;

interface Own {
  readonly options: ChariotOptions;
  readonly item: ChariotItem;
  readonly facts: OperationFacts;
  /** What the last attempt left. */
  readonly undo: Undo | null;
}

/** What one write into a mailbox works with. */
export type Act = WriteAct & Own;

/** Keys of one service in the mailbox: chariotd writes there too. */
export const WRITING: ShadowWriting<Own> = {
  place: (device) => ({ thing: thingOf(device), shadow: null }),
  begin: ({ operation, open, context }) => {
    const facts = readOperationFacts(operation.facts);
    const item = CHARIOT_ITEMS.find((one) => one === operation.item);
    if (facts === null || item === undefined) return null;
    return { options: chariotOptions(context.device.options), item, facts, undo: readUndo(open?.undo ?? null) };
  },
  prepare,
};

async function prepare(act: Act, document: ShadowDocument | 'missing', { send }: { readonly send: boolean }): Promise<Prepared> {
  if (act.operation.kind === 'withdraw') return prepareWithdrawal(act, document);
  if (document === 'missing') return refused('NEVER_REPORTED', `${act.place.thing} has no shadow any more`);
  const stranger = hardwareOf(act.context.device, document, act.options).problem;
  if (stranger !== null) return refused(stranger.reason, stranger.detail);
  const found = lookFor(act, document);
  if (found.kind !== 'write') return found;
  if (found.nudgeOnly) return nudge(act, document);
  const wanted = await wantedValue(act, send);
  if (!wanted.ok) return wanted.error;
  return mailboxWrite(act, document, { ...found, value: wanted.value });
}

/** `stale`: its report is neither the old nor the new, so it is told to fetch at once (§2.12 F6). */
type Found = Already | Refused | { readonly kind: 'write'; readonly again: boolean; readonly nudgeOnly: boolean; readonly stale: boolean };

const WRITE: Extract<Found, { kind: 'write' }> = { kind: 'write', again: false, nudgeOnly: false, stale: false };

/** An earlier attempt's effect, or a moved precondition; else what may be written. */
function lookFor(act: Act, document: ShadowDocument): Found {
  const { operation, open, undo, context, options, ports, item, facts } = act;
  const now = itemOf(item, document, { options, now: ports.clock.now(), last: context.reported?.items[item] });
  if (now.kind === 'unknown') return refused(now.why, now.detail);
  const seen = itemFacts(now);
  const gone = seen?.gone === true;
  const asks = open !== null && mustBeAsked({ open, reported: context.reported, value: now, facts, undo });
  const doubted = item !== 'config' && (asks || isToldSince(now, facts.leaves));
  if (now.value === operation.declared && !gone && !doubted) return already(act, (now.madeNotBefore ?? 1) - 1);
  if (open !== null && seen !== null && isWritten(act, seen) && !isExpired(act)) {
    if (undo !== null && (gone || asks) && facts.agent !== null) return { ...WRITE, nudgeOnly: true };
    return already(act, open.reference ?? undo?.at ?? (seen.fileAt ?? 1) - 1);
  }
  const moved = now.value !== operation.expected && !isPartly(now.value, operation.expected, open !== null);
  const stale = moved && item === 'config' && undo?.nudged === false && facts.agent !== null;
  if (moved && !stale)
    return refused('PRECONDITION_MOVED', `reports ${now.value}, the operation expects ${operation.expected ?? 'nothing known'}`);
  const pending = document.desired.state[facts.key];
  if (open === null || pending === undefined) return { ...WRITE, stale };
  const pendingAt = namedAt(document.desired, `/${facts.key}`) ?? 0;
  // Newer than the last write on record: made by us, and the record of it was lost.
  if (undo === null || pendingAt > undo.at) return isOurs(act, pending) ? already(act, pendingAt) : WRITE;
  return { ...WRITE, again: true, stale };
}

function already({ open }: Act, reference: Instant): Already {
  return { kind: 'already', reference, undo: open?.undo ?? null };
}

/** A config of which the file is there and the program does not obey it yet reads as neither the old nor the new. */
function isPartly(value: string, expected: string | null, begun: boolean): boolean {
  return begun && expected !== null && value.split(',')[0] === expected.split(',')[0];
}

/** The device's file holds what this operation writes. */
function isWritten({ item, operation, facts, open }: Act, seen: ItemFacts): boolean {
  if (item === 'config') return seen.file['digest'] === operation.declared;
  const since = Math.min(open?.reference ?? Infinity, (open?.intendedAt ?? 0) - SKEW_MS);
  return seen.fileAt !== null && seen.fileAt >= since && holdsFile(seen, facts.leaves, open?.reference ?? since);
}

function isExpired({ undo, ports }: Act): boolean {
  return undo?.expires != null && undo.expires < ports.clock.now();
}

/** Whether what lies in the mailbox is of this operation: a document by any of its leaves, else what is told by name. */
function isOurs({ facts, item }: Act, pending: Json): boolean {
  return (
    item === 'config' ||
    (isJsonObject(pending) &&
      Object.entries(pending).every(([name, value]) => facts.leaves[name] === value || facts.urls[name] !== undefined))
  );
}

interface Wanted {
  /** The service's whole value, or the leaves that are told. */
  readonly whole: Json;
  readonly expires: Instant | null;
}

async function wantedValue(act: Act, send: boolean): Promise<Result<Wanted, Stop>> {
  const { facts, item, context } = act;
  if (context.content === null) return err(refused('ARTIFACT_UNVERIFIED', 'the operation carries no content'));
  if (item === 'config') {
    const document = await contentDocument(act);
    if (!document.ok) return document;
    return ok({ whole: isJsonObject(document.value) ? { ...document.value, ...facts.leaves } : document.value, expires: null });
  }
  if (Object.keys(facts.urls).length === 0) return ok({ whole: facts.leaves, expires: null });
  const made = await contentUrl(act, { lifeMs: act.options.urlLifeMs, send });
  if (!made.ok) return made;
  const { url, expires } = made.value;
  const urls = Object.entries(facts.urls).map(([name, template]) => [name, template.replaceAll('{url}', () => url)] as const);
  return ok({ whole: { ...facts.leaves, ...Object.fromEntries(urls) }, expires });
}

/** Only what differs from reported: what the mailbox holds says nothing (§2.4). What else lies in it for this service goes. */
function mailboxWrite(
  act: Act,
  document: ShadowDocument,
  { value, again, stale }: { readonly value: Wanted; readonly again: boolean; readonly stale: boolean },
): Prepared {
  const { facts, item, undo, options } = act;
  const section = document.reported.state[facts.key];
  const differs = item === 'config' ? configChanges(act, value.whole, section) : leafChanges(value.whole, section);
  if (differs === undefined) {
    const fix = 'nothing that is written would differ: with {url} or {sha256} in write: it would';
    return refused('UNSUPPORTED', `the file says all of it already, and the device does not run it; ${fix}`);
  }
  const pending = document.desired.state[facts.key];
  const cleared = isJsonObject(pending) && isJsonObject(differs) ? mergePatches(strangersGone(pending, differs), differs) : differs;
  // What it never took is given again without counting: only what it took and did not report is a failed try.
  const tries = undo === null ? 1 : again ? undo.tries : undo.tries + 1;
  const nudged = (stale || tries > TRIES) && facts.agent !== null;
  const patch: JsonObject = { [facts.key]: cleared, ...(nudged ? nudgeOf(act, options.agent ?? facts.agent ?? '') : {}) };
  return {
    kind: 'ready',
    patch,
    // What was given before and lies there still is ours: it is never put back.
    inverse: again && undo !== null ? undo.inverse : inversePatch({ [facts.key]: null }, document.desired.state),
    expires: value.expires,
    kept: { tries, nudged },
  };
}

function configChanges({ options }: Act, whole: Json, section: Json | undefined): Json | undefined {
  const { running } = options.config;
  return changes(whole, running === null ? section : without(section, [running]));
}

/** What is told by name and not reported so; other keys of the service are the device's. */
function leafChanges(whole: Json, section: Json | undefined): Json | undefined {
  if (!isJsonObject(whole)) return undefined;
  const reported = isJsonObject(section) ? section : {};
  const left = Object.entries(whole).filter(([name, value]) => !sameJson(value, reported[name]));
  return left.length === 0 ? undefined : Object.fromEntries(left);
}

function strangersGone(pending: JsonObject, patch: JsonObject): JsonObject {
  const exact = patchBetween(pending, patch);
  return isJsonObject(exact) ? exact : {};
}

/** A value that the service never had: only a change runs its notify command. An order that lies there still is not given again. */
function nudgeOf({ ports, open }: Act, agent: string): JsonObject {
  return { [agent]: { nonce: `${ports.clock.now()}-${open?.attempt ?? 0}`, order: null } };
}

function nudge(act: Act, document: ShadowDocument): Prepared {
  const agent = act.facts.agent ?? '';
  const patch = nudgeOf(act, agent);
  const tries = act.undo?.tries ?? 1;
  return {
    kind: 'ready',
    patch,
    inverse: inversePatch(patch, document.desired.state),
    expires: act.undo?.expires ?? null,
    kept: { tries, nudged: true, asked: true },
  };
}
