import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { OperationDraft } from '#model/operation.ts';
import { emptyReport, type ReportedDevice, type Sign } from '#model/reported.ts';
import type { PinnedItem } from '#ports/family.ts';
import { caCertificate } from '#test/support/ca-certificates.ts';
import { declaredItem, declaredLogger, openOperation } from '#test/support/campbell.ts';
import { testIdentity } from '#test/support/certificates.ts';
import { campbellFamily } from './family.ts';
import { buildMqttConfig } from './mqtt-config.ts';
import { NOTHING_KNOWN, rootEntries, rootsText, trustFacts, trustItem, type ReportedTrust, type ShownChain } from './trust.ts';
import { confirmTrust, loadTrust, trustOperations } from './trust-operations.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const [OLD, NEW] = [caCertificate('Root 2024'), caCertificate('Root 2027')];
const [A, B] = [rootsText(OLD.pem), rootsText(NEW.pem)];
const device = declaredLogger();

function pin(...certificates: readonly (string | Uint8Array)[]): PinnedItem {
  return {
    item: 'trust',
    artifact: { name: 'fleet-ca', version: '2027', reportsAs: null },
    content: null,
    document: null,
    firmware: null,
    certificates: certificates.map((one) => (typeof one === 'string' ? new TextEncoder().encode(one) : one)),
  };
}

function expected(options: Readonly<Record<string, Json>>, ...certificates: readonly (string | Uint8Array)[]) {
  return campbellFamily.expectation({ ...device, options }, pin(...certificates));
}

function trust(pems: readonly string[], options: Readonly<Record<string, Json>> = {}): DeclaredItem {
  const found = expected(options, ...pems);
  if (!found.ok) throw new Error(found.error.code);
  return { ...declaredItem({ item: 'trust', value: found.value.value, content: null }), facts: found.value.facts };
}

