import { describe, expect, it } from 'vitest';
import { reportedFor } from '#observe/reported.ts';
import { syntheticReports } from '#test/support/synthetic.ts';
import { viewFleet } from '#test/support/view-fleet.ts';
import { planComment } from './comment.ts';
import type { FleetView } from './pass.ts';
import { planJson } from './plan-json.ts';
import { planText } from './plan-text.ts';

const view = viewFleet();
const connection = view.declared.deviceAt(0).via.connection;
const troubles = [{ connection, code: 'UNREACHABLE', message: 'no route' }];

/** Nothing changes; the last reports are those of so many devices, and the connection is broken. */
function quiet(reports: number, more: Partial<FleetView> = {}): FleetView {
  const { declared, plan, decision, before } = view;
  return {
    ...view,
    plan: { ...plan, devices: [] },
    decision: { ...decision, events: [], groups: before.groups, held: [], wakeAt: null },
    reported: reportedFor(declared, syntheticReports(declared, { share: 1, version: '2.0.0' }).slice(0, reports)),
    troubles,
    ...more,
  };
}

function firstLine(of: FleetView): string {
  return planText(of).split('\n')[0] ?? '';
}

describe('the answer where a connection broke', () => {
  it('is that nothing is known, never that nothing changes', () => {
    const text = `nothing is known of 12 of 12 devices: ${connection} UNREACHABLE`;
    expect(firstLine(quiet(0))).toBe(`${text} · 0 refused · 0 frozen · 0 leave`);
    expect(planComment(quiet(0), { links: () => null }).split('\n')[1]).toBe(`## ${text}`);
    expect(JSON.parse(JSON.stringify(planJson(quiet(0))))).toMatchObject({
      summary: { unread: [{ connection, codes: ['UNREACHABLE'], devices: { length: 12 } }] },
    });
  });

  it('says so of those that were never read alone', () => {
    const text = `nothing is known of 2 of 12 devices: ${connection} UNREACHABLE · nothing changes on the other 10`;
    expect(firstLine(quiet(10))).toBe(`${text} · 0 refused · 0 frozen · 0 leave`);
    expect(firstLine(quiet(12))).toBe('nothing changes, 12 devices · 0 refused · 0 frozen · 0 leave');
    expect(JSON.stringify(planJson(quiet(12)))).not.toContain('unread');
  });

  it('says it beside what changes', () => {
    const [found] = firstLine({ ...view, troubles }).split(' · 1 refused');
    expect(found).toBe(`10 of 12 devices change · nothing is known of 1: ${connection} UNREACHABLE`);
  });
});

describe('the answer where devices never reported', () => {
  it('counts them, although their connection works', () => {
    const held = view.decision.held.slice(0, 3).map((hold) => ({ ...hold, reason: 'NEVER_REPORTED' as const }));
    const never = quiet(9, { troubles: [] });
    expect(firstLine({ ...never, decision: { ...never.decision, held } })).toMatch(
      /^nothing changes, 12 devices, 3 NEVER_REPORTED · 0 refused/,
    );
  });
});
