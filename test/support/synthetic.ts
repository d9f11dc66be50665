import { digestOf } from '#kit/digest.ts';
import type {
  Declared,
  DeclaredDevice,
  DeclaredItem,
  FleetDeclaration,
  GateRules,
  GroupDeclaration,
  RolloutRules,
} from '#model/declared.ts';
import { deviceId, digest, groupName, releaseId } from '#model/ids.ts';
import type { DeviceId, Digest, GroupName } from '#model/ids.ts';
import type { LedgerView } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Family } from '#ports/family.ts';

/** A fleet made without files: for tests and benches of the stages behind declare. */
export interface SyntheticOptions {
  readonly devices: number;
  readonly groups?: number;
  /** Version that all devices are told. */
  readonly version?: string;
}

const PLACE = { file: 'synthetic.yaml', line: 1, column: 1 };
const NO_FAILURES = new Map();
const VIA = { connection: 'field', to: null };
const NOTHING = {};
const ITEMS = ['firmware', 'program', 'config', 'settings'] as const;
const GATE: GateRules = { success: 1, minimum: 1, quorum: 0.8, patienceMs: 14 * 86_400_000, then: 'ask', soakMs: 0 };

export function syntheticDeclared(options: SyntheticOptions): Declared {
  const version = options.version ?? '2.0.0';
  const groupCount = options.groups ?? 10;
  const names = Array.from({ length: groupCount }, (_, index) => groupName(`group-${index}`));
  const items = syntheticItems(version);
  const ids = Array.from({ length: options.devices }, (_, row) => deviceId(`device-${String(row).padStart(7, '0')}`));
  const rows = new Map<DeviceId, number>(ids.map((id, row) => [id, row]));
  const devices = ids.map((id, row) => syntheticDevice({ id, row, group: names[row % groupCount] ?? groupName('group-0'), items }));
  const groups = new Map(
    names.map((name, index) => [name, syntheticGroup(name, { version, rows: everyNth(options.devices, groupCount, index) })]),
  );
  return {
    revision: { commit: 'c'.repeat(40), tree: digest(digestOf(version)), subject: 'synthetic', author: 'test', committedAt: 0 },
    fleet: syntheticFleet(),
    size: options.devices,
    deviceAt: (row) => at(devices, row),
    rowOf: (id) => rows.get(id),
    groups,
    rollouts: new Map([['careful', syntheticRollout()]]),
    windows: new Map(),
    overrides: [],
    approvals: [],
    itemsUnder: (older) => older.deviceAt(0).items,
  };
}

function at<T>(rows: readonly T[], row: number): T {
  const found = rows[row];
  if (found === undefined) throw new RangeError(`no row ${row}`);
  return found;
}

function everyNth(size: number, step: number, first: number): number[] {
  const rows: number[] = [];
  for (let row = first; row < size; row += step) rows.push(row);
  return rows;
}

function syntheticItems(version: string): readonly DeclaredItem[] {
  return ITEMS.map((item) => ({
    item,
    place: PLACE,
    version,
    artifact: `${item}@${version}`,
    part: `${item} ${item}@${version}`,
    value: `${item} ${version}`,
    facts: null,
    content: null,
    needs: { firmware: null, neverBelow: null },
    drift: 'correct',
  }));
}

function syntheticDevice(request: { id: DeviceId; row: number; group: GroupName; items: readonly DeclaredItem[] }): DeclaredDevice {
  const { id, row } = request;
  return {
    row,
    id,
    place: PLACE,
    family: 'synthetic',
    via: VIA,
    model: row % 3 === 0 ? 'A' : 'B',
    serial: String(row),
    address: null,
    site: `site-${row >> 2}`,
    zone: 'UTC',
    labels: NOTHING,
    values: NOTHING,
    options: NOTHING,
    hardware: hex('hardware', row),
    group: request.group,
    retiredFrom: null,
    freeze: null,
    rollout: null,
    items: request.items,
    personal: hex('personal', row),
  };
}

/** A digest that costs nothing to make: benches must not measure their own fixtures. */
function hex(kind: string, row: number): Digest {
  return digest(`${kind === 'hardware' ? 'a' : 'b'}${row.toString(16).padStart(63, '0')}`);
}

function syntheticGroup(name: GroupName, spec: { version: string; rows: readonly number[] }): GroupDeclaration {
  const parts = ITEMS.map((item) => ({ id: `${item} ${item}@${spec.version}`, digest: digest(digestOf([item, spec.version])) }));
  return {
    name,
    place: PLACE,
    release: { id: releaseId(digestOf(parts)), parts },
    rows: spec.rows,
    rollout: 'careful',
    silenceMs: 86_400_000,
    health: [],
    before: [],
    watchMs: 0,
    after: null,
  };
}

function syntheticRollout(): RolloutRules {
  const wave = (name: string, share: number | null) => ({ name, place: PLACE, select: null, count: null, share, gate: GATE });
  return {
    name: 'careful',
    place: PLACE,
    waves: [wave('canary', 0.01), wave('tenth', 0.1), wave('rest', null)],
    budget: [{ max: { kind: 'share', share: 0.05 }, by: null }],
    windows: [],
    onFailure: 'halt',
    rollback: { waves: [wave('all', null)], windows: [] },
    together: false,
  };
}

