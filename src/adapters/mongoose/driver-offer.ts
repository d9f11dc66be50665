import type { DeclaredDevice } from '#model/declared.ts';
import { EMPTY_SHADOW, isJsonObject, namedAt, patchAt, valueAt, type ShadowDocument } from '#model/shadow.ts';
import { SKEW_MS } from '#shadows/ages.ts';
import {
  contentUrl,
  refused,
  type Already,
  type Prepared,
  type Refused,
  type ShadowWriting,
  type Stop,
  type WriteAct,
} from '#shadows/driver-write.ts';
import { changedPart } from '#shadows/undo.ts';
import { answeredReport } from './answers.ts';
import { confirmationOf } from './confirm.ts';
import { callerOf, lookAt } from './driver-board.ts';
import { wrongBundle } from './driver-bundle.ts';
import { readOperationFacts, readUndo, trialValue, type OperationFacts } from './operations.ts';
import { boardName, isFlat, mongooseOptions, type MongooseOptions } from './options.ts';
import { firmwareSeen, identityIn, itemIn, otaPointer } from './reports.ts';
import { freshUrl, triedIn, urlDigest } from './wire.ts';

interface Own {
  readonly options: MongooseOptions;
  readonly facts: OperationFacts;
}

type Act = WriteAct & Own;

/** The URL in desired: a new one with each attempt, because a board that has taken one never takes it again (§3.4, rule 5). */
export const OFFERING: ShadowWriting<Own> = {
  place: (device) => ({ thing: boardName(device), shadow: null }),
  begin: ({ operation, context }) => {
    const facts = readOperationFacts(operation.facts);
    return facts === null ? null : { facts, options: mongooseOptions(context.device.options) };
  },
  prepare,
};

async function prepare(target: Act, there: ShadowDocument | 'missing', { send }: { readonly send: boolean }): Promise<Prepared> {
  if (target.operation.kind === 'withdraw') return prepareWithdrawal(target, there);
  // A board of the flat generation has a shadow only since it was told to take an update.
  if (there === 'missing' && !isFlat(target.options)) return refused('NEVER_REPORTED', `${target.place.thing} has no shadow any more`);
  const document = there === 'missing' ? EMPTY_SHADOW : there;
  const early = lookFor(target, document);
  if (early?.kind === 'already') return early;
  const act = isFlat(target.options) ? await askedFirst(target) : target;
  if ('kind' in act) return act;
  const found = lookFor(act, document);
  if (found !== null) return found;
  const wrong = await wrongBundle(act);
  if (wrong !== null) return wrong;
  const made = await contentUrl(act, { lifeMs: act.options.urlLifeMs, send });
  if (!made.ok) return made.error;
  const url = freshUrl(made.value.url, { content: act.context.content, attempt: attemptOf(act) });
  return {
    kind: 'ready',
    patch: patchFor(act.options, url),
    inverse: inverseFor(act.options, document),
    expires: made.value.expires,
    kept: { url: urlDigest(url), said: null, stale: staleIn(act, document) },
  };
}

/** What no shadow tells is asked for right before the write; a board that does not answer is offered nothing. */
async function askedFirst(act: Act): Promise<Act | Stop> {
  const { context, ports } = act;
  const { device, signal } = context;
  const answers = await lookAt(await callerOf(ports, device, signal), device, signal);
  const later = (code: string, evidence: string): Stop => ({ kind: 'trouble', code, evidence, retry: 'later' });
  if (answers === 'silent') return later('NO_ANSWER', 'the board does not answer calls');
  if ('refused' in answers) return later('CALL_REFUSED', answers.refused);
  const reported = answeredReport(device, context.reported, { answers, now: ports.clock.now(), alone: true });
  return { ...act, context: { ...context, reported } };
}

/** An error that stands there already: a board tells it again when it connects. */
function staleIn({ operation, context, ports }: Act, document: ShadowDocument): string | null {
  const item = itemIn(operation.item, context.device, { document, last: context.reported, now: ports.clock.now() });
  const status = firmwareSeen(item ?? context.reported?.items[operation.item])?.status;
  return status?.state === 'error' ? status.message : null;
}

function attemptOf({ operation, open }: Act): string {
  return `${operation.id.slice(0, 8)}-${open === null ? 1 : open.attempt + 1}`;
}

function patchFor(options: MongooseOptions, url: string | null): ReturnType<typeof patchAt> {
  return patchAt(otaPointer(options, 'url'), url);
}

/** A URL of before may hold a signature, and is nothing that a board waits for: it goes, with what held nothing else. */
function inverseFor(options: MongooseOptions, { desired }: ShadowDocument): ReturnType<typeof patchAt> {
  const { shadow } = options;
  const holder = valueAt(desired, shadow.at);
  const isAlone = shadow.generation !== 'flat' && !(isJsonObject(holder) && Object.keys(holder).some((name) => name !== 'url'));
  return isAlone ? patchAt(shadow.at, null) : patchFor(options, null);
}

