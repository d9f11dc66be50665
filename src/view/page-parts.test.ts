import { describe, expect, it } from 'vitest';
import { deviceId } from '#model/ids.ts';
import type { GroupName } from '#model/ids.ts';
import { REASONS } from '#model/reasons.ts';
import type { Reason } from '#model/reasons.ts';
import { haltedRollout, operationOn, viewFleet, withRollout } from '#test/support/view-fleet.ts';
import { blastRadius } from './blast-radius.ts';
import { diagnosticsComment } from './diagnostics-comment.ts';
import { jobSummary, progressBar } from './job-summary.ts';
import { waveDiagram } from './mermaid.ts';
import { answerLine } from './page.ts';
import { summarise } from './plan-summary.ts';
import { reasonGroups, reasonKind } from './reason-groups.ts';

describe('answerLine', () => {
  const view = viewFleet();
  const summary = summarise(view);

  it('is the answer: how many, what stands against, who is first and when', () => {
    expect(answerLine(summary, 'UTC')).toBe('10 of 12 devices change, 1 is refused; canary first: 1 device, Tue 24 Nov 08:00 UTC');
  });

  it('says that the merge waits, rather than who would be first', () => {
    expect(answerLine({ ...summary, mergeHeld: 'too many' }, 'UTC')).toMatch(/1 is refused; the merge waits for approval$/);
  });

  it('names no wave of a halted rollout as the next', () => {
    const halted = summarise(withRollout(view, haltedRollout(view)));
    expect(halted.next).toBeNull();
    expect(answerLine(halted, 'UTC')).toContain('1 rollout is halted');
  });
});

describe('reasonGroups', () => {
  it('counts each device under its hold, and under each other reason against it', () => {
    const counts = reasonGroups(viewFleet()).map(({ reason, devices }) => [reason, devices]);
    expect(counts).toEqual([
      ['WAVE_NOT_OPEN', 9],
      ['LOCKOUT_GUARD', 1],
      ['WINDOW_CLOSED', 1],
    ]);
  });

  it('puts evidence together that differs in numbers and in the own name of the device', () => {
    const view = viewFleet();
    const held = view.decision.held.map((hold, index) => ({
      ...hold,
      reason: 'OFFLINE' as const,
      person: null,
      evidence: `${hold.device} silent for ${index}h`,
    }));
    const [group] = reasonGroups({ ...view, plan: { ...view.plan, devices: [] }, decision: { ...view.decision, held } });
    expect(group?.evidence).toHaveLength(1);
    expect(group?.evidence[0]).toMatchObject({ devices: 11, alike: false, evidence: 'device-0000000 silent for 0h' });
  });

  it('knows a kind of waiting for every reason', () => {
    const kinds = new Set((Object.keys(REASONS) as Reason[]).map(reasonKind));
    expect([...kinds].toSorted()).toEqual(['left', 'person', 'refused', 'unseen', 'waits']);
  });
});

describe('blastRadius', () => {
  it('is bounded by the budget, and names what has no way back', () => {
    const view = viewFleet();
    const [first, ...others] = view.plan.devices;
    if (first === undefined) throw new Error('the fleet is empty');
    const operations = [{ ...operationOn(view.declared, view.declared.deviceAt(0)), effects: ['cannot come back to 1.0.0'] }];
    const blast = blastRadius({ ...view, plan: { ...view.plan, devices: [{ ...first, operations }, ...others] } });
    expect(blast).toMatchObject({ disturbed: 10, atOnce: 1, sitesAtOnce: 1, unbounded: 0 });
    expect(blast.noReturn).toEqual([{ text: 'cannot come back to 1.0.0', devices: 1, examples: [first.device] }]);
  });

  it('counts a slot for each site, and all devices where there is no budget', () => {
    const view = viewFleet();
    const withBudget = (budget: readonly { readonly max: { readonly kind: 'count'; readonly count: number }; readonly by: string }[]) => {
      const rules = view.declared.rollouts.get('careful');
      if (rules === undefined) throw new Error('no rollout');
      return blastRadius({ ...view, declared: { ...view.declared, rollouts: new Map([['careful', { ...rules, budget }]]) } });
    };
    // Sites have four devices each; ten of twelve devices change.
    expect(withBudget([{ max: { kind: 'count', count: 1 }, by: 'site' }])).toMatchObject({ atOnce: 3, sitesAtOnce: 3 });
    expect(withBudget([{ max: { kind: 'count', count: 3 }, by: 'site' }])).toMatchObject({ atOnce: 8, sitesAtOnce: 3 });
    expect(withBudget([])).toMatchObject({ atOnce: 10, unbounded: 10 });
  });
});

