import { compareText } from '#kit/diagnostics.ts';
import { durationText } from '#kit/duration.ts';
import type { BudgetRule, Declared, GroupDeclaration, RolloutRules, WaveRules } from '#model/declared.ts';
import type { DeviceId, GroupName, Instant } from '#model/ids.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { Reason } from '#model/reasons.ts';
import type { Hold, RolloutState } from '#model/rollout.ts';
import type { PlanView } from './pass.ts';
import { failureBound, percentText, tally } from './words.ts';

/** Reasons of the plan itself for which a change is refused until a person changes something. */
const REFUSALS: ReadonlySet<Reason> = new Set<Reason>([
  'ARTIFACT_UNVERIFIED',
  'IDENTITY_MISMATCH',
  'INCOMPATIBLE',
  'LOCKOUT_GUARD',
  'NO_UPGRADE_PATH',
  'UNSUPPORTED',
  'UNTRUSTED_REVISION',
]);

export interface ItemChange {
  readonly item: string;
  readonly from: string | null;
  readonly to: string;
  /** Devices by model, the most frequent first. */
  readonly models: readonly (readonly [string, number])[];
  /** `groups/upland.yaml:6`. */
  readonly place: string | null;
}

export interface WaveSummary {
  readonly name: string;
  readonly devices: number;
  readonly state: 'passed' | 'open' | 'opens' | 'waits';
  /** When it opens, where the time is known. */
  readonly opensAt: Instant | null;
  /** What it waits for, in words: `after soak 24h`, `budget 1 per site, 6 in all`. */
  readonly notes: readonly string[];
  /** Upper bound of the failure rate that this wave proves at 95 %, null without a gate of its own. */
  readonly proves: number | null;
}

export interface GroupSummary {
  readonly group: GroupName;
  readonly from: string | null;
  readonly to: string;
  readonly rollout: string;
  readonly direction: 'forward' | 'rollback';
  readonly phase: 'begins' | 'rolling' | 'halted' | 'watched' | 'upkeep';
  readonly halt: string | null;
  readonly items: readonly ItemChange[];
  readonly waves: readonly WaveSummary[];
}

export interface RefusedDevice {
  readonly device: DeviceId;
  readonly reason: Reason;
  readonly evidence: string;
}

export interface Soon {
  readonly at: Instant;
  readonly text: string;
}

/** All that the first page of a plan says; text, JSON and markdown are made of it. */
export interface PlanSummary {
  readonly devices: number;
  readonly changing: number;
  readonly refused: readonly RefusedDevice[];
  readonly frozen: readonly DeviceId[];
  readonly leaving: readonly DeviceId[];
  readonly joining: readonly DeviceId[];
  readonly replaced: readonly DeviceId[];
  readonly moving: readonly { readonly device: DeviceId; readonly from: GroupName | null; readonly to: GroupName | null }[];
  readonly unmanaged: readonly DeviceId[];
  /** The first devices that change, null when nothing is admitted or its time is not known. */
  readonly first: { readonly devices: number; readonly at: Instant | null } | null;
  readonly effects: readonly { readonly effect: string; readonly devices: number }[];
  readonly groups: readonly GroupSummary[];
  readonly held: readonly { readonly reason: Reason; readonly devices: number; readonly until: Instant | null }[];
  readonly admitted: number;
  /** Why the merge as a whole waits, null when it does not. */
  readonly mergeHeld: string | null;
  readonly soon: readonly Soon[];
}

export function summarise(view: PlanView): PlanSummary {
  const { plan, decision, declared, before } = view;
  const changing = plan.devices.filter((device) => device.operations.length > 0 || device.upkeep.length > 0);
  const devices = Array.from({ length: declared.size }, (_, row) => declared.deviceAt(row));
  const known = devices.filter((device) => before.devices.has(device.id));
  return {
    devices: declared.size,
    changing: changing.length,
    refused: plan.devices.flatMap(refusalOf),
    frozen: devices.filter((device) => device.freeze !== null).map(({ id }) => id),
    leaving: plan.leavers,
    joining: before.ledger === null ? [] : plan.joiners,
    replaced: known.filter((device) => before.devices.get(device.id)?.hardware !== device.hardware).map(({ id }) => id),
    moving: known.flatMap(({ id, group }) => {
      const from = before.devices.get(id)?.group ?? null;
      return from === group ? [] : [{ device: id, from, to: group }];
    }),
    unmanaged: plan.unmanaged,
    first: firstOpening(view),
    effects: effectsOf(changing),
    groups: [...declared.groups.values()].toSorted((a, b) => compareText(a.name, b.name)).flatMap((group) => groupSummary(view, group)),
    held: heldByReason(decision.held),
    admitted: decision.admitted.length,
    mergeHeld: decision.mergeHeld === null ? null : `${decision.mergeHeld.evidence}; needs a person: ${decision.mergeHeld.person}`,
    soon: soonOf(declared, decision.at),
  };
}

