import { describe, expect, it } from 'vitest';
import { DAY_MS } from '#kit/duration.ts';
import type { Declared } from '#model/declared.ts';
import { NOW, viewFleet } from '#test/support/view-fleet.ts';
import { soonOf } from './soon.ts';
import { statusJson, statusText } from './status.ts';

function withCertificate(declared: Declared, notAfter: number): Declared {
  return {
    ...declared,
    deviceAt: (row) => {
      const device = declared.deviceAt(row);
      return {
        ...device,
        items: device.items.map((item, index) => (index === 0 ? { ...item, certificates: [{ name: 'Root 1', notAfter }] } : item)),
      };
    },
  };
}

describe('certificates that end', () => {
  it.each([
    [91, []],
    [90, ['ends within 90 days']],
    [31, ['ends within 90 days']],
    [30, ['ends within 30 days']],
    [7, ['ends within 7 days']],
    [0, ['has ended']],
    [-400, ['has ended']],
  ])('with %i days left: %j', (days, said) => {
    const view = viewFleet();
    const soon = soonOf(withCertificate(view.declared, NOW + days * DAY_MS), NOW).filter(({ text }) => text.includes('Root 1'));
    expect(soon.map(({ text }) => text.replace(/^certificate Root 1 of \d+ devices? /, ''))).toEqual(said);
  });

  it('are one line for all devices, in plan and status', () => {
    const fleet = viewFleet();
    const view = { ...fleet, declared: withCertificate(fleet.declared, NOW + 6 * DAY_MS) };
    const line = `certificate Root 1 of ${view.declared.size} devices ends within 7 days`;
    expect(soonOf(view.declared, NOW).filter(({ text }) => text === line)).toHaveLength(1);
    expect(statusText(view)).toContain(line);
    expect(JSON.stringify(statusJson(view))).toContain(line);
  });
});
