import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { certificateFacts } from '#kit/certificate.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { DeclaredItem } from '#model/declared.ts';
import { identityJson, type IdentityFacts, type IdentityVersion } from '#model/identity.ts';
import type { OpenOperation } from '#model/operation.ts';
import { emptyReport, type ReportedDevice, type Sign } from '#model/reported.ts';
import { declaredItem, declaredLogger, openOperation } from '#test/support/campbell.ts';
import { testIdentity } from '#test/support/certificates.ts';
import { campbellFamily } from './family.ts';
import { identityItem, type Looked, type WitnessedConnection } from './identity-report.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const device = declaredLogger();

function version(name: string, change: Partial<IdentityVersion> = {}): IdentityVersion {
  const years = Number(name);
  const notBefore = Date.parse('2020-01-01T00:00:00Z') + years * 365 * DAY_MS;
  return {
    name: `own@${name}`,
    fingerprint: name.repeat(64).slice(0, 64),
    subject: `CN=moor-${name}`,
    notBefore,
    notAfter: notBefore + 3650 * DAY_MS,
    der: '',
    withdrawn: false,
    ...change,
  };
}

const [ONE, TWO, THREE] = [version('1'), version('2'), version('3')];

function identity(facts: Partial<IdentityFacts> = {}): DeclaredItem {
  const full: IdentityFacts = { use: TWO, keep: [ONE], others: [], clientId: 'CR1000X_70681', ...facts };
  return { ...declaredItem({ item: 'identity', value: full.use.fingerprint, content: null }), facts: identityJson(full) };
}

type States = Looked['states'];
const ACCEPTED: States = { [ONE.fingerprint]: 'accepted', [TWO.fingerprint]: 'accepted', [THREE.fingerprint]: 'accepted' };

function connection(one: IdentityVersion, at: number, change: Partial<WitnessedConnection> = {}): WitnessedConnection {
  return { clientId: 'CR1000X_70681', fingerprint: one.fingerprint, subject: one.subject, at, witness: 'field', ...change };
}

/** The report once the broker was looked at. */
function looked(
  seen: Looked['seen'],
  change: {
    readonly declared?: DeclaredItem;
    readonly states?: States;
    readonly report?: ReportedDevice;
    readonly onlineVia?: string;
  } = {},
) {
  const { declared = identity(), states = ACCEPTED, report = { ...emptyReport(device.id), online: true, heardAt: NOW } } = change;
  const item = identityItem({ declared, seen, states, report, onlineAt: report.heardAt, onlineVia: change.onlineVia ?? 'field' });
  return item === undefined ? report : { ...report, items: { ...report.items, identity: item } };
}

function operations(reported: ReportedDevice, declared = identity(), options: Readonly<Record<string, Json>> = {}) {
  return campbellFamily.operations({
    device: { ...device, options, items: [declared] },
    items: [declared],
    reported,
    drifted: ['identity'],
  });
}

