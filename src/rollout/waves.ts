import { compareText } from '#kit/diagnostics.ts';
import { stableFraction } from '#kit/digest.ts';
import type { Declared, DeclaredDevice, WaveRules } from '#model/declared.ts';
import type { DeviceId, GroupName, ReleaseId } from '#model/ids.ts';
import type { RolloutState } from '#model/rollout.ts';
import { matches } from '#model/selector.ts';

/** Guards a share such as 0.1 × 30 against being rounded up for the sake of its last binary digit. */
const EPSILON = 1e-9;

export interface WaveDraw {
  /** Null for a wave that the rollout's rules no longer know: it takes nobody, or the rest when it is the last. */
  readonly rules: Pick<WaveRules, 'select' | 'count' | 'share'> | null;
  readonly last: boolean;
  readonly group: GroupName;
  readonly release: ReleaseId;
  /** Devices that earlier waves left and that the release still changes. */
  readonly candidates: readonly DeclaredDevice[];
  /** How many devices of each model the release changes, as of the beginning. */
  readonly changed: ReadonlyMap<string, number>;
  /** The order of the draw: a memory of the same function, for who draws more than once. */
  readonly placeOf?: PlaceOf;
}

export type PlaceOf = (device: DeviceId) => number;

/** The stable hash that draws waves, seeded with group and release; it remembers what it has worked out. */
export function makePlaces(group: GroupName, release: ReleaseId): PlaceOf {
  const known = new Map<DeviceId, number>();
  return (device) => {
    const place = known.get(device) ?? stableFraction(`${group}\n${release}\n${device}`);
    known.set(device, place);
    return place;
  };
}

/**
 * Who is in a wave if it opens now, sorted by id: by `select`, `count`, `share`; the last takes the rest. A count or
 * share is drawn by a stable hash seeded with group and release and spread over the models in proportion, with at least
 * one of each changed model that has two or more devices; `select` with `count` takes the first.
 */
export function drawWave(draw: WaveDraw): readonly DeviceId[] {
  const { rules, candidates, last } = draw;
  if (last) return candidates.map((device) => device.id).toSorted(compareText);
  if (rules === null) return [];
  const { select, count, share } = rules;
  const selected = select === null ? candidates : candidates.filter((device) => matches(select, device));
  const size = sizeOf(draw, { count, share });
  if (size === null) return select === null ? [] : selected.map((device) => device.id).toSorted(compareText);
  if (select !== null && count !== null) {
    return selected
      .map((device) => device.id)
      .toSorted(compareText)
      .slice(0, size);
  }
  return drawByModel(draw, selected, size);
}

/** How many devices a count and a share leave room for, shares rounded up; null when there is neither. */
function sizeOf(draw: WaveDraw, { count, share }: Pick<WaveRules, 'count' | 'share'>): number | null {
  let all = 0;
  for (const devices of draw.changed.values()) all += devices;
  const byShare = share === null ? null : Math.ceil(share * all - EPSILON);
  return count === null ? byShare : byShare === null ? count : Math.min(count, byShare);
}

function drawByModel(draw: WaveDraw, selected: readonly DeclaredDevice[], size: number): readonly DeviceId[] {
  const models = new Map<string, DeclaredDevice[]>();
  for (const device of selected) {
    const list = models.get(device.model);
    if (list === undefined) models.set(device.model, [device]);
    else list.push(device);
  }
  const quotas = quotasOf(draw, models, size);
  const drawn: DeviceId[] = [];
  const placeOf = draw.placeOf ?? makePlaces(draw.group, draw.release);
  for (const [model, devices] of models) {
    const quota = quotas.get(model) ?? 0;
    if (quota === 0) continue;
    const placed = devices.map((device) => ({ id: device.id, place: placeOf(device.id) }));
    placed.sort((a, b) => a.place - b.place || compareText(a.id, b.id));
    for (const { id } of placed.slice(0, quota)) drawn.push(id);
  }
  return drawn.toSorted(compareText);
}

