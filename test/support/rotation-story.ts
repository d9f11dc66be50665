import fc from 'fast-check';
import { expect } from 'vitest';
import { fingerprintOf, LOGGERS, RotationFleet, SLOTS, VERSIONS, type LoggerName, type PINS } from './rotation-fleet.ts';

const MINUTE = 60_000;
const CLIENT_IDS: Readonly<Record<LoggerName, string>> = {
  alder: 'CR1000X_3001',
  ash: 'CR1000X_3002',
  beech: 'CR1000X_3003',
  birch: 'CR1000X_3004',
};

/** One thing that happens; a pass follows most of them. */
export type Act =
  | { readonly kind: 'wait'; readonly minutes: number }
  | { readonly kind: 'commit'; readonly pin: keyof typeof PINS }
  | { readonly kind: 'drop' | 'power'; readonly logger: LoggerName }
  | { readonly kind: 'fault'; readonly logger: LoggerName; readonly fault: string; readonly on: boolean | number }
  | { readonly kind: 'broker'; readonly refuses: boolean }
  | { readonly kind: 'crash'; readonly at: 'appended' | 'performed' | 'between' };

const logger = fc.constantFrom(...LOGGERS);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('wait' as const), minutes: fc.constantFrom(0.2, 1, 3, 11, 30) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('commit' as const), pin: fc.constantFrom('old' as const, 'both' as const, 'new' as const) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('drop' as const, 'power' as const), logger }) },
  {
    weight: 3,
    arbitrary: fc.oneof(
      fc.record({
        kind: fc.constant('fault' as const),
        logger,
        fault: fc.constantFrom('downloadFails', 'lostReply', 'staleReply', 'duplicateOnline', 'retainState', 'staleState'),
        on: fc.boolean(),
      }),
      fc.record({
        kind: fc.constant('fault' as const),
        logger,
        fault: fc.constant('slowDownload'),
        on: fc.constantFrom(0, 4 * MINUTE, 15 * MINUTE),
      }),
    ),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('broker' as const), refuses: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      at: fc.constantFrom('appended' as const, 'performed' as const, 'between' as const),
    }),
  },
);

export const story = fc.record({
  /** Loggers whose new key comes to harm whenever one is loaded. */
  spoilt: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 2, arbitrary: fc.uniqueArray(logger, { maxLength: 4 }) }),
  /** While the new certificates are loaded, while the old ones are withdrawn, and when somebody thinks better of it. */
  loading: fc.array(act, { minLength: 3, maxLength: 12 }),
  withdrawing: fc.array(act, { minLength: 1, maxLength: 8 }),
  after: fc.array(act, { maxLength: 4 }),
});

export type Story = typeof story extends fc.Arbitrary<infer Value> ? Value : never;

/** What came of a story: a campaign in which nothing was ever withdrawn, or nobody ever harmed, would prove nothing. */
export interface Told {
  readonly withdrawn: number;
  readonly loaded: number;
  readonly harmed: number;
}

/** Tells a story to its end and judges every state on the way. Throws where a rule is broken. */
export async function tell({ spoilt, loading, withdrawing, after }: Story): Promise<Told> {
  // Kept apart: what is thrown within a pass could be taken for the trouble of a wire.
  const wrong: string[] = [];
  const fleet = await RotationFleet.start((fingerprint) => wrong.push(...wrongWithdrawal(fleet, fingerprint)));
  const judge = (): void => {
    expect(wrong).toEqual([]);
    judgeState(fleet, spoilt);
  };
  try {
    for (const id of spoilt) fleet.logger(id).fault('certificateSpoilt', true);
    judge();
    for (const one of [commitOf('both'), ...loading, commitOf('new'), ...withdrawing, commitOf('old'), ...after]) {
      await happen(fleet, one);
      judge();
      await fleet.pass();
      judge();
      // Restarts of loggers fall between two passes, and within the next.
      await fleet.clock.advance(20_000);
      judge();
    }
    await fleet.sim.broker('field').faults({ refuse: false });
    for (const id of LOGGERS) if (!isHarmed(fleet, id, spoilt)) await fleet.clock.run(fleet.logger(id).powerOn());
    await fleet.clock.advance(60 * MINUTE);
    const connected = fleet.sim.broker('field').clients;
    for (const id of LOGGERS) if (!isHarmed(fleet, id, spoilt)) expect(connected).toContain(CLIENT_IDS[id]);
    judge();
    const loads = LOGGERS.map((id) => fleet.logger(id).effects.filter(({ kind }) => kind === 'mqttConfig').length);
    return {
      withdrawn: fleet.withdrawn.size,
      loaded: loads.reduce((sum, count) => sum + count, 0),
      harmed: LOGGERS.filter((id) => isHarmed(fleet, id, spoilt)).length,
    };
  } finally {
    await fleet.close();
  }
}

function commitOf(pin: keyof typeof PINS): Act {
  return { kind: 'commit', pin };
}

async function happen(fleet: RotationFleet, doing: Act): Promise<void> {
  switch (doing.kind) {
    case 'wait':
      await fleet.clock.advance(doing.minutes * MINUTE);
      return;
    case 'commit':
      fleet.commit(doing.pin);
      return;
    case 'drop':
      fleet.sim.broker('field').dropClient(CLIENT_IDS[doing.logger]);
      return;
    case 'power': {
      const device = fleet.logger(doing.logger);
      await fleet.clock.run(device.powered ? device.powerOff() : device.powerOn());
      return;
    }
    case 'fault':
      fleet.logger(doing.logger).fault(doing.fault, doing.on);
      return;
    case 'broker':
      await fleet.clock.run(fleet.sim.broker('field').faults({ refuse: doing.refuses }));
      return;
    case 'crash':
      if (doing.at === 'between') await fleet.restart();
      else fleet.crashAt = doing.at;
  }
}

/** Its own new key is bad: nothing that anybody could do would bring it back. */
function isHarmed(fleet: RotationFleet, id: LoggerName, spoilt: readonly LoggerName[]): boolean {
  return spoilt.includes(id) && fleet.logger(id).effects.some(({ kind }) => kind === 'mqttConfig');
}

/** Each logger holds a certificate that the broker accepts, except for those whose own key is bad: one per slot at most. */
function judgeState(fleet: RotationFleet, spoilt: readonly LoggerName[]): void {
  const harmed = LOGGERS.filter((id) => isHarmed(fleet, id, spoilt));
  expect(harmed.length).toBeLessThanOrEqual(SLOTS);
  for (const id of LOGGERS) {
    if (harmed.includes(id)) continue;
    const held = fleet.logger(id).fingerprint() ?? '';
    expect(VERSIONS.map((version) => fingerprintOf(id, version))).toContain(held);
    expect([id, fleet.withdrawn.has(held)]).toEqual([id, false]);
  }
}

/** The old certificate goes when the broker saw every logger of the group with its new one, and not before. */
function wrongWithdrawal(fleet: RotationFleet, fingerprint: string): readonly string[] {
  const held = LOGGERS.filter((id) => fleet.logger(id).fingerprint() === fingerprint);
  const unproven = LOGGERS.filter((id) => fleet.seen.get(CLIENT_IDS[id]) !== fingerprintOf(id, '2026-11'));
  return [...held.map((id) => `${id} still holds what is withdrawn`), ...unproven.map((id) => `${id} was not seen with its new one`)];
}
