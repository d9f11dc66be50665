import { describe, expect, it } from 'vitest';
import { canonicalJson } from '#kit/canonical.ts';
import { deviceId } from '#model/ids.ts';
import { afterEvents, GROUP, haltedRollout, NOW, operationOn, TOMORROW, viewFleet, withRollout } from '#test/support/view-fleet.ts';
import type { FleetView } from './pass.ts';
import { planJson, readSavedPlan, savedPlanJson } from './plan-json.ts';
import { summarise } from './plan-summary.ts';
import { fromTo, planText } from './plan-text.ts';

describe('planText', () => {
  it('answers in the first line, then effects, groups, waves and refusals', () => {
    expect(planText(viewFleet())).toMatchInlineSnapshot(`
      "10 of 12 devices change · 1 refused · 0 frozen · 0 leave · first: 1 device Tue 24 Nov 08:00 UTC
      10 devices restart the device · 5 erase stored tables

      ~ group-0         release 5c20e11 → cd64c53   rollout careful, forward
          firmware  A.1.0.0 → 2.0.0  (4 A)  synthetic.yaml:1
          firmware  B.1.0.0 → 2.0.0  (7 B)  synthetic.yaml:1
          wave 1 canary   1 device  opens Tue 24 Nov 08:00                               proves: failure rate below 95 % at 95 %
          wave 2 tenth   3 devices  after canary                                         proves: failure rate below 63 % at 95 %
          wave 3 rest    6 devices  after tenth, budget 1 in all (1 silent not counted)  proves: failure rate below 39 % at 95 %

      ! 1 refused       device-0000010: LOCKOUT_GUARD modem is switched by the program that this OS stops

        held            9 WAVE_NOT_OPEN · 1 LOCKOUT_GUARD · 1 WINDOW_CLOSED until Tue 24 Nov 08:00"
    `);
  });

  it('says that nothing changes, and nothing else, of a converged fleet', () => {
    const view = viewFleet();
    const quiet: FleetView = {
      ...view,
      plan: { ...view.plan, devices: [] },
      decision: { ...view.decision, events: [], groups: view.before.groups, held: [], wakeAt: null },
    };
    expect(planText(quiet)).toBe('nothing changes, 12 devices · 0 refused · 0 frozen · 0 leave');
  });

  it('says when the first wave is under way, and what is sent now', () => {
    const view = viewFleet();
    const first = view.declared.deviceAt(0);
    const events = [...view.decision.events, { kind: 'wave-opened', group: GROUP, wave: 'canary', members: [first.id], at: NOW } as const];
    const admitted = [{ operation: operationOn(view.declared, first), attempt: 1, notBefore: NOW }];
    const groups = afterEvents(view.before, events);
    const opened: FleetView = { ...view, decision: { ...view.decision, events, groups, admitted, held: view.decision.held.slice(1) } };
    expect(planText(opened)).toContain('first: 1 device now');
    expect(planText(opened)).toMatch(/wave 1 canary +1 device {2}open +proves: failure rate below 95 % at 95 %/);
  });

  it('shows a halt with its evidence and no more times', () => {
    const view = viewFleet();
    const text = planText(withRollout(view, haltedRollout(view)));
    expect(text).toContain('rollout careful, forward, halted');
    expect(text).toContain('halted  device-0000001 booted back');
    expect(text).toMatch(/wave 1 canary +1 device {2,3}passed/);
  });

  it('lists by group who was never heard, and what helps', () => {
    const view = viewFleet();
    const evidence = 'needs the daemon or --listen 35m';
    const held = view.decision.held.map((hold, index) => (index < 2 ? { ...hold, reason: 'NEVER_REPORTED' as const, evidence } : hold));
    const text = planText({ ...view, decision: { ...view.decision, held } });
    expect(text).toContain(`  not heard       ${GROUP}: 2 devices: ${evidence}`);
  });

  it('says that the merge as a whole waits, and for what', () => {
    const view = viewFleet();
    const mergeHeld = { evidence: '12 of 12 devices would change, 40 % may', person: 'an Approval of the merge' };
    expect(planText({ ...view, decision: { ...view.decision, mergeHeld } })).toContain(
      'the merge waits: 12 of 12 devices would change, 40 % may; needs a person: an Approval of the merge',
    );
  });

  it('lists who joins, leaves, moves and has new hardware, each with its sign', () => {
    const view = viewFleet();
    const [replaced, moved] = [view.declared.deviceAt(2), view.declared.deviceAt(3)];
    const devices = new Map(view.before.devices);
    const known = (row: number) => devices.get(view.declared.deviceAt(row).id) ?? raise();
    devices.set(replaced.id, { ...known(2), hardware: known(3).hardware });
    devices.set(moved.id, { ...known(3), group: null });
    const changed: FleetView = {
      ...view,
      before: { ...view.before, devices },
      plan: { ...view.plan, joiners: [deviceId('new')], leavers: [deviceId('old'), deviceId('older')], unmanaged: [deviceId('stray')] },
    };
    const text = planText(changed);
    expect(text).toMatch(/^\+ 1 joins +new$/m);
    expect(text).toMatch(/^- 2 leave +old, older$/m);
    expect(text).toMatch(/^-\/\+ 1 replaced +device-0000002$/m);
    expect(text).toMatch(/^> 1 moves +device-0000003 \(no group → group-0\)$/m);
    expect(text).toMatch(/1 unmanaged +stray$/m);
  });

  it('keeps what ends soon in sight, and what should have been looked at', () => {
    const view = viewFleet();
    const override = { place: { file: 'o.yaml', line: 1, column: 1 }, reason: 'r', starts: null, devices: [] };
    const overrides = [
      { ...override, name: 'ends', until: TOMORROW, reviewBy: null },
      { ...override, name: 'late', until: null, reviewBy: NOW - 1 },
      { ...override, name: 'far', until: NOW + 90 * 86_400_000, reviewBy: null },
    ];
    const soon = summarise({ ...view, declared: { ...view.declared, overrides } }).soon;
    expect(soon.map(({ text }) => text)).toEqual(['override late is to be reviewed', 'override ends ends by itself']);
  });

  it('says how many different programs there are, rather than a line each', () => {
    const view = viewFleet();
    const devices = view.plan.devices.map((device) => ({
      ...device,
      drifts: [{ item: 'program' as const, from: 'a', to: `${device.device}.CR1X`, part: 'p' }],
    }));
    expect(planText({ ...view, plan: { ...view.plan, devices } })).toMatch(/program {2}11 different changes {2}\(7 B, 4 A\)/);
  });

  it.each([
    ['CR1000X.8.1.0', 'CR1000X.8.2.1', 'CR1000X.8.1.0 → 8.2.1'],
    ['CR6.14.2.0', 'CR1000X.8.2.1', 'CR6.14.2.0 → CR1000X.8.2.1'],
    ['01.08.05', '01.09.03', '01.08.05 → 01.09.03'],
    [null, 'x.CR6', 'unknown → x.CR6'],
  ])('writes %s to %s', (from, to, text) => expect(fromTo(from, to)).toBe(text));
});

function raise(): never {
  throw new Error('the device is not in the ledger');
}

describe('plan JSON', () => {
  it('holds no address, no bytes and no time but that of the decision', () => {
    const text = canonicalJson(planJson(viewFleet()));
    expect(text).not.toMatch(/https?:|Signature|bytes|"ago"/);
    expect(canonicalJson(savedPlanJson(viewFleet().plan))).not.toMatch(/2026-11|"at"/);
  });

  it('gives the same bytes for the same values', () => {
    expect(JSON.stringify(planJson(viewFleet()))).toBe(JSON.stringify(planJson(viewFleet())));
  });

  it('is read back by its digest, and nothing else is', () => {
    const text = JSON.stringify(savedPlanJson(viewFleet().plan));
    expect(readSavedPlan(text)).toEqual({ digest: 'd'.repeat(64), commit: 'c'.repeat(40) });
    for (const other of ['', '{', 'null', '[]', '{"format":"headgate-plan/2","digest":"x"}', '{"format":"headgate-plan/1"}']) {
      expect(readSavedPlan(other)).toBeUndefined();
    }
  });
});