function refusalOf(device: DevicePlan): readonly RefusedDevice[] {
  const found = device.impossible.find(({ reason }) => REFUSALS.has(reason));
  return found === undefined ? [] : [{ device: device.device, reason: found.reason, evidence: found.evidence }];
}

function effectsOf(changing: readonly DevicePlan[]): PlanSummary['effects'] {
  const all = changing.flatMap(({ operations, upkeep }) => [...new Set([...operations, ...upkeep].flatMap(({ effects }) => effects))]);
  return tally(all).map(([effect, devices]) => ({ effect, devices }));
}

function heldByReason(held: readonly Hold[]): PlanSummary['held'] {
  return tally(held.map(({ reason }) => reason)).map(([reason, devices]) => {
    const untils = held.flatMap((hold) => (hold.reason === reason && hold.until !== null ? [hold.until] : []));
    return { reason: reason as Reason, devices, until: untils.length === 0 ? null : Math.min(...untils) };
  });
}

/** What is admitted now, else the earliest opening that a window or a soak holds back. */
function firstOpening({ decision }: PlanView): PlanSummary['first'] {
  if (decision.admitted.length > 0) {
    return { devices: new Set(decision.admitted.map(({ operation }) => operation.device)).size, at: decision.at };
  }
  const timed = decision.held.filter((hold) => hold.reason === 'WINDOW_CLOSED' && hold.until !== null);
  if (timed.length === 0) return null;
  const at = Math.min(...timed.map(({ until }) => until ?? 0));
  return { devices: timed.filter((hold) => hold.until === at).length, at };
}

/** The rollout of a group as this decision leaves it: begun by it, or recorded before. */
function rolloutOf(view: PlanView, group: GroupName): RolloutSketch | null {
  const rollout = view.decision.groups.get(group)?.rollout ?? null;
  const begins = view.decision.events.some((event) => event.kind === 'rollout-began' && event.rollout.group === group);
  return rollout === null || !begins ? rollout : { ...rollout, phase: rollout.phase === 'rolling' ? 'begins' : rollout.phase };
}

type RolloutSketch = Omit<RolloutState, 'phase'> & { readonly phase: RolloutState['phase'] | 'begins' };

function groupSummary(view: PlanView, group: GroupDeclaration): readonly GroupSummary[] {
  const devices = view.plan.devices.filter((device) => device.group === group.name);
  const rollout = rolloutOf(view, group.name);
  const busy = devices.some((device) => device.operations.length > 0 || device.upkeep.length > 0 || device.open.length > 0);
  if (!busy && (rollout === null || rollout.phase === 'watched')) return [];
  const lineage = view.before.groups.get(group.name)?.lineage.at(-1)?.release ?? null;
  return [
    {
      group: group.name,
      from: rollout?.from ?? lineage,
      to: rollout?.to ?? group.release.id,
      rollout: rollout?.rules ?? group.rollout,
      direction: rollout?.direction ?? 'forward',
      phase: rollout?.phase ?? 'upkeep',
      halt: rollout?.halt?.evidence ?? null,
      items: itemChanges(view.declared, devices),
      waves: rollout === null ? [] : waveSummaries(view, { group, rollout }),
    },
  ];
}

function itemChanges(declared: Declared, devices: readonly DevicePlan[]): readonly ItemChange[] {
  const found = new Map<string, { readonly change: Omit<ItemChange, 'models'>; readonly models: string[] }>();
  for (const device of devices) {
    const items = declared.deviceAt(device.row).items;
    for (const drift of device.drifts) {
      const place = items.find(({ item }) => item === drift.item)?.place;
      const key = [drift.item, drift.from ?? '', drift.to, place?.file, place?.line].join('\n');
      const change = {
        item: drift.item,
        from: drift.from,
        to: drift.to,
        place: place === undefined ? null : `${place.file}:${place.line}`,
      };
      const entry = found.get(key) ?? { change, models: [] };
      entry.models.push(device.model);
      found.set(key, entry);
    }
  }
  return [...found.values()]
    .map(({ change, models }) => ({ ...change, models: tally(models) }))
    .toSorted(
      (a, b) =>
        compareText(a.item, b.item) || compareText(a.place ?? '', b.place ?? '') || compareText(`${a.to} ${a.from}`, `${b.to} ${b.from}`),
    );
}

