import { isJsonObject, type ShadowDocument } from '#model/shadow.ts';
import { refused, type Already, type Prepared } from '#shadows/driver-write.ts';
import { changedPart } from '#shadows/undo.ts';
import type { Act } from './driver-write.ts';
import { itemOf } from './reports.ts';
import { holdsWrites } from './values.ts';

/** Looks whether what was offered lies there still, and gives the patch that takes it back. Nothing of ours: nothing to do. */
export function prepareWithdrawal(act: Act, document: ShadowDocument | 'missing'): Prepared {
  const { operation, facts, context, options, ports } = act;
  const nothing: Already = { kind: 'already', reference: ports.clock.now(), undo: null };
  if (document === 'missing') return nothing;
  const { inverse, offered } = isJsonObject(operation.facts) ? operation.facts : {};
  const now = itemOf(operation.item, { device: context.device, document }, { options, now: ports.clock.now() });
  if (now.kind === 'value' && now.value === offered && operation.cause !== 'refusal')
    return refused('PRECONDITION_MOVED', `the device took ${now.value} before it could be withdrawn`);
  if (!holdsWrites(facts.writes, document)) return nothing;
  const patch = isJsonObject(inverse) ? changedPart(inverse, document.desired.state) : null;
  return patch === null ? nothing : { kind: 'ready', patch, inverse: {}, expires: null };
}
