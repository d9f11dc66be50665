import type { Declared, DeclaredDevice } from '#model/declared.ts';
import { digest, groupName, operationId, releaseId, rolloutId } from '#model/ids.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { LedgerView } from '#model/records.ts';
import type { Hold, RolloutEvent, RolloutState } from '#model/rollout.ts';
import { reportedFor } from '#observe/reported.ts';
import { applyRolloutEvent } from '#rollout/state.ts';
import { syntheticDeclared, syntheticReports, syntheticView } from '#test/support/synthetic.ts';
import type { FleetView } from '#view/pass.ts';

/** Mon 23 Nov 2026 16:30 UTC: after the window of that day. */
export const NOW: Instant = Date.UTC(2026, 10, 23, 16, 30);
export const TOMORROW: Instant = Date.UTC(2026, 10, 24, 8, 0);

export const GROUP = groupName('group-0');

/** Twelve devices in one group: ten change from 1.0.0 to 2.0.0, one is refused, one has converged. Nothing is opened yet. */
export function viewFleet(): FleetView {
  const declared = syntheticDeclared({ devices: 12, groups: 1 });
  const before = syntheticView(declared, syntheticDeclared({ devices: 12, groups: 1, version: '1.0.0' }));
  const reports = syntheticReports(declared, { share: 1, version: '1.0.0' });
  const devices = rows(declared, 11).map((device): DevicePlan => devicePlan(declared, device));
  const refused = devices.map((device, index) => (index === 10 ? refuse(device) : device));
  const release = declared.groups.get(GROUP)?.release.id ?? releaseId('none');
  const events = [
    rolloutBegan(
      declared,
      refused.map(({ device }) => device),
    ),
  ];
  return {
    declared,
    plan: {
      revision: declared.revision,
      groups: [{ group: GROUP, release, devices: 12, converged: 1 }],
      devices: refused,
      leavers: [],
      joiners: [],
      unmanaged: [],
      digest: digest('d'.repeat(64)),
    },
    decision: {
      at: NOW,
      events,
      groups: afterEvents(before, events),
      mergeHeld: null,
      closed: [],
      taken: [],
      admitted: [],
      held: refused.map(({ device }, index) => holdOf(device, index)),
      wakeAt: TOMORROW,
    },
    before,
    view: before,
    reported: reportedFor(declared, reports.slice(0, 11)),
  };
}

/** The groups as a fold of the events leaves them. */
export function afterEvents(before: LedgerView, events: readonly RolloutEvent[]): LedgerView['groups'] {
  const history = before.groups.get(GROUP);
  if (history === undefined) throw new Error('the group is not in the ledger');
  return new Map(before.groups).set(GROUP, events.reduce(applyRolloutEvent, history));
}

function rows(declared: Declared, count: number): readonly DeclaredDevice[] {
  return Array.from({ length: count }, (_, row) => declared.deviceAt(row));
}

function devicePlan(declared: Declared, device: DeclaredDevice): DevicePlan {
  return {
    device: device.id,
    row: device.row,
    group: device.group,
    model: device.model,
    drifts: [{ item: 'firmware', from: `${device.model}.1.0.0`, to: `${device.model}.2.0.0`, part: 'firmware firmware@2.0.0' }],
    operations: [operationOn(declared, device)],
    impossible: [],
    open: [],
    converged: false,
    upkeep: [],
    upkeepCause: null,
  };
}

function refuse(device: DevicePlan): DevicePlan {
  return {
    ...device,
    operations: [],
    impossible: [{ item: 'firmware', reason: 'LOCKOUT_GUARD', evidence: 'modem is switched by the program that this OS stops' }],
  };
}

