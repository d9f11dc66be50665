import { unreachable } from '#kit/result.ts';
import type { DeviceId, GroupName } from '#model/ids.ts';
import type { BlockedPart, GroupHistory, LineageEntry, RolloutEvent, RolloutState, WaveState } from '#model/rollout.ts';

type EventOf<Kind extends RolloutEvent['kind']> = Extract<RolloutEvent, { kind: Kind }>;
type End = GroupHistory['past'][number]['end'];

const PAST_KEPT = 50;
/** Outcomes of ended rollouts that are kept in memory per group: what `history` shows, without a limit on the ledger. */
const PAST_OUTCOMES_KEPT = 300_000;

/** A group of which the ledger knows nothing yet. */
export function emptyGroupHistory(): GroupHistory {
  return { lineage: [], blocked: [], rollout: null, past: [] };
}

/** The group that an event belongs to. */
export function groupOf(event: RolloutEvent): GroupName {
  return event.kind === 'rollout-began' ? event.rollout.group : event.group;
}

/**
 * The one reducer of rollout state: decide and the fold of the ledger both use it. Pure; an event that does not fit the
 * state (a wave of no rollout) changes nothing.
 */
export function applyRolloutEvent(history: GroupHistory, event: RolloutEvent): GroupHistory {
  switch (event.kind) {
    case 'adopted':
      return { ...history, lineage: [...history.lineage, event.entry] };
    case 'rollout-began':
      return begin(history, event);
    case 'wave-opened':
      return inWave(history, event, { members: event.members, openedAt: event.at });
    case 'wave-met':
      return inWave(history, event, { metAt: event.at });
    case 'wave-unmet':
      return inWave(history, event, { metAt: null });
    case 'wave-passed':
      return usedUp(inWave(history, event, { passedAt: event.at }), event.approval);
    case 'device-outcomes':
      return inRollout(history, (rollout) => ({ ...rollout, outcomes: withOutcomes(rollout, event) }));
    case 'device-again':
      return usedUp(forgetOutcome(history, event.device), event.approval);
    case 'rollout-halted':
      return halt(history, event);
    case 'rollout-resumed':
      return resume(history, event);
    case 'rollout-completed':
      return complete(history, event);
    case 'watch-ended':
      return end(history, event.at, 'completed');
    case 'rollout-stopped':
      return stop(history, event);
    default:
      return applyDeviceEvent(history, event);
  }
}

function applyDeviceEvent(
  history: GroupHistory,
  event: EventOf<'devices-began' | 'devices-settled' | 'devices-down' | 'devices-up'>,
): GroupHistory {
  switch (event.kind) {
    case 'devices-began': {
      const begun = new Map(history.begun);
      for (const { device, measures } of event.devices) begun.set(device, measures);
      return { ...history, begun };
    }
    case 'devices-settled':
      return { ...history, begun: without(history.begun, event.devices) };
    case 'devices-down': {
      const down = new Map(history.down);
      for (const device of event.devices) down.set(device.device, device);
      return { ...history, down };
    }
    case 'devices-up':
      return { ...history, down: without(history.down, event.devices) };
    default:
      return unreachable(event);
  }
}

function without<Value>(map: ReadonlyMap<DeviceId, Value> | undefined, devices: readonly DeviceId[]): ReadonlyMap<DeviceId, Value> {
  const rest = new Map(map);
  for (const device of devices) rest.delete(device);
  return rest;
}

function inRollout(history: GroupHistory, change: (rollout: RolloutState) => RolloutState): GroupHistory {
  return history.rollout === null ? history : { ...history, rollout: change(history.rollout) };
}

function inWave(history: GroupHistory, event: { readonly wave: string }, change: Partial<WaveState>): GroupHistory {
  return inRollout(history, (rollout) => ({
    ...rollout,
    waves: rollout.waves.map((wave) => (wave.name === event.wave ? { ...wave, ...change } : wave)),
  }));
}

function usedUp(history: GroupHistory, approval: EventOf<'wave-passed'>['approval']): GroupHistory {
  return approval === undefined ? history : { ...history, approvals: new Set([...(history.approvals ?? []), approval]) };
}

