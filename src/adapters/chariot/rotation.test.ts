import { describe, expect, it } from 'vitest';
import { DAY_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { OpenOperation } from '#model/operation.ts';
import { emptyReport, type ReportedDevice, type ReportedItem } from '#model/reported.ts';
import { deviceId, operationId } from '#model/ids.ts';
import { readShadowDocument, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import { chariotFamily } from './family.ts';
import { expectedIdentity, identityKey } from './identity.ts';
import { identityReport, saidIdentity, stageOf, witnessed, type Seen } from './identity-report.ts';
import { gatewayIdentity, type GatewayIdentity } from './identity.ts';
import { confirmRotation } from './rotation-confirm.ts';
import { provesIdentity, rotationFacts, rotationOperations, type OrderFacts } from './rotation.ts';

const NOW = Date.UTC(2026, 10, 23, 9);
const [OLD, NEW, THIRD] = ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)];
const OLD_AT = Date.UTC(2025, 10, 20, 8, 30);
const NEW_AT = NOW - 5 * MINUTE_MS;
const USE = { name: 'gw-cert@2026', issuedAfter: Date.UTC(2026, 10, 1) };
const KEEP = { name: 'gw-cert@2025', issuedAfter: Date.UTC(2025, 0, 1) };
const OPTIONS = { agent: 'agent' };

function text(at: number): string {
  return new Date(at).toISOString();
}

const oldAndNew = { [OLD]: text(OLD_AT), [NEW]: text(NEW_AT) };

interface Said {
  readonly active?: string;
  readonly issued?: string;
  readonly held?: JsonObject;
  readonly order?: string;
}

function documentOf(
  cert: JsonObject | null,
  { desired = {}, version = 7 }: { desired?: JsonObject; version?: number } = {},
): ShadowDocument {
  const reported = cert === null ? { monitor: { posts: 1 } } : { cert };
  const times = { cert: Object.fromEntries(Object.keys(cert ?? {}).map((name) => [name, { timestamp: NOW / 1000 }])) };
  const document = readShadowDocument({ state: { reported, desired }, metadata: { reported: times }, version });
  if (document === null) throw new Error('no document');
  return document;
}

function itemFor(cert: JsonObject | null, more: { desired?: JsonObject; last?: ReportedItem } = {}): ReportedItem {
  const { last } = more;
  return saidIdentity(documentOf(cert, more), { key: identityKey(OPTIONS), agent: 'agent', now: NOW, last });
}

/** Seen at its broker as told, with what the account says of each. */
function seen(cert: Said, who: Seen, states: Readonly<Record<string, 'accepted' | 'withdrawn'>> = {}): ReportedItem {
  const item = itemFor({ ...cert });
  if (item.kind !== 'value') return item;
  return witnessed(item, {
    account: Object.keys(states).length > 0,
    seen: who,
    told: new Map(Object.entries(states).map(([id, state]) => [id, { state, issuedAt: null }])),
  });
}

function reportOf(item: ReportedItem, heardAt = NOW): ReportedDevice {
  return { ...emptyReport(deviceId('gw-1')), heardAt, items: { identity: item } };
}

function identity(keep: readonly (typeof KEEP)[] = [KEEP]): GatewayIdentity {
  return { use: USE, keep, clientId: 'gw-1', value: 'issued since 2026-11-01T00:00:00Z' };
}

function declared(keep: readonly (typeof KEEP)[] = [KEEP]): DeclaredItem {
  const facts = { ...identity(keep) } as unknown as DeclaredItem['facts'];
  return { item: 'identity', value: 'issued since 2026-11-01T00:00:00Z', facts } as DeclaredItem;
}

function device(own: DeclaredDevice['options'] = {}): DeclaredDevice {
  return { id: deviceId('gw-1'), address: null, options: { ...OPTIONS, ...own } } as unknown as DeclaredDevice;
}

const told = (fingerprint: string, at = NOW): Seen => ({ fingerprint, at });

