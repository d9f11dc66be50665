import type { ErrorObject } from 'ajv/dist/2020.js';
import type { FleetDeclaration, DeclaredDevice, Via } from '#model/declared.ts';
import { isDay, isZone } from '#model/calendar.ts';
import type { Family } from '#ports/family.ts';
import type { Catalog } from './artifacts.ts';
import { optionsOf, type PlacedDevice } from './devices.ts';
import { checkVia, type CompiledGroup } from './groups.ts';
import type { InventoryRow } from './row.ts';
import { didYouMean } from './nearest.ts';
import { at, keyAt, nodeAt, type Path, type SourceDocument } from './nodes.ts';
import type { CompiledOverride } from './overrides.ts';
import { reportSchemaErrors } from './schema-errors.ts';
import { reportUnknown, type Scope } from './scope.ts';
import { typedOptions } from './typed.ts';

/** Families and connections named by the Devices documents themselves. */
export function checkDevicesDocuments(scope: Scope, fleet: FleetDeclaration | null): void {
  for (const document of scope.documents.Devices) {
    const { family, via, defaults, devices } = document.data;
    if (!scope.families.has(family)) {
      reportUnknown(scope, at(document, 'family'), { what: 'device family', kind: null, name: family, known: scope.families.keys() });
      // Its devices are nowhere to be found now: that selectors miss them is no mistake of its own.
      scope.broken.add('Devices', null);
    }
    if (via !== undefined) checkVia(via, { document, path: ['via'] }, { scope, fleet });
    if (defaults?.via !== undefined) checkVia(defaults.via, { document, path: ['defaults', 'via'] }, { scope, fleet });
    for (const [id, device] of Object.entries(devices ?? {})) {
      if (device.via !== undefined) checkVia(device.via, { document, path: ['devices', id, 'via'] }, { scope, fleet });
    }
  }
}

/** What a single device says wrong; answers whether its model is right. `known` keeps what is, so that it is asked once. */
export function checkDevice(
  placed: PlacedDevice,
  context: { readonly scope: Scope; readonly fleet: FleetDeclaration | null; readonly known: Set<string> },
): boolean {
  const { row, family, group } = placed;
  const { scope, fleet, known } = context;
  const model = `model ${family.name} ${row.model}`;
  if (!known.has(model) && !checkModel(row, family, scope)) known.add(model);
  if (row.zone !== null && !known.has(`zone ${row.zone}`)) {
    if (isZone(row.zone)) known.add(`zone ${row.zone}`);
    else
      scope.report.error('BAD_ZONE', row.origin.placeOf(row, 'zone'), {
        summary: `\`${row.zone}\` is no time zone`,
        fix: 'write an IANA zone, for example `Europe/London`',
      });
  }
  if (row.retired !== null && !isDay(row.retired)) {
    scope.report.error('BAD_DATE', row.origin.placeOf(row, 'retired'), {
      summary: `\`${row.retired}\` is no day of the calendar`,
      fix: 'for example `2028-02-01`',
    });
  }
  const via = row.ownVia ? row.via : (group?.via ?? row.via);
  if (via === null) {
    scope.report.perDevice('VIA_MISSING', at(row.origin.document, 'kind'), {
      device: row.id,
      summary: `nothing says by which connection ${row.id} is reached`,
      fix: 'add `via:` with the name of a connection',
    });
  } else if (row.ownVia && row.line > 0 && fleet !== null && !fleet.connections.has(via.connection)) {
    reportUnknown(scope, row.origin.placeOf(row, 'via'), {
      what: 'connection',
      kind: 'Fleet',
      name: via.connection,
      known: fleet.connections.keys(),
    });
  }
  return known.has(model) && (via === null || fleet === null || !isMisled(placed, via, { scope, fleet }));
}

/** True when a connection is of a type over which the family reaches nobody. */
function isMisled(
  { row, family }: PlacedDevice,
  via: Via,
  { scope, fleet }: { readonly scope: Scope; readonly fleet: FleetDeclaration },
): boolean {
  const { connections } = family;
  const sides = [via.connection, ...(via.to === null ? [] : [via.to])];
  const wrong = sides.flatMap((name) => fleet.connections.get(name) ?? []).find(({ type }) => connections?.includes(type) === false);
  if (wrong === undefined || connections === undefined) return false;
  scope.report.perDevice('WRONG_CONNECTION', row.ownVia ? row.origin.placeOf(row, 'via') : at(row.origin.document, 'kind'), {
    device: row.id,
    summary: `${row.id} is of the family ${family.name}, and the connection ${wrong.name} is of type ${wrong.type}`,
    fix: `name one of type ${connections.join(' or ')} in \`via:\``,
  });
  return true;
}

/** True when something was wrong. */
function checkModel(row: InventoryRow, family: Family, scope: Scope): boolean {
  if (row.model === '') {
    scope.report.error('MISSING_KEY', row.origin.placeOf(row, null), {
      summary: `${row.id} has no model`,
      fix: 'add `model:` to the device or to `defaults`',
    });
    return true;
  }
  if (family.models.length === 0 || family.models.includes(row.model)) return false;
  scope.report.error('UNKNOWN_MODEL', row.origin.placeOf(row, 'model'), {
    summary: `the family ${family.name} has no model \`${row.model}\``,
    fix: didYouMean(row.model, family.models) ?? `its models are: ${family.models.join(', ')}`,
  });
  return true;
}

