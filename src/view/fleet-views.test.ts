import { describe, expect, it } from 'vitest';
import { digest, operationId } from '#model/ids.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import { GROUP, haltedRollout, NOW, openOn, TOMORROW, viewFleet, withRollout } from '#test/support/view-fleet.ts';
import { explainJson, explainText } from './explain.ts';
import { historyLines, historyText } from './history.ts';
import { holdsText, untilText } from './holds.ts';
import { progressLine, rolloutsJson, rolloutsText } from './rollouts.ts';
import { devicesText, groupStatuses, statusJson, statusText } from './status.ts';

describe('status', () => {
  it('says in one line how far the fleet is, then group by group', () => {
    const view = viewFleet();
    const [first, , head, row] = statusText(withRollout(view, haltedRollout(view))).split('\n');
    expect(first).toBe('1 of 12 devices converged');
    expect(head).toMatch(/^group +release +converged +open +rollout +held$/);
    expect(row).toMatch(/^group-0 .* 1\/12 +0 +halted, wave tenth +9 WAVE_NOT_OPEN · 1 LOCKOUT_GUARD · 1 WINDOW_CLOSED$/);
  });

  it('counts what is under way', () => {
    const view = viewFleet();
    const open = new Map([[view.declared.deviceAt(0).id, [openOn(view, 0)]]]);
    expect(groupStatuses({ ...view, view: { ...view.view, open } })[0]?.open).toBe(1);
  });

  it('gives each device its state, reason and what it reports', () => {
    const view = viewFleet();
    const lines = devicesText(view, GROUP).split('\n');
    expect(lines).toHaveLength(13);
    expect(lines[1]).toMatch(/device-0000000 +A +firmware firmware 1\.0\.0.* WINDOW_CLOSED +Tue 24 Nov 08:00 UTC/);
    expect(lines[12]).toMatch(/device-0000011 +B +firmware \?.*never +converged/);
    expect(statusJson(view)).toMatchObject({ groups: [{ group: 'group-0', converged: 1 }], wakeAt: '2026-11-24T08:00:00.000Z' });
  });
});

describe('explain', () => {
  it('gives the one reason, in code and in words, with evidence and instant', () => {
    const view = viewFleet();
    const text = explainText(view, view.declared.deviceAt(0));
    expect(text).toMatch(
      /^device-0000000 {2}WINDOW_CLOSED\n {2}why +no change window is open\n {2}evidence +working-hours is closed\n {2}until +Tue 24 Nov 08:00 UTC/,
    );
    expect(text).toMatch(/firmware +2\.0\.0 +firmware 1\.0\.0/);
    expect(text).toMatch(/battery +12\.6/);
  });

  it('names who must do what, where only a person can', () => {
    const view = viewFleet();
    expect(explainText(view, view.declared.deviceAt(10))).toContain('until     needs a person: accept the hazard');
  });

  it('shows what is under way, and a converged device as such', () => {
    const view = viewFleet();
    const device = view.declared.deviceAt(11);
    expect(explainText(view, device)).toMatch(/^device-0000011 {2}converged/);
    const busy = { ...view, view: { ...view.view, open: new Map([[device.id, [openOn(view, 11)]]]) } };
    expect(explainText(busy, device)).toMatch(
      /under way: device-0000011 firmware B\.1\.0\.0 → B\.2\.0\.0 \(attempt 2, .*last trouble TIMEOUT\)/,
    );
    expect(explainJson(busy, device)).toMatchObject({ hold: null, open: [{ attempt: 2 }], heardAt: null });
  });
});

