import { compareText } from '#kit/diagnostics.ts';
import { durationText } from '#kit/duration.ts';
import { shortDigest } from '#model/ids.ts';
import type { Condition } from '#model/declared.ts';
import { tallyChange, tallyDevices } from './field-changes.ts';
import { code, fit, folded, htmlCode, link, markdownTable, prose, sections } from './markdown.ts';
import { deviceNames, modelsText, placeLink, versionsText } from './page.ts';
import type { PlanPage } from './page.ts';
import type { GroupSummary, ItemChange } from './plan-summary.ts';
import { dayAndTime } from './time.ts';
import { budgetText } from './wave-summary.ts';
import type { WaveSummary } from './wave-summary.ts';
import { byCount, counted, effectOf, percentText } from './words.ts';

const MOST_ITEMS = 8;
const MOST_WAVES = 12;
const MOST_FIELDS = 12;
/** Up to so many devices are named rather than counted. */
const MOST_NAMED = 3;
/** Of the room for all groups: what the short lines of those without a section of their own may take. */
const SHORT_SHARE = 0.3;

/** One section per group, halted ones first; what finds no room is a line each, and then a count. */
export function groupSections(page: PlanPage, bytes: number): string {
  const groups = page.summary.groups.toSorted((a, b) => Number(b.phase === 'halted') - Number(a.phase === 'halted'));
  const full = Math.floor(bytes * (1 - SHORT_SHARE));
  const left: GroupSummary[] = [];
  const blocks = fit({
    entries: groups,
    bytes: full,
    render: (group) => groupSection(group, page),
    rest: (more) => {
      left.push(...more);
      return '';
    },
  });
  if (left.length === 0) return sections(blocks);
  const lines = fit({ entries: left, bytes: bytes - full - 400, render: (group) => shortLine(group), rest: restLine });
  const changing = left.reduce((sum, group) => sum + group.changing, 0);
  const summary = `${counted(left.length, 'more group')}, ${counted(changing, 'device')} ${effectOf(changing, 'changes')}`;
  return sections([...blocks, folded(summary, lines.join('\n'))]);
}

function restLine(left: readonly GroupSummary[]): string {
  const changing = left.reduce((sum, group) => sum + group.changing, 0);
  const halted = left.filter(({ phase }) => phase === 'halted').length;
  const also = halted === 0 ? '' : `, ${halted} halted`;
  return `- and ${counted(left.length, 'group')} more: ${counted(changing, 'device')} ${effectOf(changing, 'changes')}${also}`;
}

function shortLine(group: GroupSummary): string {
  const items = group.items.slice(0, 2).map(({ item, from, to }) => `${item} ${versionsText(from, to)}`);
  const more = group.items.length > 2 ? ` and ${group.items.length - 2} more` : '';
  return `- ${code(group.group)} · ${stateText(group)} · ${group.changing} of ${group.devices} · ${items.join(', ')}${more}`;
}

function stateText({ phase, direction, rollout }: GroupSummary): string {
  if (phase === 'halted') return '**halted**';
  return phase === 'upkeep' ? 'outside of a rollout' : `${direction === 'rollback' ? '**rollback**' : 'rollout'} ${prose(rollout, 40)}`;
}

function groupSection(group: GroupSummary, page: PlanPage): string {
  return sections([
    `### ${code(group.group)} · ${sizeText(group)}`,
    releaseLine(group, page),
    haltLine(group, page),
    itemLines(group.items, page).join('\n'),
    fieldTable(group),
    waveTable(group, page),
    guardLines(group, page),
  ]);
}

/** `7 of 10 devices`, and those that a change has reached already. */
function sizeText({ changing, open, devices }: GroupSummary): string {
  const all = counted(devices, 'device');
  if (open === 0) return `${changing} of ${all}`;
  return changing === 0 ? `${open} of ${all} under way` : `${changing} of ${all}, ${open} under way`;
}

