import fc from 'fast-check';
import { expect } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import { CertificateFleet, MISTAKES, SEQUENCES, VANS } from '#test/support/certificate-fleet.ts';

/** What may happen next, in whatever order: what people commit, how devices sleep, how wires and processes break. */
type Act =
  | { readonly kind: 'commit' | 'mistake'; readonly which: number }
  | { readonly kind: 'pass'; readonly afterMinutes: number }
  | { readonly kind: 'sleep' | 'wake'; readonly van: (typeof VANS)[number] }
  | { readonly kind: 'swap' | 'restart' }
  | { readonly kind: 'crash'; readonly at: 'appended' | 'performed' }
  | { readonly kind: 'drop'; readonly how: 'reset-before' | 'reset-after' | 'lost-response' | 'slow-down' }
  | { readonly kind: 'delete'; readonly what: 'certs_server.p7b' | 'config-01.08.json' };

const van = fc.constantFrom(...VANS);
const pass = fc.record({ kind: fc.constant('pass' as const), afterMinutes: fc.constantFrom(1, 6, 12, 30) });
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 9, arbitrary: pass },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('commit' as const), which: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('mistake' as const), which: fc.nat(MISTAKES.length - 1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('sleep' as const, 'wake' as const), van }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('swap' as const, 'restart' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('crash' as const), at: fc.constantFrom('appended' as const, 'performed' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('drop' as const),
      how: fc.constantFrom('reset-before' as const, 'reset-after' as const, 'lost-response' as const, 'slow-down' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      what: fc.constantFrom('certs_server.p7b' as const, 'config-01.08.json' as const),
    }),
  },
);

export type Sequence = keyof typeof SEQUENCES;
export const SEQUENCE_NAMES = ['tls', 'replace', 'move'] as const satisfies readonly Sequence[];

interface Story {
  readonly fleet: CertificateFleet;
  readonly cut: { armed: 'appended' | 'performed' | null };
  readonly sequence: Sequence;
}

/** The sequence as it is meant to go; stories follow it for a while before anything may happen. */
const MEANT: readonly Act[] = [
  { kind: 'commit', which: 1 },
  ...Array.from({ length: 7 }, () => ({ kind: 'pass', afterMinutes: 12 }) as const),
  { kind: 'swap' },
  { kind: 'commit', which: 2 },
  ...Array.from({ length: 4 }, () => ({ kind: 'pass', afterMinutes: 12 }) as const),
];

const story: fc.Arbitrary<readonly Act[]> = fc
  .tuple(fc.nat(MEANT.length), fc.array(act, { minLength: 6, maxLength: 20 }))
  .map(([meant, acts]) => [...MEANT.slice(0, meant), ...acts]);

/**
 * At every state that random stories reach, each device trusts the certificate of the server that it is told to use, and
 * when everybody is awake again and the passes have gone on it still does. Through the whole engine, over simulated vans.
 */
export async function assertTrusted(sequence: Sequence, { runs, seed }: { readonly runs: number; readonly seed: number }): Promise<void> {
  await fc.assert(
    fc.asyncProperty(story, (acts) => tell(sequence, acts)),
    { numRuns: runs, seed },
  );
}

async function tell(sequence: Sequence, acts: readonly Act[]): Promise<void> {
  const cut: Story['cut'] = { armed: null };
  const fleet = await CertificateFleet.start(SEQUENCES[sequence][0], cut);
  try {
    for (const one of acts) {
      await play({ fleet, cut, sequence }, one);
      expect(fleet.stranded).toEqual([]);
    }
    cut.armed = null;
    await fleet.settle();
    expect(fleet.stranded).toEqual([]);
  } finally {
    await fleet.fleet.close();
  }
}

async function play({ fleet, cut, sequence }: Story, one: Act): Promise<void> {
  switch (one.kind) {
    case 'commit':
      fleet.commit(SEQUENCES[sequence][one.which] ?? fleet.declared);
      break;
    case 'mistake':
      fleet.commit(MISTAKES[one.which] ?? fleet.declared);
      break;
    case 'sleep':
    case 'wake':
      await fleet.power(one.van, one.kind === 'wake');
      break;
    case 'swap':
      fleet.swapServer();
      break;
    case 'restart':
      await fleet.fleet.restart();
      break;
    case 'crash':
      cut.armed = one.at;
      break;
    case 'drop':
      fleet.fleet.sim.s3Faults.add({ kind: one.how }, { operations: ['PutObject', 'DeleteObject'], times: 1 });
      break;
    case 'delete':
      await fleet.fleet.clock.run(fleet.fleet.sim.bucket('logs').delete(`0A000001/${one.what}`));
      break;
    case 'pass':
      await fleet.fleet.clock.advance(one.afterMinutes * MINUTE_MS);
      await fleet.pass();
  }
}
