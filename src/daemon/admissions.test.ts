import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Admission, Responder } from '#ports/responder.ts';
import { WireError } from '#ports/wire-error.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';
import { Admissions } from './admissions.ts';
import type { Hosted } from './hosted.ts';
import { makeLog } from './log.ts';

const FILES = {
  'fleet.yaml': `kind: Fleet
format: 1
name: trial
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: trial, lasting: true }
connections: { field: { type: mqtt, url: 'mqtt://127.0.0.1:1883' } }
`,
  'devices/loggers.yaml': `kind: Devices
family: campbell
via: field
defaults: { model: CR1000X }
devices: { one: { serial: "1001", address: AAAA-AAAA-0001 } }
`,
};

let fleet: MemoryFleet;
let told: (Admission | null)[] = [];
let ledger: 'answers' | 'broken' | 'silent' = 'answers';

beforeEach(async () => {
  fleet = await MemoryFleet.start({ files: FILES });
  told = [];
  ledger = 'answers';
});

afterEach(() => fleet.close());

const responder: Responder = {
  admit: (admission) => {
    told.push(admission);
    return Promise.resolve();
  },
  get counters(): never {
    throw new Error('nobody asks');
  },
  onNews: () => undefined,
  close: () => Promise.resolve(),
};

function admissions(): Admissions {
  const { engine } = fleet;
  const hosted: Hosted = {
    state: makeDeclareState(),
    world: {
      ...engine,
      ledger: (declared) => {
        if (ledger === 'broken') return Promise.reject(new WireError('ECONNREFUSED', 'later', 'no way there'));
        return ledger === 'silent' ? new Promise(() => undefined) : engine.ledger(declared);
      },
      drivers: async (...args) => ({ ...(await engine.drivers(...args)), responders: () => [responder] }),
    },
  };
  return new Admissions({
    hosted: () => hosted,
    share: null,
    clock: fleet.clock,
    log: makeLog({ write: () => undefined }, 'error'),
    onNews: () => undefined,
    onAdmitted: () => undefined,
  });
}

describe('what responders are told', () => {
  it('is what the ledger says after each change of it, and nothing while it stays the same', async () => {
    const one = admissions();
    await fleet.clock.run(one.look());
    expect(one.trouble).toBeNull();
    expect(told.map((admission) => admission?.view.seq)).toEqual([0]);
    await fleet.clock.run(one.look());
    await fleet.pass({ newLedger: true });
    await fleet.clock.run(one.look());
    await fleet.clock.run(one.look());
    expect(told.map((admission) => admission?.view.seq)).toEqual([0, (await fleet.ledger.head()).seq]);
  });

  it.each(['broken', 'silent'] as const)(
    'is to let everybody wait while the ledger is %s, and what it says when it is back',
    async (how) => {
      const one = admissions();
      await fleet.clock.run(one.look());
      ledger = how;
      const began = fleet.clock.now();
      await fleet.clock.run(one.look());
      expect(told.at(-1)).toBeNull();
      expect(one.trouble).toMatch(how === 'broken' ? /^ECONNREFUSED/ : /^TIMEOUT/);
      expect(fleet.clock.now() - began).toBeLessThan(3000);
      ledger = 'answers';
      await fleet.clock.run(one.look());
      expect(told.at(-1)?.view.seq).toBe(0);
      expect(one.trouble).toBeNull();
    },
  );

  it('follows the ledger within 5 s, until it is told to end', async () => {
    const one = admissions();
    const stop = new AbortController();
    const following = one.follow(stop.signal);
    await fleet.clock.advance(10_000);
    const before = told.length;
    await fleet.pass({ newLedger: true });
    await fleet.clock.advance(4900);
    expect(told.length).toBe(before + 1);
    stop.abort();
    await fleet.clock.run(following);
    await fleet.clock.advance(MINUTE_MS);
    expect(told.length).toBe(before + 1);
  });
});
