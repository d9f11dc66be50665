import type { Place } from '#kit/diagnostics.ts';
import { DAY_MS } from '#kit/duration.ts';
import type { Condition, DriftPolicy, FleetDeclaration, Selector, Via } from '#model/declared.ts';
import type { GroupDocument, SetDocument } from '#model/generated/fleet-repo.ts';
import { itemKind, type ItemKind, type ItemName } from '#model/item.ts';
import type { Catalog } from './artifacts.ts';
import { asTree, viaOf, type TextMap, type Texts } from './row.ts';
import { at, keyAt, nodeAt, type Path, type SourceDocument } from './nodes.ts';
import { compilePins, type Pins } from './pins.ts';
import { byName, reportUnknown, type Scope } from './scope.ts';
import { compileSelector, type Facts, type SelectorSource } from './selectors.ts';
import { duration } from './units.ts';

export type GroupSource = SourceDocument<GroupDocument>;

/** Settings as written, with where each of them stands. */
export interface SettingsSource {
  readonly document: SourceDocument<unknown>;
  readonly path: Path;
  readonly place: Place;
  readonly tree: TextMap;
}

/** A group with its references resolved, before its devices are known. */
export interface CompiledGroup {
  readonly name: string;
  readonly place: Place;
  readonly document: GroupSource;
  /** Null when it says nothing, which was reported. */
  readonly selector: Selector | null;
  readonly pins: Pins;
  /** Items that are pinned with a mistake. */
  readonly brokenPins: ReadonlySet<string>;
  readonly settings: SettingsSource | null;
  readonly values: Texts;
  readonly options: TextMap;
  readonly via: Via | null;
  readonly rollout: string;
  readonly silenceMs: number;
  readonly watchMs: number;
  readonly health: readonly Condition[];
  readonly before: readonly Condition[];
  readonly after: { readonly group: string; readonly forMs: number } | null;
  readonly drift: Readonly<Partial<Record<string, DriftPolicy>>>;
}

export interface GroupContext {
  readonly scope: Scope;
  readonly facts: Facts;
  readonly catalog: Catalog;
  readonly fleet: FleetDeclaration | null;
  readonly rollouts: ReadonlySet<string>;
}

/** All groups by name, in order of name. */
export function compileGroups(context: GroupContext): ReadonlyMap<string, CompiledGroup> {
  const { scope } = context;
  const sets = byName('Set', scope.documents.Set, scope);
  const documents = byName('Group', scope.documents.Group, scope);
  // Sets are compiled on their own, so that a mistake in one is told once and not for each group.
  const setPins = new Map([...sets].map(([name, set]) => [name, compileSet(set, context)]));
  const groups = new Map<string, CompiledGroup>();
  for (const name of [...documents.keys()].toSorted()) {
    const document = documents.get(name);
    if (document !== undefined) groups.set(name, compileGroup(document, { ...context, setPins }));
  }
  checkAfter(groups, scope);
  return groups;
}

function compileSet(document: SourceDocument<SetDocument>, context: GroupContext): Pins {
  return compilePins({ document, path: ['pins'], data: document.data.pins }, context.scope, context.catalog);
}

function compileGroup(document: GroupSource, context: GroupContext & { readonly setPins: ReadonlyMap<string, Pins> }): CompiledGroup {
  const { scope, facts, catalog } = context;
  const { data } = document;
  const own = compilePins({ document, path: ['pins'], data: data.pins ?? {} }, scope, catalog);
  const declared = new Set(pinnedKeys(document));
  // A pin of the group's own hides that of the set even when it has a mistake.
  const shared = [...setPinsOf(document, context)].filter(([item]) => !declared.has(item));
  const setSource = scope.documents.Set.find((set) => set.data.name === data.set);
  const setItems = setSource === undefined ? [] : pinnedKeys(setSource);
  if (!context.rollouts.has(data.rollout)) {
    reportUnknown(scope, at(document, 'rollout'), { what: 'rollout', kind: 'Rollout', name: data.rollout, known: context.rollouts });
  }
  return {
    name: data.name,
    place: at(document, 'name'),
    document,
    selector: compileSelector(groupSelector(document, scope), scope, facts),
    pins: new Map([...shared, ...own]),
    brokenPins: new Set([...declared, ...setItems].filter((item) => !own.has(item as ItemName) && !shared.some(([name]) => name === item))),
    settings: data.settings === undefined ? null : settingsOf(document, data.settings),
    values: data.values ?? {},
    options: asTree(data.options),
    via: groupVia(document, context),
    rollout: data.rollout,
    silenceMs: duration(data.silence, DAY_MS),
    watchMs: duration(data.watch, 0),
    health: Object.entries(data.health ?? {}).map(([measure, text]) => conditionOf(measure, text)),
    before: Object.entries(data.before ?? {}).map(([measure, text]) => conditionOf(measure, text)),
    after: data.after === undefined ? null : { group: data.after.group, forMs: duration(data.after.for, 0) },
    drift: data.drift ?? {},
  };
}