/** An earlier attempt's effect, or a moved precondition; null where the URL may be written. */
function lookFor(act: Act, document: ShadowDocument): Already | Refused | null {
  const { operation, open, context, ports, options } = act;
  const { device, reported: last } = context;
  const seen = { document, last, now: ports.clock.now() };
  const stranger = identityIn(device, seen);
  if (stranger !== null) return refused(stranger.reason, stranger.detail);
  // What only calls say, the version of a host, is as it was said last.
  const item = itemIn(operation.item, device, seen) ?? last?.items[operation.item];
  if (item === undefined || item.kind === 'unknown')
    return refused(item?.why ?? 'NEVER_REPORTED', item?.detail ?? `nothing says what ${operation.item} it runs`);
  const before = (item.madeNotBefore ?? 1) - 1;
  if (item.value === operation.declared || item.value === trialValue(operation))
    return { kind: 'already', reference: Math.min(before, open?.reference ?? before), undo: open?.undo ?? null };
  const moved = movedFrom(act, device, { document, value: item.value });
  if (moved !== null) return moved;
  if (open === null) return busyWith(item);
  const offered = valueAt(document.desired, otaPointer(options, 'url'));
  if (typeof offered !== 'string' || !isOurs(act, document, offered)) return null;
  // What is to be made anew after a trouble is not there only because it was there before.
  const isSpent = last !== undefined && confirmationOf(open, last).kind === 'trouble';
  if (isSpent && open.reference !== null) return null;
  const undo = open.undo ?? { version: document.version ?? 0, at: 0, inverse: inverseFor(options, document), expires: null };
  return { kind: 'already', reference: offeredAt(act, document), undo: { ...(isJsonObject(undo) ? undo : {}), url: urlDigest(offered) } };
}

interface Found {
  readonly document: ShadowDocument;
  readonly value: string;
}

function movedFrom(act: Act, device: DeclaredDevice, { document, value }: Found): Refused | null {
  const { operation, ports, context } = act;
  if (value !== operation.expected)
    return refused('PRECONDITION_MOVED', `reports ${value}, the operation expects ${operation.expected ?? 'nothing known'}`);
  const firmware = itemIn('firmware', device, { document, last: context.reported, now: ports.clock.now() });
  const tried = firmware?.kind === 'value' ? triedIn(firmware.value) : null;
  if (tried !== null) return refused('PRECONDITION_MOVED', `TRIAL: runs ${tried} on trial, and takes no other update`);
  const { arch } = firmwareSeen(firmware) ?? { arch: null };
  if (operation.item === 'firmware' && arch !== null && arch.toLowerCase() !== act.facts.platform.toLowerCase())
    return refused('INCOMPATIBLE', `WRONG_PLATFORM: the board is ${arch}, and the bundle is for ${act.facts.platform}`);
  return null;
}

/** A board that is at an update already refuses another one without a word (§3.4, rule 2). */
function busyWith(item: NonNullable<ReturnType<typeof itemIn>>): Refused | null {
  const status = firmwareSeen(item)?.status ?? null;
  return status?.state === 'progress' ? refused('PRECONDITION_MOVED', 'BUSY: the board is at another update') : null;
}

/** By what was recorded of it, or, where nothing was, by the file that it names and the time since. */
function isOurs({ open, context, options }: Act, document: ShadowDocument, offered: string): boolean {
  const recorded = readUndo(open?.undo ?? null)?.url ?? null;
  // Without an outcome of this attempt, what is recorded is of the one before.
  if (recorded !== null && open?.reference !== null) return recorded === urlDigest(offered);
  if (recorded === urlDigest(offered)) return false;
  const name = (context.content?.name ?? '').split('/').at(-1) ?? '';
  const writtenAt = namedAt(document.desired, otaPointer(options, 'url')) ?? 0;
  return open !== null && name !== '' && offered.includes(name) && writtenAt >= open.intendedAt - SKEW_MS;
}

/** When what lies in desired was written, by the service's own times. */
function offeredAt({ open, options }: Act, document: ShadowDocument): number {
  return open?.reference ?? namedAt(document.desired, otaPointer(options, 'url')) ?? 0;
}

/** Takes the URL back that lies there, unless the board has taken it. */
function prepareWithdrawal(act: Act, document: ShadowDocument | 'missing'): Prepared {
  const { operation, options, ports } = act;
  const nothing: Already = { kind: 'already', reference: ports.clock.now(), undo: null };
  if (document === 'missing') return nothing;
  const offered = valueAt(document.desired, otaPointer(options, 'url'));
  const ours = isJsonObject(operation.facts) ? operation.facts['offered'] : null;
  if (typeof offered !== 'string' || (typeof ours === 'string' && ours !== urlDigest(offered))) return nothing;
  const taken = valueAt(document.reported, otaPointer(options, 'url'));
  if (taken === offered && operation.cause !== 'refusal')
    return refused('PRECONDITION_MOVED', 'the board took the URL before it could be withdrawn');
  const inverse = inverseFor(options, document);
  const patch = changedPart(inverse, document.desired.state);
  return patch === null ? nothing : { kind: 'ready', patch, inverse: {}, expires: null };
}
