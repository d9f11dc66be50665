import { compareText } from '#kit/diagnostics.ts';
import { durationText, SECOND_MS } from '#kit/duration.ts';
import { AWS_IOT, estimateCalls, type AwsCalls, type AwsEstimate } from '#model/aws-quotas.ts';
import type { ConnectionDeclaration } from '#model/declared.ts';
import type { PlanView } from './pass.ts';
import { counted } from './words.ts';

/** What the use of one account costs at list prices, and how long it takes at the least by its quotas. */
export interface AwsCost {
  readonly connection: string;
  readonly region: string;
  readonly devices: number;
  readonly changes: number;
  /** One look at all of its devices: what each pass costs. */
  readonly look: AwsEstimate & { readonly calls: number };
  /** All changes of this plan, until each is confirmed; null where nothing is to change. */
  readonly tell: (AwsEstimate & { readonly calls: number }) | null;
}

const PAGE = 100;
/** Looked at before the write, read under its lock, and confirmed by one more. */
const GETS_PER_CHANGE = 3;
const NO_CALLS: AwsCalls = { get: 0, update: 0, search: 0, publish: 0 };

/** One entry for each `aws-iot` connection that devices are behind, sorted; none where AWS is not used. */
export function awsCosts({ plan, declared }: Pick<PlanView, 'plan' | 'declared'>): readonly AwsCost[] {
  const devices = new Map<string, number>();
  for (let row = 0; row < declared.size; row += 1) {
    const { connection } = declared.deviceAt(row).via;
    devices.set(connection, (devices.get(connection) ?? 0) + 1);
  }
  const changes = new Map<string, number>();
  for (const { connection } of plan.devices.flatMap(({ operations, upkeep }) => [...operations, ...upkeep]))
    changes.set(connection, (changes.get(connection) ?? 0) + 1);
  return [...declared.fleet.connections.values()]
    .flatMap((connection): readonly AwsCost[] => {
      const behind = devices.get(connection.name) ?? 0;
      if (connection.type !== 'aws-iot' || behind === 0) return [];
      return [costOf(connection, { devices: behind, changes: changes.get(connection.name) ?? 0, groups: declared.groups.size })];
    })
    .toSorted((a, b) => compareText(a.connection, b.connection));
}

function costOf(
  { name, region, index }: Extract<ConnectionDeclaration, { type: 'aws-iot' }>,
  { devices, changes, groups }: { readonly devices: number; readonly changes: number; readonly groups: number },
): AwsCost {
  const pages = { off: 0, all: Math.ceil(devices / PAGE), mismatches: groups + Math.ceil(changes / PAGE) }[index];
  const look: AwsCalls = index === 'off' ? { ...NO_CALLS, get: devices } : { ...NO_CALLS, search: pages };
  const tell: AwsCalls = { ...NO_CALLS, get: GETS_PER_CHANGE * changes, update: changes };
  return {
    connection: name,
    region,
    devices,
    changes,
    look: { calls: look.get + look.search, ...estimateCalls(look, region) },
    tell: changes === 0 ? null : { calls: tell.get + tell.update, ...estimateCalls(tell, region) },
  };
}

/** `cloud: 100 calls to look, $0.0005, 7s at the least · 160 calls for 40 changes, $0.0004, 1s at the least`. */
export function awsCostText(cost: AwsCost): string {
  return `${cost.connection}: ${awsCallsText(cost)}`;
}

/** The same without the name of the connection. */
export function awsCallsText({ look, tell, changes }: AwsCost): string {
  const parts = [`${counted(look.calls, 'call')} to look, ${estimateText(look)}`];
  if (tell !== null) parts.push(`${counted(tell.calls, 'call')} for ${counted(changes, 'change')}, ${estimateText(tell)}`);
  return parts.join(' · ');
}

function estimateText({ dollars, leastMs }: AwsEstimate): string {
  return `${dollarsText(dollars)}, ${durationText(Math.max(SECOND_MS, Math.ceil(leastMs / SECOND_MS) * SECOND_MS))} at the least`;
}

function dollarsText(dollars: number): string {
  return dollars > 0 && dollars < 0.0001 ? 'less than $0.0001' : `$${dollars.toFixed(dollars < 1 ? 4 : 2)}`;
}

/** Where the figures are from. */
export function awsCostSource(): string {
  const { quotas, prices } = AWS_IOT;
  return `list prices of ${prices.at}, default quotas of ${quotas.at}`;
}