function syntheticFleet(): FleetDeclaration {
  return {
    name: 'synthetic',
    place: PLACE,
    branch: 'main',
    zone: 'UTC',
    ledger: { store: 'sqlite', path: 'ledger.db', id: 'synthetic', lasting: true, place: PLACE },
    connections: new Map(),
    artifacts: { via: null, urls: 'direct', publicUrl: null },
    commitsMustBeSigned: false,
    limits: {
      change: 1,
      leave: 1_000_000,
      personal: 5,
      operationsPerMinute: 120,
      maxAttempts: 5,
      passLimitMs: 300_000,
      observeDeadlineMs: 60_000,
    },
  };
}

/** What the devices report: the declared version, except for a share of them that reports the one before. */
export interface SyntheticDrift {
  readonly share: number;
  readonly version: string;
}

export function syntheticReports(declared: Declared, drift: SyntheticDrift): readonly ReportedDevice[] {
  return Array.from({ length: declared.size }, (_, row) => syntheticReport(declared, row, drift));
}

export function syntheticReport(declared: Declared, row: number, drift: SyntheticDrift): ReportedDevice {
  const every = drift.share > 0 ? Math.round(1 / drift.share) : 0;
  const device = declared.deviceAt(row);
  const version = every > 0 && row % every === 0 ? drift.version : (device.items[0]?.version ?? '');
  const items = Object.fromEntries(
    device.items.map((item) => [
      item.item,
      {
        kind: 'value' as const,
        value: `${item.item} ${version}`,
        facts: null,
        madeNotBefore: 1_790_000_000_000 + row,
        source: 'synthetic',
      },
    ]),
  );
  return {
    device: device.id,
    serial: device.serial,
    model: device.model,
    heardAt: 1_790_000_000_000 + row,
    online: true,
    gapMs: 60_000,
    problem: null,
    items,
    measures: { battery: { value: '12.6', madeNotBefore: 1_790_000_000_000 + row } },
    signs: [],
    memo: { topic: `cs/v2/${device.id}` },
  };
}

/** The least family that plans: one push per drifted item. */
export const syntheticFamily: Family = {
  name: 'synthetic',
  items: ITEMS,
  measures: { battery: 'V' },
  optionsSchema: {},
  settingsSchema: null,
  models: [],
  lint: () => [],
  series: () => null,
  compareVersions: (a, b) => a.localeCompare(b, 'en', { numeric: true }),
  expectation: (_device, pin) => ({ ok: true, value: { value: pin.item, version: pin.item, facts: null, content: null } }),
  agrees: () => false,
  operations: ({ items, drifted, reported }) => ({
    drafts: items
      .filter((item) => drifted.includes(item.item))
      .map((item) => {
        const now = reported.items[item.item];
        return {
          item: item.item,
          step: item.item,
          kind: 'change',
          delivery: 'push',
          declared: item.value,
          expected: now?.kind === 'value' ? now.value : null,
          facts: null,
          content: null,
          deadlineMs: 300_000,
          effects: [],
          disturbs: true,
        };
      }),
    impossible: [],
  }),
  confirm: (open, reported) => {
    const now = reported.items[open.operation.item];
    const after = now?.kind === 'value' && open.reference !== null && now.madeNotBefore !== null && now.madeNotBefore > open.reference;
    if (after && now.value === open.operation.declared) return { kind: 'confirmed', evidence: now.value };
    return { kind: 'open', phase: 'IN_FLIGHT', takenAt: null, oldValueSeenAt: after ? now.madeNotBefore : null, evidence: 'waiting' };
  },
  withdrawal: () => [],
  lostAfterMs: () => 600_000,
  attention: null,
  reasons: {},
};

/** A ledger in which every device and group is known and the given release is in place. */
export function syntheticView(declared: Declared, present: Declared): LedgerView {
  const devices: LedgerView['devices'] = new Map(
    Array.from({ length: declared.size }, (_, row) => {
      const { id, hardware, group, personal } = declared.deviceAt(row);
      const history = {
        hardware,
        group,
        personal,
        personalTree: present.revision.tree,
        personalDone: personal,
        releaseDone: group === null ? null : (present.groups.get(group)?.release.id ?? null),
        lastClosed: NOTHING,
        failed: NO_FAILURES,
      };
      return [id, history];
    }),
  );
  const groups: LedgerView['groups'] = new Map(
    [...present.groups].map(([name, { release }]) => {
      const entry = { release: release.id, commit: present.revision.commit, parts: release.parts, at: 0 };
      return [name, { lineage: [entry], blocked: [], rollout: null, past: [] }];
    }),
  );
  return {
    ledger: 'synthetic',
    seq: 1,
    engine: '0.1.0',
    planned: 0,
    commit: present.revision.commit,
    tree: present.revision.tree,
    recentIntents: [],
    devices,
    open: new Map(),
    groups,
  };
}
