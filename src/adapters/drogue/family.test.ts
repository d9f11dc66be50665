import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { deviceId, digest } from '#model/ids.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { DeviceFacts, PinnedItem } from '#ports/family.ts';
import { drogueFamily } from './family.ts';
import { drogueOptions } from './options.ts';
import { reportOf } from './reports.ts';
import { NOTHING_KNOWN, type DeviceState, type Job } from './state.ts';

const NODE: DeviceFacts = { id: 'node-01', model: 'nrf52', serial: null, address: null, labels: {}, values: {}, options: {} };
const IMAGE = Uint8Array.of(1, 2, 3);
const CONTENT = { kind: 'bytes', name: 'node.bin', digest: digest(sha256(IMAGE)), size: 3, bytes: IMAGE } as const;

function pin(change: Partial<PinnedItem> = {}): PinnedItem {
  const artifact = { name: 'node', version: '0.1.1', reportsAs: null };
  return { item: 'firmware', artifact, content: CONTENT, document: null, firmware: '0.1.1', certificates: [], ...change };
}

describe('lint', () => {
  it.each([
    ['a device by its id', {}, []],
    ['an address', { address: 'n-1' }, []],
    ['an address of two levels', { address: 'barn/n-1' }, ['DROGUE_ADDRESS']],
    ['an address that is a wildcard', { address: '+' }, ['DROGUE_ADDRESS']],
    ['a topic for all', { options: { up: 'dfu/all' } }, ['DROGUE_TOPIC']],
    ['one topic both ways', { options: { up: 'dfu/{device}', down: 'dfu/{device}' } }, ['DROGUE_TOPIC']],
    ['a gateway without an id', { options: { gateway: 'barn' } }, ['DROGUE_CORRELATION']],
    ['a gateway with an id', { options: { gateway: 'barn', correlation: 0 } }, []],
  ])('%s', (_name, change, codes) => {
    expect(drogueFamily.lint({ ...NODE, ...change }).map(({ code }) => code)).toEqual(codes);
  });
});

describe('options', () => {
  const validate = new Ajv2020({ strict: true }).compile(drogueFamily.optionsSchema as object);
  it.each([
    [{}, true],
    [{ up: 'a/{group}/{device}', down: 'b/{device}', mtu: 32, maxBlock: 16_000, trial: '1h', restartSafe: true }, true],
    [{ up: 'dfu/+' }, false],
    [{ up: '$share/x/dfu/{device}' }, false],
    [{ maxBlock: 16_001 }, false],
    [{ mtu: 0 }, false],
    [{ correlation: 4_294_967_296 }, false],
    [{ poll: '500ms' }, false],
    [{ gateway: 'a/b' }, false],
    [{ speed: 'fast' }, false],
  ])('%j', (options, good) => expect(validate(options)).toBe(good));

  it('never tell a device to poll at once', () => {
    expect(drogueOptions({ poll: '1s', wait: '1s' })).toMatchObject({ pollSeconds: 1, waitSeconds: 1 });
    expect(drogueOptions({})).toMatchObject({ pollSeconds: 300, waitSeconds: 60, trialMs: 15 * MINUTE_MS, mtu: 512, maxBlock: 4096 });
  });
});

describe('what is declared', () => {
  it.each([
    ['a version', {}, {}, '0.1.1'],
    ['what it is reported as', { artifact: { name: 'node', version: '1', reportsAs: '2dbedf0' } }, {}, '2dbedf0'],
    ['bytes', { artifact: { name: 'node', version: '1', reportsAs: '0xfffe' } }, {}, '0xfffe'],
    ['a version beyond 16 bytes', { artifact: { name: 'node', version: '0.1.1-nightly-2026', reportsAs: null } }, {}, 'VERSION_TOO_LONG'],
    [
      'where there is room',
      { artifact: { name: 'node', version: '0.1.1-nightly-2026', reportsAs: null } },
      { versionBytes: 32 },
      '0.1.1-nightly-2026',
    ],
    ['nothing', { content: { ...CONTENT, size: 0 } }, {}, 'FIRMWARE_EMPTY'],
    ['a file that is no artifact', { artifact: null }, {}, 'CONTENT_MISSING'],
    ['another item', { item: 'program' }, {}, 'UNKNOWN_ITEM'],
  ] as const)('%s', (_name, change, options, expected) => {
    const answer = drogueFamily.expectation({ ...NODE, options }, pin(change));
    expect(answer.ok ? answer.value.value : answer.error.code).toBe(expected);
  });
});