export function operationOn(declared: Declared, device: DeclaredDevice): Operation {
  return {
    id: operationId(`operation-${device.row}`),
    device: device.id,
    family: device.family,
    connection: 'field',
    hardware: device.hardware,
    group: GROUP,
    release: declared.groups.get(GROUP)?.release.id ?? releaseId('none'),
    occasion: 0,
    cause: 'rollout',
    item: 'firmware',
    step: 'os',
    kind: 'change',
    delivery: 'push',
    declared: `${device.model}.2.0.0`,
    expected: `${device.model}.1.0.0`,
    facts: null,
    content: {
      kind: 'url',
      name: 'A.obj',
      digest: digest('e'.repeat(64)),
      size: 9,
      url: 'https://secret.example.org/A.obj?X-Amz-Signature=1',
    },
    deadlineMs: 1,
    effects: device.row % 2 === 0 ? ['erases stored tables', 'restarts the device'] : ['restarts the device'],
    disturbs: true,
  };
}

function rolloutBegan(declared: Declared, changed: readonly DeviceId[]): Extract<RolloutEvent, { kind: 'rollout-began' }> {
  const release = declared.groups.get(GROUP)?.release.id ?? releaseId('none');
  return {
    kind: 'rollout-began',
    waves: ['canary', 'tenth', 'rest'],
    rollout: {
      id: rolloutId('r'.repeat(64)),
      group: GROUP,
      from: releaseId(`5c20e11${'0'.repeat(57)}`),
      to: release,
      declared: release,
      direction: 'forward',
      commit: 'c'.repeat(40),
      rules: 'careful',
      beganAt: NOW,
      changed,
      silent: changed.slice(9, 10),
      parts: [],
    },
  };
}

/** The first is the canary and waits for the window, three wait behind it, the others for the last wave. */
function holdOf(device: DeviceId, index: number): Hold {
  const wave = index === 0 ? 'canary' : index < 4 ? 'tenth' : 'rest';
  const base = { device, group: GROUP, item: null, person: null, wave } as const;
  if (index === 10)
    return { ...base, reason: 'LOCKOUT_GUARD', evidence: 'modem is switched', until: null, person: 'accept the hazard', wave: null };
  if (index === 0) return { ...base, reason: 'WINDOW_CLOSED', evidence: 'working-hours is closed', until: TOMORROW };
  return { ...base, reason: 'WAVE_NOT_OPEN', evidence: `wave ${wave} is not open`, until: null };
}

/** The same rollout later: the canary passed, the next wave met a failure. */
export function haltedRollout(view: FleetView): RolloutState {
  const began = view.decision.events.find((event) => event.kind === 'rollout-began');
  if (began?.kind !== 'rollout-began') throw new Error('the fleet has no rollout');
  const [canary, second, third] = began.rollout.changed;
  if (canary === undefined || second === undefined || third === undefined) throw new Error('the fleet is too small');
  const at = TOMORROW;
  return {
    ...began.rollout,
    phase: 'halted',
    halt: { reason: 'GATE_FAILED', wave: 'tenth', evidence: `${second} booted back`, at },
    waves: [
      { name: 'canary', members: [canary], openedAt: at, metAt: at, passedAt: at },
      { name: 'tenth', members: [second, third], openedAt: at, metAt: null, passedAt: null },
      { name: 'rest', members: null, openedAt: null, metAt: null, passedAt: null },
    ],
    outcomes: new Map([
      [canary, { kind: 'succeeded', code: null, evidence: 'reports 2.0.0', at }],
      [second, { kind: 'failed', code: 'BOOTED_BACK', evidence: 'runs 1.0.0 again', at }],
    ]),
    watchUntil: null,
  };
}

export function withRollout(view: FleetView, rollout: RolloutState): FleetView {
  const history = view.before.groups.get(GROUP);
  if (history === undefined) throw new Error('the group is not in the ledger');
  const groups = new Map(view.before.groups).set(GROUP, { ...history, rollout });
  const ledger = { ...view.before, groups };
  return { ...view, before: ledger, view: ledger, decision: { ...view.decision, events: [], groups } };
}

export function openOn(view: FleetView, row: number): OpenOperation {
  const { content, ...operation } = operationOn(view.declared, view.declared.deviceAt(row));
  return {
    operation: { ...operation, content: content === null ? null : { name: content.name, digest: content.digest, size: content.size } },
    attempt: 2,
    intendedAt: NOW - 60_000,
    reference: NOW - 50_000,
    takenAt: NOW - 40_000,
    undo: null,
    retryAt: null,
    lastTrouble: 'TIMEOUT',
  };
}
