import type { Diagnostic } from '#kit/diagnostics.ts';
import type { Declared, DeclaredDevice, FleetDeclaration, GroupDeclaration } from '#model/declared.ts';
import { groupName, type Instant } from '#model/ids.ts';
import type { Revision } from '#model/revision.ts';
import type { Family } from '#ports/family.ts';
import type { OpenedSecrets } from '#ports/secrets.ts';
import { declareApprovals } from './approvals.ts';
import { declareArtifacts, reportChangedDigests, type Catalog } from './artifacts.ts';
import { makeDeclareCache, type DeclareCache } from './cache.ts';
import { checkBuckets, checkDevice, checkDevicesDocuments, checkGroupItems, checkOptions, reportItems } from './checks.ts';
import { makeCredentialsOf } from './credentials.ts';
import { hazardsOf } from './hazards.ts';
import { remember, itemsUnder } from './declared.ts';
import { deviceFacts, deviceItems, deviceOf, retiredFrom, type PlacedDevice } from './devices.ts';
import { readDocuments } from './documents.ts';
import { declareFleet } from './fleet.ts';
import { declareSecrets } from './fleet-secrets.ts';
import { compileGroups, type CompiledGroup } from './groups.ts';
import { readInventory, type Inventory } from './inventory.ts';
import { compileOverrides, overrideDeclaration, reportConflicts, type CompiledOverride } from './overrides.ts';
import { devicesOfOverrides, ownersOf, selectable, type Owners } from './ownership.ts';
import { releaseOf, type ReleaseContext } from './release.ts';
import { makeRenderMemo, type RenderWorld } from './render.ts';
import { makeReport } from './report.ts';
import { compileRollouts, type CompiledRollout } from './rollouts.ts';
import { timesAt, type Scope } from './scope.ts';
import type { RenderSecrets } from './sealed.ts';
import { checkKeyFiles, checkTexts } from './secrets.ts';
import { factsOf, type Facts } from './selectors.ts';
import { reportEmptyWaves } from './waves.ts';
import { declareWindows } from './windows.ts';

export interface DeclareInput {
  readonly revision: Revision;
  readonly families: ReadonlyMap<string, Family>;
  /** The time at which overrides and retirements are judged: given, not read. */
  readonly at: Instant;
  /**
   * The revision that this one is compared with (of a pull request: its base). Digests of published versions must not
   * differ from it, and connections, trust and limits are taken from it: a pull request cannot change its own rules.
   */
  readonly base?: Revision | null;
  /** What `secretsNeeded` asked for, opened. Left out: every secret is sealed, and what needs one is held. */
  readonly secrets?: OpenedSecrets;
  readonly cache?: DeclareCache;
}

export interface DeclareAnswer {
  /** Null exactly when a diagnostic is an error. */
  readonly declared: Declared | null;
  /** Sorted by place. */
  readonly diagnostics: readonly Diagnostic[];
  /** The first instant at which the same revision may declare something else: an override ends, say. Null: it never does. */
  readonly until: Instant | null;
}

