import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { deviceId, digest, groupName, operationId, releaseId } from '#model/ids.ts';
import type { OpenOperation } from '#model/operation.ts';
import { emptyReport, type ReportedDevice } from '#model/reported.ts';
import { confirmationOf } from './confirm.ts';
import { mongooseFamily } from './family.ts';
import type { OperationFacts, Step } from './operations.ts';
import type { FirmwareSeen } from './reports.ts';
import { onTrial } from './wire.ts';

const [ONE, TWO, THREE] = ['1.0 20260101-120000/main@a', '2.0 20261101-120000/main@b', '3.0 20261201-120000/main@c'];
const SENT = Date.UTC(2026, 10, 23, 9);
const after = (seconds: number): number => SENT + seconds * SECOND_MS;
const URL_OF_OURS = '0123456789abcdef';

interface Case {
  readonly name: string;
  readonly step?: Step;
  readonly delivery?: 'offer' | 'push';
  readonly undo?: Json;
  readonly takenAt?: number;
  readonly value?: string;
  /** Seconds after it was sent at which the value was reported; before it was sent when negative. */
  readonly at?: number;
  readonly heard?: number;
  readonly seen?: Partial<FirmwareSeen>;
  readonly expected?: string;
  readonly says: string;
}

function openOf({ step = 'update', delivery = 'offer', undo, takenAt, expected = ONE }: Case): OpenOperation {
  const facts: OperationFacts = {
    step,
    ota: delivery === 'offer' ? 'shadow' : 'rpc',
    platform: 'esp32',
    commitTimeoutMs: 10 * MINUTE_MS,
    updateTimeoutMs: 10 * MINUTE_MS,
    lostAfterMs: 60 * MINUTE_MS,
    pointer: '/ota/url',
  };
  const shadow = { version: 8, at: SENT, inverse: { ota: null }, expires: after(3600), url: URL_OF_OURS };
  return {
    operation: {
      item: 'firmware',
      step,
      kind: 'change',
      delivery,
      declared: step === 'revert' ? ONE : TWO,
      expected,
      facts: facts as unknown as Json,
      content: null,
      deadlineMs: 10 * MINUTE_MS,
      effects: [],
      disturbs: step !== 'commit',
      id: operationId('0'.repeat(64)),
      device: deviceId('b0'),
      family: 'mongoose',
      connection: 'field',
      hardware: digest('0'),
      group: groupName('all'),
      release: releaseId('0'),
      occasion: 0,
      cause: 'rollout',
    },
    attempt: 1,
    intendedAt: SENT,
    reference: SENT,
    takenAt: takenAt === undefined ? null : after(takenAt),
    undo: undo === undefined ? (delivery === 'offer' ? shadow : { url: URL_OF_OURS, expires: null, said: null, stale: null }) : undo,
    retryAt: null,
    lastTrouble: null,
  };
}

function reportOf({ value = ONE, at = -60, heard = at, seen = {} }: Case): ReportedDevice {
  const facts: FirmwareSeen = {
    version: 9,
    status: null,
    url: null,
    offered: URL_OF_OURS,
    arch: 'esp32',
    since: after(at),
    before: null,
    tried: null,
    appliedAt: null,
    bootedAt: null,
    ...seen,
  };
  const item = { kind: 'value', value, facts: facts as unknown as Json, madeNotBefore: after(at), source: 'reported/ota' } as const;
  return { ...emptyReport(deviceId('b0')), heardAt: after(heard), items: { firmware: item } };
}

function said(one: Case): string {
  const confirmation = confirmationOf(openOf(one), reportOf(one));
  if (confirmation.kind === 'open') return `${confirmation.phase}${confirmation.takenAt === null ? '' : ', taken'}`;
  return confirmation.kind === 'confirmed' ? 'confirmed' : `${confirmation.kind} ${confirmation.code}`;
}

const status = (state: 'idle' | 'progress' | 'error' | 'success', at: number, message: string | null = null): Partial<FirmwareSeen> => ({
  status: { state, message, progress: 27, at: after(at) },
});
const ours = (at: number): Partial<FirmwareSeen> => ({ url: { digest: URL_OF_OURS, at: after(at) } });
/** The board said that it is the wrong platform when the URL was written. */
const STALE: Json = {
  version: 8,
  at: SENT,
  inverse: { ota: null },
  expires: after(3600),
  url: URL_OF_OURS,
  said: null,
  stale: 'Wrong platform',
};
const answered = (ok: boolean, message: string | null): Json => ({ url: URL_OF_OURS, said: { ok, message, at: after(8) }, stale: null });