/** All keys under `pins:` as written, those with a mistake included. */
function pinnedKeys(document: SourceDocument<unknown>): readonly string[] {
  const node = nodeAt(document.node, ['pins']);
  return node?.kind === 'map' ? [...node.entries.keys()] : [];
}

function setPinsOf(document: GroupSource, context: GroupContext & { readonly setPins: ReadonlyMap<string, Pins> }): Pins {
  const name = document.data.set;
  if (name === undefined) return new Map();
  const pins = context.setPins.get(name);
  if (pins !== undefined) return pins;
  reportUnknown(context.scope, at(document, 'set'), { what: 'set', kind: 'Set', name, known: context.setPins.keys() });
  return new Map();
}

/** The selector of a group. Nobody is sure of an owner when one of them has a mistake. */
export function groupSelector(document: GroupSource, scope: Scope): SelectorSource {
  const { name, select } = document.data;
  return { document, path: ['select'], data: select, groups: null, onMistake: () => scope.broken.add('Group', name) };
}

function groupVia(document: GroupSource, context: GroupContext): Via | null {
  const { via } = document.data;
  if (via === undefined) return null;
  checkVia(via, { document, path: ['via'] }, context);
  return viaOf(via);
}

/** Both ends of a `via` must be connections of the fleet. */
export function checkVia(
  via: string | { readonly from: string; readonly to: string },
  source: { readonly document: SourceDocument<unknown>; readonly path: Path },
  context: Pick<GroupContext, 'scope' | 'fleet'>,
): void {
  const { scope, fleet } = context;
  if (fleet === null) return;
  const names =
    typeof via === 'string'
      ? [[via, []] as const]
      : ([
          [via.from, ['from']],
          [via.to, ['to']],
        ] as const);
  for (const [name, rest] of names) {
    if (fleet.connections.has(name)) continue;
    reportUnknown(scope, at(source.document, ...source.path, ...rest), {
      what: 'connection',
      kind: 'Fleet',
      name,
      known: fleet.connections.keys(),
    });
  }
}

export function settingsOf(document: SourceDocument<unknown>, settings: Readonly<Record<string, unknown>>): SettingsSource {
  return { document, path: ['settings'], place: keyAt(document, 'settings'), tree: asTree(settings) };
}

function conditionOf(measure: string, text: string): Condition {
  if (text === 'no rise') return { measure, test: 'no-rise', value: null };
  const [, sign = '', value = text] = /^(>=|<=|==?)\s*(.+)$/.exec(text) ?? [];
  const test = sign === '>=' ? 'at-least' : sign === '<=' ? 'at-most' : 'equals';
  return { measure, test, value: value.trim() };
}

/** `after` must name another group, and no chain of them may come back to where it began. */
function checkAfter(groups: ReadonlyMap<string, CompiledGroup>, scope: Scope): void {
  for (const group of groups.values()) {
    if (group.after === null) continue;
    const place = at(group.document, 'after', 'group');
    if (!groups.has(group.after.group)) {
      reportUnknown(scope, place, { what: 'group', kind: 'Group', name: group.after.group, known: groups.keys() });
      continue;
    }
    const chain = [group.name];
    let next: string | undefined = group.after.group;
    while (next !== undefined && !chain.includes(next)) {
      chain.push(next);
      next = groups.get(next)?.after?.group;
    }
    // Told at the first group of the circle only.
    if (next !== group.name || chain.toSorted()[0] !== group.name) continue;
    scope.report.error('AFTER_CIRCLE', place, {
      summary: `these groups wait for each other: ${[...chain, group.name].join(' → ')}`,
      fix: 'take one `after` out',
    });
  }
}

/** Changes made at a device are held where a person may have made them on purpose; all else is corrected. */
const HELD: readonly ItemKind[] = ['program', 'config', 'settings', 'files'];

export function driftPolicy(group: Pick<CompiledGroup, 'drift'>, item: ItemName): DriftPolicy {
  const kind = itemKind(item);
  return group.drift[kind] ?? (HELD.includes(kind) ? 'hold' : 'correct');
}
