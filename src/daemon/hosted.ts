import { makeDeclareState, type DeclareState } from '#reconcile/revision.ts';
import type { World } from '#ports/world.ts';

/** A world with what is kept between its passes. Put in the place of another one when the daemon is told to reload. */
export interface Hosted {
  readonly world: World;
  readonly state: DeclareState;
}

export function hosted(world: World): Hosted {
  return { world, state: makeDeclareState() };
}
