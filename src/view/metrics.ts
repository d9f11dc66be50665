import { compareText } from '#kit/diagnostics.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { FleetView } from './pass.ts';
import { groupStatuses } from './status.ts';
import { tally } from './words.ts';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric with its samples, as Prometheus understands it. Names and labels are ours, label values anything. */
export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Metrics in the text format 0.0.4 of Prometheus, in the order given; those without a sample are left out. */
export function metricsText(metrics: readonly Metric[]): string {
  const lines: string[] = [];
  for (const { name, type, help, samples } of metrics) {
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${type}`);
    for (const { labels, value } of samples) lines.push(`${name}${labelsText(labels)} ${numberText(value)}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function labelsText(labels: Sample['labels']): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}

/** One sample without labels. */
export function single(value: number): readonly Sample[] {
  return [{ labels: {}, value }];
}

/** One sample per entry, sorted by its key, which becomes the value of that label. */
export function byLabel(label: string, values: Iterable<readonly [string, number]>): readonly Sample[] {
  return [...values].toSorted(([a], [b]) => compareText(a, b)).map(([key, value]) => ({ labels: { [label]: key }, value }));
}

/** Where the fleet is: of the last pass, with the age of reports at that time. */
export function fleetMetrics(view: FleetView, now: Instant): readonly Metric[] {
  const groups = groupStatuses(view);
  const of = (pick: (group: (typeof groups)[number]) => number) =>
    byLabel(
      'group',
      groups.map((group) => [group.group, pick(group)]),
    );
  const ages = reportAges(view, now);
  return [
    { name: 'headgate_devices', type: 'gauge', help: 'Declared devices', samples: of(({ devices }) => devices) },
    {
      name: 'headgate_devices_converged',
      type: 'gauge',
      help: 'Devices that show all they are told',
      samples: of(({ converged }) => converged),
    },
    { name: 'headgate_operations_open', type: 'gauge', help: 'Operations under way', samples: of(({ open }) => open) },
    {
      name: 'headgate_rollout_halted',
      type: 'gauge',
      help: '1 while the rollout of the group is halted',
      samples: of(({ rollout }) => (rollout?.phase === 'halted' ? 1 : 0)),
    },
    {
      name: 'headgate_holds',
      type: 'gauge',
      help: 'Devices that wait, by the one reason of each',
      samples: byLabel('reason', tally(view.decision.held.map(({ reason }) => reason))),
    },
    {
      name: 'headgate_report_age_seconds',
      type: 'gauge',
      help: 'Age of the last reports of a group: the middle one and the oldest',
      samples: ages.flatMap(({ group, middle, oldest }) => [
        { labels: { group, of: 'median' }, value: middle },
        { labels: { group, of: 'oldest' }, value: oldest },
      ]),
    },
    {
      name: 'headgate_devices_never_heard',
      type: 'gauge',
      help: 'Devices without a report of known age',
      samples: byLabel(
        'group',
        ages.map(({ group, unheard }) => [group, unheard]),
      ),
    },
  ];
}

interface Ages {
  readonly group: string;
  readonly middle: number;
  readonly oldest: number;
  readonly unheard: number;
}

function reportAges({ declared, reported }: FleetView, now: Instant): readonly Ages[] {
  return [...declared.groups]
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([group, { rows }]) => {
      const heard = rows.map((row) => reported.deviceAt(row)?.heardAt ?? null);
      const ages = heard.filter((at) => at !== null).map((at) => Math.max(0, now - at) / SECOND_MS);
      const sorted = ages.toSorted((a, b) => a - b);
      return {
        group,
        middle: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
        oldest: sorted.at(-1) ?? Number.NaN,
        unheard: heard.length - ages.length,
      };
    });
}
