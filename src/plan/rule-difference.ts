import { canonicalJson } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { Place } from '#kit/diagnostics.ts';
import { durationText } from '#kit/duration.ts';
import type {
  ApprovalDeclaration,
  BudgetRule,
  Condition,
  Declared,
  FleetDeclaration,
  GroupDeclaration,
  OverrideDeclaration,
  WaveRules,
} from '#model/declared.ts';
import type { DifferenceSign, RuleDifference } from '#model/difference.ts';

type Kind = RuleDifference['kind'];

/** One rule of one revision, as lines of `name text`: what is compared, and what is shown. */
interface Rule {
  readonly kind: Kind;
  readonly name: string;
  readonly place: Place;
  readonly facts: Readonly<Record<string, string>>;
}

/** Rollouts, windows, overrides, freezes and approvals that the head adds, changes or removes. */
export function ruleDifferences(base: Declared, head: Declared): readonly RuleDifference[] {
  return compareRules(rulesOf(base), rulesOf(head));
}

/**
 * What decides how the fleet is reached and what a merge may do: a pull request is planned with that of its base. Values of
 * connections are not shown, an address may carry a password.
 */
export function rulesOnlyByMerge(base: Declared, head: Declared): readonly RuleDifference[] {
  return compareRules(fleetRules(base.fleet), fleetRules(head.fleet)).map(hideConnection);
}

/** What else a group says: its rollout, its silence, its conditions. */
export function groupRules(was: GroupDeclaration, is: GroupDeclaration): readonly string[] {
  return changedFacts(groupFacts(was), groupFacts(is));
}

function groupFacts(group: GroupDeclaration): Rule['facts'] {
  return {
    rollout: group.rollout,
    silence: durationText(group.silenceMs),
    watch: group.watchMs === 0 ? 'none' : durationText(group.watchMs),
    health: conditionsText(group.health),
    before: conditionsText(group.before),
    after: group.after === null ? 'none' : `${group.after.group} for ${durationText(group.after.forMs)}`,
  };
}

function conditionsText(conditions: readonly Condition[]): string {
  const signs: Readonly<Record<Condition['test'], string>> = { 'at-least': '>= ', 'at-most': '<= ', equals: '', 'no-rise': 'no rise' };
  return conditions.map(({ measure, test, value }) => `${measure} ${signs[test]}${value ?? ''}`.trim()).join(', ') || 'none';
}

function compareRules(before: readonly Rule[], after: readonly Rule[]): readonly RuleDifference[] {
  const key = ({ kind, name }: Rule): string => `${kind}\n${name}`;
  const [old, now] = [new Map(before.map((rule) => [key(rule), rule])), new Map(after.map((rule) => [key(rule), rule]))];
  return [...new Set([...old.keys(), ...now.keys()])].toSorted(compareText).flatMap((name) => ruleDifference(old.get(name), now.get(name)));
}

function ruleDifference(was: Rule | undefined, is: Rule | undefined): readonly RuleDifference[] {
  const some = is ?? was;
  if (some === undefined) return [];
  const sign: DifferenceSign = was === undefined ? 'joins' : is === undefined ? 'leaves' : 'changes';
  const details = was !== undefined && is !== undefined ? changedFacts(was.facts, is.facts) : allFacts(some.facts);
  if (sign === 'changes' && details.length === 0) return [];
  return [{ kind: some.kind, name: some.name, sign, details, place: some.place }];
}

function allFacts(facts: Rule['facts']): readonly string[] {
  return Object.entries(facts).map(([name, text]) => `${name} ${text}`);
}

function changedFacts(was: Rule['facts'], is: Rule['facts']): readonly string[] {
  return [...new Set([...Object.keys(is), ...Object.keys(was)])].flatMap((name) =>
    was[name] === is[name] ? [] : [`${name} ${was[name] ?? 'none'} → ${is[name] ?? 'none'}`],
  );
}

function rulesOf(declared: Declared): readonly Rule[] {
  return [...rolloutRules(declared), ...windowRules(declared), ...overrideRules(declared), ...declared.approvals.map(approvalRule)];
}

function rolloutRules({ rollouts }: Declared): readonly Rule[] {
  return [...rollouts.values()].map((rules) => ({
    kind: 'rollout',
    name: rules.name,
    place: rules.place,
    facts: {
      ...waveFacts('wave', rules.waves),
      budget: rules.budget.map(budgetText).join(', ') || 'none',
      windows: rules.windows.join(', ') || 'any',
      'on failure': rules.onFailure,
      ...waveFacts('rollback wave', rules.rollback.waves),
      'rollback windows': rules.rollback.windows.join(', ') || 'any',
      together: String(rules.together),
    },
  }));
}

/** Keyed by its number: a wave that is put between two others is another order. */
function waveFacts(word: string, waves: readonly WaveRules[]): Rule['facts'] {
  return Object.fromEntries(waves.map((wave, index) => [`${word} ${index + 1}`, waveText(wave)]));
}

