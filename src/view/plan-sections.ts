import type { Diagnostic } from '#kit/diagnostics.ts';
import { REASONS } from '#model/reasons.ts';
import { blastRadius, isNoReturn } from './blast-radius.ts';
import { alert, code, fit, folded, prose, sections } from './markdown.ts';
import { deviceNames, placeLink } from './page.ts';
import type { PlanPage } from './page.ts';
import { isoDay } from './time.ts';
import { counted, effectOf, percentText, tally } from './words.ts';

/** Below the answer: what must be known before anything else. The merge that waits, halted rollouts, what is done to devices. */
export function leadSection(page: PlanPage, bytes: number): string {
  const { summary } = page;
  const merge = summary.mergeHeld === null ? '' : alert('WARNING', `**${REASONS.CHANGE_LIMIT}**\n${prose(summary.mergeHeld, 400)}`);
  return sections([merge, haltedBox(page), blastLines(page, Math.floor(bytes / 3)), effectLines(page, Math.floor(bytes / 3))]);
}

/** Every reason of a halt with its count, whatever the groups' own sections find room for. */
function haltedBox({ summary, view }: PlanPage): string {
  const halted = summary.groups.filter(({ phase }) => phase === 'halted');
  if (halted.length === 0) return '';
  const reasons = tally(halted.map(({ group }) => view.decision.groups.get(group)?.rollout?.halt?.reason ?? 'HALTED'));
  const counts = reasons.map(([reason, count]) => `${count} ${reason}`).join(', ');
  const names = deviceNames(
    halted.map(({ group }) => group),
    halted.length,
    3,
  );
  return alert('CAUTION', `**${counted(halted.length, 'rollout')} halted** (${counts}): ${names}`);
}

function effectLines({ summary }: PlanPage, bytes: number): string {
  return fit({
    entries: summary.effects.filter(({ effect }) => !isNoReturn(effect)),
    bytes,
    render: ({ effect, devices }) => `- ${counted(devices, 'device')} ${prose(effectOf(devices, effect), 160)}`,
    rest: (left) => `- and ${left.length} other effects`,
  }).join('\n');
}

function blastLines({ view, summary }: PlanPage, bytes: number): string {
  const blast = blastRadius(view);
  if (blast.disturbed === 0) return '';
  const all = counted(summary.devices, 'device');
  const lines = [
    `**At worst** ${blast.atOnce} of ${all} (${percentText(blast.share)}) ${effectOf(blast.atOnce, 'is')} down at once, at ${counted(blast.sitesAtOnce, 'site')}.`,
  ];
  if (blast.unbounded > 0) lines.push(`No budget holds back ${counted(blast.unbounded, 'device')} of them.`);
  const noReturn = fit({
    entries: blast.noReturn,
    bytes,
    render: ({ text, devices, examples }) =>
      `- **No way back**: ${counted(devices, 'device')} ${prose(effectOf(devices, text), 160)} (${deviceNames(examples, devices, 3)})`,
    rest: (left) => `- **No way back**: ${left.length} more kinds`,
  });
  const [first, ...rest] = [lines.join(' '), ...noReturn];
  return noReturn.length === 0 ? (first ?? '') : sections([first ?? '', alert('WARNING', rest.join('\n'))]);
}

interface Movement {
  readonly sign: string;
  readonly text: string;
  readonly names: readonly string[];
}

/** Who joins, leaves, moves, has new hardware, and belongs to nobody. */
export function movementSection({ summary }: PlanPage, bytes: number): string {
  const { joining, leaving, replaced, moving, unmanaged, frozen } = summary;
  const verb = (count: number, text: string): string => `${counted(count, 'device')} ${effectOf(count, text)}`;
  const moves = moving.map(({ device, from, to }) => `${device}: ${from ?? 'no group'} → ${to ?? 'no group'}`);
  const all: readonly Movement[] = [
    { sign: '-', text: `${verb(leaving.length, 'leaves')} the inventory: no longer watched, untaken offers are withdrawn`, names: leaving },
    { sign: '-/+', text: `${verb(replaced.length, 'has')} new hardware: it must report its serial first`, names: replaced },
    { sign: '>', text: `${verb(moving.length, 'moves')} to another group`, names: moves },
    { sign: '+', text: verb(joining.length, 'joins'), names: joining },
    {
      sign: '=',
      text: `${verb(frozen.length, 'is')} frozen: nothing is sent to it`.replace('to it', frozen.length === 1 ? 'to it' : 'to them'),
      names: frozen,
    },
    { sign: '?', text: `${verb(unmanaged.length, 'is')} in no group`, names: unmanaged },
  ];
  const shown = all.filter(({ names }) => names.length > 0);
  const each = Math.floor(bytes / Math.max(1, shown.length));
  const lines = shown.map(({ sign, text, names }) => movementLine({ sign, text, names }, each));
  return lines.length === 0 ? '' : `### Inventory\n\n${lines.join('\n')}`;
}

