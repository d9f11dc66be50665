import type { Declared } from '#model/declared.ts';
import type { LedgerView } from '#model/records.ts';
import type { Admission } from '#ports/responder.ts';
import type { World } from '#ports/world.ts';
import { loadOlder } from './revision.ts';
import type { DeclareState } from './revision.ts';

/** What a responder is told after a pass, or when another process has written to the ledger. */
export async function admissionOf(
  world: World,
  state: DeclareState,
  found: { readonly declared: Declared; readonly view: LedgerView },
): Promise<Admission> {
  const older = await loadOlder(world, state, { ...found, at: world.clock.now() });
  return { ...found, older: [...older.values()] };
}