describe('what a gateway says of its certificates', () => {
  it.each<[string, JsonObject | null, Partial<ReportedItem>]>([
    ['nothing', null, { kind: 'unknown', why: 'NEVER_REPORTED' }],
    ['no fingerprint', { active: 'mine' }, { kind: 'unknown', why: 'REPORT_UNREADABLE' }],
    ['a number', { active: 7 }, { kind: 'unknown', why: 'REPORT_UNREADABLE' }],
    ['no time', { active: OLD }, { kind: 'value', value: 'issued nobody knows when' }],
    ['a time that is none', { active: OLD, issued: 'yesterday' }, { kind: 'value', value: 'issued nobody knows when' }],
    ['one certificate', { active: OLD, issued: text(OLD_AT) }, { kind: 'value', value: 'issued 2025-11-20T08:30:00Z' }],
    [
      'as openssl prints it',
      { active: `${'AA:'.repeat(31)}AA`, issued: '2025-11-20T08:30Z' },
      { kind: 'value', value: 'issued 2025-11-20T08:30:00Z' },
    ],
    ['all by its list', { active: NEW, held: oldAndNew }, { kind: 'value', value: 'issued 2026-11-23T08:55:00Z' }],
    [
      'a new one beside',
      { active: OLD, held: oldAndNew },
      { kind: 'value', value: 'issued 2025-11-20T08:30:00Z, stored 2026-11-23T08:55:00Z' },
    ],
    [
      'garbage beside',
      { active: OLD, issued: text(OLD_AT), held: [1], order: { a: 1 } },
      { kind: 'value', value: 'issued 2025-11-20T08:30:00Z' },
    ],
  ])('%s', (_, cert, item) => {
    expect(itemFor(cert)).toMatchObject(item);
  });

  it('never forgets the certificate in use, however many lie in the store', () => {
    const many = Array.from({ length: 20 }, (_, index) => [`${index}`.padStart(2, '0').padEnd(64, 'd'), text(NEW_AT)]);
    const report = identityReport(itemFor({ active: OLD, held: Object.fromEntries(many) }));
    expect(report?.certificates.map(({ fingerprint }) => fingerprint)).toContain(OLD);
    expect(report?.certificates).toHaveLength(16);
  });

  it('keeps what was known once the service goes with a fetch', () => {
    const last = itemFor({ active: OLD, issued: text(OLD_AT) });
    expect(itemFor(null, { last })).toBe(last);
  });

  it('remembers a certificate that is gone from the store, and what the account said of it', () => {
    const before = seen({ active: OLD, held: oldAndNew }, told(OLD), { [OLD]: 'accepted' });
    const after = itemFor({ active: NEW, held: { [NEW]: text(NEW_AT), [OLD]: null } }, { last: before });
    expect(after).toMatchObject({
      value: 'issued 2026-11-23T08:55:00Z, connects with that of 2025-11-20T08:30:00Z, also 2025-11-20T08:30:00Z',
    });
  });

  it('never goes back to an older connection, and takes the time of the account over the word of the gateway', () => {
    const item = itemFor({ active: OLD, issued: text(OLD_AT) });
    if (item.kind !== 'value') throw new Error('no value');
    const newest = witnessed(item, {
      seen: told(OLD, NOW),
      told: new Map([[OLD, { state: 'accepted', issuedAt: OLD_AT + DAY_MS }]]),
      account: true,
    });
    expect(newest.value).toBe('issued 2025-11-21T08:30:00Z');
    expect(witnessed(newest, { seen: told(NEW, NOW - SECOND_MS), told: new Map(), account: true })).toBe(newest);
    expect(witnessed(newest, { seen: null, told: new Map(), account: true })).toBe(newest);
  });
});

