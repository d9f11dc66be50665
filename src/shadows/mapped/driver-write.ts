import type { Json } from '#kit/canonical.ts';
import type { Instant } from '#model/ids.ts';
import { mergePatches, namedAt, type ShadowDocument } from '#model/shadow.ts';
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
import { readShadowUndo } from '#shadows/undo.ts';
import { hardwareOf, thingOf } from '#shadows/values.ts';
import { prepareWithdrawal } from './driver-withdraw.ts';
import { readOperationFacts, restoresRecord, type OperationFacts } from './operations.ts';
import { mappedOptions, type MappedOptions } from './options.ts';
import { itemOf, type MappedPlace } from './reports.ts';
import { holdsWrites, writesPatch, type FilledWrite } from './values.ts';

interface Own {
  readonly options: MappedOptions;
  readonly facts: OperationFacts;
}

/** What one write of a mapped shadow works with. */
export type Act = WriteAct & Own;

/** Keys of desired, as the mapping has them. */
export function mappedWriting(shadowOf: MappedPlace['shadow']): ShadowWriting<Own> {
  return {
    place: (device) => ({ thing: thingOf(device), shadow: shadowOf(device) }),
    begin: ({ operation, context }) => {
      const facts = readOperationFacts(operation.facts);
      return facts === null ? null : { facts, options: mappedOptions(context.device.options) };
    },
    prepare,
  };
}

async function prepare(act: Act, document: ShadowDocument | 'missing', { send }: { readonly send: boolean }): Promise<Prepared> {
  if (act.operation.kind === 'withdraw') return prepareWithdrawal(act, document);
  if (document === 'missing') return refused('NEVER_REPORTED', `${act.place.thing} has no such shadow any more`);
  const stranger = hardwareOf(act.context.device, document, act.options).problem;
  if (stranger !== null) return refused(stranger.reason, stranger.detail);
  const found = lookFor(act, document);
  if (found !== null) return found;
  const filled = await filledWrites(act, send);
  if (!('writes' in filled)) return filled;
  const { patch, inverse } = writesPatch(filled.writes, document);
  if (patch === null) return { kind: 'already', reference: offeredAt(act, document), undo: null };
  // What earlier attempts wrote lies there still, and is no part of this patch: a withdrawal takes that back too.
  const earlier = readShadowUndo(act.open?.undo ?? null)?.inverse ?? {};
  // What somebody else wrote over a record is never put back.
  return {
    kind: 'ready',
    patch,
    inverse: restoresRecord(act.operation) ? {} : mergePatches(inverse, earlier),
    expires: filled.expires,
  };
}

/** An earlier attempt's effect, or a moved precondition; null where the write may be made. */
function lookFor(act: Act, document: ShadowDocument): Already | Refused | null {
  const { operation, open, context, options, ports } = act;
  const now = itemOf(operation.item, { device: context.device, document }, { options, now: ports.clock.now() });
  if (now.kind === 'unknown') return refused(now.why, now.detail);
  if (now.value === operation.declared && restoresRecord(operation) && !holdsWrites(act.facts.writes, document)) return null;
  if (now.value === operation.declared) return { kind: 'already', reference: (now.madeNotBefore ?? 1) - 1, undo: open?.undo ?? null };
  if (now.value !== operation.expected)
    return refused('PRECONDITION_MOVED', `reports ${now.value}, the operation expects ${operation.expected ?? 'nothing known'}`);
  if (open === null || !holdsWrites(act.facts.writes, document)) return null;
  // What was to be made anew after a trouble is not there only because it was there before.
  const isStale = open.lastTrouble?.startsWith('URL_EXPIRED') === true || isExpired(act);
  return isStale ? null : { kind: 'already', reference: offeredAt(act, document), undo: open.undo };
}

function isExpired({ open, ports, context }: Act): boolean {
  const expires = readShadowUndo(open?.undo ?? null)?.expires ?? null;
  const heardAt = context.reported?.heardAt ?? null;
  return expires !== null && expires < ports.clock.now() && heardAt !== null && heardAt > expires;
}

/** When what lies in desired was last written, by the service's own times; what was reported by then proves nothing. */
function offeredAt({ open, facts, operation }: Act, document: ShadowDocument): Instant {
  if (open?.reference != null) return open.reference;
  const written = Math.max(...facts.writes.map(({ pointer }) => namedAt(document.desired, pointer) ?? 0));
  const named = namedAt(document.reported, '') ?? 0;
  const ours = open !== null && written >= open.intendedAt - SKEW_MS;
  // Written by us and not recorded: what was reported in that second may have come first.
  if (ours) return written;
  return Math.max(written, operation.kind === 'change' ? named : 0);
}

async function filledWrites(
  act: Act,
  send: boolean,
): Promise<{ readonly writes: readonly FilledWrite[]; readonly expires: Instant | null } | Stop> {
  const { facts, options } = act;
  let content: Json = null;
  if (facts.writes.some(({ kind }) => kind === 'document')) {
    const found = await contentDocument(act);
    if (!found.ok) return found.error;
    content = found.value;
  }
  let url = '';
  let expires: Instant | null = null;
  if (facts.writes.some(({ kind }) => kind === 'url')) {
    const made = await contentUrl(act, { lifeMs: options.urlLifeMs, send });
    if (!made.ok) return made.error;
    ({ url, expires } = made.value);
  }
  const writes = facts.writes.map((write): FilledWrite => {
    if (write.kind === 'url') return { pointer: write.pointer, value: write.template.replaceAll('{url}', () => url), secret: true };
    return { pointer: write.pointer, value: write.kind === 'document' ? content : write.value, secret: false };
  });
  return { writes, expires };
}
