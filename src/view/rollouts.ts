import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { GroupName } from '#model/ids.ts';
import { shortDigest } from '#model/ids.ts';
import type { LedgerView } from '#model/records.ts';
import type { RolloutState } from '#model/rollout.ts';
import { alignRows, plain } from './table.ts';
import type { Paint } from './table.ts';
import { dayTimeZone, isoInstant } from './time.ts';
import { counted, firstOf } from './words.ts';

interface RolloutLine {
  readonly group: GroupName;
  readonly rollout: RolloutState;
  readonly end: string;
}

/** Rollouts under way, then the past ones, newest first, each tied to its commit. */
export function rolloutsText(view: LedgerView, zone: string, paint: Paint = plain): string {
  const lines = rolloutLines(view);
  if (lines.length === 0) return 'no rollout yet';
  return lines.map((line) => rolloutText(line, zone, paint)).join('\n\n');
}

function rolloutLines(view: LedgerView): readonly RolloutLine[] {
  const groups = [...view.groups].toSorted(([a], [b]) => compareText(a, b));
  const present = groups.flatMap(([group, { rollout }]) => (rollout === null ? [] : [{ group, rollout, end: rollout.phase }]));
  const past = groups.flatMap(([group, history]) => history.past.map((rollout) => ({ group, rollout, end: rollout.end })));
  return [...present, ...past.toSorted((a, b) => b.rollout.endedAt - a.rollout.endedAt)];
}

function rolloutText({ group, rollout, end }: RolloutLine, zone: string, paint: Paint): string {
  const from = rollout.from === null ? 'nothing recorded' : shortDigest(rollout.from);
  const tone = end === 'halted' || end === 'rolled-back' ? 'bad' : end === 'completed' ? 'good' : 'warn';
  const head = `${paint('strong', group)}  ${from} → ${shortDigest(rollout.to)}  ${rollout.direction}  ${paint(tone, end)}`;
  const commit = rollout.commit === null ? '' : `, commit ${shortDigest(rollout.commit)}`;
  const about = `  ${counted(rollout.changed.length, 'device')}, rules ${rollout.rules}, began ${dayTimeZone(rollout.beganAt, zone)}${commit}`;
  const halt = rollout.halt === null ? [] : [`  ${paint('bad', 'halted')}: ${rollout.halt.evidence}`];
  return [head, about, ...halt, ...waveRows(rollout, zone).map((line) => `  ${line}`), ...failureLines(rollout)].join('\n');
}

function waveRows(rollout: RolloutState, zone: string): readonly string[] {
  return alignRows(
    rollout.waves.map((wave) => {
      const members = wave.members ?? [];
      const succeeded = members.filter((id) => rollout.outcomes.get(id)?.kind === 'succeeded').length;
      const failed = members.filter((id) => rollout.outcomes.get(id)?.kind === 'failed').length;
      const counts =
        wave.members === null ? 'not open' : `${succeeded}/${members.length} succeeded${failed === 0 ? '' : `, ${failed} failed`}`;
      return [`wave ${wave.name}`, counts, waveStage(wave, zone)];
    }),
  );
}

function waveStage(wave: RolloutState['waves'][number], zone: string): string {
  if (wave.passedAt !== null) return `passed ${dayTimeZone(wave.passedAt, zone)}`;
  if (wave.metAt !== null) return `soaking since ${dayTimeZone(wave.metAt, zone)}`;
  return wave.openedAt === null ? '' : `open since ${dayTimeZone(wave.openedAt, zone)}`;
}

function failureLines(rollout: RolloutState): readonly string[] {
  return [...rollout.outcomes]
    .filter(([, outcome]) => outcome.kind === 'failed')
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([device, { code, evidence }]) => `  ! ${device}: ${code ?? 'failed'} ${evidence}`);
}

export function rolloutsJson(view: LedgerView): Json {
  return rolloutLines(view).map(({ group, rollout, end }) => ({
    group,
    id: rollout.id,
    from: rollout.from,
    to: rollout.to,
    direction: rollout.direction,
    commit: rollout.commit,
    rules: rollout.rules,
    beganAt: isoInstant(rollout.beganAt),
    state: end,
    halt: rollout.halt === null ? null : { ...rollout.halt, at: isoInstant(rollout.halt.at) },
    changed: rollout.changed,
    waves: rollout.waves.map((wave) => ({
      name: wave.name,
      members: wave.members,
      openedAt: isoInstant(wave.openedAt),
      metAt: isoInstant(wave.metAt),
      passedAt: isoInstant(wave.passedAt),
    })),
    outcomes: Object.fromEntries(
      [...rollout.outcomes]
        .toSorted(([a], [b]) => compareText(a, b))
        .map(([device, outcome]) => [device, { ...outcome, at: isoInstant(outcome.at) }]),
    ),
  }));
}

/** `upland-met third: 2/3 · vehicles soaking`: the line that a terminal shows while a rollout goes on. */
export function progressLine(view: LedgerView, names: readonly GroupName[]): string {
  const parts = names.flatMap((name) => {
    const rollout = view.groups.get(name)?.rollout ?? null;
    if (rollout === null) return [];
    const done = [...rollout.outcomes.values()].filter(({ kind }) => kind === 'succeeded').length;
    const wave = rollout.waves.find(({ passedAt }) => passedAt === null);
    const waiting = wave === undefined ? '' : ` in ${firstOf([wave.name])}`;
    return [`${name} ${rollout.phase}${waiting} ${done}/${rollout.changed.length}`];
  });
  return parts.length === 0 ? 'no rollout under way' : parts.join(' · ');
}
