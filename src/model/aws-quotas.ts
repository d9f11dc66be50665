/**
 * What AWS IoT allows and charges: docs/protocols/aws-iot.md §14 and §15. Quotas are the defaults of an account in a large
 * region, which AWS raises on request; prices are the public list of the US regions. Change both with their dates.
 */
export const AWS_IOT = {
  quotas: {
    at: '2024-02',
    source: 'Service Quotas defaults, us-east-1',
    /** Calls per second and account. */
    perSecond: { get: 4000, update: 4000, search: 15, publish: 20_000 },
    /** Calls per second and account about certificates (§11.1). */
    certificatesPerSecond: 10,
    /** Shadow calls per second and account in the regions that AWS counts as small (§5.8). */
    smallRegion: { get: 400, update: 400, search: 15, publish: 2000 },
  },
  prices: {
    at: '2026-09',
    source: 'AWS price pages, US regions',
    /** US dollars per million operations of 1 KB on a shadow. */
    shadowPerMillion: 1.25,
    /** US dollars per million messages of 5 KB; a body over HTTP counts as one. */
    messagePerMillion: 1,
    /** US dollars per 10,000 queries of fleet indexing. */
    searchPer10000: 0.05,
  },
} as const;

/** Regions with the large quotas; every other one is taken for a small one, so that nothing is asked too fast (§14). */
const LARGE_REGIONS: ReadonlySet<string> = new Set(['us-east-1', 'us-west-2', 'eu-west-1']);

/** Operations that have a quota of their own. */
export type AwsOperation = keyof typeof AWS_IOT.quotas.perSecond;

export function quotaOf(region: string, operation: AwsOperation): number {
  const { perSecond, smallRegion } = AWS_IOT.quotas;
  return LARGE_REGIONS.has(region) ? perSecond[operation] : smallRegion[operation];
}

/** How often a service was, or will be, asked. */
export type AwsCalls = Readonly<Record<AwsOperation, number>>;

export interface AwsEstimate {
  /** US dollars at list prices. */
  readonly dollars: number;
  /** However fast all else is, by the quotas, in ms. */
  readonly leastMs: number;
}

/**
 * What calls cost and how long they take at the least. Each shadow call is one unit of 1 KB and its answer one message; an
 * update brings messages to and from the device besides: delta, its acknowledgement, the report and its answer (§15).
 */
export function estimateCalls(calls: AwsCalls, region: string): AwsEstimate {
  const { shadowPerMillion, messagePerMillion, searchPer10000 } = AWS_IOT.prices;
  const shadow = (calls.get + 2 * calls.update) * shadowPerMillion;
  const messages = (calls.get + 5 * calls.update + calls.publish) * messagePerMillion;
  const dollars = (shadow + messages) / 1_000_000 + (calls.search * searchPer10000) / 10_000;
  const operations: readonly AwsOperation[] = ['get', 'update', 'search', 'publish'];
  const leastMs = operations.reduce((most, one) => Math.max(most, (calls[one] / quotaOf(region, one)) * 1000), 0);
  return { dollars, leastMs: Math.ceil(leastMs) };
}