describe('an update over the shadow', () => {
  it.each<Case>([
    { name: 'nothing since', says: 'OFFERED' },
    { name: 'the new firmware, committed', value: TWO, at: 60, says: 'confirmed' },
    { name: 'the new firmware, and it was there before', value: TWO, at: -60, says: 'OFFERED' },
    { name: 'the new firmware on trial', value: onTrial(TWO), at: 60, says: 'VERIFYING, taken' },
    { name: 'the old firmware on trial: half of what the new one says', value: onTrial(ONE), at: 60, heard: 60, says: 'OFFERED' },
    { name: 'an error that stood there before', at: 4, undo: STALE, seen: status('error', 4, 'Wrong platform'), says: 'OFFERED' },
    {
      name: 'the same error, and our URL taken',
      at: 4,
      undo: STALE,
      seen: { ...ours(2), ...status('error', 4, 'Wrong platform') },
      says: 'failed WRONG_PLATFORM',
    },
    {
      name: 'the same error, and progress seen before',
      at: 9,
      takenAt: 4,
      undo: STALE,
      seen: status('error', 9, 'Wrong platform'),
      says: 'failed WRONG_PLATFORM',
    },
    { name: 'our URL, and nothing more: no proof', seen: ours(2), heard: 2, says: 'VERIFYING, taken' },
    { name: 'our URL and progress', at: 4, seen: { ...ours(2), ...status('progress', 4) }, says: 'IN_FLIGHT, taken' },
    {
      name: 'success: no proof',
      at: 4,
      seen: { ...ours(2), ...status('success', 9, 'Update applied, finalizing') },
      says: 'VERIFYING, taken',
    },
    { name: 'wrong platform (B3)', at: 4, seen: { ...ours(2), ...status('error', 4, 'Wrong platform') }, says: 'failed WRONG_PLATFORM' },
    {
      name: 'a bundle that it cannot read',
      at: 4,
      seen: status('error', 4, 'Malformed archive (invalid file header)'),
      says: 'failed BAD_BUNDLE',
    },
    { name: 'a download that failed', at: 4, seen: status('error', 4, 'Failed to connect'), says: 'trouble DOWNLOAD_FAILED' },
    { name: 'a word that nobody knows', at: 4, seen: status('error', 4, 'Quux'), says: 'trouble UPDATE_FAILED' },
    { name: 'an error of before', seen: status('error', -300, 'Wrong platform'), says: 'OFFERED' },
    { name: 'Not Modified', at: 4, seen: { ...ours(2), ...status('success', 4, 'Not Modified') }, says: 'trouble NOTHING_APPLIED' },
    {
      name: 'the old firmware after the trial, with our URL still there (B2)',
      at: 660,
      seen: { ...ours(2), ...status('idle', 660), tried: { value: TWO, at: after(60) } },
      takenAt: 2,
      says: 'failed ROLLED_BACK',
    },
    {
      name: 'the old firmware after all was written, and nobody saw the trial',
      at: 660,
      seen: { ...ours(2), ...status('idle', 660), appliedAt: after(40) },
      says: 'failed ROLLED_BACK',
    },
    {
      name: 'the old firmware after the trial of something else',
      at: 660,
      heard: 660,
      seen: { tried: { value: THREE, at: after(-600) } },
      says: 'trouble NOT_TAKEN',
    },
    { name: 'the old firmware, idle, after it began', at: 90, seen: { ...ours(2), ...status('idle', 90) }, says: 'trouble INTERRUPTED' },
    { name: 'something else', value: THREE, at: 60, says: 'failed WRONG_RESULT' },
    { name: 'something else on trial', value: onTrial(THREE), at: 60, says: 'failed WRONG_RESULT' },
    { name: 'there for five minutes, and nothing taken', at: 10, heard: 301, says: 'trouble NOT_TAKEN' },
    { name: 'there for less', at: 10, heard: 299, says: 'OFFERED' },
    { name: 'another URL in desired', heard: 10, seen: { offered: 'ffff' }, says: 'trouble OFFER_REPLACED' },
    { name: 'the same as of an older document', seen: { offered: 'ffff', version: 8 }, says: 'OFFERED' },
    { name: 'heard after the URL had expired', heard: 3601, says: 'trouble URL_EXPIRED' },
    {
      name: 'the URL expired after it was taken',
      at: 4,
      heard: 3601,
      takenAt: 2,
      seen: { ...ours(2), ...status('progress', 3500) },
      says: 'IN_FLIGHT, taken',
    },
    { name: 'no progress for long', at: 4, heard: 1300, seen: { ...ours(2), ...status('progress', 4) }, says: 'trouble STALLED' },
  ])('$name: $says', (one) => {
    expect(said(one)).toBe(one.says);
  });
});