describe('the steps of a rotation', () => {
  const rows: readonly (readonly [string, ReportedItem, string, readonly string[], string | null])[] = [
    ['an old certificate', seen({ active: OLD, issued: text(OLD_AT) }, told(OLD)), 'CURRENT', ['reprovision'], null],
    ['a new one in the store', seen({ active: OLD, held: oldAndNew }, told(OLD)), 'NEW_ISSUED', ['switch'], null],
    ['a new one that it says it uses, and does not', seen({ active: NEW, held: oldAndNew }, told(OLD)), 'NEW_ISSUED', ['switch'], null],
    ['a new one in use, nobody heard of it', seen({ active: NEW, held: oldAndNew }, null), 'OLD_REVOKED', [], null],
    ['a new one in use, where nobody tells', seen({ active: NEW, held: oldAndNew }, 'none'), 'OLD_REVOKED', [], null],
    ['both accepted, the old one kept', seen({ active: NEW, held: oldAndNew }, told(NEW), { [OLD]: 'accepted' }), 'OLD_REVOKED', [], null],
    ['nobody knows when the one in use was issued', seen({ active: THIRD }, told(THIRD)), 'CURRENT', [], 'LOCKOUT_GUARD'],
  ];
  it.each(rows)('%s', (_, item, stage, steps, reason) => {
    const said = identityReport(item);
    expect(said === null ? null : stageOf(identity(), said)).toBe(stage);
    const answer = rotationOperations(device(), declared(), reportOf(item));
    expect(answer.drafts.map(({ step }) => step)).toEqual(steps);
    expect(answer.impossible[0]?.reason ?? null).toBe(reason);
  });

  it('withdraws what is kept no more, each by itself and once all carry the new one', () => {
    const held = { ...oldAndNew, [THIRD]: text(OLD_AT - DAY_MS) };
    const item = seen({ active: NEW, held }, told(NEW), { [OLD]: 'accepted', [THIRD]: 'accepted', [NEW]: 'accepted' });
    const { drafts } = rotationOperations(device(), declared([]), reportOf(item));
    expect(drafts.map(({ step, onceAllCarry, disturbs }) => [step, onceAllCarry, disturbs])).toEqual([
      ['withdraw-20251119T083000Z', 'identity', false],
      ['withdraw-20251120T083000Z', 'identity', false],
    ]);
    expect(chariotFamily.agrees(declared([]), item as Extract<ReportedItem, { kind: 'value' }>)).toBe(false);
  });

  it('counts as accepted what an account was not asked for, and leaves alone what no account can withdraw', () => {
    const item = itemFor({ active: NEW, held: oldAndNew });
    if (item.kind !== 'value') throw new Error('no value');
    const steps = [true, false].map((account) => {
      const known = witnessed(item, { seen: told(NEW), told: new Map(), account });
      return rotationOperations(device(), declared([]), reportOf(known)).drafts.map(({ step }) => step);
    });
    expect(steps).toEqual([['withdraw-20251120T083000Z'], []]);
  });

  it('never withdraws the one in use, nor the one that connects', () => {
    const item = seen({ active: NEW, held: oldAndNew }, told(OLD), { [OLD]: 'accepted' });
    const steps = rotationOperations(device(), declared([]), reportOf(item)).drafts.map(({ step }) => step);
    expect(steps).toEqual(['switch']);
  });

  it('leaves one alone whose certificate in use would be kept no more', () => {
    const item = seen({ active: OLD, held: oldAndNew }, told(OLD), { [OLD]: 'accepted' });
    expect(rotationOperations(device(), declared([]), reportOf(item))).toMatchObject({
      drafts: [],
      impossible: [{ reason: 'LOCKOUT_GUARD' }],
    });
  });

  it('does not order a switch of one that must do it by itself', () => {
    const item = seen({ active: OLD, held: oldAndNew }, told(OLD));
    const answer = rotationOperations(device({ identity: { switch: 'itself' } }), declared(), reportOf(item));
    expect(answer).toMatchObject({ drafts: [], impossible: [{ reason: 'UNSUPPORTED' }] });
  });

  it.each<[string, Said, Seen, boolean]>([
    ['the new one, seen', { active: NEW, held: oldAndNew }, told(NEW), true],
    ['the new one, where nobody tells', { active: NEW, held: oldAndNew }, 'none', true],
    ['the new one, not heard of yet', { active: NEW, held: oldAndNew }, null, false],
    ['the new one, seen with the old one', { active: NEW, held: oldAndNew }, told(OLD), false],
    ['the old one', { active: OLD, held: oldAndNew }, told(OLD), false],
  ])('proves %s', (_, cert, who, proven) => {
    expect(provesIdentity(declared(), reportOf(seen(cert, who)))).toBe(proven);
  });

  it('proves nothing by a certificate that the account takes no more', () => {
    const cert = { active: NEW, held: oldAndNew };
    expect(provesIdentity(declared(), reportOf(seen(cert, told(NEW), { [NEW]: 'accepted' })))).toBe(true);
    expect(provesIdentity(declared(), reportOf(seen(cert, told(NEW), { [NEW]: 'withdrawn' })))).toBe(false);
  });
});

