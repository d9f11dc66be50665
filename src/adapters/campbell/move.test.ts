import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { ConnectionDeclaration, DeclaredItem } from '#model/declared.ts';
import type { OpenOperation } from '#model/operation.ts';
import { emptyReport, type ReportedDevice, type ReportedItem, type Sign } from '#model/reported.ts';
import { declaredItem, declaredLogger, openOperation } from '#test/support/campbell.ts';
import { campbellFamily } from './family.ts';
import { endpointProblem, moveEntries, moveOrder, whereabouts, type MoveOrder } from './move.ts';
import { campbellOptions } from './options.ts';
import { foldMessage } from './reports.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const VIA = { connection: 'old', to: 'new' };
type Settings = Readonly<Record<string, string>>;

function settingsItem(settings: Settings, secrets: Settings = {}): DeclaredItem {
  const value = [...Object.entries(settings), ...Object.entries(secrets)].map(([name, text]) => `${name}=${text}`).join(' ');
  return { ...declaredItem({ item: 'settings', value, content: null }), facts: { settings, secrets, constants: {} } };
}

function said(settings: Settings, madeNotBefore: number, secrets: Settings = {}): ReportedItem {
  const { value, facts } = settingsItem(settings, secrets);
  return { kind: 'value', value, facts, madeNotBefore, source: 'setting' };
}

function report(change: Partial<ReportedDevice> = {}, via = 'old', at = NOW): ReportedDevice {
  return { ...emptyReport(declaredLogger().id), online: true, heardAt: at, memo: { onlineAt: at, onlineVia: via }, ...change };
}

interface Wanted {
  readonly declared: DeclaredItem;
  readonly reported: ReportedDevice;
  readonly via?: { readonly connection: string; readonly to: string | null };
  readonly options?: Readonly<Record<string, Json>>;
}

function operations({ declared, reported, via = VIA, options = {} }: Wanted) {
  const device = { ...declaredLogger(), via, options, items: [declared] };
  return campbellFamily.operations({ device, items: [declared], reported, drifted: ['settings'] });
}

const NEW = settingsItem({ MQTTEndpoint: 'new.example.org' });
const AT_OLD = report({ items: { settings: said({ MQTTEndpoint: 'old.example.org' }, NOW) } });

describe('a declared move', () => {
  it('is one file, sent where the logger is', () => {
    const { drafts, impossible } = operations({ declared: NEW, reported: AT_OLD });
    expect(impossible).toEqual([]);
    expect(drafts).toMatchObject([
      { item: 'settings', step: 'move', facts: { from: 'old', to: 'new', settings: { MQTTEndpoint: 'new.example.org' } } },
    ]);
  });

  it('leads home again from the other end', () => {
    const reported = report({ items: { settings: said({ MQTTEndpoint: 'new.example.org' }, NOW) } }, 'new');
    const { drafts } = operations({ declared: settingsItem({ MQTTEndpoint: 'old.example.org' }), reported });
    expect(drafts).toMatchObject([{ step: 'move', facts: { from: 'new', to: 'old' } }]);
  });

  it('is refused where nobody declared both ends', () => {
    const { drafts, impossible } = operations({ declared: NEW, reported: AT_OLD, via: { connection: 'old', to: null } });
    expect([drafts, impossible[0]?.reason]).toEqual([[], 'LOCKOUT_GUARD']);
  });

  it.each(['MQTTClientID', 'MQTTBaseTopic', 'MQTTEnable'])('takes no %s with it', (name) => {
    const declared = settingsItem({ MQTTEndpoint: 'new.example.org', [name]: '2' });
    const reported = report({ items: { settings: said({ MQTTEndpoint: 'old.example.org', [name]: '1' }, NOW) } });
    expect(operations({ declared, reported })).toMatchObject({ drafts: [], impossible: [{ reason: 'LOCKOUT_GUARD' }] });
  });

  it('sets what else differs first, where the logger is known to be heard', () => {
    const declared = settingsItem({ MQTTEndpoint: 'new.example.org', MQTTStatusInterval: '5' });
    const reported = report({ items: { settings: said({ MQTTEndpoint: 'old.example.org', MQTTStatusInterval: '30' }, NOW) } });
    expect(operations({ declared, reported }).drafts.map(({ step }) => step)).toEqual(['settings', 'move']);
  });

  it('takes another port only where a person answers for it: numbers were seen to be ignored', () => {
    const declared = settingsItem({ MQTTEndpoint: 'new.example.org', MQTTPortNumber: '8884' });
    const reported = report({ items: { settings: said({ MQTTEndpoint: 'old.example.org', MQTTPortNumber: '8883' }, NOW) } });
    expect(operations({ declared, reported })).toMatchObject({ drafts: [], impossible: [{ reason: 'LOCKOUT_GUARD' }] });
    expect(operations({ declared, reported, options: { linkAccepted: 'tried on the bench' } }).drafts).toHaveLength(1);
  });

  it('carries of a password its digest alone', () => {
    const declared = settingsItem({ MQTTEndpoint: 'new.example.org' }, { MQTTPassword: 'abcd' });
    const reported = report({ items: { settings: said({ MQTTEndpoint: 'old.example.org' }, NOW, { MQTTPassword: 'ffff' }) } });
    const [draft] = operations({ declared, reported }).drafts;
    expect(moveOrder(draft?.facts ?? null)).toMatchObject({ secrets: { MQTTPassword: 'abcd' } });
  });
});

