import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { OpenOperation, OperationDraft } from '#model/operation.ts';
import type { ReportedDevice, Sign } from '#model/reported.ts';
import { CanedgeWorld, contentOf, declaredTruck, openOf } from '#test/support/canedge.ts';
import { canedgeFamily } from './family.ts';
import type { OnlineSpan } from './facts.ts';
import { configValue } from './wire.ts';

const WRITTEN = 10 * DAY_MS;
const INTENDED = WRITTEN - 1000;
const DEADLINE = 36 * MINUTE_MS;
const OLD = 'AAAAAAAA';
const NEW = 'BBBBBBBB';

interface Step {
  readonly step: 'config' | 'config-next' | 'firmware' | 'cleanup-firmware' | 'withdraw-config';
  readonly crosses?: boolean;
  readonly link?: boolean;
}

function opened({ step, crosses = false, link = false }: Step, change: Partial<OpenOperation> = {}): OpenOperation {
  const world = new CanedgeWorld();
  const firmware = step.endsWith('firmware');
  const draft: OperationDraft = {
    item: firmware ? 'firmware' : 'config',
    step,
    kind: step.startsWith('withdraw') ? 'withdraw' : 'change',
    delivery: 'offer',
    declared: firmware ? (crosses ? '01.09.03' : '01.08.06') : `${crosses ? '01.09' : '01.08'} ${NEW}`,
    expected: firmware ? '01.08.05' : `01.08 ${OLD}`,
    facts: { series: crosses ? '01.09' : '01.08', crc: firmware && !crosses ? null : NEW, object: null, crosses, link },
    content: contentOf('x', new Uint8Array(3)),
    deadlineMs: DEADLINE,
    effects: [],
    disturbs: true,
  };
  const outcome = { kind: 'performed', reference: WRITTEN, undo: { key: 'k', etag: 'ours', sha256: 's', previous: null } } as const;
  return { ...openOf(world.operation(declaredTruck(), draft), { intendedAt: INTENDED, outcome }), ...change };
}

interface Seen {
  readonly made?: number;
  readonly firmware?: string;
  readonly series?: string;
  readonly crc?: string | null;
  readonly object?: string | null;
  readonly next?: string | null;
  readonly offer?: string | null;
  readonly online?: readonly OnlineSpan[];
  readonly lookedAt?: number;
  readonly bootedAt?: number;
  readonly steadySince?: number;
  readonly signs?: readonly Sign[];
}

function seen(change: Seen): ReportedDevice {
  const made = change.made ?? WRITTEN + 5 * MINUTE_MS;
  const series = change.series ?? '01.08';
  const crc = change.crc === undefined ? OLD : change.crc;
  const object = change.object === undefined ? NEW : change.object;
  const offer = change.offer === undefined ? 'ours' : change.offer;
  const link = {
    online: change.online ?? [[WRITTEN - DAY_MS, made]],
    ota: 600,
    heartbeat: 300,
    steadySince: change.steadySince ?? null,
    bootedAt: change.bootedAt ?? null,
    lookedAt: change.lookedAt ?? WRITTEN + HOUR_MS,
  };
  const firmware = { version: change.firmware ?? '01.08.05', series, offer: offer === null ? null : { etag: offer, size: 3 }, link };
  const next = change.next === undefined ? null : { series: '01.09', crc: change.next, sha256: change.next };
  const config = {
    series,
    crc,
    object: object === null ? null : { crc: object, sha256: object, etag: object },
    next,
    running: null,
    drift: 'none',
    checked: null,
  };
  const item = (value: string, facts: unknown) =>
    ({ kind: 'value', value, facts: facts as Json, madeNotBefore: made, source: 's' }) as const;
  return {
    device: declaredTruck().id,
    serial: null,
    model: null,
    heardAt: made,
    online: null,
    gapMs: 5 * MINUTE_MS,
    problem: null,
    items: { firmware: item(firmware.version, firmware), config: item(configValue(series, crc, object), config) },
    measures: {},
    signs: change.signs ?? [],
    memo: {},
  };
}

function verdict(open: OpenOperation, report: ReportedDevice): string {
  const said = canedgeFamily.confirm(open, report);
  if (said.kind === 'open') return `${said.phase}${said.takenAt === null ? '' : ' taken'}${said.oldValueSeenAt === null ? '' : ' old'}`;
  return said.kind === 'confirmed' ? 'confirmed' : `${said.kind} ${said.code}`;
}

const LATE = WRITTEN + HOUR_MS;
const LONG: Seen = { made: LATE, online: [[WRITTEN - DAY_MS, LATE]] };