/** Options against the family's schema, each mistake where the option was written. True when there was one. */
export function checkOptions(placed: PlacedDevice, scope: Scope): boolean {
  const { row, family, group } = placed;
  const { errors } = typedOptions(family, optionsOf(placed));
  if (errors.length === 0) return false;
  const { document } = row.origin;
  // Later blocks win, so a mistake stands in the last one that has the key.
  const blocks: { readonly document: SourceDocument<unknown>; readonly path: Path }[] = [
    { document, path: ['devices', row.id, 'options'] },
    { document, path: ['defaults', 'options'] },
    { document, path: ['options'] },
    ...(group === null ? [] : [{ document: group.document, path: ['options'] }]),
  ];
  for (const error of errors) {
    const key =
      error.keyword === 'additionalProperties' ? String(error.params['additionalProperty']) : (error.instancePath.split('/')[1] ?? '');
    const block = blocks.find((one) => nodeAt(one.document.node, key === '' ? one.path : [...one.path, key]) !== undefined);
    if (block !== undefined)
      reportSchemaErrors([error], { file: block.document.file, root: block.document.node, base: block.path }, scope.report);
    else {
      const given = optionsOf(placed)[key];
      scope.report.perDevice('BAD_OPTION', row.origin.placeOf(row, `options.${key}`), {
        device: row.id,
        summary: `the option ${key} of ${row.id} cannot be \`${typeof given === 'string' ? given : JSON.stringify(given ?? '')}\``,
        fix: fixOf(error),
      });
    }
  }
  return true;
}

function fixOf(error: ErrorObject): string {
  const allowed: unknown = error.params['allowedValues'];
  return Array.isArray(allowed) ? `write one of: ${allowed.join(', ')}` : `it ${error.message ?? 'is of another kind'}`;
}

/** Items and measures that no family of the group's devices has. */
export function checkGroupItems(group: CompiledGroup, families: ReadonlySet<Family>, scope: Scope): void {
  if (families.size === 0) return;
  reportItems(group, families, scope);
  const measures = new Set([...families].flatMap((family) => Object.keys(family.measures)));
  for (const [key, conditions] of [
    ['health', group.health],
    ['before', group.before],
  ] as const) {
    for (const { measure } of conditions) {
      if (measures.has(measure)) continue;
      scope.report.error('UNKNOWN_MEASURE', keyAt(group.document, key, measure), {
        summary: `no device of \`${group.name}\` reports \`${measure}\``,
        fix: didYouMean(measure, measures) ?? `its measures are: ${[...measures].toSorted().join(', ')}`,
      });
    }
  }
}

export function reportItems(
  source: Pick<CompiledGroup | CompiledOverride, 'pins' | 'settings' | 'name'>,
  families: ReadonlySet<Family>,
  scope: Scope,
): void {
  if (families.size === 0) return;
  const names = [...families]
    .map((family) => family.name)
    .toSorted()
    .join(', ');
  const items = new Set<string>([...families].flatMap((family) => family.items));
  for (const pin of source.pins.values()) {
    if (items.has(pin.item)) continue;
    scope.report.error('UNSUPPORTED_ITEM', pin.place, {
      summary: `no device of \`${source.name}\` (${names}) has the item ${pin.item}`,
      fix: `its items are: ${[...items].toSorted().join(', ')}`,
    });
  }
  if (source.settings !== null && !items.has('settings')) {
    scope.report.error('UNSUPPORTED_ITEM', source.settings.place, { summary: `no device of \`${source.name}\` (${names}) takes settings` });
  }
}

/** What devices can write, a stolen device can rewrite: no artifact and no ledger may lie there. */
export function checkBuckets(
  scope: Scope,
  fleet: FleetDeclaration,
  use: { readonly devices: readonly DeclaredDevice[]; readonly catalog: Catalog },
): void {
  const { devices, catalog } = use;
  const written = new Map<string, string>();
  for (const device of devices) {
    for (const name of [device.via.connection, device.via.to]) {
      const bucket = name === null ? null : bucketOf(fleet, name);
      if (bucket !== null && !written.has(bucket)) written.set(bucket, device.id);
    }
  }
  if (written.size === 0) return;
  const [document] = scope.documents.Fleet;
  const tell = (connection: string, what: string, place: ReturnType<typeof at>): void => {
    const bucket = bucketOf(fleet, connection);
    const device = bucket === null ? undefined : written.get(bucket);
    if (device === undefined) return;
    scope.report.error('WRITABLE_BUCKET', place, {
      summary: `${what} would lie in a bucket that devices can write (${device} for one)`,
      fix: 'use a bucket of its own',
    });
  };
  if (fleet.artifacts.via !== null && document !== undefined) tell(fleet.artifacts.via, 'artifacts', at(document, 'artifacts', 'via'));
  if (fleet.ledger.store === 's3') tell(fleet.ledger.connection, 'the ledger', fleet.ledger.place);
  for (const source of scope.documents.Artifact) {
    for (const version of catalog.get(source.data.name)?.versions.values() ?? []) {
      if (version.content?.kind !== 'object') continue;
      tell(version.content.connection, `${version.artifact}@${version.version}`, at(source, 'versions', version.version, 'from'));
    }
  }
}

function bucketOf(fleet: FleetDeclaration, name: string): string | null {
  const connection = fleet.connections.get(name);
  return connection?.type === 's3' ? `${connection.endpoint ?? ''} ${connection.bucket}` : null;
}