describe('declared roots', () => {
  it('are one text of PEM in the file, whatever they came as and in whichever order', () => {
    const [one, other] = [expected({}, OLD.pem, NEW.der), expected({}, `${NEW.pem}${OLD.pem}`)];
    expect(one.ok && one.value.value).toBe([A, B].toSorted().join(' '));
    expect(other.ok && other.value.value).toBe([A, B].toSorted().join(' '));
    const facts = trustFacts(trust([OLD.pem, NEW.pem]));
    const entries = facts === null ? [] : rootEntries(facts);
    expect(entries.map(({ id }) => id)).toEqual([4]);
    expect(rootsText(entries[0]?.value ?? '')).toBe([A, B].toSorted().join(' '));
    expect(buildMqttConfig(entries).ok).toBe(true);
  });

  it.each([
    ['that are no certificates', ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'], 'TRUST_NOT_CERTIFICATES'],
    ['that are no authorities', [testIdentity('logger').certificate], 'TRUST_NOT_A_CA'],
    ['of which there are none', [], 'TRUST_EMPTY'],
    ['longer than the setting takes', Array.from({ length: 9 }, (_, n) => caCertificate(`Root ${n}`).pem), 'PEM_TOO_LONG'],
  ])('%s are a mistake', (_, pems, code) => {
    const found = expected({}, ...pems);
    expect(found.ok ? null : found.error.code).toBe(code);
  });
});

function shown(vouching: readonly string[], change: Partial<ShownChain> = {}): ShownChain {
  return { chain: 'c0ffee', hidden: false, since: null, connectedBefore: null, looked: [A, B].toSorted(), vouching, ...change };
}

function report(change: Partial<ReportedTrust> = {}, more: Partial<ReportedDevice> = {}): ReportedDevice {
  const item = trustItem({ ...NOTHING_KNOWN, shown: { field: shown([A]) }, proven: [A], ...change }, NOW);
  return {
    ...emptyReport(device.id),
    online: true,
    heardAt: NOW,
    memo: { onlineAt: NOW, onlineVia: 'field' },
    items: { trust: item },
    ...more,
  };
}

const agrees = (declared: DeclaredItem, reported: ReportedDevice): boolean => {
  const item = reported.items.trust;
  return item?.kind === 'value' && (item.value === declared.value || campbellFamily.agrees(declared, item));
};
const BOTH = [A, B].toSorted();
const ACCEPTED = { trustAccepted: 'seen on the bench' };

describe('what is known of the roots of a logger', () => {
  it.each([
    ['as it was found, at a server that this root alone vouches for', [OLD.pem], {}, {}, true],
    ['as it was found, of a root that nothing proves', [NEW.pem], {}, {}, false],
    ['as it was found, of two of which one is proven', [OLD.pem, NEW.pem], {}, ACCEPTED, false],
    ['loaded and proven', [NEW.pem], { loaded: [B], loadedAt: NOW, proven: [B] }, {}, true],
    ['loaded, not proven', [OLD.pem, NEW.pem], { loaded: BOTH, loadedAt: NOW }, {}, false],
    ['loaded, not proven, taken on trust', [OLD.pem, NEW.pem], { loaded: BOTH, loadedAt: NOW }, ACCEPTED, true],
    ['loaded beside one that is not declared', [OLD.pem], { loaded: BOTH, loadedAt: NOW, proven: BOTH }, ACCEPTED, false],
    ['loaded, and perhaps another file since', [OLD.pem], { loaded: [A], loadedAt: NOW, perhaps: BOTH }, ACCEPTED, false],
  ] as const)('%s', (_, pems, known, options, wanted) => {
    expect(agrees(trust(pems, options), report(known))).toBe(wanted);
  });

  it('proves that a logger can do without another root only where each declared one was seen to work', () => {
    const proves = (known: Partial<ReportedTrust>, options = {}): boolean | undefined =>
      campbellFamily.proves?.(trust([NEW.pem], options), report(known));
    expect(proves({ loaded: BOTH, proven: [A] })).toBe(false);
    expect(proves({ loaded: BOTH, proven: [B] })).toBe(true);
    expect(proves({ loaded: BOTH, proven: [A] }, ACCEPTED)).toBe(true);
    expect(proves({ loaded: [A], proven: [A] }, ACCEPTED)).toBe(false);
  });
});

function operations(pems: readonly string[], reported: ReportedDevice, options: Readonly<Record<string, Json>> = {}) {
  const declared = trust(pems, options);
  const own = { ...device, options, items: [declared] };
  return campbellFamily.operations({ device: own, items: [declared], reported, drifted: ['trust'] });
}

describe('other roots', () => {
  it.each([
    ['that do not vouch for the server', [NEW.pem], report(), {}, 'LOCKOUT_GUARD'],
    ['for a server that nobody can see', [NEW.pem], report({ shown: { field: shown([], { chain: null }) } }), {}, 'LOCKOUT_GUARD'],
    ['that were not held against the server', [NEW.pem], report({ shown: { field: shown([A], { looked: [A] }) } }), {}, 'LOCKOUT_GUARD'],
    ['of which one can be proven by nothing', [OLD.pem, NEW.pem], report(), {}, 'UNSUPPORTED'],
    ['at a server that both vouch for', [NEW.pem], report({ shown: { field: shown(BOTH) } }), {}, 'UNSUPPORTED'],
    ['while the battery is low', [OLD.pem, NEW.pem], report(), { ...ACCEPTED, minBattery: 12 }, 'CONDITIONS_NOT_MET'],
  ] as const)('%s are refused in the plan', (_, pems, reported, options, reason) => {
    expect(operations(pems, reported, options)).toMatchObject({ drafts: [], impossible: [{ item: 'trust', reason }] });
  });

  it('beside the old one go ahead where a person says why they count, and wait for nobody', () => {
    const { drafts, impossible } = operations([OLD.pem, NEW.pem], report(), ACCEPTED);
    expect(impossible).toEqual([]);
    expect(drafts).toMatchObject([{ item: 'trust', step: 'load-trust', disturbs: true, facts: { trust: { roots: BOTH } } }]);
    expect(drafts[0]?.onceAllCarry).toBeUndefined();
  });

  it('that only take some away wait for the whole group', () => {
    const reported = report({ loaded: BOTH, loadedAt: NOW, proven: [B], shown: { field: shown([B]) } });
    expect(operations([NEW.pem], reported).drafts).toMatchObject([{ step: 'load-trust', onceAllCarry: 'trust' }]);
  });

  const file = (step: string): OperationDraft => ({
    item: step === 'move' ? 'settings' : 'identity',
    step,
    kind: 'change',
    delivery: 'push',
    declared: 'x',
    expected: 'y',
    facts: { kind: step },
    content: null,
    deadlineMs: MINUTE_MS,
    effects: [],
    disturbs: true,
  });

  it.each([
    ['load-identity', { connection: 'field', to: null }, [A], [], ['load-identity'], null],
    ['move', { connection: 'field', to: 'next' }, [A], [B], ['move'], null],
    ['move', { connection: 'field', to: 'next' }, [B], [A], [], 'LOCKOUT_GUARD'],
  ] as const)('go along with the file of %s, for the server to which it leads (%#)', (step, via, here, there, steps, reason) => {
    const pems = step === 'move' ? [NEW.pem] : [OLD.pem, NEW.pem];
    const options = step === 'move' ? {} : ACCEPTED;
    const reported = report({ shown: { field: shown(here), next: shown(there) } });
    const request = { device: { ...device, via, options }, declared: trust(pems, options), reported, drafts: [file(step)] };
    const { drafts, impossible } = trustOperations(request);
    expect(drafts.map((draft) => draft.step)).toEqual(steps);
    expect(impossible.map((one) => one.reason)).toEqual(reason === null ? [] : [reason]);
    for (const { facts } of drafts) expect(facts).toMatchObject({ kind: step, trust: { roots: step === 'move' ? [B] : BOTH } });
  });

  it('hold a move back that ends where the declared ones do not fit', () => {
    const settings = (endpoint: string): DeclaredItem => ({
      ...declaredItem({ item: 'settings', value: `MQTTEndpoint=${endpoint}`, content: null }),
      facts: { settings: { MQTTEndpoint: endpoint }, secrets: {}, constants: {} },
    });
    const roots = trust([OLD.pem]);
    const { value, facts } = settings('old');
    const said = { kind: 'value', value, facts, madeNotBefore: NOW, source: 'setting' } as const;
    const operationsTo = (next: ShownChain) => {
      const known = report({ shown: { field: shown([A]), next } });
      const items = [settings('new'), roots];
      const own = { ...device, via: { connection: 'field', to: 'next' }, items };
      return campbellFamily.operations({
        device: own,
        items,
        reported: { ...known, items: { ...known.items, settings: said } },
        drifted: ['settings'],
      });
    };
    expect(operationsTo(shown([B]))).toMatchObject({ drafts: [], impossible: [{ item: 'settings', reason: 'LOCKOUT_GUARD' }] });
    expect(operationsTo(shown([A])).drafts).toMatchObject([{ step: 'move' }]);
  });
});

describe('a load of roots', () => {
  const draft = operations([OLD.pem, NEW.pem], report(), ACCEPTED).drafts[0];
  const order = draft === undefined ? null : loadTrust(draft);
  const sent = NOW + MINUTE_MS;
  const sign = (code: string, minutes: number): Sign => ({ code, item: 'identity', at: sent + minutes * MINUTE_MS, text: 'said' });
  const restarted = [sign('DOWNLOADING', 0), sign('RESTARTING', 1)];
  const loaded: Partial<ReportedTrust> = { loaded: BOTH, loadedAt: sent + 5 * MINUTE_MS, proven: [A] };
  const operation = { ...draft, id: 'x', device: device.id } as unknown as Parameters<typeof openOperation>[0];
  const open = openOperation(operation, { intendedAt: sent, reference: sent });

  it.each([
    ['sent', {}, [], ACCEPTED.trustAccepted, { kind: 'open', phase: 'IN_FLIGHT' }],
    ['announced', {}, restarted, ACCEPTED.trustAccepted, { kind: 'open', phase: 'VERIFYING', oldValueSeenAt: null }],
    [
      'refused',
      {},
      [sign('DOWNLOADING', 0), sign('CONFIG_REFUSED', 1)],
      ACCEPTED.trustAccepted,
      { kind: 'failed', code: 'CONFIG_REFUSED' },
    ],
    ['not fetched', {}, [sign('DOWNLOADING', 0), sign('DOWNLOAD_FAILED', 1)], null, { kind: 'trouble', code: 'DOWNLOAD_FAILED' }],
    ['back, with nothing proven', loaded, restarted, null, { kind: 'open', phase: 'VERIFYING', oldValueSeenAt: null }],
    [
      'back, taken on trust',
      loaded,
      restarted,
      ACCEPTED.trustAccepted,
      { kind: 'confirmed', evidence: expect.stringContaining('nothing proves yet') },
    ],
    ['back and proven', { ...loaded, proven: BOTH }, restarted, null, { kind: 'confirmed' }],
    ['loaded before it was sent', { ...loaded, loadedAt: NOW, proven: BOTH }, restarted, null, { kind: 'open' }],
  ] as const)('%s', (_, known, signs, accepted, wanted) => {
    expect(order?.roots).toEqual(BOTH);
    expect(confirmTrust(open, report(known, { signs }), { roots: BOTH, accepted })).toMatchObject(wanted);
  });
});
