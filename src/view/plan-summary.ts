import { compareText } from '#kit/diagnostics.ts';
import type { Place } from '#kit/diagnostics.ts';
import type { Declared, GroupDeclaration } from '#model/declared.ts';
import type { DeviceId, GroupName, Instant } from '#model/ids.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { Reason } from '#model/reasons.ts';
import type { Hold } from '#model/rollout.ts';
import { unreadDevices, type UnreadDevices } from '#model/unread.ts';
import { awsCosts, type AwsCost } from './aws-costs.ts';
import { fieldTallies } from './field-changes.ts';
import type { FieldTally } from './field-changes.ts';
import type { PlanView } from './pass.ts';
import { reasonKind } from './reason-groups.ts';
import { soonOf } from './soon.ts';
import type { Soon } from './soon.ts';
import { waveSummaries } from './wave-summary.ts';
import type { RolloutSketch, WaveSummary } from './wave-summary.ts';
import { byCount, tally } from './words.ts';

const MOST_EXAMPLES = 5;

export interface ItemChange {
  readonly item: string;
  readonly from: string | null;
  readonly to: string;
  /** Devices by model, the most frequent first. */
  readonly models: readonly (readonly [string, number])[];
  /** The first of those devices. */
  readonly examples: readonly DeviceId[];
  /** Where the item of the first of them is declared. */
  readonly at: Place | null;
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
  /** Fields inside those items, where their families can tell them. */
  readonly fields: readonly FieldTally[];
  readonly waves: readonly WaveSummary[];
  /** Devices of the group, and those of them that change. */
  readonly devices: number;
  readonly changing: number;
  /** Those that a change has reached and that have not reported its end. */
  readonly open: number;
  readonly declaration: GroupDeclaration;
}

export interface RefusedDevice {
  readonly device: DeviceId;
  readonly reason: Reason;
  readonly evidence: string;
}

export interface NextWaves {
  readonly waves: readonly string[];
  /** `only`: there is no other wave; `open`: a later one that is under way already. */
  readonly place: 'only' | 'first' | 'open' | 'next';
  readonly rollback: boolean;
  readonly devices: number;
  readonly at: Instant | null;
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
  /** The waves that change devices next, over all rollouts that are not halted: their names, whether they are the first ones. */
  readonly next: NextWaves | null;
  readonly effects: readonly { readonly effect: string; readonly devices: number }[];
  readonly groups: readonly GroupSummary[];
  readonly held: readonly { readonly reason: Reason; readonly devices: number; readonly until: Instant | null }[];
  /** Devices of which nothing is known because their connection broke before they were ever read. */
  readonly unread: readonly UnreadDevices[];
  /** Devices that never reported, by group and by why. */
  readonly unheard: readonly { readonly group: string; readonly evidence: string; readonly devices: number }[];
  readonly admitted: number;
  /** Why the merge as a whole waits, null when it does not. */
  readonly mergeHeld: string | null;
  readonly soon: readonly Soon[];
  /** What is asked of AWS IoT, and what that costs; empty where it is not used. */
  readonly aws: readonly AwsCost[];
}

export function summarise(view: PlanView): PlanSummary {
  const { plan, decision, declared, before, reported, troubles = [] } = view;
  const groups = groupSummaries(view);
  const changing = plan.devices.filter((device) => device.operations.length > 0 || device.upkeep.length > 0);
  const devices = Array.from({ length: declared.size }, (_, row) => declared.deviceAt(row));
  const known = devices.filter((device) => before.devices.has(device.id));
  const replaced = known.filter((device) => before.devices.get(device.id)?.hardware !== device.hardware).map(({ id }) => id);
  return {
    devices: declared.size,
    changing: changing.length,
    refused: plan.devices.flatMap(refusalOf),
    frozen: devices.filter((device) => device.freeze !== null).map(({ id }) => id),
    leaving: plan.leavers,
    joining: before.ledger === null ? [] : plan.joiners,
    replaced,
    moving: known.flatMap(({ id, group }) => {
      const from = before.devices.get(id)?.group ?? null;
      return from === group ? [] : [{ device: id, from, to: group }];
    }),
    unmanaged: plan.unmanaged,
    first: firstOpening(view),
    effects: effectsOf(changing),
    groups,
    next: nextWave(groups),
    held: heldByReason(decision.held),
    unread: reported === undefined ? [] : unreadDevices(declared, reported, troubles),
    unheard: unheardOf(decision.held),
    admitted: decision.admitted.length,
    mergeHeld: decision.mergeHeld === null ? null : `${decision.mergeHeld.evidence}; needs a person: ${decision.mergeHeld.person}`,
    soon: soonOf(declared, decision.at, replaced),
    aws: awsCosts(view),
  };
}