interface WaveContext {
  readonly group: GroupDeclaration;
  readonly rollout: RolloutSketch;
}

function waveSummaries(view: PlanView, context: WaveContext): readonly WaveSummary[] {
  const rules = view.declared.rollouts.get(context.rollout.rules);
  if (rules === undefined) return [];
  const waves = context.rollout.direction === 'rollback' ? rules.rollback.waves : rules.waves;
  return waves.map((wave, index) => {
    const summary = waveSummary(view, context, { wave, before: waves[index - 1] });
    const last = index === waves.length - 1;
    return last ? { ...summary, notes: [...summary.notes, ...budgetNotes(rules, context)] } : summary;
  });
}

function waveSummary(
  view: PlanView,
  { group, rollout }: WaveContext,
  { wave, before }: { readonly wave: WaveRules; readonly before: WaveRules | undefined },
): WaveSummary {
  const recorded = rollout.waves.find(({ name }) => name === wave.name);
  const held = view.decision.held.filter((hold) => hold.group === group.name && hold.wave === wave.name);
  const members = recorded?.members ?? null;
  const devices = members?.length ?? held.length;
  const timed = held.flatMap((hold) => (hold.reason === 'WINDOW_CLOSED' && hold.until !== null ? [hold.until] : []));
  const open = members !== null;
  const state = (recorded?.passedAt ?? null) !== null ? 'passed' : open ? 'open' : timed.length > 0 ? 'opens' : 'waits';
  return {
    name: wave.name,
    devices,
    state,
    opensAt: state === 'opens' || (open && timed.length === devices && devices > 0) ? Math.min(...timed) : null,
    notes:
      state === 'waits' && before !== undefined
        ? [`after ${before.gate.soakMs > 0 ? `soak ${durationText(before.gate.soakMs)}` : before.name}`]
        : [],
    proves: devices === 0 ? null : failureBound(devices, Math.floor((1 - wave.gate.success) * devices + 1e-9)),
  };
}

/** `budget 1 per site, 6 in all (9 silent devices not counted)`. */
function budgetNotes(rules: RolloutRules, { group, rollout }: WaveContext): readonly string[] {
  if (rules.budget.length === 0) return [];
  const text = rules.budget.map((rule) => budgetText(rule, group.rows.length)).join(', ');
  const silent = rollout.silent.length === 0 ? '' : ` (${rollout.silent.length} silent not counted)`;
  return [`budget ${text}${silent}`];
}

function budgetText(rule: BudgetRule, population: number): string {
  if (rule.by === null) {
    const slots = rule.max.kind === 'count' ? rule.max.count : Math.max(1, Math.floor(rule.max.share * population + 1e-9));
    return `${slots} in all`;
  }
  const by = rule.by.startsWith('label:') ? rule.by.slice('label:'.length) : rule.by;
  return `${rule.max.kind === 'count' ? rule.max.count : percentText(rule.max.share)} per ${by}`;
}

const SOON_DAYS = 30;

/** What ends within a month, and what should have been looked at already. */
function soonOf(declared: Declared, at: Instant): readonly Soon[] {
  const limit = at + SOON_DAYS * 86_400_000;
  const found: Soon[] = [];
  for (const { name, until, reviewBy } of declared.overrides) {
    if (until !== null && until >= at && until <= limit) found.push({ at: until, text: `override ${name} ends by itself` });
    if (reviewBy !== null && reviewBy <= limit) found.push({ at: reviewBy, text: `override ${name} is to be reviewed` });
  }
  for (let row = 0; row < declared.size; row += 1) {
    const { id, retiredFrom } = declared.deviceAt(row);
    if (retiredFrom !== null && retiredFrom >= at && retiredFrom <= limit) found.push({ at: retiredFrom, text: `${id} retires` });
  }
  return found.toSorted((a, b) => a.at - b.at || compareText(a.text, b.text));
}
