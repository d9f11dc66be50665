import { commentMarker } from './comment-options.ts';
import type { CommentOptions } from './comment-options.ts';
import { byteLength, sections } from './markdown.ts';
import { answerLine, planFooter } from './page.ts';
import type { PlanPage } from './page.ts';
import type { PlanView } from './pass.ts';
import { groupSections } from './plan-groups.ts';
import { reasonSections } from './plan-reasons.ts';
import { leadSection, movementSection, soonSection, unseenSection } from './plan-sections.ts';
import { summarise } from './plan-summary.ts';

/** GitHub takes 65,536 characters in a comment, and counts some of them twice. */
const MOST_BYTES = 60_000;

/** What each section may take, in bytes; the marker, the answer and the footer are bounded by what they say. */
const ROOM = { lead: 4_000, groups: 20_000, movements: 6_000, reasons: 17_000, unseen: 4_000, soon: 2_500 } as const;

/** Names of four bytes a letter can outgrow the room: the same again with less of it, down to heads and counts alone. */
const SHARES = [1, 0.6, 0.3, 0] as const;

/**
 * The one sticky comment of a pull request: what merging does. Begins with `commentMarker(path)`; the first visible line
 * is the answer. Always below 60,000 bytes of UTF-8, whatever the plan holds: what finds no room is folded and counted, and
 * no reason is ever left out.
 */
export function planComment(view: PlanView, options: CommentOptions): string {
  const page: PlanPage = { view, summary: summarise(view), options, zone: view.declared.fleet.zone };
  let text = '';
  for (const share of SHARES) {
    text = `${commentMarker(options.path ?? '.')}\n${planSections(page, share)}`;
    if (byteLength(text) < MOST_BYTES) break;
  }
  return text;
}

function planSections(page: PlanPage, share: number): string {
  return `${sections([
    `## ${answerLine(page.summary, page.zone)}`,
    leadSection(page, ROOM.lead * share),
    groupSections(page, ROOM.groups * share),
    movementSection(page, ROOM.movements * share),
    reasonSections(page, ROOM.reasons * share),
    unseenSection(page, ROOM.unseen * share),
    soonSection(page, ROOM.soon * share),
    planFooter(page),
  ])}\n`;
}