describe('the file of a move', () => {
  it('has its entries in the order of their ids', () => {
    expect(
      moveEntries([
        ['MQTTPassword', 'p'],
        ['MQTTEndpoint', 'e'],
        ['MQTTPortNumber', '8883'],
      ]),
    ).toEqual([
      { id: 5, value: 'e' },
      { id: 6, value: '8883' },
      { id: 8, value: 'p' },
    ]);
    expect(moveEntries([['PakBusAddress', '3']])).toBeNull();
  });

  it('names the broker that is listened to, or a person says why another name', () => {
    const order = moveOrder(operations({ declared: NEW, reported: AT_OLD }).drafts[0]?.facts ?? null);
    const at = (url: string): ConnectionDeclaration => ({ type: 'mqtt', name: 'new', url }) as unknown as ConnectionDeclaration;
    const problem = (url: string, linkAccepted: string | null): string | null =>
      endpointProblem(order as MoveOrder, at(url), { ...campbellOptions({}), linkAccepted });
    expect(problem('mqtts://NEW.example.org:8883', null)).toBeNull();
    expect(problem('mqtts://new.example.com:8883', null)).toContain('new.example.com');
    expect(problem('mqtts://new.example.com:8883', 'one broker, two names')).toBeNull();
  });
});

describe('what proves a move', () => {
  const INTENDED = NOW + MINUTE_MS;

  function moving(): OpenOperation {
    const [draft] = operations({ declared: NEW, reported: AT_OLD }).drafts;
    if (draft === undefined) throw new Error('nothing moves');
    const made = {
      id: 'x',
      device: declaredLogger().id,
      family: 'campbell',
      connection: 'old',
      group: 'upland',
      release: 'r',
      occasion: 0,
    };
    const operation = { ...draft, ...made, hardware: declaredLogger().hardware, cause: 'rollout' };
    return openOperation(operation as unknown as Parameters<typeof openOperation>[0], { intendedAt: INTENDED, reference: INTENDED });
  }

  const sign = (code: Sign['code'], after: number): Sign => ({ code, item: 'identity', at: INTENDED + after, text: code });
  const RESTART = [sign('DOWNLOADING', SECOND_MS), sign('RESTARTING', 5 * SECOND_MS)];
  const readBack = (settings: Settings, after: number) => ({ settings: said(settings, INTENDED + after) });
  const THERE = { MQTTEndpoint: 'new.example.org' };
  const HERE = { MQTTEndpoint: 'old.example.org' };

  it('is being heard there with the settings read back', () => {
    const reported = report({ signs: RESTART, items: readBack(THERE, 3 * MINUTE_MS) }, 'new', INTENDED + 2 * MINUTE_MS);
    expect(campbellFamily.confirm(moving(), reported)).toMatchObject({ kind: 'confirmed' });
  });

  it.each([
    [
      'being heard there alone: a bridge between the brokers would do that',
      report({ signs: RESTART, items: AT_OLD.items }, 'new', INTENDED + MINUTE_MS),
    ],
    [
      'settings that read as declared at the old place: set, and not applied',
      report({ signs: RESTART, items: readBack(THERE, MINUTE_MS) }, 'old', INTENDED + MINUTE_MS),
    ],
    ['what was heard there before the command', report({ items: readBack(THERE, MINUTE_MS) }, 'new', NOW)],
    ['an acknowledgement', report({ signs: [...RESTART, sign('REPLIED', MINUTE_MS)], items: AT_OLD.items }, 'old', NOW)],
    [
      'settings that still read as before, though heard there',
      report({ signs: RESTART, items: readBack(HERE, 2 * MINUTE_MS) }, 'new', INTENDED + MINUTE_MS),
    ],
  ])('is not %s', (_, reported) => expect(campbellFamily.confirm(moving(), reported)).toMatchObject({ kind: 'open' }));

  it('fails where the logger came back to the old broker and stayed', () => {
    const back = (after: number) => report({ signs: RESTART, items: AT_OLD.items }, 'old', INTENDED + after);
    expect(campbellFamily.confirm(moving(), back(MINUTE_MS))).toMatchObject({ kind: 'open' });
    expect(campbellFamily.confirm(moving(), back(HOUR_MS))).toMatchObject({ kind: 'failed', code: 'ENDPOINT_NOT_USED' });
  });

  it('is tried again after a download that failed, never while the logger may be under way', () => {
    const failed = report({ signs: [sign('DOWNLOADING', 0), sign('DOWNLOAD_FAILED', SECOND_MS)], items: AT_OLD.items });
    expect(campbellFamily.confirm(moving(), failed)).toMatchObject({ kind: 'trouble', code: 'DOWNLOAD_FAILED' });
    const under = report({ signs: RESTART, items: readBack(HERE, 4 * SECOND_MS) });
    expect(campbellFamily.confirm(moving(), under)).toMatchObject({ kind: 'open', oldValueSeenAt: null });
    const idle = report({ items: readBack(HERE, MINUTE_MS) }, 'old', INTENDED + MINUTE_MS);
    expect(campbellFamily.confirm(moving(), idle)).toMatchObject({ kind: 'open', oldValueSeenAt: INTENDED + MINUTE_MS });
  });
});

