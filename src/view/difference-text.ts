import type { DeclaredDifference, DifferenceSign, GroupDifference, RuleDifference } from '#model/difference.ts';
import { shortDigest } from '#model/ids.ts';
import { alignRows, padEnd, plain } from './table.ts';
import type { Paint, Tone } from './table.ts';
import { counted, effectOf, firstOf } from './words.ts';

const LABEL_WIDTH = 16;
const MOST_LINES = 12;

export const DIFFERENCE_SIGNS: Readonly<Record<DifferenceSign, string>> = { joins: '+', changes: '~', leaves: '-' };
const TONES: Readonly<Record<DifferenceSign, Tone>> = { joins: 'add', changes: 'warn', leaves: 'bad' };

/** What a run without devices cannot know: said wherever a difference is shown. */
export const NOT_SEEN =
  'This compares two revisions. It asked no device and read no ledger, so it does not know what the devices run now, which changes would be refused, or when a wave would open.';

/** `12 of 18 devices are declared otherwise, 1 joins, 2 leave`. */
export function differenceHeadline(difference: DeclaredDifference): string {
  const { changing, devices, joining, leaving, replaced, moving } = difference;
  const head =
    changing === 0
      ? `no device is declared otherwise, ${counted(devices, 'device')}`
      : `${changing} of ${counted(devices, 'device')} ${effectOf(changing, 'is')} declared otherwise`;
  const parts: readonly (readonly [number, string])[] = [
    [joining.length, 'joins'],
    [leaving.length, 'leaves'],
    [moving.length, 'moves'],
    [replaced.length, 'has new hardware'],
  ];
  return [head, ...parts.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${effectOf(count, what)}`]))].join(', ');
}

/** The declared difference for a terminal: the answer, who moves, each group, rules, and what only the merge changes. */
export function differenceText(difference: DeclaredDifference, paint: Paint = plain): string {
  const names = (devices: readonly { readonly device: string }[]): string => firstOf(devices.map(({ device }) => device));
  const { joining, leaving, replaced, moving } = difference;
  const line = (sign: string, list: readonly { readonly device: string }[], what: string): readonly string[] =>
    list.length === 0 ? [] : [`${sign} ${padEnd(`${list.length} ${effectOf(list.length, what)}`, LABEL_WIDTH)}${names(list)}`];
  const sections = [
    [paint('strong', differenceHeadline(difference))],
    ...difference.groups.map((group) => groupLines(group, paint)),
    [
      ...line(paint('add', '+'), joining, 'joins'),
      ...line(paint('bad', '-'), leaving, 'leaves'),
      ...line(paint('warn', '-/+'), replaced, 'has new hardware'),
      ...line(paint('warn', '>'), moving, 'moves'),
    ],
    difference.rules.map((rule) => ruleText(rule, paint)),
    difference.onlyByMerge.length === 0
      ? []
      : ['read from the base until it is merged:', ...difference.onlyByMerge.map((rule) => `  ${ruleText(rule, paint)}`)],
    [NOT_SEEN],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function groupLines(group: GroupDifference, paint: Paint): readonly string[] {
  const release = `release ${group.from === null ? 'none' : shortDigest(group.from)} → ${group.to === null ? 'none' : shortDigest(group.to)}`;
  const sign = paint(TONES[group.sign], DIFFERENCE_SIGNS[group.sign]);
  const head = `${sign} ${padEnd(group.group, LABEL_WIDTH)}${release}   ${group.changing} of ${counted(group.devices, 'device')}`;
  const rows = group.items
    .slice(0, MOST_LINES)
    .map(({ item, from, to, models, place }) => [
      item,
      `${from ?? 'not declared'} → ${to ?? 'not declared'}`,
      `(${models.map(([model, count]) => `${count} ${model}`).join(', ')})`,
      `${place.file}:${place.line}`,
    ]);
  const rest = group.items.length - MOST_LINES;
  return [
    head,
    ...alignRows(rows).map((line) => `    ${line}`),
    ...(rest > 0 ? [`    and ${rest} more`] : []),
    ...group.rules.map((rule) => `    ${rule}`),
  ];
}

function ruleText({ kind, name, sign, details, place }: RuleDifference, paint: Paint): string {
  const shown = details.length > 0 && sign === 'changes' ? `: ${details.join('; ')}` : '';
  return `${paint(TONES[sign], DIFFERENCE_SIGNS[sign])} ${kind} ${name}${shown}  ${place.file}:${place.line}`;
}
