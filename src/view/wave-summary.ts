import { durationText } from '#kit/duration.ts';
import type { BudgetRule, GroupDeclaration, RolloutRules, WaveRules } from '#model/declared.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { Hold, RolloutState } from '#model/rollout.ts';
import type { PlanView } from './pass.ts';
import { failureBound, percentText, tally } from './words.ts';

export interface WaveSummary {
  readonly name: string;
  readonly devices: number;
  readonly state: 'passed' | 'open' | 'opens' | 'waits';
  /** When it opens, where the time is known. */
  readonly opensAt: Instant | null;
  /** What must come first, in words: `soak 24h`, or the name of the wave before; null when nothing does. */
  readonly after: string | null;
  /** What it waits for, in words: `after soak 24h`, `budget 1 per site, 6 in all`. */
  readonly notes: readonly string[];
  /** Upper bound of the failure rate that this wave proves at 95 %, null without a gate of its own. */
  readonly proves: number | null;
  /** Who is in it, in order of id: recorded when it opened, else those that wait for it. */
  readonly members: readonly DeviceId[];
  /** The same by model, the most frequent first. */
  readonly models: readonly (readonly [string, number])[];
}

/** A rollout, as recorded or as a decision begins it. */
export type RolloutSketch = Omit<RolloutState, 'phase'> & { readonly phase: RolloutState['phase'] | 'begins' };

export interface WaveRequest {
  readonly group: GroupDeclaration;
  /** Of this group. */
  readonly held: readonly Hold[];
  readonly rollout: RolloutSketch;
}

/** The waves of a group's rollout in order; the last one says the budget. Empty when the rollout is no longer declared. */
export function waveSummaries(view: PlanView, request: WaveRequest): readonly WaveSummary[] {
  const rules = view.declared.rollouts.get(request.rollout.rules);
  if (rules === undefined) return [];
  const waves = request.rollout.direction === 'rollback' ? rules.rollback.waves : rules.waves;
  const byWave = Map.groupBy(request.held, ({ wave }) => wave);
  return waves.map((wave, index) => {
    const summary = waveSummary(view, request.rollout, { wave, before: waves[index - 1], held: byWave.get(wave.name) ?? [] });
    const last = index === waves.length - 1;
    return last ? { ...summary, notes: [...summary.notes, ...budgetNotes(rules, request)] } : summary;
  });
}

interface WaveParts {
  readonly wave: WaveRules;
  readonly before: WaveRules | undefined;
  readonly held: readonly Hold[];
}

function waveSummary({ declared }: PlanView, rollout: RolloutSketch, { wave, before, held }: WaveParts): WaveSummary {
  const recorded = rollout.waves.find(({ name }) => name === wave.name);
  const open = (recorded?.members ?? null) !== null;
  const members = recorded?.members ?? held.map(({ device }) => device);
  const devices = members.length;
  const timed = held.flatMap((hold) => (hold.reason === 'WINDOW_CLOSED' && hold.until !== null ? [hold.until] : []));
  const state = (recorded?.passedAt ?? null) !== null ? 'passed' : open ? 'open' : timed.length > 0 ? 'opens' : 'waits';
  const after =
    state !== 'waits' || before === undefined ? null : before.gate.soakMs > 0 ? `soak ${durationText(before.gate.soakMs)}` : before.name;
  return {
    name: wave.name,
    devices,
    state,
    opensAt: state === 'opens' || (open && timed.length === devices && devices > 0) ? earliest(timed) : null,
    after,
    notes: after === null ? [] : [`after ${after}`],
    proves: devices === 0 ? null : failureBound(devices, Math.floor((1 - wave.gate.success) * devices + 1e-9)),
    members,
    models: tally(members.map((id) => modelOf(declared, id))),
  };
}

function earliest(times: readonly Instant[]): Instant {
  return times.reduce((least, at) => Math.min(least, at));
}

function modelOf(declared: PlanView['declared'], id: DeviceId): string {
  const row = declared.rowOf(id);
  return row === undefined ? 'no longer declared' : declared.deviceAt(row).model;
}

/** `budget 1 per site, 6 in all (9 silent devices not counted)`. */
function budgetNotes(rules: RolloutRules, { group, rollout }: WaveRequest): readonly string[] {
  if (rules.budget.length === 0) return [];
  const text = rules.budget.map((rule) => budgetText(rule, group.rows.length)).join(', ');
  const silent = rollout.silent.length === 0 ? '' : ` (${rollout.silent.length} silent not counted)`;
  return [`budget ${text}${silent}`];
}

/** `1 per site`, `6 in all`; `population` is the group's size. */
export function budgetText(rule: BudgetRule, population: number): string {
  if (rule.by === null) {
    const slots = rule.max.kind === 'count' ? rule.max.count : Math.max(1, Math.floor(rule.max.share * population + 1e-9));
    return `${slots} in all`;
  }
  const by = rule.by.startsWith('label:') ? rule.by.slice('label:'.length) : rule.by;
  return `${rule.max.kind === 'count' ? rule.max.count : percentText(rule.max.share)} per ${by}`;
}
