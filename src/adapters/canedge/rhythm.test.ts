import { describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { onlineAfter, type LinkFacts } from './facts.ts';
import { readMemo, type DeviceMemo } from './memo.ts';
import { rhythmOf } from './rhythm.ts';

interface Look {
  readonly heartbeat: number;
  readonly at: number;
}

/** Minutes since an arbitrary beginning. */
function folded(looks: readonly Look[]): DeviceMemo & { readonly gapMs: number | null } {
  let memo: DeviceMemo & { gapMs: number | null } = { ...readMemo(undefined), gapMs: null };
  for (const look of looks) {
    const lastModified = DAY_MS + look.heartbeat * MINUTE_MS;
    const rhythm = rhythmOf(memo, { lastModified }, DAY_MS + look.at * MINUTE_MS);
    memo = { ...memo, ...rhythm.memo, lastModified, steadySince: rhythm.steadySince, gapMs: rhythm.gapMs };
  }
  return memo;
}

function onlineMinutes(looks: readonly Look[], since = 0): number {
  const link: LinkFacts = { online: folded(looks).online, ota: 600, heartbeat: 300, steadySince: null, bootedAt: null, lookedAt: 0 };
  return onlineAfter(link, DAY_MS + since * MINUTE_MS) / MINUTE_MS;
}

function every(minutes: number, count: number, lag = 1): readonly Look[] {
  return Array.from({ length: count }, (_none, index) => ({ heartbeat: index * minutes, at: index * minutes + lag }));
}

describe('time online', () => {
  it('is counted between heartbeats that follow each other', () => {
    expect(onlineMinutes(every(5, 13))).toBe(60);
    expect(onlineMinutes(every(5, 13), 30)).toBe(30);
    expect(onlineMinutes(every(5, 1))).toBe(0);
  });

  it('bears a missed heartbeat', () => {
    expect(
      onlineMinutes([
        { heartbeat: 0, at: 1 },
        { heartbeat: 10, at: 11 },
        { heartbeat: 15, at: 16 },
      ]),
    ).toBe(15);
  });

  it('is not counted over a silence that somebody saw', () => {
    const looks = [
      { heartbeat: 0, at: 1 },
      { heartbeat: 0, at: 30 },
      { heartbeat: 60, at: 61 },
      { heartbeat: 65, at: 66 },
    ];
    expect(onlineMinutes(looks)).toBe(5);
  });

  it('is worth a poll and a heartbeat at most between looks that are far apart', () => {
    expect(onlineMinutes(every(60, 4))).toBe(45);
  });

  it('learns that a busy device stretches its period', () => {
    expect(onlineMinutes(every(15, 9, 14)) > 60).toBe(true);
  });

  it('does not grow when nothing is heard', () => {
    expect(onlineMinutes([...every(5, 3), { heartbeat: 10, at: 500 }, { heartbeat: 10, at: 900 }])).toBe(10);
  });
});

describe('the usual gap', () => {
  it('is the beat of a device that is always on', () => {
    expect(folded(every(5, 4)).gapMs).toBe(5 * MINUTE_MS);
    expect(folded(every(5, 1)).gapMs).toBe(null);
  });

  it('is the longest sleep of a device that sleeps', () => {
    const day = (start: number): readonly Look[] => [
      { heartbeat: start, at: start + 1 },
      { heartbeat: start + 5, at: start + 6 },
      { heartbeat: start + 5, at: start + 300 },
    ];
    expect(folded([...day(0), ...day(600), ...day(1400)]).gapMs).toBe(795 * MINUTE_MS);
  });

  it('forgets sleeps after two weeks', () => {
    const sleepy = [0, 600, 1400].flatMap((start) => [
      { heartbeat: start, at: start + 1 },
      { heartbeat: start, at: start + 300 },
    ]);
    const later = 1400 + (15 * DAY_MS) / MINUTE_MS;
    const steady = [0, 5, 10].map((minute) => ({ heartbeat: later + minute, at: later + minute + 1 }));
    const memo = folded([...sleepy, ...steady]);
    expect(memo.gapMs).toBeLessThan(HOUR_MS);
    expect(memo.steadySince).toBe(DAY_MS + later * MINUTE_MS);
  });
});