const JOB: Job = {
  operation: 'op-1',
  release: 'r-1',
  version: '0.1.1',
  digest: 'd',
  size: 20,
  from: '0.1.0',
  phase: 'writing',
  begunAt: 1000,
  told: null,
  jumps: 0,
  swaps: 0,
  swapAt: null,
  ranAt: null,
  syncAt: null,
  provenAt: null,
  failure: null,
};

function heard(version: string, job: Partial<Job> | null, at = 5000): DeviceState {
  const said = { at, version, since: at, mtu: 8, update: null, encoding: 'packed', warnings: [] } as const;
  return { ...NOTHING_KNOWN, heard: said, job: job === null ? null : { ...JOB, ...job } };
}

const OPEN = {
  operation: { id: 'op-1', kind: 'change', item: 'firmware', declared: '0.1.1', expected: '0.1.0' },
  attempt: 1,
  intendedAt: 900,
  reference: 1000,
  takenAt: null,
  undo: null,
  retryAt: null,
  lastTrouble: null,
} as unknown as OpenOperation;

function confirmed(state: DeviceState, { now = 6000, witnessed = true }: { readonly now?: number; readonly witnessed?: boolean } = {}) {
  const report = reportOf(deviceId('node-01'), state, { options: drogueOptions({}), now, listeningSince: 0, witnessed });
  const confirmation = drogueFamily.confirm(OPEN, report);
  const { firmware } = report.items;
  return [confirmation.kind === 'open' ? confirmation.phase : confirmation.kind, firmware?.kind === 'value' ? firmware.value : null];
}

describe('an offer', () => {
  it.each([
    ['nobody came for', heard('0.1.0', null), 'OFFERED', '0.1.0'],
    ['under way', heard('0.1.0', { told: { offset: 8, length: 8 } }), 'OFFERED', '0.1.0'],
    ['with a part missing', heard('0.1.0', { phase: 'jumped' }), 'OFFERED', '0.1.0'],
    ['told to swap', heard('0.1.0', { phase: 'swapping', swapAt: 4000 }), 'VERIFYING', '0.1.0'],
    ['on trial', heard('0.1.1', { phase: 'trial', swapAt: 4000, ranAt: 5000 }), 'VERIFYING', '0.1.1, on trial'],
    ['marked good', heard('0.1.1', { phase: 'synced', ranAt: 4500, syncAt: 5000 }), 'VERIFYING', '0.1.1, on trial'],
    ['proven', heard('0.1.1', { phase: 'synced', ranAt: 4500, syncAt: 4600, provenAt: 5000 }), 'confirmed', '0.1.1'],
    ['of another job that is done', heard('0.1.1', { operation: 'op-0', phase: 'synced', provenAt: 500 }), 'OFFERED', '0.1.1'],
    ['that runs already', heard('0.1.1', null), 'confirmed', '0.1.1'],
    ['that ran before it was made', heard('0.1.1', null, 1000), 'OFFERED', '0.1.1'],
    ['that failed', heard('0.1.0', { phase: 'failed', failure: { code: 'SWAP_FAILED', at: 5000, text: 'x' } }), 'failed', '0.1.0'],
  ])('%s', (_name, state, phase, value) => expect(confirmed(state)).toEqual([phase, value]));

  it('is not proven by a status that nobody of ours answered', () => {
    expect(confirmed(heard('0.1.1', null), { witnessed: false })).toEqual(['OFFERED', '0.1.1']);
  });

  it('fails when the trial ends in silence', () => {
    const state = heard('0.1.1', { phase: 'trial', ranAt: 5000 });
    expect(confirmed(state, { now: 5000 + 15 * MINUTE_MS })).toEqual(['VERIFYING', '0.1.1, on trial']);
    expect(confirmed(state, { now: 5001 + 15 * MINUTE_MS })).toEqual(['failed', '0.1.1, on trial']);
  });

  it('tells which verdict each failure is', () => {
    expect(Object.values(drogueFamily.reasons).map((reason) => reason.class)).toEqual(Array(5).fill('verdict'));
  });
});

describe('an image beyond 32 bits', () => {
  it('is no offer', () => {
    const item = { item: 'firmware', value: '0.1.1', facts: {} as Json, content: { ...CONTENT, size: 2 ** 32 } };
    const request = { device: { options: {} }, items: [item], reported: { items: {} }, drifted: ['firmware'] } as unknown as Parameters<
      typeof drogueFamily.operations
    >[0];
    expect(drogueFamily.operations(request)).toMatchObject({ drafts: [], impossible: [{ reason: 'INCOMPATIBLE' }] });
  });
});
