import type { Place } from '#kit/diagnostics.ts';
import { DAY_MS, MINUTE_MS } from '#kit/duration.ts';
import type { BudgetRule, GateRules, RolloutRules, WaveRules } from '#model/declared.ts';
import type { Gate, RolloutDocument, Wave } from '#model/generated/fleet-repo.ts';
import { at, keyAt, type Path, type SourceDocument } from './nodes.ts';
import { byName, reportUnknown, type Scope } from './scope.ts';
import { compileSelector, type Facts, type SelectorSource } from './selectors.ts';
import { count, duration, flag, listOf, share } from './units.ts';

const AT_ONCE = 'at-once';

const DEFAULT_GATE: GateRules = { success: 1, minimum: 1, quorum: 0.8, patienceMs: 14 * DAY_MS, then: 'ask', soakMs: 0 };
const BUILT_IN: Place = { file: '(built in)', line: 1, column: 1 };

type RolloutSource = SourceDocument<RolloutDocument>;

/** A rollout with the places of its waves' selectors. */
export interface CompiledRollout {
  readonly rules: RolloutRules;
  readonly document: RolloutSource | null;
  readonly selectors: readonly (SelectorSource | null)[];
}

interface Context {
  readonly scope: Scope;
  readonly facts: Facts;
  readonly windows: ReadonlySet<string>;
}

/** All rollouts by name, the built-in one with them. */
export function compileRollouts(context: Context): ReadonlyMap<string, CompiledRollout> {
  const { scope } = context;
  const rollouts = new Map<string, CompiledRollout>([[AT_ONCE, { rules: atOnce(), document: null, selectors: [] }]]);
  const documents = byName('Rollout', scope.documents.Rollout, scope);
  for (const name of [...documents.keys()].toSorted()) {
    const document = documents.get(name);
    if (document === undefined) continue;
    if (name === AT_ONCE) {
      scope.report.error('RESERVED_NAME', at(document, 'name'), {
        summary: `\`${AT_ONCE}\` is built in`,
        fix: 'give this rollout another name',
      });
      continue;
    }
    rollouts.set(name, compile(document, context));
  }
  return rollouts;
}

/** One device, ten minutes, then all, at any time. The budget is that of the group's own rollout. */
function atOnce(): RolloutRules {
  const wave = { place: BUILT_IN, select: null, count: null, share: null, gate: DEFAULT_GATE };
  return {
    name: AT_ONCE,
    place: BUILT_IN,
    waves: [
      { ...wave, name: 'first', count: 1, gate: { ...DEFAULT_GATE, soakMs: 10 * MINUTE_MS } },
      { ...wave, name: 'rest' },
    ],
    budget: [],
    windows: [],
    onFailure: 'halt',
    rollback: { waves: [{ ...wave, name: 'all' }], windows: [] },
    together: false,
  };
}

function compile(document: RolloutSource, context: Context): CompiledRollout {
  const { data } = document;
  const place = at(document, 'name');
  const gate = gateOf(data.gate, DEFAULT_GATE);
  reportTest(data.gate, ['gate'], { scope: context.scope, document });
  const waves = wavesOf(data.waves, ['waves'], { ...context, document, gate });
  const back = data.rollback ?? {};
  const all: WaveRules = { name: 'all', place, select: null, count: null, share: null, gate };
  const rules: RolloutRules = {
    name: data.name,
    place,
    waves: waves.rules,
    budget: (data.budget ?? []).map(budgetOf),
    windows: windowsOf(data.windows, ['windows'], { ...context, document }),
    onFailure: data.onFailure ?? 'halt',
    rollback: {
      waves: back.waves === undefined ? [all] : wavesOf(back.waves, ['rollback', 'waves'], { ...context, document, gate }).rules,
      windows: windowsOf(back.windows, ['rollback', 'windows'], { ...context, document }),
    },
    together: flag(data.together, false),
  };
  return { rules, document, selectors: waves.selectors };
}

function gateOf(gate: Gate | undefined, below: GateRules): GateRules {
  if (gate === undefined) return below;
  return {
    success: share(gate.success, below.success),
    minimum: count(gate.minimum, below.minimum),
    quorum: share(gate.quorum, below.quorum),
    patienceMs: duration(gate.patience, below.patienceMs),
    then: gate.then ?? below.then,
    soakMs: duration(gate.soak, below.soakMs),
  };
}

interface WaveContext extends Context {
  readonly document: RolloutSource;
  readonly gate: GateRules;
}

