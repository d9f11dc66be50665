import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupName, releaseId } from '#model/ids.ts';
import type { WaveRules } from '#model/declared.ts';
import { makeRate } from '#rollout/rates.ts';
import { previewWaves } from '#rollout/waves.ts';
import { MINUTE, labelled, revision, wave } from '#test/support/rollout-world.ts';

const RUNS = { numRuns: 1000 };

const device = fc.record({ model: fc.constantFrom('A', 'B', 'C'), ring: fc.constantFrom('canary', 'none') });
const rule: fc.Arbitrary<Partial<Omit<WaveRules, 'gate'>>> = fc.oneof(
  fc.constant({ select: labelled('ring', 'canary') }),
  fc.record({ count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ share: fc.integer({ min: 1, max: 100 }).map((percent) => percent / 100) }),
  fc.record({ count: fc.integer({ min: 1, max: 3 }), select: fc.constant(labelled('ring', 'canary')) }),
);
const fleet = fc.record({ devices: fc.array(device, { minLength: 1, maxLength: 40 }), waves: fc.array(rule, { maxLength: 3 }) });

function preview(
  drawn: {
    readonly devices: readonly { readonly model: string; readonly ring: string }[];
    readonly waves: readonly Partial<Omit<WaveRules, 'gate'>>[];
  },
  reverse = false,
): ReturnType<typeof previewWaves> {
  const waves = [...drawn.waves.map((change, index) => wave(`w${index}`, change)), wave('rest')];
  const devices = drawn.devices.map(({ model, ring }, index) => ({ id: `d${String(index).padStart(2, '0')}`, model, labels: { ring } }));
  const declared = revision({ commit: 'c', devices, groups: { met: { versions: { firmware: '1' } } }, rollouts: { careful: { waves } } });
  const ids = Array.from({ length: declared.size }, (_, row) => declared.deviceAt(row).id);
  return previewWaves(declared, {
    group: groupName('met'),
    to: releaseId('r'.repeat(64)),
    changed: reverse ? ids.toReversed() : ids,
    rules: 'careful',
    direction: 'forward',
    waves: waves.map(({ name }) => ({ name, members: null, openedAt: null, metAt: null, passedAt: null })),
  });
}

describe('waves', () => {
  it('are disjoint, cover what the release changes, and depend on nothing but group, release and devices', () => {
    fc.assert(
      fc.property(fleet, (drawn) => {
        const waves = preview(drawn);
        const all = waves.flatMap((one) => one.members);
        expect(new Set(all).size).toBe(all.length);
        expect(all).toHaveLength(drawn.devices.length);
        expect(preview(drawn, true)).toEqual(waves);
      }),
      RUNS,
    );
  });

  it('hold a share rounded up, and at least one of each model that has two devices', () => {
    const shared = fc.record({ devices: fc.array(device, { minLength: 1, maxLength: 40 }), percent: fc.integer({ min: 1, max: 100 }) });
    fc.assert(
      fc.property(shared, ({ devices, percent }) => {
        const [first] = preview({ devices, waves: [{ share: percent / 100 }] });
        const models = new Map<string, number>();
        for (const { model } of devices) models.set(model, (models.get(model) ?? 0) + 1);
        const least = [...models.values()].filter((count) => count >= 2).length;
        const share = Math.ceil((percent * devices.length) / 100);
        expect(first?.members.length).toBeGreaterThanOrEqual(Math.max(share, least));
        expect(first?.members.length).toBeLessThanOrEqual(Math.max(share, share + least));
        const drawn = new Set(first?.members.map((id) => devices[Number(id.slice(1))]?.model));
        for (const [model, count] of models) if (count >= 2) expect(drawn).toContain(model);
      }),
      RUNS,
    );
  });
});

describe('rates', () => {
  it('never let more through in any minute than they say, over one pass after another', () => {
    const passes = fc.array(fc.record({ wait: fc.integer({ min: 0, max: 3 * MINUTE }), wanted: fc.integer({ min: 0, max: 30 }) }), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(passes, fc.integer({ min: 1, max: 10 }), (steps, perMinute) => {
        const all: number[] = [];
        let now = 1_000_000_000;
        for (const { wait, wanted } of steps) {
          now = Math.max(now + wait, ...all.slice(-1));
          const rate = makeRate({ now, perMinute, passLimitMs: 5 * MINUTE, recent: all });
          for (let count = 0; count < wanted; count += 1) {
            const token = rate.take();
            if (token.kind === 'limited') {
              expect(token.until).toBeGreaterThan(now + 5 * MINUTE);
              break;
            }
            expect(token.notBefore).toBeGreaterThanOrEqual(now);
            all.push(token.notBefore);
          }
        }
        for (const [index, at] of all.entries()) {
          const earlier = all[index - perMinute];
          if (earlier !== undefined) expect(at - earlier).toBeGreaterThanOrEqual(MINUTE);
        }
      }),
      RUNS,
    );
  });
});