describe('what a broker saw of a certificate', () => {
  const value = (report: ReportedDevice) => report.items.identity;

  it('is told by fingerprint, and which others it still accepts', () => {
    expect(value(looked(connection(TWO, NOW)))).toMatchObject({ value: `${TWO.fingerprint} also ${ONE.fingerprint}` });
    expect(value(looked(connection(TWO, NOW), { states: { ...ACCEPTED, [ONE.fingerprint]: 'withdrawn' } }))).toMatchObject({
      value: TWO.fingerprint,
    });
  });

  it.each([
    ['by its subject where the record has no fingerprint', connection(TWO, NOW, { fingerprint: null }), TWO.fingerprint],
    ['by its common name alone', connection(TWO, NOW, { fingerprint: null, subject: 'moor-2' }), TWO.fingerprint],
    ['as none of ours', connection(TWO, NOW, { fingerprint: null, subject: 'CN=somebody' }), 'other CN=somebody'],
  ])('is told %s', (_, seen, first) => {
    expect(value(looked(seen, { states: {} }))).toMatchObject({ value: first });
  });

  it('is not guessed where two certificates have one subject, or the record names none', () => {
    const twins = identity({ use: { ...TWO, subject: ONE.subject } });
    expect(value(looked(connection(ONE, NOW, { fingerprint: null }), { declared: twins, states: {} }))).toMatchObject({
      value: `other ${ONE.subject}`,
    });
    expect(value(looked(connection(ONE, NOW, { fingerprint: null, subject: null })))).toMatchObject({
      kind: 'unknown',
      why: 'REPORT_UNREADABLE',
    });
  });

  it.each([
    ['an hour ahead', NOW + HOUR_MS],
    ['an hour behind', NOW - HOUR_MS],
  ])('is as young as the last sign of life by our clock where that of the broker is %s', (_, at) => {
    expect(value(looked(connection(ONE, at)))).toMatchObject({ madeNotBefore: NOW });
    const gone = { ...emptyReport(device.id), online: null, heardAt: NOW - 2 * MINUTE_MS };
    expect(value(looked(connection(ONE, at), { report: gone }))).toMatchObject({ madeNotBefore: Math.min(at, NOW - 2 * MINUTE_MS) });
  });

  it('never goes back to an older line of the same record, nor to nothing', () => {
    const newest = looked(connection(TWO, NOW));
    for (const seen of [connection(ONE, NOW - MINUTE_MS), null]) {
      expect(value(looked(seen, { report: newest }))).toEqual(value(newest));
    }
  });

  it('of another broker counts where the logger was heard there, whatever the clock of that one says', () => {
    const before = looked(connection(ONE, NOW));
    const seen = connection(TWO, NOW - HOUR_MS, { witness: 'next' });
    const there = looked(seen, { report: before, onlineVia: 'next' });
    expect(value(there)).toMatchObject({ value: `${TWO.fingerprint} also ${ONE.fingerprint}` });
    // It was there before, and has another one by now.
    expect(value(looked(seen, { report: before, onlineVia: 'field' }))).toEqual(value(before));
  });

  it('is nothing where nobody tells', () => {
    expect(value(looked('none'))).toMatchObject({ value: 'unseen', madeNotBefore: null });
    expect(value(looked(null))).toBeUndefined();
  });
});

describe('the next step of a rotation', () => {
  const old = looked(connection(ONE, NOW));

  it('is to load, while the old certificate is kept', () => {
    const { drafts, impossible } = operations(old);
    expect(impossible).toEqual([]);
    expect(drafts).toMatchObject([{ step: 'load-identity', declared: TWO.fingerprint, expected: ONE.fingerprint, disturbs: true }]);
    expect(JSON.stringify(drafts)).not.toContain('PRIVATE KEY');
  });

  it('is to withdraw once every logger carries the new one', () => {
    const { drafts } = operations(looked(connection(TWO, NOW)), identity({ keep: [], others: [ONE] }));
    expect(drafts).toMatchObject([{ step: `withdraw-${ONE.fingerprint.slice(0, 12)}`, onceAllCarry: 'identity', disturbs: false }]);
  });

  it('leaves a newer certificate alone that a revert left over', () => {
    const { drafts } = operations(looked(connection(ONE, NOW)), identity({ use: ONE, keep: [], others: [TWO] }));
    expect(drafts).toEqual([]);
  });

  it.each([
    ['withdrawn at the broker', old, identity(), { ...ACCEPTED, [TWO.fingerprint]: 'withdrawn' as const }],
    ['in use and is not kept', old, identity({ keep: [], others: [ONE] }), ACCEPTED],
    ['nobody tells which certificate', looked('none'), identity({ keep: [] }), {}],
  ])('is refused: %s', (evidence, reported, declared, states) => {
    const seen = reported.items.identity?.kind === 'value' && reported.items.identity.value === 'unseen' ? 'none' : connection(ONE, NOW);
    const answer = operations(looked(seen, { declared, states }), declared);
    expect(answer.drafts).toEqual([]);
    expect(answer.impossible).toMatchObject([{ reason: 'LOCKOUT_GUARD' }]);
    expect(answer.impossible[0]?.evidence).toContain(evidence);
  });

  it('is refused where the record could not tell the new certificate from another one of the logger', () => {
    const declared = identity({ use: { ...TWO, subject: ONE.subject } });
    const told = (change: Partial<WitnessedConnection>) => operations(looked(connection(ONE, NOW, change), { declared }), declared);
    expect(told({ fingerprint: null }).impossible).toMatchObject([{ reason: 'UNSUPPORTED' }]);
    expect(told({ fingerprint: null, subject: 'moor-1' }).drafts).toEqual([]);
    expect(told({}).drafts).toHaveLength(1);
    const sameName = identity({ use: { ...TWO, subject: 'CN=moor-1,O=Upland' } });
    const bySubject = looked(connection(ONE, NOW, { fingerprint: null }), { declared: sameName });
    expect(operations(bySubject, sameName).drafts).toHaveLength(1);
    const byName = looked(connection(ONE, NOW, { fingerprint: null, subject: 'moor-1' }), { declared: sameName });
    expect(operations(byName, sameName).impossible).toMatchObject([{ reason: 'UNSUPPORTED' }]);
  });

  it('is refused to whoever comes under its client id with a certificate that is none of the logger’s: no key for strangers', () => {
    for (const seen of [connection(ONE, NOW, { fingerprint: null, subject: 'CN=stranger' }), connection(THREE, NOW)]) {
      const answer = operations(looked(seen));
      expect(answer.drafts).toEqual([]);
      expect(answer.impossible).toMatchObject([{ reason: 'IDENTITY_MISMATCH' }]);
      expect(operations(looked(seen), identity(), { linkAccepted: 'its certificate of before Headgate' }).drafts).toHaveLength(1);
    }
  });

  it('is refused for a certificate of another CA, unless the broker says that it takes it or a person does', () => {
    const [mine, other] = ['moor-1', 'elsewhere'].map((name) => certificateFacts(Buffer.from(testIdentity(name).certificate))?.der ?? '');
    const declared = identity({ use: { ...TWO, der: other ?? '' }, keep: [{ ...ONE, der: mine ?? '' }] });
    const told = (state: 'accepted' | 'unknown'): ReportedDevice =>
      looked(connection(ONE, NOW), { declared, states: { ...ACCEPTED, [TWO.fingerprint]: state } });
    expect(operations(told('unknown'), declared).impossible).toMatchObject([{ reason: 'LOCKOUT_GUARD' }]);
    expect(operations(told('accepted'), declared).drafts).toHaveLength(1);
    expect(operations(told('unknown'), declared, { linkAccepted: 'cafile has both' }).drafts).toHaveLength(1);
  });
});

