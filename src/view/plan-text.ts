import { shortDigest } from '#model/ids.ts';
import { changeParts } from './answer.ts';
import { awsCostSource, awsCostText } from './aws-costs.ts';
import { tallyChange, tallyDevices } from './field-changes.ts';
import type { FieldTally } from './field-changes.ts';
import type { PlanView } from './pass.ts';
import { linePlace, summarise } from './plan-summary.ts';
import type { GroupSummary, ItemChange, PlanSummary } from './plan-summary.ts';
import { alignRows, padEnd, plain } from './table.ts';
import type { Paint } from './table.ts';
import { dayAndTime, dayTimeZone, isoDay } from './time.ts';
import type { WaveSummary } from './wave-summary.ts';
import { counted, effectOf, firstOf, percentText, tallyText, withoutModel, shortValue } from './words.ts';

const MOST_LINES_PER_ITEM = 4;
const MOST_REFUSED = 10;
const MOST_FIELDS = 12;
const LABEL_WIDTH = 16;

/**
 * The plan as FLEET-REPO.md shows it: the answer in the first line, then what it does to devices, then each group with its
 * items and waves, then who joins, leaves, is refused, and what ends soon. Times are in the fleet's zone.
 */
export function planText(view: PlanView, paint: Paint = plain): string {
  const summary = summarise(view);
  const { zone } = view.declared.fleet;
  const sections = [
    [paint('strong', headline(summary, zone)), ...effectsLine(summary), ...mergeLine(summary, paint)].join('\n'),
    ...summary.groups.map((group) => groupText(group, zone, paint)),
    movements(summary, paint).join('\n'),
    refusals(summary, paint).join('\n'),
    waiting(summary, zone).join('\n'),
    soonBox(summary, zone).join('\n'),
    awsBox(summary).join('\n'),
  ];
  return sections.filter((section) => section !== '').join('\n\n');
}

/** The answer in one line. */
function headline(summary: PlanSummary, zone: string): string {
  const parts = [
    ...changeParts(summary),
    `${summary.refused.length} refused`,
    `${summary.frozen.length} frozen`,
    `${summary.leaving.length} leave`,
  ];
  if (summary.first !== null) {
    const when = summary.admitted > 0 ? 'now' : summary.first.at === null ? 'later' : dayTimeZone(summary.first.at, zone);
    parts.push(`first: ${counted(summary.first.devices, 'device')} ${when}`);
  }
  return parts.join(' · ');
}

function effectsLine(summary: PlanSummary): readonly string[] {
  if (summary.effects.length === 0) return [];
  return [
    summary.effects
      .map(({ effect, devices }, index) => `${index === 0 ? counted(devices, 'device') : devices} ${effectOf(devices, effect)}`)
      .join(' · '),
  ];
}

function mergeLine({ mergeHeld }: PlanSummary, paint: Paint): readonly string[] {
  return mergeHeld === null ? [] : [paint('bad', `the merge waits: ${mergeHeld}`)];
}

function groupText(group: GroupSummary, zone: string, paint: Paint): string {
  const from = group.from === null ? 'nothing recorded' : shortDigest(group.from);
  const release = group.from === group.to ? `release ${shortDigest(group.to)}` : `release ${from} → ${shortDigest(group.to)}`;
  const how = group.phase === 'upkeep' ? 'outside of a rollout' : `rollout ${group.rollout}, ${group.direction}`;
  const head = `${paint('warn', '~')} ${padEnd(group.group, LABEL_WIDTH)}${release}   ${how}${group.phase === 'halted' ? paint('bad', ', halted') : ''}`;
  const halt = group.halt === null ? [] : [`    ${paint('bad', 'halted')}  ${group.halt}`];
  return [head, ...halt, ...itemLines(group), ...waveLines(group.waves, zone)].join('\n');
}

/** Each item with its versions, and below it the fields that change in it. */
function itemLines({ items, fields }: GroupSummary): readonly string[] {
  const rows: (readonly string[])[] = [];
  const owners: string[] = [];
  for (const name of new Set(items.map(({ item }) => item))) {
    const changes = items.filter(({ item }) => item === name);
    const own = changes.length <= MOST_LINES_PER_ITEM ? changes.map(itemRow) : [collapsed(name, changes)];
    rows.push(...own);
    owners.push(...own.map(() => name));
  }
  return alignRows(rows).flatMap((line, index) => [
    `    ${line}`,
    ...(owners[index + 1] === owners[index] ? [] : fieldLines(fields.filter(({ item }) => item === owners[index]))),
  ]);
}

function fieldLines(fields: readonly FieldTally[]): readonly string[] {
  const shown = fields.slice(0, MOST_FIELDS).map((field) => [field.path, tallyChange(field), `(${tallyDevices(field)})`]);
  const rest = fields.length - MOST_FIELDS;
  const lines = alignRows(shown).map((line) => `        ${line}`);
  return rest > 0 ? [...lines, `        and ${counted(rest, 'more field')}: headgate explain DEVICE`] : lines;
}

