import type { Place } from '#kit/diagnostics.ts';
import { instantOf } from '#model/calendar.ts';
import type { OverrideDeclaration, Selector } from '#model/declared.ts';
import { deviceId, type Instant } from '#model/ids.ts';
import type { OverrideDocument } from '#model/generated/fleet-repo.ts';
import type { Catalog } from './artifacts.ts';
import { settingsOf, type SettingsSource } from './groups.ts';
import type { Texts } from './row.ts';
import { at, keyAt, type SourceDocument } from './nodes.ts';
import { compilePins, type Pins } from './pins.ts';
import { byName, reportUnknown, type Scope } from './scope.ts';
import { compileSelector, type Facts, type SelectorSource } from './selectors.ts';
import { flag } from './units.ts';

type OverrideSource = SourceDocument<OverrideDocument>;

export interface CompiledOverride {
  readonly name: string;
  readonly place: Place;
  readonly document: OverrideSource;
  readonly selector: Selector | null;
  readonly selectorSource: SelectorSource;
  readonly freeze: boolean;
  readonly pins: Pins;
  readonly settings: SettingsSource | null;
  readonly values: Texts;
  readonly rollout: string | null;
  readonly reason: string;
  readonly starts: Instant | null;
  readonly reviewBy: Instant | null;
  /** The first instant at which it no longer holds. */
  readonly until: Instant | null;
  /** It holds at the time of the declaration. */
  readonly active: boolean;
}

export interface OverrideContext {
  readonly scope: Scope;
  readonly facts: Facts;
  readonly catalog: Catalog;
  readonly zone: string;
  readonly rollouts: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
}

/** All overrides, in order of name. */
export function compileOverrides(context: OverrideContext): readonly CompiledOverride[] {
  const documents = byName('Override', context.scope.documents.Override, context.scope);
  return [...documents.keys()].toSorted().flatMap((name) => {
    const document = documents.get(name);
    return document === undefined ? [] : [compile(document, context)];
  });
}

function compile(document: OverrideSource, context: OverrideContext): CompiledOverride {
  const { scope, facts, catalog, rollouts } = context;
  const { data } = document;
  if (
    data.freeze === undefined &&
    data.pins === undefined &&
    data.settings === undefined &&
    data.values === undefined &&
    data.rollout === undefined
  ) {
    scope.report.error('OVERRIDE_SAYS_NOTHING', at(document, 'name'), {
      summary: `the override \`${data.name}\` overrides nothing`,
      fix: 'add `freeze: true`, `pins:`, `values:`, `settings:` or `rollout:`',
    });
  }
  if (data.rollout !== undefined && !rollouts.has(data.rollout)) {
    reportUnknown(scope, at(document, 'rollout'), { what: 'rollout', kind: 'Rollout', name: data.rollout, known: rollouts });
  }
  const starts = momentOf(document, 'starts', context);
  const until = momentOf(document, 'until', context);
  const reviewBy = momentOf(document, 'reviewBy', context);
  checkTimes(document, { starts, until, reviewBy }, scope);
  const selectorSource: SelectorSource = {
    document,
    path: ['select'],
    data: data.select,
    groups: context.groups,
    onMistake: () => undefined,
  };
  return {
    name: data.name,
    place: at(document, 'name'),
    document,
    selector: compileSelector(selectorSource, scope, facts),
    selectorSource,
    freeze: flag(data.freeze, false),
    pins: compilePins({ document, path: ['pins'], data: data.pins ?? {} }, scope, catalog),
    settings: data.settings === undefined ? null : settingsOf(document, data.settings),
    values: data.values ?? {},
    rollout: data.rollout ?? null,
    reason: data.reason,
    starts,
    reviewBy,
    until,
    active: (starts === null || scope.times.hasCome(starts)) && (until === null || !scope.times.hasCome(until)),
  };
}