describe('a step that was begun', () => {
  const REFERENCE = NOW - 20 * MINUTE_MS;
  const order = (kind: OrderFacts['kind'], switchesItself = false): OrderFacts => ({
    kind,
    agent: 'agent',
    issuedAfter: USE.issuedAfter,
    switchesItself,
    known: [OLD],
  });
  const opened = (facts: OrderFacts, more: Partial<OpenOperation> = {}): OpenOperation =>
    ({
      operation: { id: operationId('0123456789abcdef'), item: 'identity', declared: declared().value, facts: { ...facts } },
      attempt: 1,
      intendedAt: REFERENCE,
      reference: REFERENCE,
      takenAt: null,
      undo: { nonce: '0123456789ab-1', version: 6, inverse: {} },
      ...more,
    }) as unknown as OpenOperation;
  /** How long before now the gateway was last heard. */
  const ended = (facts: OrderFacts, item: ReportedItem, more: { heardAt?: number; open?: Partial<OpenOperation> } = {}) => {
    const read = rotationFacts({ ...facts });
    if (read === null) throw new Error('no facts');
    const confirmation = confirmRotation(opened(facts, more.open), reportOf(item, more.heardAt ?? NOW), read);
    return 'code' in confirmation ? confirmation.code : confirmation.kind === 'open' ? confirmation.phase : confirmation.kind;
  };
  const taken = '0123456789ab-1';
  const quiet = REFERENCE + MINUTE_MS;
  const rows: readonly (readonly [string, OrderFacts, ReportedItem, string, { heardAt?: number; open?: Partial<OpenOperation> }?])[] = [
    [
      'reprovision: nobody knows whether it was sent',
      order('reprovision'),
      itemFor({ active: OLD }),
      'IN_FLIGHT',
      { open: { reference: null } },
    ],
    [
      'reprovision: nobody knows, and the agent took it',
      order('reprovision'),
      itemFor({ active: OLD, order: '0123456789ab-2' }),
      'VERIFYING',
      { open: { reference: null } },
    ],
    [
      'reprovision: nobody knows of this attempt, and the agent took the one before',
      order('reprovision'),
      itemFor({ active: OLD, order: taken }),
      'IN_FLIGHT',
      { open: { reference: null } },
    ],
    [
      'reprovision: nobody knows, and the certificate is there',
      order('reprovision'),
      itemFor({ active: OLD, held: oldAndNew, order: taken }),
      'confirmed',
      { open: { reference: null, undo: null } },
    ],
    ['reprovision: just sent', order('reprovision'), itemFor({ active: OLD }), 'IN_FLIGHT', { heardAt: quiet }],
    ['reprovision: in the mailbox', order('reprovision'), itemFor({ active: OLD }, { desired: { agent: { nonce: taken } } }), 'IN_FLIGHT'],
    ['reprovision: emptied, and never acknowledged', order('reprovision'), itemFor({ active: OLD }), 'ORDER_LOST'],
    ['reprovision: another order acknowledged', order('reprovision'), itemFor({ active: OLD, order: 'ffff-1' }), 'ORDER_LOST'],
    ['reprovision: acknowledged', order('reprovision'), itemFor({ active: OLD, order: taken }), 'VERIFYING'],
    [
      'reprovision: nothing came of it',
      order('reprovision'),
      itemFor({ active: OLD, order: taken }),
      'PROVISIONING_FAILED',
      { heardAt: NOW + 6 * MINUTE_MS },
    ],
    ['reprovision: stored', order('reprovision'), itemFor({ active: OLD, held: oldAndNew, order: taken }), 'confirmed'],
    ['reprovision: in use', order('reprovision'), itemFor({ active: NEW, held: oldAndNew }), 'confirmed'],
    [
      'reprovision: issued too early',
      order('reprovision'),
      itemFor({ active: OLD, held: { [OLD]: text(OLD_AT), [NEW]: text(USE.issuedAfter - 1) } }),
      'ISSUED_BEFORE',
    ],
    [
      'reprovision: a younger one that was known',
      { ...order('reprovision'), known: [OLD, NEW] },
      itemFor({ active: OLD, held: oldAndNew, order: taken }),
      'VERIFYING',
    ],
    [
      'reprovision: it must switch, and has just come back',
      order('reprovision', true),
      itemFor({ active: OLD, held: oldAndNew }),
      'VERIFYING',
      { heardAt: NEW_AT + MINUTE_MS },
    ],
    [
      'reprovision: it must switch, and does not',
      order('reprovision', true),
      itemFor({ active: OLD, held: oldAndNew }),
      'KEEPS_OLD_CERTIFICATE',
      { heardAt: NOW + 6 * MINUTE_MS },
    ],
    ['switch: seen', order('switch'), seen({ active: NEW, held: oldAndNew, order: taken }, told(NEW)), 'confirmed'],
    ['switch: its word, where nobody tells', order('switch'), seen({ active: NEW, held: oldAndNew }, 'none'), 'confirmed'],
    [
      'switch: its word against the broker, just now',
      order('switch'),
      seen({ active: NEW, held: oldAndNew, order: taken }, told(OLD)),
      'VERIFYING',
    ],
    [
      'switch: its word against the broker',
      order('switch'),
      seen({ active: NEW, held: oldAndNew, order: taken }, told(OLD)),
      'KEEPS_OLD_CERTIFICATE',
      { heardAt: NOW + 6 * MINUTE_MS },
    ],
    [
      'switch: keeps the old one',
      order('switch'),
      seen({ active: OLD, held: oldAndNew, order: taken }, told(OLD)),
      'KEEPS_OLD_CERTIFICATE',
      { heardAt: NOW + 6 * MINUTE_MS },
    ],
    ['switch: never acknowledged', order('switch'), seen({ active: OLD, held: oldAndNew }, told(OLD)), 'ORDER_LOST'],
    [
      'switch: never acknowledged, twice',
      order('switch'),
      seen({ active: OLD, held: oldAndNew }, told(OLD)),
      'KEEPS_OLD_CERTIFICATE',
      { open: { attempt: 2 } },
    ],
    ['switch: silent since', order('switch'), seen({ active: OLD, held: oldAndNew }, told(OLD)), 'IN_FLIGHT', { heardAt: REFERENCE - 1 }],
  ];
  it.each(rows.map(([name, facts, item, verdict, more]) => ({ name, facts, item, verdict, more })))(
    '$name',
    ({ facts, item, verdict, more }) => {
      expect(ended(facts, item, more)).toBe(verdict);
    },
  );

  it('of a withdrawal ends with what the account says', () => {
    const facts = { kind: 'withdraw-old', fingerprint: OLD, name: 'the certificate of then' } as const;
    const verdicts = (['accepted', 'withdrawn'] as const).map(
      (state) =>
        confirmRotation(opened(order('switch')), reportOf(seen({ active: NEW, held: oldAndNew }, told(NEW), { [OLD]: state })), facts).kind,
    );
    expect(verdicts).toEqual(['open', 'confirmed']);
  });
});

