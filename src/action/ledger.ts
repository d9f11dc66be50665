import type { FleetDeclaration, LedgerDeclaration } from '#model/declared.ts';
import type { World } from '#ports/world.ts';

/** A store in the place of the declared one. The ledger's id stays that of fleet.yaml, so another fleet's is refused as ever. */
export type StoreOverride =
  | { readonly store: 'git' }
  | { readonly store: 'sqlite'; readonly path: string }
  | { readonly store: 's3'; readonly connection: string; readonly prefix: string }
  | { readonly store: 'postgres'; readonly url: string };

export const STORE_FORMS = 'git, s3:CONNECTION/PREFIX, postgres:URL or sqlite:PATH';

/** Reads a store as fleet.yaml would write it; undefined when it is none. */
export function readStore(text: string): StoreOverride | undefined {
  if (text === 'git') return { store: 'git' };
  const [, kind, rest = ''] = /^(sqlite|s3|postgres|postgresql):(.+)$/s.exec(text) ?? [];
  if (kind === undefined) return undefined;
  if (kind === 'sqlite') return { store: 'sqlite', path: rest };
  if (kind !== 's3') return { store: 'postgres', url: rest.startsWith('//') ? text : rest };
  const [, connection, prefix] = /^([A-Za-z0-9._-]+)\/(.+)$/s.exec(rest) ?? [];
  return connection === undefined || prefix === undefined ? undefined : { store: 's3', connection, prefix };
}

/** The world with its ledger in that store. Who names a store in the workflow says that it lasts. */
export function withStore(world: World, store: StoreOverride | null): World {
  if (store === null) return world;
  return { ...world, ledger: (fleet) => world.ledger({ ...fleet, ledger: moved(fleet, store) }) };
}

function moved(fleet: FleetDeclaration, store: StoreOverride): LedgerDeclaration {
  const { id, place, lasting } = fleet.ledger;
  return { id, place, lasting, ...store };
}
