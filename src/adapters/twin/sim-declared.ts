import type { DeclaredDevice } from '#model/declared.ts';
import { declaredMapped } from '#shadows/mapped/sim-declared.ts';
import type { TwinSimOptions } from './sim.ts';

/** The hardware of a declared device: what `written` says, see declaredMapped. */
export function declaredTwin(device: DeclaredDevice, written: Readonly<Record<string, string>>): TwinSimOptions {
  return declaredMapped(device, written);
}