function wavesOf(waves: readonly Wave[], path: Path, context: WaveContext): { rules: WaveRules[]; selectors: (SelectorSource | null)[] } {
  const { scope, document, facts, gate } = context;
  const selectors: (SelectorSource | null)[] = [];
  const rules = waves.map((wave, index) => {
    const own = [...path, index];
    const source: SelectorSource | null =
      wave.select === undefined
        ? null
        : { document, path: [...own, 'select'], data: wave.select, groups: null, onMistake: () => undefined };
    selectors.push(source);
    reportForm(wave, own, context);
    return {
      name: wave.name,
      place: at(document, ...own, 'name'),
      select: source === null ? null : compileSelector(source, scope, facts),
      count: wave.count === undefined ? null : count(wave.count, 0),
      share: wave.share === undefined ? null : share(wave.share, 0),
      gate: gateOf(wave.gate, gate),
    };
  });
  reportOrder(rules, path, context);
  if (!rules.some(takesAll)) {
    const names = new Set(rules.map((rule) => rule.name));
    const name = names.has('rest') ? 'remainder' : 'rest';
    rules.push({ name, place: at(document, 'name'), select: null, count: null, share: null, gate });
  }
  return { rules, selectors };
}

function takesAll(wave: Pick<WaveRules, 'select' | 'count' | 'share'>): boolean {
  return wave.select === null && wave.count === null && wave.share === null;
}

function reportForm(wave: Wave, path: Path, context: WaveContext): void {
  const { scope, document } = context;
  const { report } = scope;
  if (wave.share !== undefined && (wave.count !== undefined || wave.select !== undefined)) {
    report.error('WAVE_UNCLEAR', keyAt(document, ...path, 'share'), {
      summary: '`share` cannot stand beside `select` or `count`',
      fix: 'write `select` with `count`, or `share` alone',
    });
  }
  if (wave.count === '0' || (wave.share !== undefined && share(wave.share, 0) === 0)) {
    report.error('WAVE_EMPTY', at(document, ...path, wave.count === '0' ? 'count' : 'share'), {
      summary: `the wave \`${wave.name}\` can hold nobody`,
      fix: 'give it a device, or take it out',
    });
  }
  reportTest(wave.gate, [...path, 'gate'], context);
}

function reportTest(gate: Gate | undefined, path: Path, context: Pick<WaveContext, 'scope' | 'document'>): void {
  if (gate?.test === undefined) return;
  context.scope.report.error('UNSUPPORTED_GATE', keyAt(context.document, ...path, 'test'), {
    summary: 'sequential tests come with a later version',
    fix: 'write `success` and `minimum`',
  });
}

/** Names that are there twice, shares that add up to too much, waves behind one that takes all the rest. */
function reportOrder(rules: readonly WaveRules[], path: Path, context: WaveContext): void {
  const { scope, document } = context;
  const seen = new Map<string, number>();
  let shares = 0;
  let over = false;
  let last: WaveRules | null = null;
  for (const [index, rule] of rules.entries()) {
    const before = seen.get(rule.name);
    if (before !== undefined) {
      scope.report.error('DUPLICATE_NAME', rule.place, {
        summary: `two waves are called \`${rule.name}\``,
        also: [at(document, ...path, before, 'name')],
      });
    }
    seen.set(rule.name, before ?? index);
    // Rounded to a thousandth of a percent: 33.3% + 33.3% + 33.4% is a whole.
    const sum = Math.round((shares + (rule.share ?? 0)) * 100_000) / 100_000;
    if (sum > 1 && !over) {
      over = true;
      scope.report.error('SHARES_OVER', at(document, ...path, index, 'share'), {
        summary: `the shares up to here are ${Math.round(sum * 10_000) / 100}% together`,
        fix: 'shares are of all devices of the release: keep their sum below 100%',
      });
    } else if (last !== null || (shares >= 1 && !over)) {
      scope.report.error('WAVE_EMPTY', rule.place, {
        summary: `the wave \`${rule.name}\` can hold nobody: the waves before take all`,
        fix: 'take it out, or move it up',
        also: last === null ? undefined : [last.place],
      });
    }
    shares = sum;
    if (takesAll(rule) && last === null) last = rule;
  }
}

function budgetOf(rule: NonNullable<RolloutDocument['budget']>[number]): BudgetRule {
  const max = rule.max.endsWith('%')
    ? ({ kind: 'share', share: share(rule.max, 1) } as const)
    : ({ kind: 'count', count: count(rule.max, 1) } as const);
  return { max, by: rule.by ?? null };
}

function windowsOf(
  windows: RolloutDocument['windows'],
  path: Path,
  context: Context & { readonly document: RolloutSource },
): readonly string[] {
  const { scope, document } = context;
  if (windows === undefined || windows === 'any') return [];
  const names = listOf(windows);
  for (const [index, name] of names.entries()) {
    if (context.windows.has(name)) continue;
    const place = typeof windows === 'string' ? at(document, ...path) : at(document, ...path, index);
    reportUnknown(scope, place, { what: 'window', kind: 'Window', name, known: context.windows });
  }
  return names;
}
