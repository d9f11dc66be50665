import { isJsonObject, patchBetween, type ShadowDocument } from '#model/shadow.ts';
import { refused, type Already, type Prepared } from '#shadows/driver-write.ts';
import { keptOf } from '#shadows/values.ts';
import type { Act } from './driver-write.ts';
import { itemFacts, itemOf } from './reports.ts';
import { holds } from './wire.ts';

/** Takes ours out of the mailbox, if it still lies there; nothing of ours: nothing to do, or the device has it. */
export function prepareWithdrawal(act: Act, document: ShadowDocument | 'missing'): Prepared {
  const { operation, facts, context, options, ports, item } = act;
  const nothing: Already = { kind: 'already', reference: ports.clock.now(), undo: null };
  if (document === 'missing') return nothing;
  const pending = document.desired.state[facts.key];
  const { inverse, offered } = isJsonObject(operation.facts) ? operation.facts : {};
  if (pending === undefined) {
    const now = itemOf(item, document, { options, now: ports.clock.now(), last: context.reported?.items[item] });
    const seen = itemFacts(now);
    const file = item === 'config' ? seen?.file['digest'] === offered : seen?.fileAt != null && holds(seen.file, keptOf(facts.leaves));
    const took = file && Object.keys(facts.leaves).length + (item === 'config' ? 1 : 0) > 0;
    if (took && operation.cause !== 'refusal') return refused('PRECONDITION_MOVED', 'the device took it before it could be withdrawn');
    return nothing;
  }
  const back = isJsonObject(inverse) ? (inverse[facts.key] ?? null) : null;
  // A patch is merged: of what was offered nothing may stay beside what lay there before.
  const exact = patchBetween(pending, back);
  return exact === undefined
    ? nothing
    : { kind: 'ready', patch: { [facts.key]: exact }, inverse: {}, expires: null, kept: { tries: 0, nudged: false } };
}