function releaseLine(group: GroupSummary, { view, options }: PlanPage): string {
  const from = group.from === null ? 'nothing recorded' : `\`${shortDigest(group.from)}\``;
  const release = group.from === group.to ? `release \`${shortDigest(group.to)}\`` : `release ${from} → \`${shortDigest(group.to)}\``;
  if (group.phase === 'upkeep') return `${release} · outside of a rollout, no waves`;
  const rules = view.declared.rollouts.get(group.rollout);
  const rollout = link(code(group.rollout), rules === undefined ? null : options.links(rules.place));
  const how = group.direction === 'rollback' ? '**rollback**' : group.phase === 'begins' ? 'new rollout' : 'rollout';
  return `${release} · ${how} ${rollout}`;
}

function haltLine(group: GroupSummary, { view, zone }: PlanPage): string {
  const halt = view.decision.groups.get(group.group)?.rollout?.halt ?? null;
  if (group.phase !== 'halted' || halt === null) return '';
  const where = halt.wave === null ? '' : ` in wave ${prose(halt.wave, 40)}`;
  return `**Halted**${where} since ${dayAndTime(halt.at, zone)}: ${prose(halt.evidence)}`;
}

function itemLines(items: readonly ItemChange[], page: PlanPage): readonly string[] {
  const byName = Map.groupBy(items, ({ item }) => item);
  return [...byName].flatMap(([name, all]) => {
    const changes = mergeAlike(all);
    return changes.length <= MOST_ITEMS ? changes.map((change) => itemLine(change, page)) : [collapsedLine(name, changes, page)];
  });
}

/** Eight digits of a checksum and more: what differs between devices that are told the same. */
const CHECKSUM = /\b(?=[0-9A-F]*\d)[0-9A-F]{8,64}\b/gi;

/** A rendered config has another checksum on each device: one line for those that differ in nothing else. */
function mergeAlike(changes: readonly ItemChange[]): readonly ItemChange[] {
  const shape = (text: string | null): string => text?.replaceAll(CHECKSUM, '…') ?? '';
  const alike = Map.groupBy(changes, ({ from, to, at }) => `${shape(from)}\n${shape(to)}\n${at?.file}\n${at?.line}`);
  return [...alike.values()].flatMap((members) => {
    const [first] = members;
    if (first === undefined || members.length === 1) return members;
    const models = new Map<string, number>();
    for (const change of members) for (const [model, count] of change.models) models.set(model, (models.get(model) ?? 0) + count);
    const examples = members.flatMap((change) => change.examples).toSorted(compareText);
    const from = first.from === null ? null : shape(first.from);
    return [{ ...first, from, to: shape(first.to), models: byCount(models), examples: examples.slice(0, MOST_NAMED) }];
  });
}

function itemLine({ item, from, to, models, examples, at }: ItemChange, { options }: PlanPage): string {
  const all = models.reduce((sum, [, count]) => sum + count, 0);
  const who = all <= MOST_NAMED ? `${modelsText(models)} (${deviceNames(examples, all)})` : modelsText(models);
  return `- **${item}** ${versionsText(from, to)} · ${who}${at === null ? '' : ` · ${placeLink(at, options)}`}`;
}

/** A program per station would be a line per station: one line says how many there are. */
function collapsedLine(name: string, changes: readonly ItemChange[], page: PlanPage): string {
  const models = new Map<string, number>();
  for (const change of changes) for (const [model, count] of change.models) models.set(model, (models.get(model) ?? 0) + count);
  const [first] = changes;
  const example = first === undefined ? '' : ` such as ${versionsText(first.from, first.to)}`;
  const places = new Set(changes.map(({ at }) => (at === null ? '' : `${at.file}:${at.line}`)));
  const place = places.size === 1 && first?.at != null ? ` · ${placeLink(first.at, page.options)}` : '';
  return `- **${name}** ${changes.length} different changes${example} · ${modelsText(byCount(models))}${place}`;
}

/** Field by field, folded: what is inside of a config or a set of settings that changes. */
function fieldTable({ fields }: GroupSummary): string {
  if (fields.length === 0) return '';
  const shown = fields.slice(0, MOST_FIELDS);
  const rows = shown.map((field) => [code(field.path, 80), prose(tallyChange(field), 160), tallyDevices(field)]);
  const rest = fields.length - shown.length;
  if (rest > 0) rows.push([`${rest} more`, '', '']);
  return folded(`${counted(fields.length, 'field')} inside`, markdownTable(['field', 'change', 'on'], rows));
}