describe('an update by a call', () => {
  it.each<Case>([
    { name: 'no answer yet', says: 'IN_FLIGHT' },
    { name: 'error.code 0: no proof', undo: answered(true, 'Update applied, finalizing'), says: 'VERIFYING, taken' },
    { name: 'an answer that nothing can change', undo: answered(false, 'Wrong platform'), says: 'failed WRONG_PLATFORM' },
    {
      name: 'the old firmware after an answer and a restart',
      undo: answered(true, 'Update applied, finalizing'),
      at: 700,
      seen: { bootedAt: after(640) },
      says: 'failed ROLLED_BACK',
    },
    {
      name: 'the same before it restarts',
      undo: answered(true, 'Update applied, finalizing'),
      at: 9,
      seen: { bootedAt: after(-9000) },
      says: 'VERIFYING, taken',
    },
    {
      name: 'an error that stood there before',
      undo: { url: URL_OF_OURS, said: null, stale: 'Invalid CRC' },
      at: 30,
      seen: status('error', 30, 'Invalid CRC'),
      says: 'IN_FLIGHT',
    },
    { name: 'an error that is new', at: 30, seen: status('error', 30, 'Invalid CRC'), says: 'trouble DOWNLOAD_FAILED' },
    { name: 'the new firmware on trial', value: onTrial(TWO), at: 60, says: 'VERIFYING, taken' },
  ])('$name: $says', (one) => {
    expect(said({ ...one, delivery: 'push' })).toBe(one.says);
  });

  it('that shows the old firmware may be repeated once its time is over', () => {
    const one: Case = { name: '', delivery: 'push', at: 30, seen: status('idle', 30), says: '' };
    expect(confirmationOf(openOf(one), reportOf(one))).toMatchObject({ kind: 'open', oldValueSeenAt: after(30) });
  });
});

describe('a commit', () => {
  it.each<Case>([
    { name: 'committed', value: TWO, at: 5, says: 'confirmed' },
    { name: 'on trial still', value: onTrial(TWO), at: 5, says: 'IN_FLIGHT' },
    { name: 'too late', value: ONE, at: 5, says: 'failed ROLLED_BACK' },
    { name: 'the old one of before', value: ONE, at: -5, says: 'IN_FLIGHT' },
  ])('$name: $says', (one) => {
    expect(said({ ...one, step: 'commit', delivery: 'push', expected: onTrial(TWO) })).toBe(one.says);
  });
});

describe('a way back', () => {
  it.each<Case>([
    { name: 'the old one', value: ONE, at: 5, says: 'confirmed' },
    { name: 'on trial still', value: onTrial(TWO), at: 5, says: 'IN_FLIGHT' },
    { name: 'committed meanwhile', value: TWO, at: 5, says: 'trouble NOT_REVERTED' },
  ])('$name: $says', (one) => {
    expect(said({ ...one, step: 'revert', delivery: 'push', expected: onTrial(TWO) })).toBe(one.says);
  });
});

it('has words for each code', () => {
  const codes = Object.keys(mongooseFamily.reasons);
  for (const code of ['ROLLED_BACK', 'WRONG_PLATFORM', 'DOWNLOAD_FAILED', 'NOT_TAKEN']) expect(codes).toContain(code);
});

it('counts nothing of an offer while it is not known whether it was made', () => {
  const one: Case = { name: '', value: TWO, at: 5, says: '' };
  expect(confirmationOf({ ...openOf(one), reference: null }, reportOf(one))).toMatchObject({ kind: 'open', phase: 'IN_FLIGHT' });
});

it('counts what came after a call was meant to go out, where its record was lost', () => {
  const one: Case = { name: '', delivery: 'push', undo: null, at: 5, says: '' };
  const lost = { ...openOf(one), reference: null };
  expect(confirmationOf(lost, reportOf({ ...one, value: TWO }))).toMatchObject({ kind: 'confirmed' });
  expect(confirmationOf(lost, reportOf(one))).toMatchObject({ kind: 'open', oldValueSeenAt: after(5) });
});

describe('an offer of which no outcome was recorded', () => {
  const unsaid = (one: Omit<Case, 'name' | 'says'>): string => {
    const whole = { ...one, name: '', says: '', undo: null };
    const confirmation = confirmationOf({ ...openOf(whole), reference: null }, reportOf(whole));
    return confirmation.kind === 'open' ? `${confirmation.phase}${confirmation.takenAt === null ? '' : ', taken'}` : confirmation.kind;
  };

  it('has begun where the board is at an update since, tries what it brings, or was seen to take it', () => {
    expect(unsaid({ at: 60 })).toBe('IN_FLIGHT');
    expect(unsaid({ at: 60, seen: status('progress', -10) })).toBe('IN_FLIGHT');
    expect(unsaid({ at: 60, seen: status('progress', 10) })).toBe('IN_FLIGHT, taken');
    expect(unsaid({ at: 60, value: onTrial(TWO) })).toBe('VERIFYING, taken');
    expect(unsaid({ at: 60, value: onTrial(THREE) })).toBe('IN_FLIGHT');
    expect(unsaid({ at: 60, value: TWO, takenAt: 10 })).toBe('confirmed');
  });
});