function begin(history: GroupHistory, event: EventOf<'rollout-began'>): GroupHistory {
  const waves = event.waves.map((name): WaveState => ({ name, members: null, openedAt: null, metAt: null, passedAt: null }));
  const rollout: RolloutState = { ...event.rollout, phase: 'rolling', halt: null, waves, outcomes: new Map(), watchUntil: null };
  return { ...history, rollout, begun: new Map() };
}

function withOutcomes(rollout: RolloutState, event: EventOf<'device-outcomes'>): RolloutState['outcomes'] {
  const outcomes = new Map(rollout.outcomes);
  for (const { device, outcome } of event.outcomes) outcomes.set(device, outcome);
  return outcomes;
}

function forgetOutcome(history: GroupHistory, device: DeviceId): GroupHistory {
  const cleared = { ...history, down: without(history.down, [device]) };
  return inRollout(cleared, (rollout) => {
    const outcomes = new Map(rollout.outcomes);
    outcomes.delete(device);
    return { ...rollout, outcomes };
  });
}

function halt(history: GroupHistory, event: EventOf<'rollout-halted'>): GroupHistory {
  const { reason, wave, evidence, at } = event;
  const halted = inRollout(history, (rollout) => ({ ...rollout, phase: 'halted', halt: { reason, wave, evidence, at } }));
  return { ...halted, blocked: mergeBlocked(history.blocked, event.blocked) };
}

function mergeBlocked(known: readonly BlockedPart[], more: readonly BlockedPart[]): readonly BlockedPart[] {
  const fresh = more.filter((part) => !known.some((one) => one.id === part.id && one.digest === part.digest));
  return [...known, ...fresh];
}

/** Lifts the blocks. A halted rollout goes on where it was; failures up to now are pardoned. */
function resume(history: GroupHistory, event: EventOf<'rollout-resumed'>): GroupHistory {
  const blocked = history.blocked.filter((part) => !event.unblocked.some((one) => one.id === part.id && one.digest === part.digest));
  const resumed = inRollout(history, (rollout) =>
    rollout.phase === 'halted'
      ? { ...rollout, phase: rollout.watchUntil === null ? 'rolling' : 'watched', halt: null, resumedAt: event.at }
      : rollout,
  );
  return usedUp({ ...resumed, blocked }, event.approval);
}

function complete(history: GroupHistory, event: EventOf<'rollout-completed'>): GroupHistory {
  const lineage = extend(history, event.entry);
  if (event.watchUntil === null) return { ...end(history, event.entry.at, 'completed'), lineage };
  return inRollout({ ...history, lineage }, (rollout) => ({ ...rollout, phase: 'watched', watchUntil: event.watchUntil }));
}

/**
 * The lineage is the way back. A rollback takes the release that it undid off it; a release that never left the top
 * keeps its place (personal changes in waves, the rollback of a release that was never completed).
 */
function extend({ lineage, rollout }: GroupHistory, entry: LineageEntry): readonly LineageEntry[] {
  const top = lineage.at(-1);
  if (top?.release === entry.release) {
    return [...lineage.slice(0, -1), rollout?.before === undefined ? entry : { ...entry, at: top.at }];
  }
  if (rollout?.direction === 'rollback' && lineage.at(-2)?.release === entry.release) return [...lineage.slice(0, -2), entry];
  return [...lineage, entry];
}

function stop(history: GroupHistory, event: EventOf<'rollout-stopped'>): GroupHistory {
  return end(history, event.at, event.because);
}

function end(history: GroupHistory, endedAt: number, how: End): GroupHistory {
  const { rollout } = history;
  if (rollout === null) return history;
  return { ...history, rollout: null, past: capped([...history.past, { ...rollout, endedAt, end: how }]), begun: new Map() };
}

/** Drops the oldest rollouts: at most 50, and no more outcomes than memory should hold. The newest always stays. */
function capped(past: GroupHistory['past']): GroupHistory['past'] {
  let outcomes = 0;
  let first = past.length;
  while (first > 0 && past.length - first < PAST_KEPT) {
    outcomes += past[first - 1]?.outcomes.size ?? 0;
    if (outcomes > PAST_OUTCOMES_KEPT && first < past.length) break;
    first -= 1;
  }
  return past.slice(first);
}
