import fc from 'fast-check';
import { expect } from 'vitest';
import {
  BROKERS,
  fingerprintOf,
  LOGGERS,
  RotationFleet,
  SLOTS,
  VERSIONS,
  type BrokerName,
  type Declaration,
  type LoggerName,
} from './rotation-fleet.ts';

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
  | { readonly kind: 'commit'; readonly change: Partial<Declaration> }
  | { readonly kind: 'drop' | 'power'; readonly logger: LoggerName }
  | { readonly kind: 'fault'; readonly logger: LoggerName; readonly fault: string; readonly on: boolean | number }
  | { readonly kind: 'broker'; readonly broker: BrokerName; readonly refuses: boolean }
  | { readonly kind: 'crash'; readonly at: 'appended' | 'performed' | 'between' };

const logger = fc.constantFrom(...LOGGERS);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('wait' as const), minutes: fc.constantFrom(0.2, 1, 3, 11, 30) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      change: fc.oneof(
        fc.record({ pin: fc.constantFrom('old' as const, 'both' as const, 'new' as const) }),
        fc.record({ endpoint: fc.constantFrom(...BROKERS) }),
        fc.record({ via: fc.constantFrom('field' as const, 'both' as const, 'next' as const) }),
      ),
    }),
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
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('broker' as const), broker: fc.constantFrom(...BROKERS), refuses: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      at: fc.constantFrom('appended' as const, 'performed' as const, 'between' as const),
    }),
  },
);

/** What people mean to do, one commit after the other: a rotation, a move, a rotation in the middle of a move. */
const PURPOSES: readonly (readonly Partial<Declaration>[])[] = [
  [{ pin: 'both' }, { pin: 'new' }, { pin: 'old' }],
  [{ via: 'both' }, { endpoint: 'next' }, { via: 'next' }],
  [{ via: 'both' }, { endpoint: 'next' }, { endpoint: 'field' }],
  [{ via: 'both', pin: 'both' }, { endpoint: 'next' }, { pin: 'new' }],
];

export const story = fc.record({
  /** Loggers whose new key comes to harm whenever one is loaded. */
  spoilt: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 2, arbitrary: fc.uniqueArray(logger, { maxLength: 4 }) }),
  purpose: fc.constantFrom(...PURPOSES),
  /** What comes between the commits, and after the last. */
  between: fc.tuple(
    fc.array(act, { minLength: 3, maxLength: 12 }),
    fc.array(act, { minLength: 1, maxLength: 8 }),
    fc.array(act, { maxLength: 4 }),
  ),
});

export type Story = typeof story extends fc.Arbitrary<infer Value> ? Value : never;

/** What came of a story: a campaign in which nothing was ever withdrawn, or nobody ever harmed, would prove nothing. */
export interface Told {
  readonly withdrawn: number;
  readonly loaded: number;
  readonly moved: number;
  readonly harmed: number;
}

/** Tells a story to its end and judges every state on the way. Throws where a rule is broken. */
export async function tell({ spoilt, purpose, between }: Story): Promise<Told> {
  // Kept apart: what is thrown within a pass could be taken for the trouble of a wire.
  const wrong: string[] = [];
  const fleet = await RotationFleet.start((fingerprint) => wrong.push(...wrongWithdrawal(fleet, fingerprint)));
  const judge = async (): Promise<void> => {
    expect(wrong).toEqual([]);
    await judgeState(fleet, spoilt);
  };
  try {
    for (const id of spoilt) fleet.logger(id).fault('certificateSpoilt', true);
    await judge();
    for (const one of purpose.flatMap((change, at): Act[] => [{ kind: 'commit', change }, ...(between[at] ?? [])])) {
      await happen(fleet, one);
      await judge();
      await fleet.pass();
      await judge();
      // Restarts of loggers fall between two passes, and within the next.
      await fleet.clock.advance(20_000);
      await judge();
    }
    for (const broker of BROKERS) await fleet.clock.run(fleet.sim.broker(broker).faults({ refuse: false }));
    for (const id of LOGGERS) if (!isHarmed(fleet, id, spoilt)) await fleet.clock.run(fleet.logger(id).powerOn());
    await fleet.clock.advance(60 * MINUTE);
    for (const id of LOGGERS)
      if (!isHarmed(fleet, id, spoilt)) expect(fleet.sim.broker(placeOf(fleet, id)).clients).toContain(CLIENT_IDS[id]);
    await judge();
    const sum = (count: (id: LoggerName) => number): number => LOGGERS.reduce((total, id) => total + count(id), 0);
    return {
      withdrawn: fleet.withdrawn.size,
      loaded: sum((id) => keysLoaded(fleet, id)),
      moved: sum((id) => fleet.logger(id).effects.filter(({ detail }) => detail === '1 settings').length),
      harmed: LOGGERS.filter((id) => isHarmed(fleet, id, spoilt)).length,
    };
  } finally {
    await fleet.close();
  }
}