describe('config', () => {
  it.each<[string, Seen, string]>([
    ['a heartbeat from before', { made: WRITTEN - 1000, crc: OLD }, 'OFFERED'],
    ['a heartbeat from before that agrees', { made: WRITTEN - 1000, crc: NEW }, 'OFFERED'],
    ['a heartbeat of the same second', { made: WRITTEN, crc: NEW }, 'OFFERED'],
    ['a later one that agrees', { crc: NEW }, 'confirmed'],
    ['a later one with the old value', { crc: OLD }, 'OFFERED old'],
    ['a later one with no CRC', { crc: null }, 'VERIFYING taken'],
    ['a later one with a third CRC', { crc: 'CCCCCCCC' }, 'VERIFYING taken'],
    ['the old value after its deadline online', { ...LONG, crc: OLD }, 'failed CONFIG_REFUSED'],
    ['no CRC after its deadline online', { ...LONG, crc: null }, 'failed CONFIG_REFUSED'],
    ['a third CRC after its deadline online', { ...LONG, crc: 'CCCCCCCC' }, 'failed WRONG_RESULT'],
    [
      'the old value long after, but hardly online',
      {
        made: LATE,
        online: [
          [WRITTEN - DAY_MS, WRITTEN],
          [LATE - 1000, LATE],
        ],
        crc: OLD,
      },
      'OFFERED old',
    ],
    ['online long before, not since', { made: WRITTEN + 1000, online: [[0, WRITTEN + 1000]], crc: OLD }, 'OFFERED old'],
    ['the declared value, late', { ...LONG, crc: NEW }, 'confirmed'],
    ['an object that somebody replaced', { crc: OLD, object: 'DDDDDDDD' }, 'trouble OFFER_REPLACED'],
    ['an object that is gone', { crc: OLD, object: null }, 'trouble OFFER_REPLACED'],
    ['an object as it was before our look', { crc: OLD, object: OLD, lookedAt: INTENDED - 1, made: WRITTEN - 1000 }, 'OFFERED'],
    ['another series', { series: '01.09', crc: NEW }, 'VERIFYING taken'],
  ])('%s', (_name, report, said) => {
    expect(verdict(opened({ step: 'config' }), seen(report))).toBe(said);
  });

  it('is not known to be written without an outcome, whatever is reported', () => {
    expect(verdict(opened({ step: 'config' }, { reference: null }), seen({ crc: NEW }))).toBe('IN_FLIGHT');
  });

  it.each<[string, Seen, string]>([
    ['a device that was always on', { steadySince: WRITTEN - 2 * DAY_MS }, 'VERIFYING taken'],
    ['a device not known for a day', { steadySince: WRITTEN - HOUR_MS }, 'OFFERED old'],
    ['a device that was silent before', { steadySince: WRITTEN - 5 * DAY_MS, made: WRITTEN - DAY_MS }, 'OFFERED'],
    ['a device looked at a moment ago', { steadySince: WRITTEN - 2 * DAY_MS, lookedAt: WRITTEN + 20 * MINUTE_MS }, 'OFFERED old'],
  ])('silence of %s', (_name, report, said) => {
    expect(verdict(opened({ step: 'config' }), seen({ lookedAt: WRITTEN + DAY_MS, ...report }))).toBe(said);
  });
});

describe('config of the next series', () => {
  it.each<[string, Seen, string]>([
    ['lies there', { next: NEW }, 'confirmed'],
    ['is read already', { series: '01.09', object: NEW }, 'confirmed'],
    ['was not looked for yet', { next: null, lookedAt: INTENDED }, 'VERIFYING'],
    ['is gone', { next: null }, 'trouble OFFER_REPLACED'],
    ['was replaced', { next: 'DDDDDDDD' }, 'trouble OFFER_REPLACED'],
  ])('%s', (_name, report, said) => {
    expect(verdict(opened({ step: 'config-next', crosses: true }), seen(report))).toBe(said);
  });
});