const MOST_NAMED = 8;

function movementLine({ sign, text, names }: Movement, bytes: number): string {
  const shown = fit({ entries: names.slice(0, MOST_NAMED), bytes: bytes - 400, render: (name) => code(name, 100), rest: () => '…' });
  const rest = names.length - MOST_NAMED;
  return `- \`${sign}\` **${text.slice(0, text.indexOf(' '))}**${text.slice(text.indexOf(' '))}: ${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** What the run could not read: connections in trouble, and warnings of the repo. */
export function unseenSection({ options }: PlanPage, bytes: number): string {
  const troubles = options.troubles ?? [];
  const warnings = options.diagnostics ?? [];
  const half = Math.floor(bytes / 2);
  const unread = fit({
    entries: troubles,
    bytes: half,
    render: ({ connection, code: name, message }) => `> ${code(connection)} ${code(name)}: ${prose(message, 160)}`,
    rest: (left) => `> and ${left.length} more`,
  });
  const box =
    troubles.length === 0
      ? ''
      : `> [!WARNING]\n> **${counted(troubles.length, 'connection')} could not be read**: what is behind ${troubles.length === 1 ? 'it' : 'them'} is not in this plan.\n${unread.join('\n')}`;
  return sections([box, diagnosticLines(warnings, options, half)]);
}

/** Warnings of the repo, a line each. */
export function diagnosticLines(warnings: readonly Diagnostic[], options: Pick<PlanPage['options'], 'links'>, bytes: number): string {
  if (warnings.length === 0) return '';
  const lines = fit({
    entries: warnings,
    bytes,
    render: (one) => diagnosticLine(one, options),
    rest: (left) => `- and ${left.length} more (${codesText(left)})`,
  });
  return `### Warnings: ${warnings.length}\n\n${lines.join('\n')}`;
}

/** The codes are our own and fewer: a bound for those that are not. */
const MOST_CODES = 60;

/** `3 UNKNOWN_KEY, 2 NO_DEVICES`. */
export function codesText(diagnostics: readonly Diagnostic[]): string {
  const codes = tally(diagnostics.map((one) => one.code));
  const shown = codes.slice(0, MOST_CODES).map(([name, count]) => `${count} ${prose(name, 40)}`);
  return codes.length > shown.length ? `${shown.join(', ')}, …` : shown.join(', ');
}

/** Where it is, what is wrong, and what to write instead. */
export function diagnosticLine(one: Diagnostic, options: Pick<PlanPage['options'], 'links'>): string {
  const fix = one.fix === undefined ? '' : `\n  → ${prose(one.fix)}`;
  const also = (one.also ?? []).slice(0, 3).map((place) => placeLink(place, options));
  const places = [placeLink(one.place, options), ...also].join(', ');
  const detail = one.detail === undefined ? '' : ` ${prose(one.detail)}`;
  return `- ${places} **${one.code.replaceAll(/[^\w-]/g, '')}**: ${prose(one.summary)}${detail}${fix}`;
}

/** Overrides that end, reviews that are due, devices that retire. */
export function soonSection({ summary, zone }: PlanPage, bytes: number): string {
  const lines = fit({
    entries: summary.soon,
    bytes,
    render: ({ at, text }) => `- ${isoDay(at, zone)} ${prose(text, 120)}`,
    rest: (left) => `- and ${left.length} more`,
  });
  return folded(`Soon: ${summary.soon.length}`, lines.join('\n'));
}