async function happen(fleet: RotationFleet, doing: Act): Promise<void> {
  switch (doing.kind) {
    case 'wait':
      await fleet.clock.advance(doing.minutes * MINUTE);
      return;
    case 'commit':
      fleet.commit(doing.change);
      return;
    case 'drop':
      for (const broker of BROKERS) fleet.sim.broker(broker).dropClient(CLIENT_IDS[doing.logger]);
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
      await fleet.clock.run(fleet.sim.broker(doing.broker).faults({ refuse: doing.refuses }));
      return;
    case 'crash':
      if (doing.at === 'between') await fleet.restart();
      else fleet.crashAt = doing.at;
  }
}

/** Its own new key is bad: nothing that anybody could do would bring it back. */
function isHarmed(fleet: RotationFleet, id: LoggerName, spoilt: readonly LoggerName[]): boolean {
  return spoilt.includes(id) && keysLoaded(fleet, id) > 0;
}

/** Files with a key and a certificate: those of a move have the endpoint alone. */
function keysLoaded(fleet: RotationFleet, id: LoggerName): number {
  return fleet.logger(id).effects.filter(({ kind, detail }) => kind === 'mqttConfig' && detail === '2 settings').length;
}

/** The broker that the logger itself believes to be its own. */
function placeOf(fleet: RotationFleet, id: LoggerName): BrokerName {
  const { MQTTEndpoint } = fleet.logger(id).settings();
  const found = BROKERS.find((name) => name === MQTTEndpoint);
  if (found === undefined) throw new Error(`${id} connects to ${MQTTEndpoint}, which is nobody`);
  return found;
}

/**
 * Each logger holds a certificate that the broker accepts, except for those whose own key is bad: one per slot that a rollout
 * had. A person who commits another one before the loss of the first is known gives away its slots again.
 */
async function judgeState(fleet: RotationFleet, spoilt: readonly LoggerName[]): Promise<void> {
  const harmed = LOGGERS.filter((id) => isHarmed(fleet, id, spoilt));
  const admissions = await fleet.admissions();
  for (const [rollout, ids] of Map.groupBy(harmed, (id) => admissions.get(id))) {
    expect(rollout).toBeDefined();
    expect(ids.length).toBeLessThanOrEqual(SLOTS);
  }
  for (const id of LOGGERS) {
    if (harmed.includes(id)) continue;
    const held = fleet.logger(id).fingerprint() ?? '';
    expect(VERSIONS.map((version) => fingerprintOf(id, version))).toContain(held);
    expect([id, fleet.withdrawn.has(`${placeOf(fleet, id)} ${held}`)]).toEqual([id, false]);
  }
}

/** The old certificate goes when the broker saw every logger of the group with its new one, and not before. */
function wrongWithdrawal(fleet: RotationFleet, fingerprint: string): readonly string[] {
  const held = LOGGERS.filter((id) => fleet.logger(id).fingerprint() === fingerprint);
  const unproven = LOGGERS.filter((id) => fleet.seen.get(CLIENT_IDS[id]) !== fingerprintOf(id, '2026-11'));
  return [...held.map((id) => `${id} still holds what is withdrawn`), ...unproven.map((id) => `${id} was not seen with its new one`)];
}
