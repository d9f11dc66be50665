import type { OutcomeResult } from '#model/records.ts';
import type { Admitted, RolloutState } from '#model/rollout.ts';
import type { CommentOptions } from './comment-options.ts';
import { eventText, operationText } from './events.ts';
import { code, fit, folded, markdownTable, prose, sections } from './markdown.ts';
import { waveDiagram } from './mermaid.ts';
import { answerLine, planFooter } from './page.ts';
import type { PlanPage } from './page.ts';
import type { FleetView } from './pass.ts';
import { groupSections } from './plan-groups.ts';
import { reasonSections } from './plan-reasons.ts';
import { leadSection, movementSection, soonSection, unseenSection } from './plan-sections.ts';
import { summarise } from './plan-summary.ts';
import { counted } from './words.ts';

/** What a pass did, beside the values it was made of. A PassResult is one. */
export interface JobView extends FleetView {
  readonly executed: readonly { readonly admitted: Admitted; readonly result: OutcomeResult }[];
}

export interface JobSummaryOptions extends Omit<CommentOptions, 'path'> {
  readonly mode: 'plan' | 'apply';
}

/** GitHub takes 1 MiB of a step; a page of a tenth of that is still read by somebody. */
const ROOM = {
  lead: 6_000,
  progress: 12_000,
  groups: 60_000,
  done: 30_000,
  movements: 10_000,
  reasons: 50_000,
  unseen: 10_000,
  soon: 8_000,
} as const;

/**
 * The summary of a workflow's step: the answer, the progress of each wave, a diagram of the groups, and for `apply` what the
 * pass did; then what the comment says, with more room. In practice below 200 kB, always below GitHub's 1 MiB.
 */
export function jobSummary(view: JobView, options: JobSummaryOptions): string {
  const zone = view.declared.fleet.zone;
  const summary = summarise(view);
  const page: PlanPage = { view, summary, options, zone };
  return `${sections([
    `## ${options.mode === 'plan' ? answerLine(summary, zone) : appliedLine(view)}`,
    options.mode === 'plan' ? '' : `Planned: ${answerLine(summary, zone)}`,
    leadSection(page, ROOM.lead),
    progressTable(page, ROOM.progress),
    waveDiagram(summary, zone),
    options.mode === 'plan' ? '' : doneSection(view, zone),
    groupSections(page, ROOM.groups),
    movementSection(page, ROOM.movements),
    reasonSections(page, ROOM.reasons),
    unseenSection(page, ROOM.unseen),
    soonSection(page, ROOM.soon),
    planFooter(page),
  ])}\n`;
}

/** `11 of 18 devices are as declared; 3 operations sent, 1 in trouble, 4 under way`. */
function appliedLine({ plan, executed, view }: JobView): string {
  const devices = plan.groups.reduce((sum, group) => sum + group.devices, 0);
  const converged = plan.groups.reduce((sum, group) => sum + group.converged, 0);
  const count = (...kinds: readonly OutcomeResult['kind'][]): number => executed.filter(({ result }) => kinds.includes(result.kind)).length;
  const open = [...view.open.values()].reduce((sum, operations) => sum + operations.length, 0);
  const states: readonly (readonly [number, string])[] = [
    [count('refused'), 'refused'],
    [count('trouble'), 'in trouble'],
    [open, 'under way'],
  ];
  const parts = states.flatMap(([number, what]) => (number === 0 ? [] : [`${number} ${what}`]));
  const sent = count('performed', 'already');
  return `${converged} of ${counted(devices, 'device')} ${devices === 1 ? 'is' : 'are'} as declared; ${[`${counted(sent, 'operation')} sent`, ...parts].join(', ')}`;
}

const BAR = 20;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** A bar of twenty blocks, by eighths. Never full before all is done, never empty once something is. */
export function progressBar(done: number, all: number): string {
  if (all <= 0) return '░'.repeat(BAR);
  const share = Math.min(1, Math.max(0, done / all));
  const exact = Math.floor(share * BAR * 8);
  const eighths = share > 0 && share < 1 ? Math.min(BAR * 8 - 1, Math.max(1, exact)) : exact;
  const bar = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '');
  return bar + '░'.repeat(BAR - Math.ceil(eighths / 8));
}

function progressTable({ view, summary }: PlanPage, bytes: number): string {
  const rows = summary.groups.flatMap(({ group, waves }) => {
    const rollout = view.decision.groups.get(group)?.rollout ?? null;
    return waves.map((wave) => ({ group, wave, ...outcomesOf(rollout, wave.members) }));
  });
  if (rows.length === 0) return '';
  const lines = fit({
    entries: rows,
    bytes,
    render: ({ group, wave, done, failed }) => {
      const bad = failed === 0 ? '' : `, **${failed} failed**`;
      const cells = [code(group, 40), prose(wave.name, 30), `${progressBar(done, wave.devices)} ${done}/${wave.devices}${bad}`];
      return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
    },
    rest: (left) => `| and ${left.length} more | | |`,
  });
  return `${markdownTable(['group', 'wave', 'done'], [])}\n${lines.join('\n')}`;
}

function outcomesOf(rollout: RolloutState | null, members: readonly string[]): { readonly done: number; readonly failed: number } {
  const named = new Set(members);
  let [done, failed] = [0, 0];
  for (const [device, { kind }] of rollout?.outcomes ?? []) {
    if (!named.has(device)) continue;
    if (kind === 'succeeded') done += 1;
    else failed += 1;
  }
  return { done, failed };
}

const RESULTS: Readonly<Record<OutcomeResult['kind'], string>> = {
  performed: '✓',
  already: '✓ was already done:',
  refused: '✗ refused:',
  trouble: '✗ trouble:',
};

/** What changed in the rollouts, what ended, what was sent: bounded, failures first. */
function doneSection({ decision, executed }: JobView, zone: string): string {
  const sent = executed.toSorted((a, b) => Number(isFine(a.result)) - Number(isFine(b.result)));
  const each = Math.floor(ROOM.done / 3);
  const events = fit({
    entries: decision.events,
    bytes: each,
    render: (event) => `- ${prose(eventText(event, zone))}`,
    rest: (left) => `- and ${left.length} more`,
  });
  const closed = fit({
    entries: decision.closed,
    bytes: each,
    render: (one) =>
      `- ${code(one.device)} ${one.item}${one.step === undefined ? '' : ` ${one.step}`} ${one.closing}${one.code === null ? '' : ` ${code(one.code)}`}: ${prose(one.evidence)}`,
    rest: (left) => `- and ${left.length} more`,
  });
  const done = fit({
    entries: sent,
    bytes: each,
    render: ({ admitted, result }) => `- ${RESULTS[result.kind]} ${prose(operationText(admitted.operation))}${whyText(result)}`,
    rest: (left) => `- and ${counted(left.length, 'operation')} more`,
  });
  return sections([
    events.length === 0 ? '' : `### What changed\n\n${events.join('\n')}`,
    done.length === 0 ? '' : `### Sent: ${sent.length}\n\n${done.join('\n')}`,
    folded(`Ended: ${decision.closed.length}`, closed.join('\n')),
  ]);
}

function isFine({ kind }: OutcomeResult): boolean {
  return kind === 'performed' || kind === 'already';
}

function whyText(result: OutcomeResult): string {
  if (result.kind === 'refused') return ` ${code(result.reason)} ${prose(result.evidence)}`;
  return result.kind === 'trouble' ? ` ${code(result.code)} ${prose(result.evidence)}` : '';
}
