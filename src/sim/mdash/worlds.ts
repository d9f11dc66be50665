import type { NetworkClients } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { SimDevice } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import type { Wires } from '#ports/wires.ts';
import type { SimWorldOptions } from '#sim/plant.ts';
import { makeMdash, SIM_MDASH_KEY, type SimMdash } from './mdash.ts';

/** A frame to a board on a wireless link. */
const LATENCY_MS = 20;

/** mDash in this process for each connection that has one. */
export function makeMdashes(connections: SimWorldOptions['connections'], clock: Clock): ReadonlyMap<string, SimMdash> {
  return new Map(
    connections.flatMap(({ name, type }) =>
      type === 'mdash' ? [[name, makeMdash({ clock, switches: { latencyMs: LATENCY_MS } })] as const] : [],
    ),
  );
}

/** How the engine reaches it: by the client of mDash, whose requests are answered in this process. */
export function mdashWires(
  accounts: ReadonlyMap<string, SimMdash>,
  { clients, clock }: { readonly clients: Pick<NetworkClients, 'openMdash'>; readonly clock: Clock },
): Required<Pick<Wires, 'mdash'>> {
  return {
    mdash: async ({ name }) => {
      const account = accounts.get(name);
      if (account === undefined) throw new WireError('UNKNOWN_CONNECTION', 'never', `the simulated world has no mDash ${name}`);
      return clients.openMdash({
        url: `https://${name}.mdash.sim`,
        key: SIM_MDASH_KEY,
        clock,
        exchange: async (request) => {
          const answer = await account.handle(request);
          if (answer === 'close') throw new WireError('ECONNRESET', 'later', 'mDash: the connection was cut');
          if (answer === 'hang') throw new WireError('TIMEOUT', 'later', 'mDash: no answer');
          return answer;
        },
      });
    },
  };
}

/** Hardware of an account: it has the library of mDash in the place of those for other shadows. */
export function joinMdash(account: SimMdash | undefined, device: SimDevice, id: string): void {
  if (account === undefined) return;
  account.register(id);
  if (device.faults.includes('rpcOnly')) device.fault('rpcOnly', true);
}
