import type { Responder } from '#ports/responder.ts';
import type { World } from '#ports/world.ts';
import { admissionOf } from '#reconcile/admission.ts';
import type { PassReport } from '#reconcile/report.ts';
import type { DeclareState } from '#reconcile/revision.ts';

/** Hands what a pass left to the responders of this process, as the daemon does; answers them. */
export async function admitAfter(world: World, state: DeclareState, report: PassReport): Promise<readonly Responder[]> {
  const { result } = report;
  if (result === null) return [];
  const { declared, view } = result;
  const admission = await admissionOf(world, state, { declared, view });
  const ledger = await world.ledger(declared.fleet);
  const responders = (await world.drivers(declared, 'reader', ledger.blobs)).responders(null);
  for (const responder of responders) await responder.admit(admission);
  return responders;
}