describe('what may be declared', () => {
  const facts = { id: 'gw-1', model: 'gw2', serial: null, address: null, labels: {}, values: {} };
  const pin = {
    item: 'identity',
    artifact: { name: 'gw-cert', version: '2026', reportsAs: null },
    content: null,
    document: null,
    firmware: null,
    certificates: [],
  } as const;

  it('is since when it was issued', () => {
    const answer = expectedIdentity(
      { ...facts, options: { ...OPTIONS, identity: { clientId: 'other' } } },
      { ...pin, issued: { use: USE, keep: [KEEP] } },
    );
    expect(answer).toMatchObject({ ok: true, value: { value: 'issued since 2026-11-01T00:00:00Z', version: '2026', content: null } });
    expect(answer.ok && gatewayIdentity(answer.value.facts)).toEqual({
      use: USE,
      keep: [KEEP],
      clientId: 'other',
      value: 'issued since 2026-11-01T00:00:00Z',
    });
  });

  it.each<[string, Parameters<typeof expectedIdentity>[1], Readonly<Record<string, string>>]>([
    ['IDENTITY_FORM', pin, OPTIONS],
    ['IDENTITY_AGENT', { ...pin, issued: { use: USE, keep: [] } }, {}],
  ])('else it is %s', (code, given, options) => {
    expect(expectedIdentity({ ...facts, options }, given)).toMatchObject({ ok: false, error: { code } });
  });
});