describe('the job summary', () => {
  it.each([
    [0, 0, '░░░░░░░░░░░░░░░░░░░░'],
    [0, 4, '░░░░░░░░░░░░░░░░░░░░'],
    [2, 4, '██████████░░░░░░░░░░'],
    [4, 4, '████████████████████'],
    [1, 10_000, '▏░░░░░░░░░░░░░░░░░░░'],
    [9_999, 10_000, '███████████████████▉'],
  ])('shows %i of %i as %s', (done, all, bar) => expect(progressBar(done, all)).toBe(bar));

  it('draws waves with ids of its own and names that cannot end a label', () => {
    const summary = summarise(viewFleet());
    const groups = summary.groups.map((group) => ({ ...group, group: 'a"]; click x "https://evil.example.org"\nend' as GroupName }));
    const diagram = waveDiagram({ ...summary, groups }, 'UTC');
    expect(diagram).toContain('  subgraph g0["a    click x  https:  evil.example.org …"]\n');
    expect(diagram.match(/"/g)?.length).toBe(8); // a title and three labels
    expect(waveDiagram({ ...summary, groups: [] }, 'UTC')).toBe('');
  });

  it('says what the pass did, what went wrong first', () => {
    const view = viewFleet();
    const admitted = { operation: operationOn(view.declared, view.declared.deviceAt(0)), attempt: 1, notBefore: 0 };
    const executed = [
      { admitted, result: { kind: 'performed', reference: 0, undo: null } },
      { admitted, result: { kind: 'trouble', code: 'TIMEOUT', evidence: 'no answer', retryAt: 0 } },
    ] as const;
    const text = jobSummary({ ...view, executed }, { mode: 'apply', links: () => null });
    expect(text).toMatch(/^## 1 of 12 devices are as declared; 1 operation sent, 1 in trouble\n/);
    expect(text.indexOf('✗ trouble:')).toBeLessThan(text.indexOf('- ✓ '));
    expect(jobSummary({ ...view, executed: [] }, { mode: 'plan', links: () => null })).not.toContain('### Sent');
  });

  it('leaves nothing of a device out of the reasons that the plan does not list', () => {
    const view = viewFleet();
    const stray = {
      device: deviceId('stray'),
      group: null,
      item: null,
      reason: 'UNMANAGED',
      evidence: 'no group selects it',
      until: null,
      person: null,
      wave: null,
    } as const;
    const text = jobSummary({ ...view, executed: [], decision: { ...view.decision, held: [stray] } }, { mode: 'plan', links: () => null });
    expect(text).toContain('- **UNMANAGED** · 1 device: no group owns the device\n  - `stray`: no group selects it');
  });
});

describe('diagnosticsComment', () => {
  it('is short where nothing is wrong, and says a refusal without a line', () => {
    expect(diagnosticsComment([], { links: () => null })).toBe('<!-- headgate:comment path=. -->\n## Valid: no mistakes\n');
    expect(diagnosticsComment([], { links: () => null, refusal: { code: 'NOT_FOUND', message: 'no such branch' } })).toBe(
      '<!-- headgate:comment path=. -->\n## Nothing is planned and nothing will be applied\n\n> [!CAUTION]\n> `NOT_FOUND` no such branch\n',
    );
  });
});
