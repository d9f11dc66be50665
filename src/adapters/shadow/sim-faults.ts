import type { Json } from '#kit/canonical.ts';

/** Misbehaviours of a simulated device: readme.md says what each does. */
export const SHADOW_FAULTS = [
  'bootBack',
  'brick',
  'echo',
  'fail',
  'garbage',
  'ignore',
  'mute',
  'oldReports',
  'partial',
  'slow',
  'wrongModel',
  'wrongSerial',
  'wrongVersion',
] as const;

export type ShadowFault = (typeof SHADOW_FAULTS)[number];

export class FaultSwitches {
  readonly #on = new Map<ShadowFault, Json>();

  /** Throws a RangeError on a name that is none of SHADOW_FAULTS. */
  set(name: string, value: Json): void {
    const fault = SHADOW_FAULTS.find((one) => one === name);
    if (fault === undefined)
      throw new RangeError(`a device with a shadow has no fault ${JSON.stringify(name)}; it knows ${SHADOW_FAULTS.join(', ')}`);
    if (value === false || value === null) this.#on.delete(fault);
    else this.#on.set(fault, value);
  }

  on(name: ShadowFault): boolean {
    return this.#on.has(name);
  }

  text(name: ShadowFault, otherwise: string): string {
    const value = this.#on.get(name);
    return typeof value === 'string' ? value : otherwise;
  }

  number(name: ShadowFault, otherwise: number): number {
    const value = this.#on.get(name);
    return typeof value === 'number' ? value : otherwise;
  }
}