function refusalOf(device: DevicePlan): readonly RefusedDevice[] {
  const found = device.impossible.find(({ reason }) => reasonKind(reason) === 'refused');
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

function unheardOf(held: readonly Hold[]): PlanSummary['unheard'] {
  const never = held.filter(({ reason }) => reason === 'NEVER_REPORTED');
  return [...Map.groupBy(never, ({ group, evidence }) => `${group ?? 'no group'}\n${evidence}`)]
    .map(([key, all]) => ({ group: key.slice(0, key.indexOf('\n')), evidence: key.slice(key.indexOf('\n') + 1), devices: all.length }))
    .toSorted((a, b) => compareText(a.group, b.group) || compareText(a.evidence, b.evidence));
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

/** The wave that changes devices next, in the rollouts that begin, else in those that go on. */
function nextWave(groups: readonly GroupSummary[]): PlanSummary['next'] {
  const going = groups.flatMap(({ phase, waves, direction }) => {
    const index = waves.findIndex(({ state, devices }) => state !== 'passed' && devices > 0);
    const wave = waves[index];
    return wave === undefined || wave.state === 'waits' || (phase !== 'begins' && phase !== 'rolling')
      ? []
      : [{ wave, place: placeOf(waves, index), rollback: direction === 'rollback', begins: phase === 'begins' }];
  });
  const chosen = going.some(({ begins }) => begins) ? going.filter(({ begins }) => begins) : going;
  if (chosen.length === 0) return null;
  const times = chosen.map(({ wave }) => wave.opensAt);
  return {
    waves: [...new Set(chosen.map(({ wave }) => wave.name))],
    place: (['only', 'first', 'open'] as const).find((place) => chosen.every((one) => one.place === place)) ?? 'next',
    rollback: chosen.every(({ rollback }) => rollback),
    devices: chosen.reduce((sum, { wave }) => sum + wave.devices, 0),
    at: times.includes(null) ? null : Math.min(...times.filter((at) => at !== null)),
  };
}

function placeOf(waves: readonly WaveSummary[], index: number): NextWaves['place'] {
  if (waves.length === 1) return 'only';
  return index === 0 ? 'first' : waves[index]?.state === 'open' ? 'open' : 'next';
}

/** Groups with something to do, in order of name. */
function groupSummaries(view: PlanView): readonly GroupSummary[] {
  const devices = Map.groupBy(view.plan.devices, ({ group }) => group);
  const held = Map.groupBy(view.decision.held, ({ group }) => group);
  const begun = new Set(view.decision.events.flatMap((event) => (event.kind === 'rollout-began' ? [event.rollout.group] : [])));
  return [...view.declared.groups.values()]
    .toSorted((a, b) => compareText(a.name, b.name))
    .flatMap((group) =>
      groupSummary(view, {
        group,
        devices: devices.get(group.name) ?? [],
        held: held.get(group.name) ?? [],
        rollout: rolloutOf(view, group.name, begun),
      }),
    );
}

/** The rollout of a group as this decision leaves it: begun by it, or recorded before. */
function rolloutOf(view: PlanView, group: GroupName, begun: ReadonlySet<GroupName>): RolloutSketch | null {
  const rollout = view.decision.groups.get(group)?.rollout ?? null;
  return rollout === null || !begun.has(group) ? rollout : { ...rollout, phase: rollout.phase === 'rolling' ? 'begins' : rollout.phase };
}

interface GroupRequest {
  readonly group: GroupDeclaration;
  readonly devices: readonly DevicePlan[];
  readonly held: readonly Hold[];
  readonly rollout: RolloutSketch | null;
}

function groupSummary(view: PlanView, { group, devices, held, rollout }: GroupRequest): readonly GroupSummary[] {
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
      fields: fieldTallies(devices),
      waves: rollout === null ? [] : waveSummaries(view, { group, held, rollout }),
      devices: group.rows.length,
      changing: devices.filter((device) => device.operations.length > 0 || device.upkeep.length > 0).length,
      open: devices.filter((device) => device.open.length > 0).length,
      declaration: group,
    },
  ];
}

interface ItemGathered {
  readonly change: Omit<ItemChange, 'models' | 'examples'>;
  readonly models: Map<string, number>;
  readonly examples: DeviceId[];
}

function itemChanges(declared: Declared, devices: readonly DevicePlan[]): readonly ItemChange[] {
  const found = new Map<string, ItemGathered>();
  for (const device of devices) {
    const { items } = declared.deviceAt(device.row);
    for (const drift of device.drifts) {
      const at = items.find(({ item }) => item === drift.item)?.place ?? null;
      const key = `${drift.item}\n${drift.from ?? ''}\n${drift.to}\n${at?.file}\n${at?.line}`;
      let entry = found.get(key);
      if (entry === undefined) {
        entry = { change: { item: drift.item, from: drift.from, to: drift.to, at }, models: new Map(), examples: [] };
        found.set(key, entry);
      }
      entry.models.set(device.model, (entry.models.get(device.model) ?? 0) + 1);
      if (entry.examples.length < MOST_EXAMPLES) entry.examples.push(device.device);
    }
  }
  return [...found.values()]
    .map(({ change, models, examples }) => ({ ...change, examples, models: byCount(models) }))
    .toSorted(
      (a, b) =>
        compareText(a.item, b.item) ||
        compareText(linePlace(a.at), linePlace(b.at)) ||
        compareText(`${a.to} ${a.from}`, `${b.to} ${b.from}`),
    );
}

/** `groups/upland.yaml:6`, nothing for nothing. */
export function linePlace(place: Place | null): string {
  return place === null ? '' : `${place.file}:${place.line}`;
}
