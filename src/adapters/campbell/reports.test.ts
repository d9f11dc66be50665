import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { declaredLogger } from '#test/support/campbell.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { campbellOptions } from './options.ts';
import { emptyReport } from '#model/reported.ts';
import { decayOnline, foldMessage } from './reports.ts';
import { MESSAGE_TYPES, readMessage, type MessageType } from './wire.ts';

const device = declaredLogger();
const options = campbellOptions({});
const START = 1_800_000_000_000;

interface Heard {
  readonly type: MessageType;
  readonly rest: readonly string[];
  readonly text: string;
  readonly afterMs: number;
  readonly fresh: boolean;
}

function fold(messages: readonly Heard[], report: ReportedDevice = emptyReport(device.id)): ReportedDevice {
  let at = START;
  return messages.reduce((known, { type, rest, text, afterMs, fresh }) => {
    at += afterMs;
    const said = readMessage(type, rest, new TextEncoder().encode(text));
    const arrival = { receivedAt: at, fresh, since: START };
    return said === null ? known : foldMessage(known, said, { device, options, arrival });
  }, report);
}

function state(body: Readonly<Record<string, unknown>>, afterMs = 1000): Heard {
  return { type: 'state', rest: [], text: JSON.stringify({ clientId: 'CR1000X_70681', ...body }), afterMs, fresh: true };
}

function status(os: string, more: Partial<Heard> = {}): Heard {
  const text = JSON.stringify({
    state: { reported: { clientId: 'CR1000X_70681', OS_Version: os, Program_Name: 'CPU:a.CR1X', Compile_Errors: '0' } },
  });
  return { type: 'state', rest: ['statusInfo'], text, afterMs: 1000, fresh: true, ...more };
}