/** `until: 2027-03-31` holds through that day, as people read it; a time of day is meant to the minute. */
function momentOf(document: OverrideSource, key: 'starts' | 'until' | 'reviewBy', context: OverrideContext): Instant | null {
  const text = document.data[key];
  if (text === undefined) return null;
  const instant = instantOf(text, context.zone, key === 'starts' ? 'at' : 'after');
  if (instant !== null) return instant;
  context.scope.report.error('BAD_DATE', at(document, key), {
    summary: `\`${text}\` is no day or time of the calendar`,
    fix: 'for example `2027-03-31`',
  });
  return null;
}

function checkTimes(
  document: OverrideSource,
  times: { readonly starts: Instant | null; readonly until: Instant | null; readonly reviewBy: Instant | null },
  scope: Scope,
): void {
  const { name } = document.data;
  const { starts, until, reviewBy } = times;
  if (starts !== null && until !== null && until <= starts) {
    scope.report.error('OVERRIDE_NEVER_HOLDS', at(document, 'until'), {
      summary: `the override \`${name}\` ends before it starts`,
      also: [at(document, 'starts')],
    });
  } else if (until !== null && scope.times.hasCome(until)) {
    // A warning: time passing by must not turn a good revision into a bad one.
    scope.report.warning('OVERRIDE_LAPSED', at(document, 'until'), { summary: `the override \`${name}\` has ended`, fix: 'delete it' });
  } else if (reviewBy !== null && scope.times.hasCome(reviewBy)) {
    scope.report.warning('OVERRIDE_REVIEW', at(document, 'reviewBy'), {
      summary: `the override \`${name}\` was to be looked at by ${document.data.reviewBy ?? ''}`,
      detail: `it still holds: ${document.data.reason}`,
      fix: 'delete it, or write a later day',
    });
  }
}

/** What an override lays its hand on. Two freezes do no harm to each other; all else must be unambiguous. */
function itemsOf(override: CompiledOverride): { readonly item: string; readonly place: Place }[] {
  const { document } = override;
  return [
    ...[...override.pins.values()].map((pin) => ({ item: pin.item as string, place: pin.place })),
    ...(override.settings === null ? [] : [{ item: 'settings', place: override.settings.place }]),
    ...Object.keys(override.values).map((name) => ({ item: `value ${name}`, place: keyAt(document, 'values', name) })),
    ...(override.rollout === null ? [] : [{ item: 'rollout', place: keyAt(document, 'rollout') }]),
  ];
}

/** Two overrides on one item of one device whose times overlap. Ended ones no longer count. */
export function reportConflicts(
  overrides: readonly CompiledOverride[],
  devicesOf: ReadonlyMap<string, readonly string[]>,
  scope: Scope,
): void {
  const living = overrides.filter((override) => override.until === null || !scope.times.hasCome(override.until));
  for (const [index, second] of living.entries()) {
    for (const first of living.slice(0, index)) {
      if (!overlapInTime(first, second)) continue;
      const known = new Set(devicesOf.get(first.name));
      const shared = (devicesOf.get(second.name) ?? []).filter((id) => known.has(id));
      const [device] = shared;
      if (device === undefined) continue;
      const taken = new Map(itemsOf(first).map(({ item, place }) => [item, place]));
      for (const { item, place } of itemsOf(second)) {
        const before = taken.get(item);
        if (before === undefined) continue;
        scope.report.error('OVERRIDE_CONFLICT', place, {
          summary: `\`${first.name}\` and \`${second.name}\` both override ${item} of ${device}`,
          detail: shared.length > 1 ? `and of ${shared.length - 1} more` : undefined,
          fix: 'end one of them, or let them select different devices',
          also: [before],
        });
      }
    }
  }
}

function overlapInTime(a: CompiledOverride, b: CompiledOverride): boolean {
  return (a.until === null || b.starts === null || b.starts < a.until) && (b.until === null || a.starts === null || a.starts < b.until);
}

export function overrideDeclaration(override: CompiledOverride, devices: readonly string[]): OverrideDeclaration {
  const { name, place, reason, starts, reviewBy, until } = override;
  return { name, place, reason, starts, reviewBy, until, devices: devices.map(deviceId) };
}
