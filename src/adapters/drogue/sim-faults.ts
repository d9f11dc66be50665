import type { Json } from '#kit/canonical.ts';

/** Misbehaviours of a simulated node: readme.md says what each does, and which section of the protocol page stands behind it. */
export const DROGUE_FAULTS = [
  'bootBack',
  'brick',
  'corruptFlash',
  'cutEachBlock',
  'delayDown',
  'documented',
  'duplicateDown',
  'duplicateUp',
  'failSwap',
  'garbage',
  'ignorePoll',
  'loseDown',
  'loseUp',
  'mtu',
  'oldGeneration',
  'replay',
  'silentAfterSwap',
  'slowLink',
  'unhealthy',
  'wrongCorrelation',
  'wrongVersion',
] as const;

export type DrogueFault = (typeof DROGUE_FAULTS)[number];

/** Of a probability that is only switched on. */
const USUAL_CHANCE = 0.01;

export class FaultSwitches {
  readonly #on = new Map<DrogueFault, Json>();

  /** Throws a RangeError on a name that is none of DROGUE_FAULTS. */
  set(name: string, value: Json): DrogueFault {
    const fault = DROGUE_FAULTS.find((one) => one === name);
    if (fault === undefined) throw new RangeError(`a node has no fault ${JSON.stringify(name)}; it knows ${DROGUE_FAULTS.join(', ')}`);
    if (value === false || value === null) this.#on.delete(fault);
    else this.#on.set(fault, value);
    return fault;
  }

  on(name: DrogueFault): boolean {
    return this.#on.has(name);
  }

  text(name: DrogueFault, otherwise: string): string {
    const value = this.#on.get(name);
    return typeof value === 'string' ? value : otherwise;
  }

  number(name: DrogueFault, otherwise: number): number {
    const value = this.#on.get(name);
    return typeof value === 'number' ? value : otherwise;
  }

  /** Of a fault that happens now and then: its value, 1 % when it is only switched on, 0 when it is off. */
  chance(name: DrogueFault): number {
    return this.on(name) ? this.number(name, USUAL_CHANCE) : 0;
  }
}