function waveText({ name, select, count, share, gate }: WaveRules): string {
  const who = [
    select === null ? null : `select ${canonicalJson(select)}`,
    count === null ? null : `count ${count}`,
    share === null ? null : `share ${percent(share)}`,
  ].filter((text) => text !== null);
  const rules = [
    `success ${percent(gate.success)}`,
    `minimum ${gate.minimum}`,
    `quorum ${percent(gate.quorum)}`,
    `patience ${durationText(gate.patienceMs)}`,
    `then ${gate.then}`,
    `soak ${gate.soakMs === 0 ? 'none' : durationText(gate.soakMs)}`,
  ];
  return `${name} (${[...who, ...rules].join(', ')})`;
}

function budgetText({ max, by }: BudgetRule): string {
  const most = max.kind === 'count' ? String(max.count) : percent(max.share);
  return by === null ? most : `${most} per ${by}`;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(3))}%`;
}

function windowRules({ windows }: Declared): readonly Rule[] {
  return [...windows.values()].map(({ name, place, zone, allow, deny, marginMs }) => ({
    kind: 'window',
    name,
    place,
    facts: {
      zone,
      allow: allow.map(({ days, from, to }) => `${days.map(dayName).join(' ')} ${clock(from)}-${clock(to)}`).join(', ') || 'never',
      deny: deny.map(({ first, last, why }) => `${first} to ${last}: ${why}`).join(', ') || 'none',
      margin: marginMs === 0 ? 'none' : durationText(marginMs),
    },
  }));
}

function dayName(day: number): string {
  return ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'][day - 1] ?? String(day);
}

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
}

/** An override is a freeze where a device says that it is frozen by it. */
function overrideRules(declared: Declared): readonly Rule[] {
  const freezes = new Set<string>();
  for (let row = 0; row < declared.size; row += 1) {
    const { freeze } = declared.deviceAt(row);
    if (freeze !== null) freezes.add(freeze.override);
  }
  return declared.overrides.map((override) => overrideRule(override, freezes.has(override.name) ? 'freeze' : 'override'));
}

function overrideRule({ name, place, reason, starts, reviewBy, until, devices }: OverrideDeclaration, kind: Kind): Rule {
  // Both hold to the end of their day.
  const lastDay = (at: number | null): string => day(at === null ? null : at - 1);
  const day = (at: number | null): string => (at === null ? 'none' : new Date(at).toISOString().slice(0, 10));
  const named = devices.length <= 5 ? devices.join(', ') : `${devices.slice(0, 5).join(', ')} and ${devices.length - 5} more`;
  return {
    kind,
    name,
    place,
    facts: { devices: named, reason, starts: day(starts), 'review by': lastDay(reviewBy), until: lastDay(until) },
  };
}

/** An approval has no name: what it answers is its name. */
function approvalRule(approval: ApprovalDeclaration): Rule {
  const { group, release, wave, unblock, again, merge, change, leave, reason, place } = approval;
  const parts = [
    group,
    release === null ? null : `release ${release}`,
    wave === null ? null : `opens wave ${wave}`,
    unblock ? 'unblocks' : null,
    again.length === 0 ? null : `again ${again.join(' ')}`,
    merge === null ? null : `merge ${merge}`,
    change === null ? null : `change ${change}`,
    leave === null ? null : `leave ${leave}`,
  ];
  return { kind: 'approval', name: parts.filter((part) => part !== null).join(', '), place, facts: { reason } };
}

function fleetRules(fleet: FleetDeclaration): readonly Rule[] {
  const { place, limits, ledger, artifacts } = fleet;
  const limitFacts = {
    change: percent(limits.change),
    leave: String(limits.leave),
    personal: String(limits.personal),
    operationsPerMinute: String(limits.operationsPerMinute),
    maxAttempts: String(limits.maxAttempts),
    passLimit: durationText(limits.passLimitMs),
    observeDeadline: durationText(limits.observeDeadlineMs),
  };
  const { place: ledgerPlace, ...ledgerFacts } = ledger;
  return [
    { kind: 'fleet', name: 'fleet.yaml', place, facts: { name: fleet.name, branch: fleet.branch, zone: fleet.zone } },
    { kind: 'limits', name: 'limits', place, facts: limitFacts },
    { kind: 'trust', name: 'trust', place, facts: { commits: fleet.commitsMustBeSigned ? 'signed' : 'any' } },
    { kind: 'ledger', name: 'ledger', place: ledgerPlace, facts: digestFacts(ledgerFacts) },
    { kind: 'artifacts', name: 'artifacts', place, facts: { via: artifacts.via ?? 'none', urls: artifacts.urls } },
    ...[...fleet.connections.values()].map(({ name, place: at, ...facts }): Rule => {
      return { kind: 'connection', name, place: at, facts: digestFacts(facts) };
    }),
  ];
}

function digestFacts(facts: object): Rule['facts'] {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [name, value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)]),
  );
}

/** Of connections and the ledger's address only the names of what changed. */
function hideConnection(rule: RuleDifference): RuleDifference {
  if (rule.kind !== 'connection' && rule.kind !== 'ledger') return rule;
  return { ...rule, details: rule.details.map((detail) => detail.slice(0, detail.indexOf(' '))) };
}
