import { describe, expect, it } from 'vitest';
import type { Selector } from './declared.ts';
import { deviceId, groupName } from './ids.ts';
import { hasMembers, matches } from './selector.ts';

const NONE: Selector = { all: false, family: null, model: null, ids: null, labels: {}, groups: null, not: null };
const DEVICE = {
  id: deviceId('van-01'),
  family: 'canedge',
  model: 'CANedge2',
  labels: { depot: 'leeds', ring: 'canary' },
  group: groupName('trucks'),
};

describe('matches', () => {
  const yes: Partial<Selector>[] = [
    { all: true },
    { family: 'canedge' },
    { model: ['CANedge3', 'CANedge2'] },
    { ids: ['van-01'] },
    { labels: { depot: ['york', 'leeds'] } },
    { labels: { depot: ['leeds'], ring: ['canary'] } },
    { groups: ['trucks'] },
    { not: { ...NONE, ids: ['van-02'] } },
    { family: 'canedge', not: { ...NONE, labels: { depot: ['york'] } } },
    { all: true, not: { ...NONE, family: 'campbell' } },
  ];
  const no: Partial<Selector>[] = [
    {},
    { family: 'campbell' },
    { model: ['CANedge3'] },
    { ids: [] },
    { labels: { depot: ['york'] } },
    { labels: { depot: ['leeds'], ring: ['early'] } },
    { labels: { nothing: ['leeds'] } },
    { groups: ['vans'] },
    { family: 'canedge', not: { ...NONE, labels: { depot: ['leeds'] } } },
    { all: true, not: { ...NONE, all: true } },
  ];
  it.each(yes)('%j', (members) => expect(matches({ ...NONE, ...members }, DEVICE)).toBe(true));
  it.each(no)('not %j', (members) => expect(matches({ ...NONE, ...members }, DEVICE)).toBe(false));

  it('matches no group for a device that has none', () => {
    expect(matches({ ...NONE, groups: ['trucks'] }, { ...DEVICE, group: null })).toBe(false);
  });

  it('knows a selector that says nothing', () => {
    expect(hasMembers(NONE)).toBe(false);
    expect(hasMembers({ ...NONE, labels: { a: ['b'] } })).toBe(true);
  });
});