/** What a revision declares, with all mistakes of its files at once. Pure; never throws on what a user wrote. */
export function declare(input: DeclareInput): DeclareAnswer {
  const scope = scopeOf(input.revision, input);
  const { report } = scope;
  checkTexts(scope.documents, report);
  checkKeyFiles(input.revision, report);
  const fleet = declareFleet(scope);
  const { secrets, renderKeyFile } = declareSecrets(scope, input.secrets ?? null);
  const base = baseOf(input);
  const catalog = declareArtifacts(scope, fleet);
  if (base !== null) reportChangedDigests(catalog, base.catalog, scope);
  const inventory = readInventory({ documents: scope.documents.Devices, revision: input.revision, cache: scope.cache, report });
  checkDevicesDocuments(scope, fleet);
  const facts = factsOf(inventory);
  const windows = declareWindows(scope);
  const rollouts = compileRollouts({ scope, facts, windows: new Set(windows.keys()) });
  const rolloutNames = new Set(rollouts.keys());
  const groups = compileGroups({ scope, facts, catalog, fleet, rollouts: rolloutNames });
  const zone = fleet?.zone ?? 'UTC';
  const groupNames = new Set(groups.keys());
  const overrides = compileOverrides({ scope, facts, catalog, zone, rollouts: rolloutNames, groups: groupNames });
  const owners = ownersOf(groups, { scope, facts });
  const overridden = devicesOfOverrides(overrides, owners, { scope, facts });
  reportConflicts(overrides, overridden, scope);
  const approvals = declareApprovals({ scope, inventory, groups, rollouts });
  const world = worldOf(scope, { inventory, secrets, fleet });
  const placed = placeDevices({ scope, inventory, owners, overrides, overridden, zone });
  const devices = makeDevices(placed, { scope, fleet, world, zone });
  checkRoles({ scope, facts, groups, overrides, rollouts, devices: placed });
  if (fleet !== null) checkBuckets(scope, fleet, { devices, catalog });
  reportUnmanaged(devices, scope);
  if (fleet === null || report.hasErrors()) return { declared: null, diagnostics: report.list(), until: scope.times.next() };
  const declared: Declared = {
    revision: input.revision.ref,
    fleet: base === null ? fleet : underBase(fleet, base.fleet),
    size: devices.length,
    ...accessors(devices),
    groups: groupDeclarations(groups, devices, { revision: input.revision, families: input.families, cache: scope.cache, renderKeyFile }),
    rollouts: new Map([...rollouts].map(([name, rollout]) => [name, rollout.rules])),
    windows,
    overrides: overrides.map((override) => overrideDeclaration(override, overridden.get(override.name) ?? [])),
    approvals,
    itemsUnder: (older, device) => itemsUnder(declared, older, device),
    credentialsOf: makeCredentialsOf(placed, input.families, world),
    hazards: hazardsOf(fleet, devices, input.families),
  };
  const { revision, families } = input;
  remember(declared, { groups, overrides, inventory, revision, families, cache: scope.cache, secrets });
  return { declared, diagnostics: report.list(), until: scope.times.next() };
}

function scopeOf(revision: Revision, input: DeclareInput): Scope {
  const report = makeReport();
  const cache = input.cache ?? makeDeclareCache();
  const { byKind, broken } = readDocuments(revision, cache, report);
  return { revision, families: input.families, times: timesAt(input.at), cache, documents: byKind, broken, report };
}

/** Of the base only its rules and published digests matter; its own mistakes were told when it was made. */
function baseOf(input: DeclareInput): { readonly fleet: FleetDeclaration | null; readonly catalog: Catalog } | null {
  if (input.base === undefined || input.base === null) return null;
  const scope = scopeOf(input.base, input);
  const fleet = declareFleet(scope);
  return { fleet, catalog: declareArtifacts(scope, fleet) };
}

function underBase(own: FleetDeclaration, base: FleetDeclaration | null): FleetDeclaration {
  if (base === null) return own;
  return { ...own, ledger: base.ledger, connections: base.connections, commitsMustBeSigned: base.commitsMustBeSigned, limits: base.limits };
}

function worldOf(
  scope: Scope,
  from: { readonly inventory: Inventory; readonly secrets: RenderSecrets; readonly fleet: FleetDeclaration | null },
): RenderWorld {
  const { inventory, secrets, fleet } = from;
  const unsure = scope.broken.has('Devices') || inventory.partial;
  return {
    files: scope.revision,
    ownFiles: scope.revision,
    cache: scope.cache,
    memo: makeRenderMemo(),
    secrets,
    connections: fleet?.connections ?? null,
    mistake(device, { code, place, words, severity }) {
      // What could not be read of the inventory may be just what is missing here.
      if (code === 'UNDEFINED_REFERENCE' && unsure) return;
      scope.report.perDevice(code, place, { ...words, device, severity });
    },
    found: (diagnostic) => scope.report.add([diagnostic]),
  };
}

function placeDevices(context: {
  readonly scope: Scope;
  readonly inventory: Inventory;
  readonly owners: Owners;
  readonly overrides: readonly CompiledOverride[];
  readonly overridden: ReadonlyMap<string, readonly string[]>;
  readonly zone: string;
}): readonly PlacedDevice[] {
  const { scope, inventory, owners, zone } = context;
  const holding = new Map<string, CompiledOverride[]>();
  for (const override of context.overrides) {
    if (!override.active) continue;
    for (const id of context.overridden.get(override.name) ?? []) holding.set(id, [...(holding.get(id) ?? []), override]);
  }
  const none: readonly CompiledOverride[] = [];
  return inventory.rows.flatMap((row) => {
    const family = scope.families.get(row.family);
    if (family === undefined) return [];
    const retired = row.retired === null ? null : retiredFrom(row, row.zone ?? zone);
    const owner = owners.get(row.id) ?? null;
    const isRetired = retired !== null && scope.times.hasCome(retired);
    return [{ row, family, group: isRetired ? null : owner, former: isRetired ? owner : null, overrides: holding.get(row.id) ?? none }];
  });
}