function waveTable({ waves, phase }: GroupSummary, { zone }: PlanPage): string {
  if (waves.length === 0) return '';
  const shown = waves.slice(0, MOST_WAVES);
  const rows = shown.map((wave) => [prose(wave.name, 30), membersText(wave), whenText(wave, phase, zone)]);
  const rest = waves.slice(MOST_WAVES);
  const more = rest.reduce((sum, { devices }) => sum + devices, 0);
  if (rest.length > 0) rows.push([`${rest.length} more`, counted(more, 'device'), '']);
  return markdownTable(['wave', 'devices', 'when'], rows);
}

function membersText({ devices, members, models }: WaveSummary): string {
  if (devices === 0) return '–';
  return devices <= MOST_NAMED ? deviceNames(members, devices) : `${devices}: ${modelsText(models, 3)}`;
}

/** A wave that the merge itself opens is said to open now. */
function whenText(wave: WaveSummary, phase: GroupSummary['phase'], zone: string): string {
  if (phase === 'halted' && wave.state !== 'passed') return 'halted';
  switch (wave.state) {
    case 'passed':
      return '✓ passed';
    case 'open':
      return wave.opensAt === null ? (phase === 'begins' ? '**now**' : '**open**') : `open, goes on ${dayAndTime(wave.opensAt, zone)}`;
    case 'opens':
      return wave.opensAt === null ? 'later' : dayAndTime(wave.opensAt, zone);
    case 'waits':
      return wave.after === null ? '' : `after ${prose(wave.after, 40)}`;
  }
}

/** What keeps a bad change small: conditions, windows, budget, gates and what each wave can show. */
function guardLines(group: GroupSummary, { view }: PlanPage): string {
  const { before, health, watchMs, after } = group.declaration;
  const rules = view.declared.rollouts.get(group.rollout);
  const windows = group.direction === 'rollback' ? rules?.rollback.windows : rules?.windows;
  const lines = [
    windows === undefined ? null : `- Window: ${windows.length === 0 ? 'any time' : windows.map((name) => code(name)).join(', ')}`,
    rules === undefined || rules.budget.length === 0
      ? '- Budget: none'
      : `- Budget: ${rules.budget.map((rule) => budgetText(rule, group.devices)).join(', ')}`,
    before.length === 0 ? null : `- Before each change: ${conditionsText(before)}`,
    health.length === 0 ? null : `- After it: ${conditionsText(health)}${watchMs === 0 ? '' : `, watched ${durationText(watchMs)}`}`,
    after === null ? null : `- After group ${code(after.group)} has kept it for ${durationText(after.forMs)}`,
    ...group.waves.slice(0, MOST_WAVES).flatMap(({ name, proves, state }) => {
      if (proves === null || state === 'passed') return [];
      return [`- Wave ${prose(name, 30)} proves a failure rate below ${percentText(proves)}, at 95 %`];
    }),
    rules === undefined ? null : `- On failure: ${rules.onFailure === 'halt' ? 'the rollout halts' : 'it halts and a revert is proposed'}`,
  ];
  const body = lines.filter((line) => line !== null).join('\n');
  return group.phase === 'upkeep' ? '' : folded(`Guards of ${htmlCode(group.group)}`, body);
}

function conditionsText(conditions: readonly Condition[]): string {
  const signs: Readonly<Record<Condition['test'], string>> = {
    'at-least': ' ≥ ',
    'at-most': ' ≤ ',
    equals: ' = ',
    'no-rise': ' must not rise',
  };
  const shown = conditions.slice(0, 8).map(({ measure, test, value }) => prose(`${measure}${signs[test]}${value ?? ''}`, 80));
  return conditions.length > shown.length ? `${shown.join(', ')} and ${conditions.length - shown.length} more` : shown.join(', ');
}
