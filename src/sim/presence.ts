import type { NetworkClients } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { Presence, Revocation, SeenConnection } from '#ports/presence.ts';
import { sha256 } from '#kit/digest.ts';
import type { Wires } from '#ports/wires.ts';
import { exchangeWith } from './accounts.ts';
import type { AwsIot } from './aws/aws-iot.ts';
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

/** Those of accounts are left alone: an account says for itself whom it lets in. */
export function watchBrokers(
  brokers: ReadonlyMap<string, Broker>,
  accounts: ReadonlyMap<string, AwsIot>,
  clock: Clock,
): ReadonlyMap<string, BrokerWatch> {
  return new Map([...brokers].flatMap(([name, broker]) => (accounts.has(name) ? [] : [[name, watchBroker(broker, clock)] as const])));
}

/**
 * As wires hand them out: what the fleet declares decides whether there is one, the broker of the world what it says. What
 * keeps shadows is AWS: it tells and withdraws by its own ways, and by the clients that are used there.
 */
export function watchedWires(
  watches: ReadonlyMap<string, BrokerWatch>,
  { accounts, clients, clock }: WatchedAccounts,
): Required<Pick<Wires, 'presence' | 'revocation'>> {
  return {
    presence: async ({ name, presence }, bus) => {
      if (presence === null || presence === 'none') return null;
      return accounts.has(name) ? await clients.presenceOverBus(await bus()) : (watches.get(name)?.presence ?? null);
    },
    revocation: async ({ name, withdraw }) => {
      if (withdraw === null || withdraw === 'manual') return null;
      const account = accounts.get(name);
      if (account === undefined) return watches.get(name)?.revocation ?? null;
      return await clients.openAwsRevocation({ region: REGION, clock, exchange: exchangeWith(account) });
    },
  };
}

interface WatchedAccounts {
  readonly accounts: ReadonlyMap<string, AwsIot>;
  readonly clients: Pick<NetworkClients, 'presenceOverBus' | 'openAwsRevocation'>;
  readonly clock: Clock;
}

/** Signed for nobody. */
const REGION = 'eu-central-1';
