import type { Place } from '#kit/diagnostics.ts';
import type { Selector } from '#model/declared.ts';
import type { Selector as SelectorData, SelectorMembers } from '#model/generated/fleet-repo.ts';
import { hasMembers } from '#model/selector.ts';
import type { Inventory } from './inventory.ts';
import { didYouMean } from './nearest.ts';
import { at, keyAt, type Path, type SourceDocument } from './nodes.ts';
import { reportUnknown, type Scope } from './scope.ts';
import { listOf } from './units.ts';

/** Where a selector stands, so that its mistakes can be told at their tokens. */
export interface SelectorSource {
  readonly document: SourceDocument<unknown>;
  readonly path: Path;
  readonly data: SelectorData;
  /** Only overrides may select by group. */
  readonly groups: ReadonlySet<string> | null;
  /** Called when it has a mistake: what follows from that is then not told. */
  readonly onMistake: () => void;
}

/** What the inventory has to offer to selectors. */
export interface Facts {
  readonly models: ReadonlySet<string>;
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
  readonly inventory: Inventory;
}

export function factsOf(inventory: Inventory): Facts {
  const models = new Set<string>();
  const labels = new Map<string, Set<string>>();
  for (const row of inventory.rows) {
    models.add(row.model);
    for (const [label, value] of Object.entries(row.labels)) {
      const values = labels.get(label);
      if (values === undefined) labels.set(label, new Set([value]));
      else values.add(value);
    }
  }
  return { models, labels, inventory };
}

const NOTHING: Selector = { all: false, family: null, model: null, ids: null, labels: {}, groups: null, not: null };

/** The selector, or null when it says nothing (which is reported): everything must be written out as `all`. */
export function compileSelector(source: SelectorSource, scope: Scope, facts: Facts): Selector | null {
  const { document, path, data } = source;
  if (data === 'all') return { ...NOTHING, all: true };
  const selector = compileMembers(data, { ...source, data }, { scope, facts });
  if (hasMembers(selector)) return selector;
  source.onMistake();
  scope.report.error('SELECT_EMPTY', keyAt(document, ...path), {
    summary: 'this selector says nothing',
    fix: 'write `select: all` for every device',
  });
  return null;
}

function compileMembers(data: SelectorMembers, source: SelectorSource, context: { scope: Scope; facts: Facts }): Selector {
  const { scope, facts } = context;
  const { document, path } = source;
  if (data.family !== undefined && !scope.families.has(data.family)) {
    reportUnknown(scope, at(document, ...path, 'family'), {
      what: 'device family',
      kind: null,
      name: data.family,
      known: scope.families.keys(),
    });
  }
  const ids = data.ids === undefined ? null : listOf(data.ids);
  for (const [index, id] of (ids ?? []).entries()) {
    if (facts.inventory.byId.has(id)) continue;
    source.onMistake();
    const place = typeof data.ids === 'string' ? at(document, ...path, 'ids') : at(document, ...path, 'ids', index);
    reportUnknown(scope, place, { what: 'device', kind: 'Devices', name: id, known: facts.inventory.byId.keys() });
  }
  const groups = data.groups === undefined ? null : listOf(data.groups);
  if (groups !== null) checkGroups(groups, { ...source, path: [...path, 'groups'] }, { scope, listed: typeof data.groups !== 'string' });
  return {
    all: false,
    family: data.family ?? null,
    model: data.model === undefined ? null : listOf(data.model),
    ids,
    labels: Object.fromEntries(Object.entries(data.labels ?? {}).map(([label, values]) => [label, listOf(values)])),
    groups,
    not: data.not === undefined ? null : compileMembers(data.not, { ...source, path: [...path, 'not'] }, context),
  };
}

function checkGroups(groups: readonly string[], source: SelectorSource, context: { scope: Scope; listed: boolean }): void {
  const { scope, listed } = context;
  const { document, path } = source;
  if (source.groups === null) {
    source.onMistake();
    scope.report.error('SELECT_GROUPS', keyAt(document, ...path), {
      summary: 'only an Override selects by group',
      fix: 'select by family, model, labels or ids',
    });
    return;
  }
  for (const [index, name] of groups.entries()) {
    if (source.groups.has(name)) continue;
    reportUnknown(scope, listed ? at(document, ...path, index) : at(document, ...path), {
      what: 'group',
      kind: 'Group',
      name,
      known: source.groups,
    });
  }
}

/** A selector that matches no device, at the member that rules everybody out, with the nearest thing that exists. */
export function reportNobody(selector: Selector, source: SelectorSource, context: { scope: Scope; facts: Facts }): void {
  const { scope, facts } = context;
  if (scope.broken.has('Devices') || facts.inventory.partial) return;
  // Ids, families and groups that do not exist have been told already.
  if (selector.ids?.some((id) => !facts.inventory.byId.has(id)) === true) return;
  if (selector.family !== null && !scope.families.has(selector.family)) return;
  if (selector.groups?.some((name) => source.groups?.has(name) !== true) === true) return;
  source.onMistake();
  const culprit = findCulprit(selector, source, facts);
  scope.report.error('SELECTS_NOBODY', culprit.place, { summary: culprit.summary, fix: culprit.fix });
}

interface Culprit {
  readonly place: Place;
  readonly summary: string;
  readonly fix: string | undefined;
}

function findCulprit(selector: Selector, source: SelectorSource, facts: Facts): Culprit {
  const { document, path } = source;
  for (const [label, values] of Object.entries(selector.labels)) {
    const known = facts.labels.get(label);
    if (known === undefined) {
      const fix = didYouMean(label, facts.labels.keys());
      return { place: keyAt(document, ...path, 'labels', label), summary: `no device has a label \`${label}\``, fix };
    }
    if (values.some((value) => known.has(value))) continue;
    const [first] = values;
    const fix = didYouMean(first ?? '', known) ?? (known.size <= 12 ? `its values are: ${[...known].toSorted().join(', ')}` : undefined);
    return { place: firstOf(source, ['labels', label]), summary: `no device has the label \`${label}: ${first}\``, fix };
  }
  const unknown = selector.model?.find((model) => !facts.models.has(model));
  if (unknown !== undefined && selector.model?.some((model) => facts.models.has(model)) === false) {
    return { place: firstOf(source, ['model']), summary: `no device is a \`${unknown}\``, fix: didYouMean(unknown, facts.models) };
  }
  const family = selector.family;
  if (family !== null && !facts.inventory.rows.some((row) => row.family === family)) {
    return { place: at(document, ...path, 'family'), summary: `no device is of the family \`${family}\``, fix: undefined };
  }
  return { place: keyAt(document, ...path), summary: 'no device is all of this at once', fix: 'take one of the conditions out' };
}

function firstOf(source: SelectorSource, member: Path): Place {
  const { document, path } = source;
  return at(document, ...path, ...member, 0);
}