describe('that a logger could do without its old certificate', () => {
  const proves = (report: ReportedDevice): boolean | undefined => campbellFamily.proves?.(identity(), report);
  const carrying = looked(connection(TWO, NOW));
  const sign = (code: Sign['code'], at: number): Sign => ({ code, item: 'identity', at, text: code });

  it('is proven by the broker alone', () => {
    expect([carrying, looked(connection(ONE, NOW)), looked('none'), emptyReport(device.id)].map(proves)).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it.each(['DOWNLOADING', 'RESTARTING'] as const)('is open again from %s of another file on, until it was heard', (code) => {
    expect(proves({ ...carrying, signs: [sign(code, NOW + SECOND_MS)] })).toBe(false);
    expect(proves({ ...carrying, signs: [sign(code, NOW - SECOND_MS)] })).toBe(true);
  });
});

describe('what proves a new certificate', () => {
  const before = looked(connection(ONE, NOW));
  const INTENDED = NOW + MINUTE_MS;

  function loading(): OpenOperation {
    const [draft] = operations(before).drafts;
    if (draft === undefined) throw new Error('nothing to load');
    const made = { id: 'x', device: device.id, family: 'campbell', connection: 'field', hardware: device.hardware };
    const operation = { ...draft, ...made, group: 'upland', release: 'r', occasion: 0, cause: 'rollout' };
    return openOperation(operation as unknown as Parameters<typeof openOperation>[0], { intendedAt: INTENDED, reference: INTENDED });
  }

  function sign(code: Sign['code'], after: number, text = code): Sign {
    return { code, item: 'identity', at: INTENDED + after, text };
  }

  const DOWNLOAD = sign('DOWNLOADING', SECOND_MS);
  const RESTART = sign('RESTARTING', 5 * SECOND_MS, 'Loading MQTT Configuration');
  const SUCCESS = sign('REPLIED', MINUTE_MS, 'MQTT configuration file loaded');

  function judged(seen: WitnessedConnection, signs: readonly Sign[], heardAfter = 0) {
    const report = { ...before, signs: [...signs], heardAt: INTENDED + heardAfter, online: true };
    return campbellFamily.confirm(loading(), looked(seen, { report }));
  }

  it.each([
    ['a newer connection with it', NOW + 2 * MINUTE_MS],
    ['one that is newer by the clock of the broker, which is hours behind ours', NOW + SECOND_MS],
  ])('%s', (_, at) => expect(judged(connection(TWO, at), [DOWNLOAD, RESTART])).toMatchObject({ kind: 'confirmed' }));

  it('also where nobody heard a word of the logger meanwhile', () => {
    expect(judged(connection(TWO, NOW + 2 * MINUTE_MS), [])).toMatchObject({ kind: 'confirmed' });
  });

  it.each([
    ['an acknowledgement', [DOWNLOAD, RESTART, SUCCESS], 2 * MINUTE_MS],
    ['silence', [DOWNLOAD, RESTART], 0],
    ['nothing at all', [], 0],
  ])('not %s, while the broker knows the old connection only', (_, signs, heard) => {
    expect(judged(connection(ONE, NOW), signs, heard)).toMatchObject({ kind: 'open' });
  });

  it('also within the second in which it had connected with the old one: records have no finer stamps', () => {
    expect(judged(connection(TWO, NOW), [DOWNLOAD])).toMatchObject({ kind: 'confirmed' });
  });

  it('not a connection between the two restarts: what speaks against it must stand', () => {
    const back = connection(ONE, INTENDED + 20 * SECOND_MS);
    expect(judged(back, [DOWNLOAD, RESTART], MINUTE_MS)).toMatchObject({ kind: 'open' });
    expect(judged(back, [DOWNLOAD, RESTART], 10 * MINUTE_MS)).toMatchObject({ kind: 'failed', code: 'CERTIFICATE_NOT_USED' });
  });

  it('is past hope for a file that cannot be read, not for a download that failed or that began anew', () => {
    const refused = sign('CONFIG_REFUSED', 2 * SECOND_MS);
    const old = connection(ONE, NOW);
    expect(judged(old, [DOWNLOAD, refused])).toMatchObject({ kind: 'failed', code: 'CONFIG_REFUSED' });
    expect(judged(old, [DOWNLOAD, sign('DOWNLOAD_FAILED', 2 * SECOND_MS)])).toMatchObject({ kind: 'trouble', code: 'DOWNLOAD_FAILED' });
    expect(judged(old, [DOWNLOAD, refused, sign('DOWNLOADING', 3 * SECOND_MS)])).toMatchObject({ kind: 'open' });
  });

  it('stands against the complaint of a second command that found the file gone', () => {
    const late = [DOWNLOAD, RESTART, SUCCESS, sign('DOWNLOADING', 2 * MINUTE_MS), sign('CONFIG_REFUSED', 2 * MINUTE_MS + SECOND_MS)];
    expect(judged(connection(TWO, NOW + 3 * MINUTE_MS), late, 3 * MINUTE_MS)).toMatchObject({ kind: 'confirmed' });
  });

  it('of a withdrawal is the word of the broker, once the withdrawal is known to have ended', () => {
    const declared = identity({ keep: [], others: [ONE] });
    const [draft] = operations(looked(connection(TWO, NOW), { declared }), declared).drafts;
    if (draft === undefined) throw new Error('nothing to withdraw');
    const operation = { ...draft, id: 'x', device: device.id } as unknown as Parameters<typeof openOperation>[0];
    const judge = (state: 'accepted' | 'withdrawn' | 'unknown', reference: number | null) =>
      campbellFamily.confirm(
        openOperation(operation, { intendedAt: INTENDED, reference }),
        looked(connection(TWO, NOW), {
          declared,
          states: { ...ACCEPTED, [ONE.fingerprint]: state },
          report: { ...emptyReport(device.id), online: true, heardAt: INTENDED + MINUTE_MS },
        }),
      );
    expect(judge('withdrawn', INTENDED)).toMatchObject({ kind: 'confirmed' });
    expect(judge('accepted', INTENDED)).toMatchObject({ kind: 'open', oldValueSeenAt: INTENDED + MINUTE_MS });
    expect(judge('unknown', INTENDED)).toMatchObject({ kind: 'open', oldValueSeenAt: null });
    // Listed, and the process died before it could tell the broker, for all that is known.
    expect(judge('withdrawn', null)).toMatchObject({ kind: 'open', oldValueSeenAt: INTENDED + MINUTE_MS });
  });

  it('lets nobody send it again while the logger may be loading it', () => {
    expect(judged(connection(ONE, NOW), [DOWNLOAD], 5 * MINUTE_MS)).toMatchObject({ oldValueSeenAt: null, takenAt: INTENDED + SECOND_MS });
    expect(judged(connection(ONE, NOW), [], 5 * MINUTE_MS)).toMatchObject({ oldValueSeenAt: INTENDED + 5 * MINUTE_MS, takenAt: null });
  });
});