describe('firmware', () => {
  const gone = { offer: null } as const;
  it.each<[string, Seen, string]>([
    ['a heartbeat from before', { made: WRITTEN - 1000, firmware: '01.08.06' }, 'OFFERED'],
    ['a later one that runs it', { firmware: '01.08.06' }, 'confirmed'],
    ['a later one that does not', {}, 'OFFERED old'],
    ['another version', { firmware: '01.08.09' }, 'VERIFYING taken'],
    ['the old one after its deadline online', LONG, 'failed FIRMWARE_NOT_APPLIED'],
    ['the old one after a restart and the deadline', { ...LONG, bootedAt: WRITTEN + MINUTE_MS }, 'failed BOOTED_BACK'],
    ['the old one after a restart before the write', { ...LONG, bootedAt: WRITTEN - MINUTE_MS }, 'failed FIRMWARE_NOT_APPLIED'],
    ['another version after the deadline', { ...LONG, firmware: '01.08.09' }, 'failed WRONG_RESULT'],
    ['an image that the device took away', gone, 'VERIFYING taken old'],
    ['an image that is gone, and the old version after the deadline', { ...LONG, ...gone }, 'trouble OFFER_REPLACED'],
    ['an image that somebody replaced', { offer: 'theirs' }, 'trouble OFFER_REPLACED'],
    [
      'back again, as seen by two looks',
      { ...LONG, signs: [{ code: 'BOOTED_BACK', item: 'firmware', at: LATE, text: '' }] },
      'failed BOOTED_BACK',
    ],
  ])('%s', (_name, report, said) => {
    expect(verdict(opened({ step: 'firmware' }), seen(report))).toBe(said);
  });

  it.each<[string, Seen, string]>([
    ['with its config', { crc: NEW }, 'confirmed'],
    ['with another config', { crc: 'CCCCCCCC' }, 'VERIFYING taken'],
    ['with another config, for long', { ...LONG, crc: 'CCCCCCCC' }, 'failed CONFIG_REFUSED'],
  ])('of the next series runs %s', (_name, report, said) => {
    const runs = seen({ firmware: '01.09.03', series: '01.09', ...report });
    expect(verdict(opened({ step: 'firmware', crosses: true }), runs)).toBe(said);
  });
});

describe('what shows in the bucket alone', () => {
  it.each(['cleanup-firmware', 'withdraw-config'] as const)('%s is proven by the outcome', (step) => {
    expect(verdict(opened({ step }), seen({}))).toBe('confirmed');
    expect(verdict(opened({ step }, { reference: null }), seen({}))).toBe('IN_FLIGHT');
  });
});

describe('silence', () => {
  it('may last an hour longer after a firmware', () => {
    expect(canedgeFamily.lostAfterMs(opened({ step: 'config' }).operation)).toBe(DEADLINE);
    expect(canedgeFamily.lostAfterMs(opened({ step: 'firmware' }).operation)).toBe(DEADLINE + HOUR_MS);
  });
});

describe('withdrawals', () => {
  it('are made of offers only', () => {
    expect(canedgeFamily.withdrawal(opened({ step: 'config' })).map((draft) => draft.step)).toEqual(['withdraw-config']);
    expect(canedgeFamily.withdrawal(opened({ step: 'config-next', crosses: true })).map((draft) => draft.step)).toEqual([
      'withdraw-config',
    ]);
    expect(canedgeFamily.withdrawal(opened({ step: 'firmware' })).map((draft) => draft.step)).toEqual(['withdraw-firmware']);
    expect(canedgeFamily.withdrawal(opened({ step: 'withdraw-config' }))).toEqual([]);
  });
});

describe('a change of the way to the server, and silence (§10)', () => {
  const steady = { steadySince: WRITTEN - 3 * DAY_MS, made: WRITTEN - MINUTE_MS } as const;
  const said = (link: boolean, look: Seen) => canedgeFamily.confirm(opened({ step: 'config', link }), seen(look));

  it('is suspected to have locked the device out', () => {
    const after = { ...steady, lookedAt: WRITTEN + 2 * HOUR_MS };
    expect(said(true, after)).toMatchObject({ lost: expect.stringContaining('suspected to be locked out') as string });
    expect(said(false, after)).toMatchObject({ lost: 'silent since it was offered' });
  });

  it.each<[string, boolean, Seen, boolean]>([
    ['which was online at the offer', true, steady, true],
    ['whose offer was taken back meanwhile', true, { ...steady, object: OLD }, true],
    ['which was heard since, and no more', true, { made: WRITTEN + MINUTE_MS }, true],
    ['which is still heard', true, { made: LATE - MINUTE_MS }, false],
    ['which slept before the offer', true, { made: WRITTEN - DAY_MS }, false],
    ['whose change has nothing to do with it', false, steady, false],
  ])('leaves it open of a device %s', (_name, link, look, doubt) => {
    expect('perhapsTaken' in said(link, look)).toBe(doubt);
  });
});

describe('a config that was refused', () => {
  it('is taken back', () => {
    expect(canedgeFamily.confirm(opened({ step: 'config' }), seen({ ...LONG, crc: OLD }))).toMatchObject({ takeBack: true });
    expect(canedgeFamily.confirm(opened({ step: 'firmware' }), seen(LONG))).not.toHaveProperty('takeBack');
  });
});