describe('rollouts', () => {
  it('shows waves, counts, the halt and who failed', () => {
    const view = viewFleet();
    const { view: ledger } = withRollout(view, haltedRollout(view));
    const text = rolloutsText(ledger, 'UTC');
    expect(text).toContain('group-0  5c20e11 → ');
    expect(text).toContain('11 devices, rules careful, began Mon 23 Nov 16:30 UTC, commit ccccccc');
    expect(text).toMatch(/wave canary +1\/1 succeeded +passed Tue 24 Nov 08:00 UTC/);
    expect(text).toMatch(/wave tenth +0\/2 succeeded, 1 failed +open since/);
    expect(text).toMatch(/wave rest +not open/);
    expect(text).toContain('! device-0000001: BOOTED_BACK runs 1.0.0 again');
    expect(rolloutsJson(ledger)).toMatchObject([{ state: 'halted', outcomes: { 'device-0000000': { kind: 'succeeded' } } }]);
    expect(progressLine(ledger, [GROUP])).toBe('group-0 halted in tenth 1/11');
  });

  it('lists past ones after present ones, newest first', () => {
    const view = viewFleet();
    const rollout = haltedRollout(view);
    const { view: ledger } = withRollout(view, rollout);
    const history = ledger.groups.get(GROUP);
    if (history === undefined) throw new Error('the group is not in the ledger');
    const past = [
      { ...rollout, endedAt: NOW, end: 'completed' as const },
      { ...rollout, endedAt: TOMORROW, end: 'rolled-back' as const },
    ];
    const text = rolloutsText({ ...ledger, groups: new Map([[GROUP, { ...history, past }]]) }, 'UTC');
    expect([...text.matchAll(/forward {2}([a-z-]+)/g)].map(([, end]) => end)).toEqual(['halted', 'rolled-back', 'completed']);
    expect(rolloutsText({ ...ledger, groups: new Map() }, 'UTC')).toBe('no rollout yet');
  });
});

describe('history', () => {
  const view = viewFleet();
  const open = openOn(view, 0);
  const other = { ...openOn(view, 1).operation, id: operationId('another') };
  const bodies: readonly RecordBody[] = [
    { type: 'genesis', ledger: 'upland', fleet: 'upland', engine: '0.1.0' },
    { type: 'pass', commit: 'abcdef0123', tree: digest('t'), engine: '0.1.0', planned: 1, at: NOW },
    { type: 'intent', operation: open.operation, attempt: 1, at: NOW },
    { type: 'intent', operation: other, attempt: 1, at: NOW },
    {
      type: 'outcome',
      operation: open.operation.id,
      attempt: 1,
      at: NOW,
      result: { kind: 'trouble', code: 'TIMEOUT', evidence: 'no answer', retryAt: TOMORROW },
    },
    {
      type: 'closed',
      operation: open.operation.id,
      device: open.operation.device,
      item: 'firmware',
      closing: 'succeeded',
      code: null,
      evidence: 'reports 2.0.0',
      at: TOMORROW,
    },
  ];
  const records = bodies.map((body, index): LedgerRecord => ({
    version: 1,
    seq: index + 1,
    fencing: 1,
    prev: null,
    hash: digest('h'),
    body,
  }));

  it('tells what happened in order, each line with the commit in force', () => {
    const lines = historyLines(records, null, 'UTC');
    expect(lines.map(({ seq }) => seq)).toEqual([1, 3, 4, 5, 6]);
    expect(lines.at(-1)).toMatchObject({ commit: 'abcdef0123', text: 'device-0000000 firmware succeeded: reports 2.0.0' });
    expect(historyText(lines, 'UTC')).toMatch(
      /^1 +ledger upland begins for upland\n3 {2}Mon 23 Nov 16:30 UTC {2}abcdef0 {2}device-0000000 firmware A\.1\.0\.0 → A\.2\.0\.0: attempt 1/,
    );
  });

  it('leaves out what does not concern the device', () => {
    const texts = historyLines(records, open.operation.device, 'UTC').map(({ seq }) => seq);
    expect(texts).toEqual([3, 5, 6]);
    expect(historyText([], 'UTC')).toBe('nothing recorded');
  });
});

describe('holds', () => {
  it.each([
    [{ until: TOMORROW, person: null }, 'Tue 24 Nov 08:00 UTC'],
    [{ until: null, person: 'approve' }, 'needs a person: approve'],
    [{ until: null, person: null }, 'the next report'],
  ])('says when it can change', (hold, text) => expect(untilText(hold, 'UTC')).toBe(text));

  it('lists one line per device', () => {
    expect(holdsText(viewFleet().decision.held, 'UTC').split('\n')).toHaveLength(12);
    expect(holdsText([], 'UTC')).toBe('nothing is held');
  });
});