describe('the report', () => {
  it('is not overridden by what has no age, but filled by it', () => {
    const stale = status('CR1000X.8.0.0', { fresh: false });
    expect(fold([stale]).items.firmware).toMatchObject({ value: 'CR1000X.8.0.0', madeNotBefore: null });
    expect(fold([stale, status('CR1000X.8.1.0')]).items.firmware).toMatchObject({ value: 'CR1000X.8.1.0', madeNotBefore: START + 2000 });
    expect(fold([status('CR1000X.8.1.0'), stale]).items.firmware).toMatchObject({ value: 'CR1000X.8.1.0', madeNotBefore: START + 1000 });
  });

  it('becomes unknown when the logger says what cannot be read', () => {
    const report = fold([status('CR1000X.8.1.0'), status('CR1000X.beta')]);
    expect(report.items.firmware).toMatchObject({ kind: 'unknown', why: 'REPORT_UNREADABLE', detail: 'statusInfo says "CR1000X.beta"' });
    expect(fold([status('CR1000X.8.1.0'), status('CR1000X.beta', { fresh: false })]).items.firmware).toMatchObject({ kind: 'value' });
  });

  it('remembers since when a value stands', () => {
    const report = fold([status('CR1000X.Std.08.01'), status('CR1000X.8.1.0'), status('CR1000X.8.1')]);
    expect(report.items.firmware).toMatchObject({ facts: { since: START + 1000 }, madeNotBefore: START + 3000 });
    expect(fold([status('CR1000X.8.2.1')], report).items.firmware).toMatchObject({ facts: { since: START + 1000 } });
  });

  it('names a program with compile errors for what it is', () => {
    const text = JSON.stringify({ state: { reported: { Program_Name: 'cpu:a.CR1X', Compile_Errors: '3' } } });
    expect(fold([{ ...status('x'), text }]).items.program).toMatchObject({ value: 'CPU:a.CR1X (does not compile)' });
  });

  it('is not online by a will, a goodbye or a state in transition, and online by anything fresh otherwise', () => {
    expect(fold([state({ state: 'online' })]).online).toBe(true);
    expect(fold([status('CR1000X.8.1.0')]).online).toBe(true);
    expect(fold([state({ state: 'online' }), state({ state: 'offline' })]).online).toBe(false);
    expect(fold([state({ state: 'offline', reason: 'lwt' })])).toMatchObject({ online: false, heardAt: null });
    expect(fold([state({ state: 'offline', reason: 'Program requested disconnect' })])).toMatchObject({
      online: false,
      heardAt: START + 1000,
    });
    const moving = [state({ state: 'online' }), state({ state: 'offline', reason: 'OS update' })];
    expect(fold(moving).online).toBeNull();
    expect(fold([...moving, status('CR1000X.8.1.0')]).online).toBeNull();
    expect(fold([...moving, state({ state: 'online' })]).online).toBe(true);
    expect(fold([{ ...state({ state: 'online' }), fresh: false }]).online).toBeNull();
  });

  it('does not know after three silent intervals', () => {
    const report = fold([state({ state: 'online' })]);
    expect(decayOnline(report, options, START + 1000 + 180_000).online).toBe(true);
    expect(decayOnline(report, options, START + 1000 + 180_001).online).toBeNull();
  });

  it('learns the usual gap, short bursts and one long silence forgiven', () => {
    const minutely = Array.from({ length: 20 }, () => state({ state: 'online' }, 60_000));
    const usual = fold(minutely);
    expect(usual.gapMs).toBe(60_000);
    expect(fold([...minutely, state({ state: 'online' }, 5), state({ state: 'online' }, 5)]).gapMs).toBeGreaterThan(59_000);
    const daily = Array.from({ length: 5 }, () => [state({ state: 'online' }, 23 * 3_600_000), ...minutely]).flat();
    expect(fold(daily).gapMs ?? 0).toBeGreaterThan(18 * 3_600_000);
  });

  it('counts no gap from before it listened', () => {
    const known = { ...emptyReport(device.id), heardAt: START - 86_400_000 };
    expect(fold([state({ state: 'online' })], known)).toMatchObject({ gapMs: null, heardAt: START + 1000 });
  });

  it('takes back a mismatch only from the kind of message that said so', () => {
    const foreign: Heard = {
      type: 'data',
      rest: ['Hourly', 'cj'],
      text: '{"head":{"environment":{"serial_no":"13342","os_version":"CR1000X.8.5.1"}}}',
      afterMs: 1,
      fresh: true,
    };
    const mixed = fold([status('CR1000X.8.1.0'), foreign, state({ state: 'online' }), status('CR1000X.8.1.0')]);
    expect(mixed.problem).toMatchObject({ reason: 'IDENTITY_MISMATCH', detail: 'reports serial 13342, declared is 70681' });
    expect(mixed.items.firmware).toMatchObject({ value: 'CR1000X.8.1.0' });
    const right = { ...foreign, text: foreign.text.replace('13342', '70681') };
    expect(fold([right], mixed)).toMatchObject({ problem: null, items: { firmware: { value: 'CR1000X.8.5.1' } } });
  });

  it('holds a declared client id against the reported one, but not against a UID', () => {
    const named = { device, options: campbellOptions({ clientId: 'thing-17' }), arrival: { receivedAt: START, fresh: true, since: START } };
    const say = (clientId: string): unknown =>
      foldMessage(emptyReport(device.id), { kind: 'state', clientId, online: true, fileTransfer: null, reason: null }, named).problem;
    expect([say('thing-17'), say('QU8Q-9JTY-HVP8')]).toEqual([null, null]);
    expect(say('thing-18')).toMatchObject({ reason: 'IDENTITY_MISMATCH' });
  });
});

const anyText = fc.oneof(
  fc.json(),
  fc.string(),
  fc.constantFrom('{"state":"online"}', '{"state":{"reported":{"OS_Version":"CR1000X.8.1.0"}}}'),
);
const anyMessage: fc.Arbitrary<Heard> = fc.record({
  type: fc.constantFrom(...MESSAGE_TYPES),
  rest: fc.array(fc.constantFrom('statusInfo', 'watchdogEvent', 'OS', 'program', 'metadata', 'x', 'cj'), { maxLength: 3 }),
  text: anyText,
  afterMs: fc.nat(100_000),
  fresh: fc.boolean(),
});

describe('whatever arrives', () => {
  it('leaves the report whole, small and plain', () => {
    const property = fc.property(fc.array(anyMessage, { maxLength: 60 }), (messages) => {
      const report = fold(messages);
      expect(report.signs.length).toBeLessThanOrEqual(32);
      expect(JSON.parse(JSON.stringify(report))).toEqual(report);
      expect(report.signs.every((sign) => sign.at !== null)).toBe(true);
      expect(report.items.firmware?.kind !== 'value' || report.items.firmware.value === 'CR1000X.8.1.0').toBe(true);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  it('is no proof of life without an age', () => {
    const property = fc.property(fc.array(anyMessage, { maxLength: 30 }), (messages) => {
      const report = fold(messages.map((message) => ({ ...message, fresh: false })));
      expect(report).toMatchObject({ heardAt: null, online: null, gapMs: null, signs: [] });
      expect(Object.values(report.items).every((item) => item?.kind !== 'value' || item.madeNotBefore === null)).toBe(true);
    });
    fc.assert(property, { numRuns: 1000 });
  });
});
