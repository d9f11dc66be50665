import { expect } from 'vitest';
import { loggerId } from './fleet.ts';
import type { Told } from './story.ts';

/** That the story was one: three waves up, a halt in a later wave of the next rollout, and everybody back where they were. */
export function expectTold({ end, operations }: Told): void {
  const met = end.ledger.groups['met'];
  expect(end.ledger.open).toBe(0);
  expect(met?.past.map((one) => one.split(':')[0]?.replace(/ [0-9a-f]{64}/, ''))).toEqual([
    'forward completed',
    'forward rolled-back',
    'rollback completed',
  ]);
  expect(met?.past[0]).toMatch(/canary logger-01, half (logger-\d+ ?)+, rest (logger-\d+ ?)+$/);
  expect(met?.blocked).toBe(1);
  expect(operations.filter((one) => one.includes(': failed'))).toHaveLength(1);
  expect(operations.filter((one) => !one.includes(': failed')).every((one) => one.endsWith(': succeeded  after 1'))).toBe(true);
  for (const [id, { truth, effects }] of Object.entries(end.devices)) {
    if (!id.startsWith('logger-')) continue;
    expect(truth, id).toEqual({ firmware: 'CR1000X.8.2.1', program: 'CPU:MET_v1.CR1X' });
    expect(
      effects.filter((one) => one.startsWith('flash ')),
      id,
    ).toHaveLength(1);
  }
  expect(end.devices[loggerId(1)]?.effects.filter((one) => one.startsWith('program '))).toHaveLength(2);
}