function itemRow(change: ItemChange): readonly string[] {
  const models = change.models.map(([model, count]) => `${count} ${model}`).join(', ');
  return [change.item, fromTo(change.from, change.to), `(${models})`, linePlace(change.at)];
}

/** `CR1000X.8.1.0 → 8.2.1`. */
export function fromTo(from: string | null, to: string): string {
  return `${shortValue(from ?? 'unknown')} → ${shortValue(withoutModel(from, to))}`;
}

/** A program per station would be a line per station: one line says how many there are. */
function collapsed(name: string, changes: readonly ItemChange[]): readonly string[] {
  const models = tallyText(changes.flatMap(({ models: counts }) => counts.flatMap(([model, count]) => Array<string>(count).fill(model))));
  const places = [...new Set(changes.map(({ at }) => linePlace(at)))];
  return [name, `${changes.length} different changes`, `(${models})`, places.length === 1 ? (places[0] ?? '') : ''];
}

function waveLines(waves: readonly WaveSummary[], zone: string): readonly string[] {
  const rows = waves.map((wave, index) => {
    const proves = wave.proves === null || wave.state === 'passed' ? '' : `proves: failure rate below ${percentText(wave.proves)} at 95 %`;
    return [`wave ${index + 1} ${wave.name}`, counted(wave.devices, 'device'), openingText(wave, zone), proves];
  });
  return alignRows(rows, [1]).map((line) => `    ${line}`);
}

function openingText(wave: WaveSummary, zone: string): string {
  const when: Readonly<Record<WaveSummary['state'], string>> = {
    passed: 'passed',
    open: wave.opensAt === null ? 'open' : `open, goes on ${dayAndTime(wave.opensAt, zone)}`,
    opens: `opens ${wave.opensAt === null ? 'later' : dayAndTime(wave.opensAt, zone)}`,
    waits: '',
  };
  return [when[wave.state], ...(wave.state === 'passed' ? [] : wave.notes)].filter((text) => text !== '').join(', ');
}

function movements(summary: PlanSummary, paint: Paint): readonly string[] {
  const line = (sign: string, count: string, names: readonly string[]): readonly string[] =>
    names.length === 0 ? [] : [`${sign} ${padEnd(count, LABEL_WIDTH)}${firstOf(names, 8)}`];
  const { joining, leaving, replaced, moving, unmanaged } = summary;
  return [
    ...line(paint('add', '+'), joining.length === 1 ? '1 joins' : `${joining.length} join`, joining),
    ...line(paint('bad', '-'), leaving.length === 1 ? '1 leaves' : `${leaving.length} leave`, leaving),
    ...line(paint('warn', '-/+'), `${replaced.length} replaced`, replaced),
    ...line(
      paint('warn', '>'),
      moving.length === 1 ? '1 moves' : `${moving.length} move`,
      moving.map(({ device, from, to }) => `${device} (${from ?? 'no group'} → ${to ?? 'no group'})`),
    ),
    ...line(' ', `${unmanaged.length} unmanaged`, unmanaged),
  ];
}

function refusals(summary: PlanSummary, paint: Paint): readonly string[] {
  return summary.refused.slice(0, MOST_REFUSED).map(({ device, reason, evidence }, index) => {
    const label =
      index === 0 ? `${paint('bad', '!')} ${padEnd(`${summary.refused.length} refused`, LABEL_WIDTH)}` : ' '.repeat(LABEL_WIDTH + 2);
    const rest = index === MOST_REFUSED - 1 ? summary.refused.length - MOST_REFUSED : 0;
    return `${label}${device}: ${reason} ${evidence}${rest > 0 ? ` (and ${rest} more)` : ''}`;
  });
}

/** Everybody else who is not converged, by reason: the list behind it is `explain`. */
function waiting(summary: PlanSummary, zone: string): readonly string[] {
  if (summary.held.length === 0) return [];
  const parts = summary.held.map(
    ({ reason, devices, until }) => `${devices} ${reason}${until === null ? '' : ` until ${dayAndTime(until, zone)}`}`,
  );
  const unheard = summary.unheard.slice(0, MOST_REFUSED).map(({ group, evidence, devices }, index) => {
    return `  ${padEnd(index === 0 ? 'not heard' : '', LABEL_WIDTH)}${group}: ${counted(devices, 'device')}: ${evidence}`;
  });
  return [`  ${padEnd('held', LABEL_WIDTH)}${parts.join(' · ')}`, ...unheard];
}

function soonBox(summary: PlanSummary, zone: string): readonly string[] {
  return summary.soon.map(({ at, text }, index) => `  ${padEnd(index === 0 ? 'soon' : '', LABEL_WIDTH)}${isoDay(at, zone)}  ${text}`);
}

function awsBox({ aws }: PlanSummary): readonly string[] {
  const lines = aws.map((cost, index) => `  ${padEnd(index === 0 ? 'aws' : '', LABEL_WIDTH)}${awsCostText(cost)}`);
  return lines.length === 0 ? [] : [...lines, `  ${padEnd('', LABEL_WIDTH)}(${awsCostSource()})`];
}