function makeDevices(
  placed: readonly PlacedDevice[],
  context: { readonly scope: Scope; readonly fleet: FleetDeclaration | null; readonly world: RenderWorld; readonly zone: string },
): readonly DeclaredDevice[] {
  const { scope, world, zone } = context;
  const known = new Set<string>();
  return placed.map((device, index) => {
    const { row, family } = device;
    const usable = !row.damaged && checkDevice(device, { ...context, known }) && !checkOptions(device, scope);
    const facts = deviceFacts(device, world);
    // A device with a mistake of its own is told that one, and not what a family or a pin makes of it.
    if (!usable) return deviceOf(device, { index, zone, facts, rendered: deviceItems({ ...device, group: null }, facts, world) });
    for (const problem of family.lint(facts)) {
      // What is the same but for the device comes of what they share, and is told once for its group.
      const key = `${problem.code} ${device.group?.name ?? row.id} ${problem.summary.replaceAll(row.id, '')}`;
      scope.report.perDevice(problem.code, row.origin.placeOf(row, null), { ...problem, device: row.id, key });
    }
    return deviceOf(device, { index, zone, facts, rendered: deviceItems(device, facts, world) });
  });
}

/** What groups, overrides and rollouts say of devices that they do not have. */
function checkRoles(context: {
  readonly scope: Scope;
  readonly facts: Facts;
  readonly groups: ReadonlyMap<string, CompiledGroup>;
  readonly overrides: readonly CompiledOverride[];
  readonly rollouts: ReadonlyMap<string, CompiledRollout>;
  readonly devices: readonly PlacedDevice[];
}): void {
  const { scope, facts, groups, overrides, rollouts, devices } = context;
  const members = Map.groupBy(devices, (device) => device.group);
  const familiesOf = (list: readonly PlacedDevice[]): ReadonlySet<Family> => new Set(list.map((device) => device.family));
  for (const group of groups.values()) checkGroupItems(group, familiesOf(members.get(group) ?? []), scope);
  for (const override of overrides) {
    if (override.pins.size === 0 && override.settings === null) continue;
    reportItems(override, familiesOf(devices.filter((device) => device.overrides.includes(override))), scope);
  }
  for (const [name, rollout] of rollouts) {
    const using = [...groups.values()].filter((group) => group.rollout === name);
    const selectables = using.map((group) => (members.get(group) ?? []).map((device) => selectable(device.row, group.name)));
    reportEmptyWaves(rollout, selectables, { scope, facts });
  }
}

function reportUnmanaged(devices: readonly DeclaredDevice[], scope: Scope): void {
  // A group that could not be read may be the owner.
  if (scope.broken.has('Group')) return;
  for (const device of devices) {
    if (device.group !== null || (device.retiredFrom !== null && scope.times.hasCome(device.retiredFrom))) continue;
    scope.report.warning('UNMANAGED', device.place, {
      summary: `no group owns ${device.id}: nothing is sent to it`,
      fix: 'let a group select it, or give it a `retired` day',
    });
  }
}

function accessors(devices: readonly DeclaredDevice[]): Pick<Declared, 'deviceAt' | 'rowOf'> {
  const rows = new Map(devices.map((device) => [device.id, device.row]));
  return {
    deviceAt(row) {
      const device = devices[row];
      if (device === undefined) throw new RangeError(`there is no row ${row}`);
      return device;
    },
    rowOf: (id) => rows.get(id),
  };
}

function groupDeclarations(
  groups: ReadonlyMap<string, CompiledGroup>,
  devices: readonly DeclaredDevice[],
  context: ReleaseContext,
): Declared['groups'] {
  const rows = Map.groupBy(devices, (device) => device.group);
  const declarations = [...groups.values()].map((group): GroupDeclaration => {
    const name = groupName(group.name);
    const { place, rollout, silenceMs, health, before, watchMs, after } = group;
    return {
      name,
      place,
      release: releaseOf(group, context),
      rows: (rows.get(name) ?? []).map((device) => device.row),
      rollout,
      silenceMs,
      health,
      before,
      watchMs,
      after: after === null ? null : { group: groupName(after.group), forMs: after.forMs },
    };
  });
  return new Map(declarations.map((declaration) => [declaration.name, declaration]));
}
