import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { Confirmation, OpenOperation, OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { OperationsAnswer } from '#ports/family.ts';
import { whereabouts } from './move.ts';
import { campbellOptions } from './options.ts';
import { configRefusal } from './rotation-confirm.ts';
import { ROTATION_DEADLINE_MS } from './rotation.ts';
import { orderOf, reportedTrust, trustFacts, trustLockout, trustOrder, unprovable, unprovenOf, type TrustOrder } from './trust.ts';

interface Request {
  readonly device: DeclaredDevice;
  readonly declared: DeclaredItem;
  readonly reported: ReportedDevice;
  /** What is drafted for the other items: a file that is sent anyhow takes the roots along. */
  readonly drafts: readonly OperationDraft[];
}

/** Steps that send a configuration file (docs/protocols/campbell-mqtt.md §5.3): there the roots go along. */
const FILE_STEPS = new Set(['move', 'load-identity']);

/**
 * Roots that would not let the logger back in are refused; all others go with the file that it is sent anyhow, or in one of
 * their own. What only takes roots away waits until every logger of the group is proven to do without them.
 */
export function trustOperations({ device, declared, reported, drafts }: Request): OperationsAnswer {
  const refuse = (reason: Impossible['reason'], evidence: string): OperationsAnswer => ({
    drafts,
    impossible: [{ item: 'trust', reason, evidence }],
  });
  const item = reported.items.trust;
  const [wanted, said] = [trustFacts(declared), reportedTrust(item)];
  if (wanted === null || said === null || item?.kind !== 'value') return { drafts, impossible: [] };
  const order = orderOf(wanted);
  const { roots } = order.trust;
  const adds = roots.some((root) => said.loaded?.includes(root) !== true);
  const carrier = drafts.find(({ step }) => FILE_STEPS.has(step));
  const at = carrier?.step === 'move' ? otherEnd(device, reported) : whereabouts(device, reported);
  const against = trustLockout(roots, { shown: said.shown[at], at, blind: campbellOptions(device.options).linkAccepted });
  // Without its roots a file that leads elsewhere would be the end of the logger.
  const rest = carrier?.step === 'move' ? drafts.filter((draft) => draft !== carrier) : drafts;
  if (against !== null) return { ...refuse('LOCKOUT_GUARD', against), drafts: rest };
  const open = wanted.accepted === null ? unprovable(roots, said.shown[at]) : [];
  if (open.length > 0) {
    const names = wanted.roots.filter(({ fingerprint }) => open.includes(fingerprint)).map(({ name }) => name);
    const evidence = `nothing could prove that it trusts ${names.join(' and ')}: ${at} shows no certificate for which that root alone vouches; say in options.trustAccepted why it counts unproven`;
    return { ...refuse('UNSUPPORTED', evidence), drafts: rest };
  }
  if (carrier !== undefined && adds) {
    const effects = [...carrier.effects, 'replaces the roots that it trusts'];
    const facts = { ...(carrier.facts as object), ...order };
    return { drafts: drafts.map((draft) => (draft === carrier ? { ...draft, facts, effects } : draft)), impossible: [] };
  }
  const own: OperationDraft = {
    item: 'trust',
    step: 'load-trust',
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected: item.value,
    facts: { kind: 'load-trust', ...order, accepted: wanted.accepted },
    content: null,
    deadlineMs: ROTATION_DEADLINE_MS,
    effects: ['restarts the device', adds ? 'replaces the roots that it trusts' : 'takes roots away that it trusts'],
    disturbs: true,
    ...(adds ? {} : { onceAllCarry: 'trust' as const }),
  };
  return { drafts: [...drafts, own], impossible: [] };
}

function otherEnd({ via }: DeclaredDevice, reported: ReportedDevice): string {
  return via.to !== null && whereabouts({ via }, reported) === via.connection ? via.to : via.connection;
}

/** Why a move must not begin with the roots that the logger has been given: null when they are not declared, or fit. */
export function moveLockout(device: DeclaredDevice, declared: DeclaredItem | undefined, reported: ReportedDevice): Impossible | null {
  const [wanted, said] = [trustFacts(declared), reportedTrust(reported.items.trust)];
  if (wanted === null) return null;
  const at = otherEnd(device, reported);
  const { roots } = orderOf(wanted).trust;
  const evidence = trustLockout(roots, { shown: said?.shown[at], at, blind: campbellOptions(device.options).linkAccepted });
  return evidence === null ? null : { item: 'settings', reason: 'LOCKOUT_GUARD', evidence };
}

/** What a load of roots alone carries; null for any other operation. */
export interface LoadTrust extends TrustOrder {
  readonly accepted: string | null;
}

export function loadTrust({ facts }: Pick<OperationDraft, 'facts'>): LoadTrust | null {
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
  const { kind, accepted } = facts as { readonly kind?: unknown; readonly accepted?: unknown };
  const order = trustOrder(facts);
  return kind !== 'load-trust' || order === null ? null : { ...order, accepted: typeof accepted === 'string' ? accepted : null };
}

/**
 * Proven is what a connection shows: the logger loaded the file, and came to a server for which, of all known roots, one of
 * these alone vouches. That it forgot a root nothing can show. "MQTT configuration file loaded" is never looked at.
 */
export function confirmTrust(open: OpenOperation, reported: ReportedDevice, order: LoadTrust): Confirmation {
  const item = reported.items.trust;
  const said = reportedTrust(item);
  const signs = reported.signs.filter(({ at, item: of }) => at !== null && at >= open.intendedAt && (of ?? 'identity') === 'identity');
  const isLoaded = said?.loaded?.join(' ') === order.roots.join(' ') && (said.loadedAt ?? 0) > open.intendedAt;
  const unproven = said === null || !isLoaded ? order.roots : unprovenOf(order.roots, said);
  const short = unproven.map((root) => root.slice(0, 12)).join(' ');
  const came = 'it loaded the file and came back';
  if (isLoaded && unproven.length === 0) return { kind: 'confirmed', evidence: `${came} to servers for which these roots alone vouch` };
  const nothing = `${came}; nothing proves yet that it trusts ${short}: no server that it came to is vouched for by that root alone`;
  if (isLoaded && order.accepted !== null) return { kind: 'confirmed', evidence: `${nothing} (taken on trust: ${order.accepted})` };
  const refused = isLoaded ? null : configRefusal(signs);
  if (refused !== null) return refused;
  const restart = signs.findLast(({ code, item: of }) => code === 'RESTARTING' && of === 'identity');
  const taken = signs.find(({ code, item: of }) => of === 'identity' && (code === 'DOWNLOADING' || code === 'RESTARTING'));
  const last = signs.findLast(({ code }) => code !== 'REPLIED');
  const idle = last === undefined || !['DOWNLOADING', 'RESTARTING'].includes(last.code);
  const made = item?.kind === 'value' ? item.madeNotBefore : null;
  const isLater = made !== null && made > (open.reference ?? open.intendedAt);
  const waiting = last === undefined ? 'sent; the logger has not announced the download yet' : last.text;
  const announced = restart === undefined ? waiting : `announced ${restart.text}; it must be back for three minutes`;
  return {
    kind: 'open',
    phase: restart === undefined ? 'IN_FLIGHT' : 'VERIFYING',
    takenAt: open.takenAt ?? taken?.at ?? null,
    oldValueSeenAt: idle && restart === undefined && !isLoaded && isLater ? made : null,
    evidence: isLoaded ? nothing : announced,
  };
}
