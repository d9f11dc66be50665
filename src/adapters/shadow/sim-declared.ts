import type { DeclaredDevice } from '#model/declared.ts';
import { declaredMapped } from '#shadows/mapped/sim-declared.ts';
import type { ShadowSimOptions } from './sim.ts';
import { shadowName } from './wire.ts';

/** The hardware of a declared device: what `written` says, see declaredMapped. */
export function declaredShadow(device: DeclaredDevice, written: Readonly<Record<string, string>>): ShadowSimOptions {
  return { ...declaredMapped(device, written), shadow: shadowName(device.options) };
}

/** The named shadow that an index must hold to find the device; null for the classic one. */
export function indexedShadow(device: DeclaredDevice): string | null {
  return shadowName(device.options);
}
