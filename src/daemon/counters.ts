import { SECOND_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { ResponderCounters } from '#ports/responder.ts';
import type { ConnectionState } from '#ports/world.ts';
import { byLabel, fleetMetrics, single, type Metric } from '#view/metrics.ts';
import type { FleetView } from '#view/pass.ts';
import type { WebhookResult } from './http.ts';
import type { PassEnd, PassResultKind } from './passes.ts';

const PASS_RESULTS: readonly PassResultKind[] = ['busy', 'converged', 'failed', 'halted', 'under_way'];
const WEBHOOK_RESULTS: readonly WebhookResult[] = ['accepted', 'ignored', 'refused', 'too-large'];
const OUTCOMES = ['already', 'failed', 'performed', 'refused', 'trouble'];

/** What stands now, beside the sums. */
export interface Present {
  readonly now: Instant;
  readonly responders: readonly ResponderCounters[];
  readonly connections: readonly ConnectionState[];
  readonly ready: boolean;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** Sums since the daemon began, as `/metrics` tells them. */
export class Counters {
  readonly #passes = new Map<string, number>(PASS_RESULTS.map((kind) => [kind, 0]));
  readonly #webhooks = new Map<string, number>(WEBHOOK_RESULTS.map((result) => [result, 0]));
  readonly #operations = new Map<string, number>(OUTCOMES.map((outcome) => [outcome, 0]));
  #passSeconds = 0;
  #lastPassAt: Instant | null = null;
  #fleet: FleetView | null = null;

  pass({ kind, durationMs, report }: PassEnd, now: Instant): void {
    add(this.#passes, kind);
    this.#passSeconds += durationMs / SECOND_MS;
    if (report?.result == null) return;
    this.#lastPassAt = now;
    this.#fleet = report.result;
    for (const { result } of report.result.executed) add(this.#operations, result.kind);
  }

  webhook(result: WebhookResult): void {
    add(this.#webhooks, result);
  }

  metrics(present: Present): readonly Metric[] {
    return [
      gauge('headgate_ready', '1 while the daemon does its work', present.ready ? 1 : 0),
      { name: 'headgate_passes_total', type: 'counter', help: 'Passes, by what they came to', samples: byLabel('result', this.#passes) },
      counter('headgate_pass_seconds_total', 'Time spent in passes', this.#passSeconds),
      {
        name: 'headgate_last_pass_timestamp_seconds',
        type: 'gauge',
        help: 'When the last pass that saw the fleet ended',
        samples: this.#lastPassAt === null ? [] : single(this.#lastPassAt / SECOND_MS),
      },
      {
        name: 'headgate_operations_total',
        type: 'counter',
        help: 'Operations carried out, by outcome',
        samples: byLabel('outcome', this.#operations),
      },
      ...(this.#fleet === null ? [] : fleetMetrics(this.#fleet, present.now)),
      { name: 'headgate_webhooks_total', type: 'counter', help: 'Pushes that were told to us', samples: byLabel('result', this.#webhooks) },
      ...connectionMetrics(present.connections),
      ...responderMetrics(present.responders),
      counter('process_cpu_seconds_total', 'Processor time of this process', present.cpuSeconds),
      gauge('process_resident_memory_bytes', 'Memory of this process', present.residentBytes),
    ];
  }
}

function add(sums: Map<string, number>, key: string): void {
  sums.set(key, (sums.get(key) ?? 0) + 1);
}

function counter(name: string, help: string, value: number): Metric {
  return { name, type: 'counter', help, samples: single(value) };
}

function gauge(name: string, help: string, value: number): Metric {
  return { name, type: 'gauge', help, samples: single(value) };
}

function connectionMetrics(states: readonly ConnectionState[]): readonly Metric[] {
  const of = (pick: (state: ConnectionState) => number) =>
    states.map((state) => ({ labels: { connection: state.connection, role: state.role }, value: pick(state) }));
  return [
    {
      name: 'headgate_broker_connected',
      type: 'gauge',
      help: '1 while the connection stands',
      samples: of(({ connected }) => (connected ? 1 : 0)),
    },
    { name: 'headgate_broker_lost_total', type: 'counter', help: 'Times that the connection was lost', samples: of(({ lost }) => lost) },
    {
      name: 'headgate_broker_reconnects_total',
      type: 'counter',
      help: 'Times that it stood again',
      samples: of(({ restored }) => restored),
    },
  ];
}

const DFU_COUNTERS = {
  statuses: 'Statuses of declared devices that were understood',
  blocks: 'Blocks told to devices',
  bytes: 'Image bytes in those blocks',
  jumps: 'Transfers begun anew because the device skipped part of an image',
  stalls: 'Bursts that the broker held back: TCP_NODELAY is not set there',
  broken: 'Times that a connection or the journal was found broken',
} as const;

const DFU_GAUGES = {
  transferring: ['transferring', 'Devices in the middle of an image'],
  images: ['images', 'Images held in memory'],
  imageBytes: ['image_bytes', 'Bytes of those images'],
} as const;

function responderMetrics(all: readonly ResponderCounters[]): readonly Metric[] {
  if (all.length === 0) return [];
  const sum = (pick: (counters: ResponderCounters) => number): number => all.reduce((total, counters) => total + pick(counters), 0);
  const counters = (Object.keys(DFU_COUNTERS) as (keyof typeof DFU_COUNTERS)[]).map((key) =>
    counter(
      `headgate_dfu_${key === 'stalls' ? 'burst_stalls' : key}_total`,
      DFU_COUNTERS[key],
      sum((one) => one[key]),
    ),
  );
  const gauges = (Object.keys(DFU_GAUGES) as (keyof typeof DFU_GAUGES)[]).map((key) =>
    gauge(
      `headgate_dfu_${DFU_GAUGES[key][0]}`,
      DFU_GAUGES[key][1],
      sum((one) => one[key]),
    ),
  );
  const commands = byLabel('command', added(all.map((one) => one.commands)));
  const ignored = byLabel('reason', added(all.map((one) => one.ignored)));
  return [
    ...counters,
    { name: 'headgate_dfu_commands_total', type: 'counter', help: 'Commands told to devices, by kind', samples: commands },
    { name: 'headgate_dfu_ignored_total', type: 'counter', help: 'Messages that were not answered, by reason', samples: ignored },
    ...gauges,
  ];
}

function added(tables: readonly Readonly<Record<string, number>>[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const table of tables) for (const [key, value] of Object.entries(table)) sums.set(key, (sums.get(key) ?? 0) + value);
  return sums;
}
