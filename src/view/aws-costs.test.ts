import { describe, expect, it } from 'vitest';
import { AWS_IOT, estimateCalls, quotaOf } from '#model/aws-quotas.ts';
import { awsCosts, awsCostSource, awsCostText } from './aws-costs.ts';

type View = Parameters<typeof awsCosts>[0];

const NO_CALLS = { get: 0, update: 0, search: 0, publish: 0 };

function viewOf(
  index: 'off' | 'all' | 'mismatches',
  what: { readonly devices: number; readonly changes: number; readonly region?: string },
): View {
  const { devices, changes, region = 'eu-west-1' } = what;
  const connections = new Map([
    ['cloud', { name: 'cloud', type: 'aws-iot', region, endpoint: null, index, indexQuery: null }],
    ['idle', { name: 'idle', type: 'aws-iot', region, endpoint: null, index, indexQuery: null }],
    ['field', { name: 'field', type: 'mqtt' }],
  ]);
  const declared = {
    size: devices,
    deviceAt: () => ({ via: { connection: 'cloud' } }),
    fleet: { connections },
    groups: new Map([
      ['a', {}],
      ['b', {}],
    ]),
  };
  const operations = Array.from({ length: changes }, () => ({ connection: 'cloud' }));
  return { declared, plan: { devices: [{ operations, upkeep: [] }] } } as unknown as View;
}

describe('what AWS IoT costs', () => {
  it.each([
    ['all', 10_000, 100],
    ['off', 10_000, 10_000],
    ['mismatches', 10_000, 2],
    ['all', 101, 2],
  ] as const)('a look with index: %s at %i devices is %i calls', (index, devices, calls) => {
    const costs = awsCosts(viewOf(index, { devices, changes: 0 }));
    expect(costs.map(({ connection, look, tell }) => [connection, look.calls, tell])).toEqual([['cloud', calls, null]]);
  });

  it('is told by the prices and quotas of the page, for a large region and a small one', () => {
    // docs/protocols/aws-iot.md §14: a million reads take 250 s, ten thousand pages of the index 11.1 min.
    expect(estimateCalls({ ...NO_CALLS, get: 1_000_000 }, 'us-east-1').leastMs).toBe(250_000);
    expect(estimateCalls({ ...NO_CALLS, search: 10_000 }, 'us-east-1').leastMs).toBe(666_667);
    expect(estimateCalls({ ...NO_CALLS, get: 1_000_000 }, 'eu-north-1').leastMs).toBe(2_500_000);
    // §15: an update with all that follows it is about $0.000008; 10,000 queries are $0.05.
    expect(estimateCalls({ ...NO_CALLS, update: 1_000_000 }, 'us-east-1').dollars).toBeCloseTo(7.5, 6);
    expect(estimateCalls({ ...NO_CALLS, search: 10_000 }, 'us-east-1').dollars).toBeCloseTo(0.05, 6);
    expect(quotaOf('us-east-1', 'search')).toBe(15);
  });

  it('is a line for each account that devices are behind, with the dates of its figures', () => {
    const [cost] = awsCosts(viewOf('all', { devices: 10_000, changes: 40 }));
    if (cost === undefined) throw new Error('no cost');
    expect(awsCostText(cost)).toBe(
      'cloud: 100 calls to look, $0.0005, 7s at the least · 160 calls for 40 changes, $0.0006, 1s at the least',
    );
    expect(awsCostSource()).toBe(`list prices of ${AWS_IOT.prices.at}, default quotas of ${AWS_IOT.quotas.at}`);
    expect(awsCosts({ ...viewOf('all', { devices: 0, changes: 0 }) })).toEqual([]);
  });
});
