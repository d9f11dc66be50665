import { isJsonObject, patchBetween, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import type { Precheck } from '#ports/driver.ts';
import { refused, type Act, type Prepared } from './driver-act.ts';
import { itemOf } from './reports.ts';
import { holdsWrites } from './wire.ts';

/** Looks whether what was offered lies there still, and gives the patch that takes it back. Nothing of ours: nothing to do. */
export function prepareWithdrawal(act: Act, document: ShadowDocument | 'missing'): Prepared {
  const { operation, facts, context, options, ports } = act;
  const nothing: Extract<Precheck, { kind: 'already' }> = { kind: 'already', reference: ports.clock.now(), undo: null };
  if (document === 'missing') return nothing;
  const { inverse, offered } = isJsonObject(operation.facts) ? operation.facts : {};
  const now = itemOf(operation.item, { device: context.device, document }, { options, now: ports.clock.now() });
  if (now.kind === 'value' && now.value === offered && operation.cause !== 'refusal')
    return refused('PRECONDITION_MOVED', `the device took ${now.value} before it could be withdrawn`);
  if (!holdsWrites(facts.writes, document)) return nothing;
  const patch = isJsonObject(inverse) ? changed(inverse, document.desired.state) : null;
  return patch === null ? nothing : { kind: 'ready', patch, inverse: {}, expires: null };
}

/** The keys of a merge patch that would change something. */
function changed(patch: JsonObject, state: JsonObject): JsonObject | null {
  const left = Object.entries(patch).flatMap(([key, member]): readonly (readonly [string, JsonObject[string]])[] => {
    const old = Object.hasOwn(state, key) ? state[key] : undefined;
    if (member === undefined || member === null) return old === undefined ? [] : [[key, null]];
    if (isJsonObject(member) && isJsonObject(old)) {
      const inner = changed(member, old);
      return inner === null ? [] : [[key, inner]];
    }
    return patchBetween(old, member) === undefined ? [] : [[key, member]];
  });
  return left.length === 0 ? null : Object.fromEntries(left);
}
