import { shortDigest } from '#model/ids.ts';
import type { DeclaredDifference, DeclaredItemChange, DifferenceSign, GroupDifference, RuleDifference } from '#model/difference.ts';
import type { RevisionRef } from '#model/revision.ts';
import { commentMarker } from './comment-options.ts';
import type { CommentOptions } from './comment-options.ts';
import { DIFFERENCE_SIGNS, differenceHeadline, NOT_SEEN } from './difference-text.ts';
import { alert, code, fit, prose, sections } from './markdown.ts';
import { deviceNames, modelsText, placeLink, restText, versionsText } from './page.ts';
import { diagnosticLines } from './plan-sections.ts';
import { counted, effectOf } from './words.ts';

type Options = Omit<CommentOptions, 'path'>;

const ROOM = { groups: 24_000, movements: 6_000, rules: 9_000, onlyByMerge: 7_000, warnings: 5_000 } as const;
const MOST_ITEMS = 8;
const MOST_NAMED = 3;

/**
 * The comment of a run that may not see devices (a fork): what the two revisions declare differently, and in plain words
 * what it could not see. The same marker as the plan's, so that a plan takes its place; below 60,000 bytes.
 */
export function differenceComment(difference: DeclaredDifference, options: CommentOptions): string {
  const { base, head } = difference;
  return `${sections([
    `${commentMarker(options.path ?? '.')}\n## ${differenceHeadline(difference)}`,
    alert('NOTE', `**Without devices.** ${NOT_SEEN}\nWhoever may run with secrets sees all of it: \`headgate plan\`.`),
    onlyByMergeSection(difference, options),
    groupsSection(difference, options),
    movements(difference),
    rulesSection('Rules', difference.rules, { options, bytes: ROOM.rules }),
    diagnosticLines(options.diagnostics ?? [], options, ROOM.warnings),
    `---\n${revisionText(base)} → ${revisionText(head)} · fleet ${prose(difference.fleet, 60)}\n\nAll of it: ${restText(options)}`,
  ])}\n`;
}

function revisionText({ commit }: RevisionRef): string {
  return commit === null ? 'the working tree' : `\`${shortDigest(commit)}\``;
}

function groupsSection({ groups }: DeclaredDifference, options: Options): string {
  return sections(
    fit({
      entries: groups,
      bytes: ROOM.groups,
      render: (group) => groupSection(group, options),
      rest: (left) => {
        const changing = left.reduce((sum, group) => sum + group.changing, 0);
        return `and ${counted(left.length, 'group')} more: ${counted(changing, 'device')} declared otherwise`;
      },
    }),
  );
}

const WORDS: Readonly<Record<DifferenceSign, string>> = { joins: 'new', changes: '', leaves: 'no longer declared' };

function groupSection(group: GroupDifference, options: Options): string {
  const word = WORDS[group.sign];
  const release = [group.from, group.to].map((id) => (id === null ? 'none' : `\`${shortDigest(id)}\``)).join(' → ');
  const same = group.from === group.to;
  const items = group.items.slice(0, MOST_ITEMS).map((change) => itemLine(change, options));
  const rest = group.items.length - MOST_ITEMS;
  const parts = group.parts.slice(0, MOST_ITEMS).map(({ id, sign }) => `- \`${DIFFERENCE_SIGNS[sign]}\` ${code(id, 80)}`);
  return sections([
    `### ${code(group.group)} · ${group.changing} of ${counted(group.devices, 'device')}${word === '' ? '' : ` · ${word}`}`,
    `${same ? 'the same release' : `release ${release}`} · ${placeLink(group.place, options)}`,
    [...items, ...(rest > 0 ? [`- and ${rest} more changes of items`] : [])].join('\n'),
    group.items.length > 0 || parts.length === 0 ? '' : `Parts of the release:\n\n${parts.join('\n')}`,
    group.rules.map((rule) => `- ${prose(rule, 160)}`).join('\n'),
  ]);
}

function itemLine({ item, from, to, models, examples, place }: DeclaredItemChange, options: Options): string {
  const all = models.reduce((sum, [, count]) => sum + count, 0);
  const who = all <= MOST_NAMED ? `${modelsText(models)} (${deviceNames(examples, all)})` : modelsText(models);
  return `- **${item}** ${versionsText(from, to, 'not declared')} · ${who} · ${placeLink(place, options)}`;
}

function movements({ joining, leaving, replaced, moving }: DeclaredDifference): string {
  const each = ROOM.movements / 4;
  const line = (sign: string, texts: readonly string[], what: string): string => {
    if (texts.length === 0) return '';
    const shown = fit({ entries: texts, bytes: each, render: (text) => text, rest: (left) => `and ${left.length} more` });
    return `- \`${sign}\` **${texts.length}** ${effectOf(texts.length, what)}: ${shown.join(', ')}`;
  };
  const lines = [
    line(
      '+',
      joining.map(({ device, group }) => `${code(device)} (${group === null ? 'in no group' : code(group)})`),
      'joins',
    ),
    line(
      '-',
      leaving.map(({ device }) => code(device)),
      'leaves',
    ),
    line(
      '-/+',
      replaced.map(({ device, from, to }) => `${code(device)} (${prose(from, 60)} → ${prose(to, 60)})`),
      'has new hardware',
    ),
    line(
      '>',
      moving.map(({ device, from, to }) => `${code(device)} (${code(from ?? 'no group')} → ${code(to ?? 'no group')})`),
      'moves',
    ),
  ].filter((text) => text !== '');
  return lines.length === 0 ? '' : `### Inventory\n\n${lines.join('\n')}`;
}

function onlyByMergeSection({ onlyByMerge }: DeclaredDifference, options: Options): string {
  if (onlyByMerge.length === 0) return '';
  const body = rulesSection('', onlyByMerge, { options, bytes: ROOM.onlyByMerge });
  return alert(
    'WARNING',
    `**How the fleet is reached, or what a merge may do, changes.** Until the merge, all of this is read from the base.\n\n${body}`,
  );
}

function rulesSection(
  title: string,
  rules: readonly RuleDifference[],
  room: { readonly options: Options; readonly bytes: number },
): string {
  if (rules.length === 0) return '';
  const lines = fit({
    entries: rules,
    bytes: room.bytes,
    render: (rule) => ruleLines(rule, room.options),
    rest: (left) => `- and ${left.length} more`,
  });
  return `${title === '' ? '' : `### ${title}\n\n`}${lines.join('\n')}`;
}

function ruleLines({ kind, name, sign, details, place }: RuleDifference, options: Options): string {
  const shown = details.slice(0, MOST_ITEMS).map((detail) => `  - ${prose(detail, 200)}`);
  return [`- \`${DIFFERENCE_SIGNS[sign]}\` ${kind} ${code(name)} · ${placeLink(place, options)}`, ...shown].join('\n');
}
