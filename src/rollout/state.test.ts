import { describe, expect, it } from 'vitest';
import { deviceId, digest, groupName, releaseId, rolloutId } from '#model/ids.ts';
import type { GroupHistory, LineageEntry, RolloutEvent } from '#model/rollout.ts';
import { applyRolloutEvent, emptyGroupHistory } from './state.ts';

const GROUP = groupName('met');
const PART = { id: 'firmware os@2', digest: digest('2'.repeat(64)) };
const APPROVAL = digest('a'.repeat(64));
const D0 = deviceId('d0');

function entry(release: string, at: number): LineageEntry {
  return { release: releaseId(release), commit: `commit-${release}`, parts: [], at };
}

function began(to: string, change: Partial<Extract<RolloutEvent, { kind: 'rollout-began' }>['rollout']> = {}): RolloutEvent {
  return {
    kind: 'rollout-began',
    rollout: {
      id: rolloutId(to),
      group: GROUP,
      from: null,
      to: releaseId(to),
      declared: releaseId(to),
      direction: 'forward',
      commit: `commit-${to}`,
      rules: 'careful',
      beganAt: 1,
      changed: [D0],
      silent: [],
      parts: [PART],
      ...change,
    },
    waves: ['canary', 'rest'],
  };
}

const halted: RolloutEvent = {
  kind: 'rollout-halted',
  group: GROUP,
  reason: 'GATE_FAILED',
  wave: 'canary',
  evidence: '1 of 1 failed',
  blocked: [{ ...PART, release: releaseId('2'), why: '1 of 1 failed', at: 5 }],
  at: 5,
};

function completed(release: string, at: number, watchUntil: number | null = null): RolloutEvent {
  return { kind: 'rollout-completed', group: GROUP, entry: entry(release, at), watchUntil };
}

function fold(...events: readonly RolloutEvent[]): GroupHistory {
  return events.reduce(applyRolloutEvent, emptyGroupHistory());
}

describe('applyRolloutEvent', () => {
  it.each<[string, RolloutEvent]>([
    ['a wave that opens', { kind: 'wave-opened', group: GROUP, wave: 'canary', members: [D0], at: 2 }],
    ['a wave that passes', { kind: 'wave-passed', group: GROUP, wave: 'canary', at: 2, because: 'gate' }],
    [
      'outcomes',
      { kind: 'device-outcomes', group: GROUP, outcomes: [{ device: D0, outcome: { kind: 'failed', code: 'X', evidence: '', at: 2 } }] },
    ],
    ['a stop', { kind: 'rollout-stopped', group: GROUP, because: 'superseded', at: 2 }],
    ['the end of a watch', { kind: 'watch-ended', group: GROUP, at: 2 }],
  ])('leaves a group without a rollout as it is: %s', (_, event) => {
    expect(fold(event)).toEqual(emptyGroupHistory());
  });

  it('changes no other wave than the one that is named', () => {
    const { rollout } = fold(began('2'), { kind: 'wave-opened', group: GROUP, wave: 'canary', members: [D0], at: 2 });
    expect(rollout?.waves.map((wave) => wave.members)).toEqual([[D0], null]);
  });

  it('does not touch the state that it is given', () => {
    const before = fold(began('2'));
    const outcomes = before.rollout?.outcomes;
    applyRolloutEvent(before, {
      kind: 'device-outcomes',
      group: GROUP,
      outcomes: [{ device: D0, outcome: { kind: 'succeeded', code: null, evidence: '', at: 2 } }],
    });
    expect(outcomes?.size).toBe(0);
  });

  it('resumes a halted rollout where it was, lifts the blocks and uses the Approval up', () => {
    const resumed = fold(began('2'), halted, { kind: 'rollout-resumed', group: GROUP, unblocked: [PART], approval: APPROVAL, at: 6 });
    expect(resumed).toMatchObject({ blocked: [], rollout: { phase: 'rolling', halt: null, resumedAt: 6 } });
    expect(resumed.approvals?.has(APPROVAL)).toBe(true);
    const watched = fold(began('2'), completed('2', 4, 9), halted, {
      kind: 'rollout-resumed',
      group: GROUP,
      unblocked: [],
      approval: APPROVAL,
      at: 6,
    });
    expect(watched).toMatchObject({ rollout: { phase: 'watched', watchUntil: 9 } });
    expect(watched.blocked).toHaveLength(1);
  });

  it('does not mistake an Approval for a halt that was never there', () => {
    const { rollout } = fold(began('2'), { kind: 'rollout-resumed', group: GROUP, unblocked: [], approval: APPROVAL, at: 6 });
    expect(rollout).toMatchObject({ phase: 'rolling' });
    expect(rollout?.resumedAt).toBeUndefined();
  });

  const back = { direction: 'rollback' as const };
  it.each<[string, readonly RolloutEvent[], readonly string[]]>([
    ['a new release', [completed('1', 1), began('2'), completed('2', 2)], ['1', '2']],
    ['a way back from one that was completed', [completed('1', 1), completed('2', 2), began('1', back), completed('1', 3)], ['1']],
    ['a way back from one that never was', [completed('1', 1), began('1', back), completed('1', 3)], ['1']],
    ['an ordinary return', [completed('1', 1), completed('2', 2), began('1'), completed('1', 3)], ['1', '2', '1']],
  ])('keeps the lineage as the way back: %s', (_, events, lineage) => {
    expect(fold(...events).lineage.map((one) => one.release)).toEqual(lineage);
  });

  it('keeps at most fifty ended rollouts, the newest last', () => {
    const events = Array.from({ length: 60 }, (_, index) => [began(String(index)), completed(String(index), index)]).flat();
    const { past } = fold(...events);
    expect(past).toHaveLength(50);
    expect(past.at(-1)).toMatchObject({ to: '59', end: 'completed' });
  });
});
