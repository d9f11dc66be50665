import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { DeviceId, GroupName } from '#model/ids.ts';
import { shortDigest } from '#model/ids.ts';
import type { Hold, RolloutState } from '#model/rollout.ts';
import { untilText } from './holds.ts';
import type { FleetView } from './pass.ts';
import { soonOf } from './soon.ts';
import { plain, tableText } from './table.ts';
import type { Paint } from './table.ts';
import { ago, isoDay, isoInstant } from './time.ts';
import { counted, tally } from './words.ts';

export interface GroupStatus {
  readonly group: GroupName;
  readonly release: string;
  readonly devices: number;
  readonly converged: number;
  readonly open: number;
  readonly held: readonly (readonly [string, number])[];
  readonly rollout: {
    readonly phase: RolloutState['phase'];
    readonly direction: string;
    readonly wave: string | null;
    readonly to: string;
  } | null;
}

/** One row per group, in order of name. */
export function groupStatuses(view: FleetView): readonly GroupStatus[] {
  return view.plan.groups.map(({ group, release, devices, converged }) => {
    const rollout = view.view.groups.get(group)?.rollout ?? null;
    const rows = view.declared.groups.get(group)?.rows ?? [];
    const open = rows.reduce((sum, row) => sum + (view.view.open.get(view.declared.deviceAt(row).id)?.length ?? 0), 0);
    return {
      group,
      release,
      devices,
      converged,
      open,
      held: tally(view.decision.held.filter((hold) => hold.group === group).map(({ reason }) => reason)),
      rollout: rollout === null ? null : { phase: rollout.phase, direction: rollout.direction, wave: openWave(rollout), to: rollout.to },
    };
  });
}

/** The wave that is under way: the first that has not passed. */
function openWave(rollout: RolloutState): string | null {
  return rollout.waves.find(({ passedAt }) => passedAt === null)?.name ?? null;
}

export function statusText(view: FleetView, paint: Paint = plain): string {
  const groups = groupStatuses(view);
  const total = groups.reduce((sum, { devices }) => sum + devices, 0);
  const converged = groups.reduce((sum, group) => sum + group.converged, 0);
  const rows = groups.map((group) => [
    group.group,
    shortDigest(group.release),
    paint(group.converged === group.devices ? 'good' : 'warn', `${group.converged}/${group.devices}`),
    String(group.open),
    rolloutCell(group, paint),
    group.held.map(([reason, count]) => `${count} ${reason}`).join(' · '),
  ]);
  const first = `${converged} of ${counted(total, 'device')} converged`;
  return [
    paint('strong', first),
    tableText(['group', 'release', 'converged', 'open', 'rollout', 'held'], rows, { right: [2, 3], paint }),
    ...soonLines(view),
  ].join('\n\n');
}

function soonLines(view: FleetView): readonly string[] {
  const soon = soonOf(view.declared, view.decision.at);
  if (soon.length === 0) return [];
  return [soon.map(({ at, text }) => `soon  ${isoDay(at, view.declared.fleet.zone)}  ${text}`).join('\n')];
}

function rolloutCell({ rollout }: GroupStatus, paint: Paint): string {
  if (rollout === null) return '-';
  const where = rollout.wave === null ? '' : `, wave ${rollout.wave}`;
  const direction = rollout.direction === 'rollback' ? 'rollback ' : '';
  return paint(rollout.phase === 'halted' ? 'bad' : 'add', `${direction}${rollout.phase}`) + where;
}

export function statusJson(view: FleetView): Json {
  return {
    at: isoInstant(view.decision.at),
    commit: view.view.commit,
    groups: groupStatuses(view).map((group) => ({
      ...group,
      held: Object.fromEntries(group.held),
      rollout: group.rollout === null ? null : { ...group.rollout },
    })),
    devices: deviceRows(view, null).map((row) => ({ ...row, until: isoInstant(row.until), heardAt: isoInstant(row.heardAt) })),
    soon: soonOf(view.declared, view.decision.at).map(({ at, text }) => ({ at: isoInstant(at), text })),
    wakeAt: isoInstant(view.decision.wakeAt),
  };
}

interface DeviceRow {
  readonly device: DeviceId;
  readonly group: GroupName | null;
  readonly model: string;
  /** Item by item what is reported, `?` where nothing is known. */
  readonly reported: Readonly<Record<string, string>>;
  readonly state: 'converged' | 'held' | 'frozen' | 'unmanaged';
  readonly reason: string | null;
  readonly evidence: string | null;
  readonly until: number | null;
  readonly heardAt: number | null;
}

/** Each device with what it reports and, where it is not converged, its one reason. `group` null is the whole fleet. */
function deviceRows(view: FleetView, group: GroupName | null): readonly DeviceRow[] {
  const held = new Map(view.decision.held.map((hold) => [hold.device, hold]));
  const rows: DeviceRow[] = [];
  for (let row = 0; row < view.declared.size; row += 1) {
    const device = view.declared.deviceAt(row);
    if (group !== null && device.group !== group) continue;
    const hold = held.get(device.id);
    rows.push({
      device: device.id,
      group: device.group,
      model: device.model,
      reported: reportedItems(view, device),
      state: stateOf(device, hold),
      reason: hold?.reason ?? null,
      evidence: hold?.evidence ?? null,
      until: hold?.until ?? null,
      heardAt: view.reported.deviceAt(row)?.heardAt ?? null,
    });
  }
  return rows.toSorted((a, b) => compareText(a.device, b.device));
}

function stateOf(device: DeclaredDevice, hold: Hold | undefined): DeviceRow['state'] {
  if (device.freeze !== null) return 'frozen';
  if (device.group === null) return 'unmanaged';
  return hold === undefined ? 'converged' : 'held';
}

function reportedItems(view: FleetView, device: DeclaredDevice): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { item } of device.items) {
    const value = view.reported.valueAt(device.row, item);
    found[item] = value?.kind === 'value' ? value.value : '?';
  }
  return found;
}

/** `status GROUP`: one line per device. */
export function devicesText(view: FleetView, group: GroupName | null, paint: Paint = plain): string {
  const { zone } = view.declared.fleet;
  const rows = deviceRows(view, group).map((row) => [
    row.device,
    row.model,
    Object.entries(row.reported)
      .map(([item, value]) => `${item} ${value}`)
      .join(', '),
    row.heardAt === null ? 'never' : ago(row.heardAt, view.decision.at),
    paint(row.state === 'converged' ? 'good' : 'warn', row.reason ?? row.state),
    row.reason === null ? '' : untilText({ until: row.until, person: null }, zone),
  ]);
  return tableText(['device', 'model', 'reports', 'heard', 'state', 'until'], rows, { paint });
}