/** The seats of each model: in proportion, by the largest remainder, and one at least where a model has two devices. */
function quotasOf(draw: WaveDraw, models: ReadonlyMap<string, readonly DeclaredDevice[]>, size: number): ReadonlyMap<string, number> {
  let all = 0;
  for (const devices of models.values()) all += devices.length;
  const seats = Math.min(size, all);
  const exact = [...models]
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([model, devices]) => ({ model, available: devices.length, share: all === 0 ? 0 : (seats * devices.length) / all }));
  const quotas = new Map(
    exact.map(({ model, share }) => {
      const least = seats > 0 && (draw.changed.get(model) ?? 0) >= 2 ? 1 : 0;
      return [model, Math.max(least, Math.floor(share + EPSILON))];
    }),
  );
  let left = seats - [...quotas.values()].reduce((sum, quota) => sum + quota, 0);
  const byRemainder = exact.toSorted((a, b) => (b.share % 1) - (a.share % 1) || compareText(a.model, b.model));
  for (const { model, available } of byRemainder) {
    const quota = quotas.get(model) ?? 0;
    if (left <= 0) break;
    if (quota >= available) continue;
    quotas.set(model, quota + 1);
    left -= 1;
  }
  return quotas;
}

/** How many devices of each model are in a list. */
export function countModels(declared: Declared, devices: readonly DeviceId[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const id of devices) {
    const row = declared.rowOf(id);
    const model = row === undefined ? undefined : declared.deviceAt(row).model;
    if (model !== undefined) counts.set(model, (counts.get(model) ?? 0) + 1);
  }
  return counts;
}

export interface PreviewedWave {
  readonly name: string;
  readonly members: readonly DeviceId[];
  /** Recorded when it opened; otherwise what it would hold if it and those before it opened now. */
  readonly recorded: boolean;
}

/** The rules of a rollout's waves by name, for its direction; a rollout that is no longer declared has none. */
export function waveRules(declared: Declared, rollout: Pick<RolloutState, 'rules' | 'direction'>): ReadonlyMap<string, WaveRules> {
  const rules = declared.rollouts.get(rollout.rules);
  const waves = rollout.direction === 'rollback' ? rules?.rollback.waves : rules?.waves;
  return new Map((waves ?? []).map((wave) => [wave.name, wave]));
}

export interface Preview {
  /** Which devices could still be drawn; all of the changed ones when left out. */
  readonly takes?: (device: DeclaredDevice) => boolean;
  readonly placeOf?: PlaceOf;
}

/**
 * What each wave of a rollout holds, or would hold if it opened now: for the plan's text, and for the wave that a
 * waiting device belongs to.
 */
export function previewWaves(
  declared: Declared,
  rollout: Pick<RolloutState, 'group' | 'to' | 'changed' | 'rules' | 'direction' | 'waves'>,
  { takes, placeOf = makePlaces(rollout.group, rollout.to) }: Preview = {},
): readonly PreviewedWave[] {
  const rules = waveRules(declared, rollout);
  const changed = countModels(declared, rollout.changed);
  const gone = new Set(rollout.waves.flatMap((wave) => wave.members ?? []));
  let candidates = rollout.changed.flatMap((id) => {
    const row = gone.has(id) ? undefined : declared.rowOf(id);
    const device = row === undefined ? undefined : declared.deviceAt(row);
    return device === undefined || (takes !== undefined && !takes(device)) ? [] : [device];
  });
  return rollout.waves.map(({ name, members }, index): PreviewedWave => {
    if (members !== null) return { name, members, recorded: true };
    const last = index === rollout.waves.length - 1;
    const { group, to: release } = rollout;
    const drawn = drawWave({ rules: rules.get(name) ?? null, last, group, release, candidates, changed, placeOf });
    const taken = new Set(drawn);
    candidates = candidates.filter((device) => !taken.has(device.id));
    return { name, members: drawn, recorded: false };
  });
}
