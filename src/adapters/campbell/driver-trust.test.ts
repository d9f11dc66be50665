import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import { emptyReport, type ReportedDevice, type Sign } from '#model/reported.ts';
import type { DriverPorts } from '#ports/driver.ts';
import { VirtualClock } from '#sim/clock.ts';
import { caCertificate } from '#test/support/ca-certificates.ts';
import { declaredItem, declaredLogger, openOperation } from '#test/support/campbell.ts';
import type { Watched } from './driver-session.ts';
import { Trusts } from './driver-trust.ts';
import { campbellFamily } from './family.ts';
import { campbellOptions } from './options.ts';
import { reportedTrust, rootsText } from './trust.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const [OLD, NEW] = [caCertificate('Root 2024'), caCertificate('Root 2027')];
const [A, B] = [rootsText(OLD.pem), rootsText(NEW.pem)];
const BOTH = [A, B].toSorted();
const SHOWN = { old: [caCertificate('broker', { issuer: OLD }).der], new: [caCertificate('broker', { issuer: NEW }).der] };

function trust(pems: readonly string[]): DeclaredItem {
  const content = { artifact: null, content: null, document: null, firmware: null };
  const certificates = pems.map((pem) => new TextEncoder().encode(pem));
  const found = campbellFamily.expectation(declaredLogger(), { item: 'trust', ...content, certificates });
  if (!found.ok) throw new Error(found.error.code);
  return { ...declaredItem({ item: 'trust', value: found.value.value, content: null }), facts: found.value.facts };
}

/** A broker whose certificate a test changes, and one logger at it. */
class Place {
  readonly clock = new VirtualClock(NOW);
  chain: readonly Uint8Array[] | null = SHOWN.old;
  url = 'mqtts://broker.example.org';
  hangs = false;
  readonly asked: unknown[] = [];
  readonly watched: Watched;
  readonly trusts: Trusts;

  constructor(pems: readonly string[]) {
    const device = declaredLogger({ items: [trust(pems)] });
    const report: ReportedDevice = { ...emptyReport(device.id), online: true, heardAt: NOW, memo: { onlineAt: NOW, onlineVia: 'field' } };
    this.watched = { device, options: campbellOptions({}), report, dirty: false, sentAt: null };
    const ports = {
      clock: this.clock,
      connection: () => ({ type: 'mqtt', url: this.url }),
      serverChain: (server: unknown) => {
        this.asked.push(server);
        return this.hangs ? new Promise(() => undefined) : Promise.resolve(this.chain);
      },
    };
    this.trusts = new Trusts(ports as unknown as DriverPorts);
  }

  declare(pems: readonly string[]): DeclaredDevice {
    this.watched.device = { ...this.watched.device, items: [trust(pems)] };
    return this.watched.device;
  }

  async look(opens: readonly OpenOperation[] = []) {
    await this.trusts.observe([this.watched], () => opens, new AbortController().signal);
    return reportedTrust(this.watched.report.items.trust);
  }

  /** Minutes later the logger says online; `signs` tell what it did meanwhile, minutes after the beginning. */
  async later(minutes: number, signs: readonly (readonly [Sign['code'], number])[] = []): Promise<void> {
    await this.clock.advance(minutes * MINUTE_MS);
    const now = this.clock.now();
    const more = signs.map(([code, at]): Sign => ({
      code,
      item: code === 'BACK' ? null : 'identity',
      at: NOW + at * MINUTE_MS,
      text: code,
    }));
    const { report } = this.watched;
    this.watched.report = { ...report, heardAt: now, memo: { ...report.memo, onlineAt: now }, signs: [...report.signs, ...more] };
  }

  load(roots: readonly string[]): Operation {
    const expected = this.watched.report.items.trust?.kind === 'value' ? this.watched.report.items.trust.value : null;
    const facts = { kind: 'load-trust', trust: { roots: [...roots] }, accepted: null };
    return { item: 'trust', declared: roots.join(' '), expected, facts, content: null } as unknown as Operation;
  }

  precheck(operation: Operation) {
    const { device, report } = this.watched;
    const context = { device, reported: report, content: null, fencing: 1, signal: new AbortController().signal };
    return this.trusts.precheck(operation, this.watched, context);
  }
}

function opened(operation: Operation, change: Partial<OpenOperation> = {}): OpenOperation {
  return { ...openOperation(operation, { intendedAt: NOW, reference: NOW }), ...change };
}

