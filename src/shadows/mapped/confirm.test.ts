import { describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { readShadowDocument } from '#model/shadow.ts';
import { confirmationOf } from './confirm.ts';
import { mappedOperations, withdrawalOf } from './operations.ts';
import { mappedReading } from './reports.ts';

const { reportOf } = mappedReading({ shadow: () => null, absence: () => 'nothing', term: () => () => null });

/** When desired was written, in seconds of the service. */
const T = 1_767_225_600;
const options = {
  serial: '/serial',
  firmware: {
    reported: '/fw',
    desired: { '/want/version': '{version}' },
    taken: { at: '/state', when: ['busy'] },
    failed: { at: '/state', when: ['failed'], why: '/why' },
  },
};
const device = { id: 'd', serial: '1', model: 'gw', options, items: [] } as unknown as DeclaredDevice;

interface Said {
  readonly fw?: unknown;
  readonly at?: number;
  readonly state?: string;
  readonly stateAt?: number;
  readonly why?: string;
  readonly aliveAt?: number;
  readonly desired?: string | null;
  readonly version?: number;
  readonly serial?: string;
}

function said(what: Said, last?: ReportedDevice): ReportedDevice {
  const { fw = '1.0', at = T - 100, state, stateAt = at, why, aliveAt = at, desired = '2.0', version = 9, serial = '1' } = what;
  const reported = { ...(fw === undefined ? {} : { fw }), serial, ...(state === undefined ? {} : { state, why }) };
  const times = { fw: { timestamp: at }, serial: { timestamp: aliveAt }, state: { timestamp: stateAt }, why: { timestamp: stateAt } };
  const document = readShadowDocument({
    state: { reported, ...(desired === null ? {} : { desired: { want: { version: desired } } }) },
    metadata: { reported: times },
    version,
  });
  if (document === null) throw new Error('no document');
  const sight = { thing: 'd', document, source: 'get', connected: null, connectedSince: null } as const;
  const report = reportOf(device, last, { sight, open: true, now: T * 1000 + HOUR_MS });
  if (report === undefined) throw new Error('nothing new');
  return report;
}

function open(change: Partial<OpenOperation> = {}): OpenOperation {
  const writes = [{ pointer: '/want/version', kind: 'value', value: '2.0' }];
  const item = { item: 'firmware', value: '2.0', facts: { writes }, content: null };
  const { drafts } = mappedOperations({ device, items: [item as never], reported: said({}), drifted: ['firmware'] }, () => null);
  const undo = { version: 8, inverse: { want: null }, expires: null };
  return {
    operation: { ...drafts[0], id: 'o' } as never,
    attempt: 1,
    intendedAt: T * 1000 - 500,
    reference: T * 1000 - 1,
    takenAt: null,
    undo,
    retryAt: null,
    lastTrouble: null,
    ...change,
  };
}

describe('an offer in desired', () => {
  it.each<[string, Said, string]>([
    ['nothing said since', {}, 'open OFFERED'],
    ['the declared version, named before the write', { fw: '2.0' }, 'open OFFERED'],
    ['the declared version, named in the very second', { fw: '2.0', at: T }, 'confirmed'],
    ['the declared version, named after it', { fw: '2.0', at: T + 5 }, 'confirmed'],
    ['the old version again', { at: T + 5 }, 'open OFFERED'],
    ['begun', { state: 'busy', stateAt: T + 3 }, 'open VERIFYING'],
    ['begun, long before', { state: 'busy', stateAt: T - 50 }, 'open OFFERED'],
    ['failed since', { state: 'failed', stateAt: T + 3, why: 'no space' }, 'failed REFUSED'],
    ['failed long before', { state: 'failed', stateAt: T - 50 }, 'open OFFERED'],
    ['another version, just now', { fw: '3.0', at: T + 5 }, 'open OFFERED'],
    ['another version, for ten minutes', { fw: '3.0', at: T + 5, aliveAt: T + 610 }, 'failed WRONG_RESULT'],
    ['the old version after the patience', { at: T + 5, aliveAt: T + 3700 }, 'failed NOT_APPLIED'],
    ['a version as a number', { fw: 2, at: T + 5 }, 'open OFFERED'],
    ['desired of somebody else', { desired: '0.9' }, 'trouble OFFER_REPLACED'],
    ['desired of somebody else, in a document older than the write', { desired: '1.0', version: 7 }, 'open OFFERED'],
    ['desired gone', { desired: null }, 'trouble OFFER_REPLACED'],
    ['a shadow that was made again', { desired: null, version: 3, at: T + 5 }, 'trouble OFFER_REPLACED'],
    ['one that was read before the write', { desired: null, version: 7 }, 'open OFFERED'],
  ])('%s', (_what, what, wanted) => {
    const { kind, ...rest } = confirmationOf(open(), said(what));
    expect(`${kind} ${'phase' in rest ? rest.phase : 'code' in rest ? rest.code : ''}`.trim()).toBe(wanted);
  });

  it('counts a second in which the device had spoken before as said before', () => {
    expect(confirmationOf(open({ reference: T * 1000 }), said({ fw: '2.0', at: T })).kind).toBe('open');
    expect(confirmationOf(open({ reference: T * 1000 }), said({ fw: '2.0', at: T + 1 })).kind).toBe('confirmed');
  });

  it('gets a new URL once the device is heard after the old one had expired, and not before', () => {
    const undo = { version: 8, inverse: { want: null }, expires: T * 1000 + 10 * MINUTE_MS };
    expect(confirmationOf(open({ undo }), said({ aliveAt: T + 500 })).kind).toBe('open');
    expect(confirmationOf(open({ undo }), said({ aliveAt: T + 700 }))).toMatchObject({ kind: 'trouble', code: 'URL_EXPIRED' });
  });

  it('is looked for where no outcome was recorded, and taken back by the inverse of what was written', () => {
    expect(confirmationOf(open({ reference: null }), said({ fw: '2.0', at: T + 5 }))).toMatchObject({ kind: 'open', phase: 'IN_FLIGHT' });
    expect(withdrawalOf(open())).toMatchObject([{ step: 'withdraw-firmware', kind: 'withdraw', facts: { inverse: { want: null } } }]);
    expect(withdrawalOf(open({ undo: null }))).toMatchObject([{ facts: { inverse: { want: { version: null } } } }]);
  });
});

describe('reports', () => {
  it('hold the highest version against an index that lags, and take what a get says', () => {
    const last = said({ fw: '2.0', version: 9 });
    const older = readShadowDocument({ state: { reported: { fw: '1.0' } }, version: 8 });
    if (older === null) throw new Error('no document');
    const seen = (source: 'get' | 'index' | 'news') =>
      reportOf(device, last, {
        sight: { thing: 'd', document: older, source, connected: null, connectedSince: null },
        open: false,
        now: T * 1000,
      });
    expect(seen('index')).toBe(undefined);
    expect(seen('news')).toBe(undefined);
    expect(seen('get')?.items.firmware).toMatchObject({ value: '1.0', madeNotBefore: null });
  });

  it('say nothing where nothing is new, and read again what another mapping read', () => {
    const last = said({});
    const document = readShadowDocument({ state: { reported: { fw: '1.0' } }, version: 9 });
    if (document === null) throw new Error('no document');
    const sight = { thing: 'd', document, source: 'index', connected: null, connectedSince: null } as const;
    expect(reportOf(device, last, { sight, open: false, now: T * 1000 })).toBe(undefined);
    const mapped = { ...device, options: { firmware: { reported: '/other' } } };
    expect(reportOf(mapped, last, { sight, open: false, now: T * 1000 })?.items.firmware).toMatchObject({ why: 'NEVER_REPORTED' });
  });

  it('tell other hardware, what has no shadow, and times that cannot be', () => {
    expect(said({ serial: '2' }).problem).toMatchObject({ reason: 'IDENTITY_MISMATCH' });
    const sight = { thing: 'd', document: 'missing', source: 'get', connected: null, connectedSince: null } as const;
    expect(reportOf(device, undefined, { sight, open: false, now: 0 })?.items.firmware).toMatchObject({ why: 'NEVER_REPORTED' });
    expect(said({ at: T + 40 * 86_400 }).items.firmware).toMatchObject({ madeNotBefore: null });
  });
});
