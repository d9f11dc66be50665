import { oneLine } from './markdown.ts';
import type { PlanSummary } from './plan-summary.ts';
import { dayAndTime } from './time.ts';
import type { WaveSummary } from './wave-summary.ts';
import { counted } from './words.ts';

const MOST_GROUPS = 12;
const MOST_WAVES = 8;
const MOST_LABEL = 40;

const STATES: Readonly<Record<WaveSummary['state'], string>> = { passed: 'done', open: 'busy', opens: 'next', waits: 'later' };

/**
 * Groups, their waves and the gates between them, as a mermaid flow chart. Ids are ours; names stand in quotation marks and
 * keep only letters, digits and harmless signs. Empty when nothing is rolled out.
 */
export function waveDiagram(summary: PlanSummary, zone: string): string {
  const groups = summary.groups.filter(({ waves }) => waves.length > 0);
  if (groups.length === 0) return '';
  const lines = ['flowchart LR'];
  for (const [index, group] of groups.slice(0, MOST_GROUPS).entries()) {
    lines.push(`  subgraph g${index}["${label(group.group)}${group.phase === 'halted' ? ': HALTED' : ''}"]`, '    direction LR');
    const waves = group.waves.slice(0, MOST_WAVES);
    lines.push(...waves.map((wave, at) => `    g${index}w${at}["${waveLabel(wave, zone)}"]:::${STATES[wave.state]}`));
    lines.push(...waves.slice(1).map((wave, at) => `    g${index}w${at} -->|${gateLabel(wave, waves[at])}| g${index}w${at + 1}`));
    lines.push('  end');
  }
  lines.push(...classes());
  const left = groups.length - MOST_GROUPS;
  const rest = left > 0 ? `\n\nand ${counted(left, 'group')} more` : '';
  return `\`\`\`mermaid\n${lines.join('\n')}\n\`\`\`${rest}`;
}

function waveLabel(wave: WaveSummary, zone: string): string {
  const when = wave.opensAt === null ? '' : `, ${dayAndTime(wave.opensAt, zone)}`;
  const size = wave.devices === 0 ? '' : `: ${counted(wave.devices, 'device')}`;
  return `${label(wave.name)}${size}${label(when)}`;
}

/** A gate that has no soak only names the wave before. */
function gateLabel(wave: WaveSummary, before: WaveSummary | undefined): string {
  return wave.after === null || wave.after === before?.name ? 'gate' : `"${label(wave.after)}"`;
}

/** Mermaid ends a label at a quotation mark and reads HTML and entities in it. */
function label(text: string): string {
  return oneLine(text, MOST_LABEL).replaceAll(/[^\p{L}\p{N} .,:+…-]/gu, ' ');
}

function classes(): readonly string[] {
  return [
    '  classDef done fill:#dafbe1,stroke:#1a7f37,color:#1f2328',
    '  classDef busy fill:#ddf4ff,stroke:#0969da,color:#1f2328',
    '  classDef next fill:#fff8c5,stroke:#9a6700,color:#1f2328',
    '  classDef later fill:#f6f8fa,stroke:#8c959f,color:#1f2328',
  ];
}