describe('where a logger is', () => {
  const device = { ...declaredLogger(), via: VIA };
  const options = campbellOptions({});
  const state = (online: boolean, reason: string | null = null) =>
    ({ kind: 'state', clientId: 'CR1000X_70681', online, reason, fileTransfer: null }) as unknown as Parameters<typeof foldMessage>[1];
  const over = (connection: string, receivedAt: number) => ({
    device,
    options,
    arrival: { receivedAt, fresh: true, since: NOW, connection },
  });

  it('is the end at which it was heard online last', () => {
    const first = foldMessage(emptyReport(device.id), state(true), over('old', NOW));
    expect(whereabouts(device, first)).toBe('old');
    const then = foldMessage(first, state(true), over('new', NOW + MINUTE_MS));
    expect(whereabouts(device, then)).toBe('new');
    expect(whereabouts({ via: { connection: 'next', to: null } }, then)).toBe('next');
  });

  it('is not changed by the will of the session that it left, however late the old broker misses it', () => {
    const there = foldMessage(emptyReport(device.id), state(true), over('new', NOW));
    const late = foldMessage(there, state(false, 'lwt'), over('old', NOW + 7 * MINUTE_MS));
    expect([late.online, late.signs]).toEqual([true, []]);
    expect(foldMessage(there, state(false, 'lwt'), over('new', NOW + 7 * MINUTE_MS)).online).toBe(false);
  });
});
