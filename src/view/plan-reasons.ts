import { REASONS } from '#model/reasons.ts';
import { byteLength, fit, folded, prose, sections } from './markdown.ts';
import { deviceLink } from './page.ts';
import type { PlanPage } from './page.ts';
import { reasonGroups } from './reason-groups.ts';
import type { EvidenceGroup, ReasonClass, ReasonGroup } from './reason-groups.ts';
import { dayTimeZone } from './time.ts';
import { counted } from './words.ts';

interface ClassText {
  readonly title: string;
  /** Folded away: nobody has to do anything about it. */
  readonly folds: boolean;
}

const CLASSES: readonly (readonly [ReasonClass, ClassText])[] = [
  ['refused', { title: 'Refused', folds: false }],
  ['person', { title: 'Needs a person', folds: false }],
  ['unseen', { title: 'Not seen', folds: false }],
  ['left', { title: 'Left alone', folds: true }],
  ['waits', { title: 'Waits its turn', folds: true }],
];

/** Devices whose words differ only in numbers stand together; so many of them are named. */
const MOST_NAMED = 3;

/**
 * Why devices wait: each reason with its count, always, and as much of the evidence as finds room. What asks for a person
 * comes first and is not folded away.
 */
export function reasonSections(page: PlanPage, bytes: number): string {
  const groups = reasonGroups(page.view);
  const heads = groups.map((group) => headLine(group, page));
  // The heads are bounded by the closed list of reasons; evidence shares what they leave.
  let room = bytes - heads.reduce((sum, head) => sum + byteLength(head) + 2, 0) - CLASSES.length * 100;
  const blocks = new Map<ReasonGroup, string>();
  const byNeed = groups.map((group, index) => ({ group, head: heads[index] ?? '' })).toSorted((a, b) => rank(a.group) - rank(b.group));
  for (const [index, { group, head }] of byNeed.entries()) {
    const lines = evidenceLines(group, page, Math.floor(room / (byNeed.length - index)));
    room -= lines.reduce((sum, line) => sum + byteLength(line) + 1, 0);
    blocks.set(group, [head, ...lines].join('\n'));
  }
  return sections(
    CLASSES.map(([kind, text]) => {
      const members = groups.filter((group) => group.kind === kind);
      return classSection(text, members, members.map((group) => blocks.get(group) ?? '').join('\n'));
    }),
  );
}

function rank({ kind }: ReasonGroup): number {
  return CLASSES.findIndex(([name]) => name === kind);
}

function classSection({ title, folds }: ClassText, members: readonly ReasonGroup[], body: string): string {
  if (members.length === 0) return '';
  const devices = members.reduce((sum, group) => sum + group.devices, 0);
  const head = `${title}: ${counted(devices, 'device')}`;
  return folds ? folded(head, body) : `### ${head}\n\n${body}`;
}

function headLine({ reason, devices, until }: ReasonGroup, { zone }: PlanPage): string {
  const when = until === null ? '' : ` · next ${dayTimeZone(until, zone)}`;
  return `- **${reason}** · ${counted(devices, 'device')}: ${REASONS[reason]}${when}`;
}

function evidenceLines({ evidence }: ReasonGroup, page: PlanPage, bytes: number): readonly string[] {
  return fit({
    entries: evidence,
    bytes,
    render: (one) => evidenceLine(one, page),
    rest: (left) => {
      const devices = left.reduce((sum, one) => sum + one.devices, 0);
      return `  - and ${left.length} more evidence${left.length === 1 ? '' : 's'} of ${counted(devices, 'device')}`;
    },
  });
}

function evidenceLine({ evidence, person, devices, examples, alike }: EvidenceGroup, page: PlanPage): string {
  const most = devices <= MOST_NAMED ? MOST_NAMED : 2;
  const shown = examples.slice(0, most).map((device) => deviceLink(page, device));
  const who = devices > shown.length ? `${shown.join(', ')} and ${devices - shown.length} more` : shown.join(', ');
  const what = evidence === '' ? '' : `: ${prose(evidence)}${alike ? '' : ' (and the like)'}`;
  const asks = person === null ? '' : ` → ${prose(person, 160)}`;
  return `  - ${who}${what}${asks}`;
}