describe('what a server shows', () => {
  it('proves the root of a logger as it was found, and is asked at the port that the URL means', async () => {
    const place = new Place([OLD.pem]);
    expect(await place.look()).toMatchObject({ loaded: null, proven: [A], shown: { field: { vouching: [A], since: null } } });
    expect(place.asked).toEqual([{ endpoint: 'https://broker.example.org', port: 8883 }]);
  });

  it.each([
    ['without TLS', { url: 'mqtt://broker.example.org' }],
    ['out of reach', { chain: null }],
    ['signed by nobody that is declared', { chain: SHOWN.new }],
  ])('proves nothing %s', async (_, change) => {
    const place = Object.assign(new Place([OLD.pem]), change);
    expect((await place.look())?.proven).toEqual([]);
  });

  it('proves nothing where an authority signed it that both roots vouch for', async () => {
    const folder = 'test/scenarios/fleets/trust';
    const [older, newer, both = ''] = ['files/ca/root-2024.pem', 'files/ca/root-2027.pem', 'servers/by-both.pem'].map((path) =>
      readFileSync(`${folder}/${path}`, 'utf8'),
    );
    const place = new Place([older ?? '', newer ?? '']);
    place.chain = (both.match(/-----BEGIN [^-]*-----[^-]*-----END [^-]*-----/g) ?? []).map((block) => new X509Certificate(block).raw);
    const known = await place.look();
    expect(known?.proven).toEqual([]);
    expect(known?.shown['field']?.vouching).toHaveLength(2);
  });

  it('proves another root only over a connection that was made since', async () => {
    const place = new Place([OLD.pem, NEW.pem]);
    await place.look();
    await place.later(1, [['BACK', 1]]);
    place.chain = SHOWN.new;
    await place.later(1);
    expect((await place.look())?.proven).toEqual([A]);
    await place.later(30);
    expect((await place.look())?.proven).toEqual([A]);
    await place.later(1, [['BACK', 33]]);
    expect((await place.look())?.proven).toEqual(BOTH);
  });

  it('is the same once it can be seen again, and proves nothing meanwhile', async () => {
    const place = new Place([OLD.pem]);
    const before = await place.look();
    place.chain = null;
    expect(await place.look()).toMatchObject({ proven: [A], shown: { field: { hidden: true, looked: [A] } } });
    expect(await place.precheck(place.load([A]))).toMatchObject({ reason: 'LOCKOUT_GUARD' });
    place.chain = SHOWN.old;
    expect(await place.look()).toEqual(before);
  });

  it('is left as it was where the look is called off', async () => {
    const place = new Place([OLD.pem]);
    place.hangs = true;
    const { report } = place.watched;
    await place.trusts.observe([place.watched], () => [], AbortSignal.abort(new Error('enough')));
    expect(place.watched.report).toBe(report);
  });

  it('is not known of a logger that was never heard', async () => {
    const place = new Place([OLD.pem]);
    place.watched.report = emptyReport(place.watched.device.id);
    expect(await place.look()).toBe(null);
  });
});

describe('a file with roots', () => {
  it('counts as loaded once the logger is back for three minutes, and what was proven before does not', async () => {
    const place = new Place([OLD.pem, NEW.pem]);
    await place.look();
    const open = opened(place.load(BOTH));
    expect(await place.look([open])).toMatchObject({ loaded: null, perhaps: BOTH });
    await place.later(2, [
      ['RESTARTING', 1],
      ['BACK', 2],
    ]);
    expect(await place.look([open])).toMatchObject({ loaded: null, perhaps: BOTH });
    await place.later(3);
    expect(await place.look([open])).toMatchObject({ loaded: BOTH, perhaps: null, proven: [A] });
  });

  it.each([
    ['stays a doubt though its operation is over', {}, BOTH],
    ['is none where nothing was sent', { reference: null, retryAt: NOW + HOUR_MS }, null],
    ['is a doubt where nobody wrote down how it ended', { reference: null }, BOTH],
  ])('%s', async (_, change, perhaps) => {
    const place = new Place([OLD.pem, NEW.pem]);
    await place.look();
    await place.look([opened(place.load(BOTH), change)]);
    expect((await place.look())?.perhaps ?? null).toEqual(perhaps);
  });

  it('that the logger refused was not loaded', async () => {
    const place = new Place([OLD.pem, NEW.pem]);
    await place.look();
    const open = opened(place.load(BOTH));
    await place.later(5, [
      ['RESTARTING', 1],
      ['CONFIG_REFUSED', 2],
    ]);
    expect((await place.look([open]))?.loaded).toBe(null);
  });
});

describe('right before the act', () => {
  it('the server is looked at once more', async () => {
    const place = new Place([OLD.pem]);
    await place.look();
    const load = place.load([A]);
    expect(await place.precheck(load)).toBe(null);
    place.chain = SHOWN.new;
    expect(await place.precheck(load)).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD' });
    place.chain = null;
    expect(await place.precheck(load)).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD' });
  });

  it('the logger must have the roots that the plan knew', async () => {
    const place = new Place([OLD.pem]);
    await place.look();
    const moved = { ...place.load([A]), expected: `${B} unproven ${B}` } as Operation;
    expect(await place.precheck(moved)).toMatchObject({ reason: 'PRECONDITION_MOVED' });
  });

  it('the roots of another file are looked at as well, and go into it', async () => {
    const place = new Place([OLD.pem]);
    const { watched } = place;
    await place.look();
    const identity = {
      ...place.load([A]),
      item: 'identity',
      facts: { kind: 'load-identity', trust: { roots: [A] } },
    } as unknown as Operation;
    const context = { device: watched.device, reported: watched.report, content: null, fencing: 1, signal: new AbortController().signal };
    expect(await place.precheck(identity)).toBe(null);
    expect(place.trusts.entries(context, identity)).toMatchObject([{ id: 4 }]);
    expect(place.trusts.entries({ ...context, device: place.declare([NEW.pem]) }, identity)).toBe(null);
    place.chain = SHOWN.new;
    place.declare([OLD.pem]);
    expect(await place.precheck(identity)).toMatchObject({ reason: 'LOCKOUT_GUARD' });
  });
});
