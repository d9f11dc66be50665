import { placeText } from '#kit/diagnostics.ts';
import type { Diagnostic } from '#kit/diagnostics.ts';
import { shortDigest } from '#model/ids.ts';
import { problemCount } from './diagnostics-text.ts';
import { untilText } from './holds.ts';
import type { PlanView } from './pass.ts';
import { headline } from './plan-text.ts';
import { summarise } from './plan-summary.ts';
import type { GroupSummary } from './plan-summary.ts';
import { markdownTable } from './table.ts';
import { dayAndTime } from './time.ts';
import { counted, percentText } from './words.ts';

const MOST_ROWS = 200;

/** The plan for a job summary or a comment: the same answer first, then one section per group. */
export function planMarkdown(view: PlanView): string {
  const summary = summarise(view);
  const { zone } = view.declared.fleet;
  const effects = summary.effects.map(({ effect, devices }) => `- ${counted(devices, 'device')}: ${effect}`);
  const sections = [
    `### ${headline(summary, zone)}`,
    effects.join('\n'),
    summary.mergeHeld === null ? '' : `**The merge waits**: ${summary.mergeHeld}`,
    ...summary.groups.map((group) => groupMarkdown(group, zone)),
    section(
      'Refused',
      ['device', 'reason', 'evidence'],
      summary.refused.map(({ device, reason, evidence }) => [device, reason, evidence]),
    ),
    section(
      'Held',
      ['device', 'reason', 'until', 'evidence'],
      view.decision.held.map((hold) => [hold.device, hold.reason, untilText(hold, zone), hold.evidence]),
    ),
    section(
      'Soon',
      ['when', 'what'],
      summary.soon.map(({ at, text }) => [dayAndTime(at, zone), text]),
    ),
  ];
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`;
}

function section(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const rest = rows.length > MOST_ROWS ? `\n\n… and ${rows.length - MOST_ROWS} more` : '';
  return `<details><summary>${title}: ${rows.length}</summary>\n\n${markdownTable(head, rows.slice(0, MOST_ROWS))}${rest}\n\n</details>`;
}

function groupMarkdown(group: GroupSummary, zone: string): string {
  const from = group.from === null ? 'nothing recorded' : `\`${shortDigest(group.from)}\``;
  const head = `#### ${group.group}: ${from} → \`${shortDigest(group.to)}\`, rollout ${group.rollout}, ${group.direction}`;
  const halted = group.halt === null ? '' : `**Halted**: ${group.halt}`;
  const items = group.items
    .slice(0, MOST_ROWS)
    .map((item) => [
      item.item,
      item.from ?? 'unknown',
      item.to,
      item.models.map(([model, count]) => `${count} ${model}`).join(', '),
      item.place ?? '',
    ]);
  const waves = group.waves.map((wave) => [
    wave.name,
    String(wave.devices),
    wave.opensAt === null ? wave.state : `opens ${dayAndTime(wave.opensAt, zone)}`,
    wave.notes.join(', '),
    wave.proves === null ? '' : `failure rate below ${percentText(wave.proves)}`,
  ]);
  return [
    head,
    halted,
    items.length === 0 ? '' : markdownTable(['item', 'from', 'to', 'devices', 'declared at'], items),
    waves.length === 0 ? '' : markdownTable(['wave', 'devices', 'state', 'then', 'proves at 95 %'], waves),
  ]
    .filter((text) => text !== '')
    .join('\n\n');
}

/** Mistakes as a table; the places are what a reader looks for. */
export function diagnosticsMarkdown(diagnostics: readonly Diagnostic[]): string {
  if (diagnostics.length === 0) return '### No mistakes\n';
  const rows = diagnostics.slice(0, MOST_ROWS).map((one) => [one.severity, one.code, placeText(one.place), one.summary, one.fix ?? '']);
  return `### ${problemCount(diagnostics)}\n\n${markdownTable(['', 'code', 'where', 'what', 'fix'], rows)}\n`;
}
