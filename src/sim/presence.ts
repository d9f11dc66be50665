import type { Clock } from '#ports/clock.ts';
import type { Presence, Revocation, SeenConnection } from '#ports/presence.ts';
import { sha256 } from '#kit/digest.ts';
import type { Wires } from '#ports/wires.ts';
import type { Broker } from './broker.ts';

/** What a broker of the simulated world says of its clients, and whom it lets in no more. */
interface BrokerWatch {
  readonly presence: Presence;
  readonly revocation: Revocation;
}

/**
 * Watches a broker from its start: the newest connection of each client with the fingerprint that TLS showed. Withdrawing
 * refuses new connections by that certificate; one that stands is let be, as a revocation list lets it.
 */
function watchBroker(broker: Broker, clock: Clock): BrokerWatch {
  const newest = new Map<string, SeenConnection>();
  const withdrawn = new Set<string>();
  broker.onConnect(({ clientId, certificate }) => {
    const { fingerprint = null, subject = null } = certificate ?? {};
    newest.set(clientId, { clientId, fingerprint, subject, at: clock.now() });
  });
  // Asked again at each connection: those that stand are not asked.
  broker.admit((certificate) => certificate === null || !withdrawn.has(certificate.fingerprint));
  const close = (): Promise<void> => Promise.resolve();
  return {
    presence: {
      newest: (clientIds) =>
        Promise.resolve(
          new Map(
            clientIds.flatMap((id) => {
              const seen = newest.get(id);
              return seen === undefined ? [] : [[id, seen] as const];
            }),
          ),
        ),
      close,
    },
    revocation: {
      state: (certificate) => Promise.resolve(withdrawn.has(sha256(certificate)) ? 'withdrawn' : 'accepted'),
      withdraw: (certificate) => {
        withdrawn.add(sha256(certificate));
        return Promise.resolve();
      },
      close,
    },
  };
}

export function watchBrokers(brokers: ReadonlyMap<string, Broker>, clock: Clock): ReadonlyMap<string, BrokerWatch> {
  return new Map([...brokers].map(([name, broker]) => [name, watchBroker(broker, clock)]));
}

/** As wires hand them out: what the fleet declares decides whether there is one, the broker of the world what it says. */
export function watchedWires(watches: ReadonlyMap<string, BrokerWatch>): Required<Pick<Wires, 'presence' | 'revocation'>> {
  return {
    presence: ({ name, presence }) =>
      Promise.resolve(presence === null || presence === 'none' ? null : (watches.get(name)?.presence ?? null)),
    revocation: ({ name, withdraw }) =>
      Promise.resolve(withdraw === null || withdraw === 'manual' ? null : (watches.get(name)?.revocation ?? null)),
  };
}
