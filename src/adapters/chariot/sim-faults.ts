import type { Json } from '#kit/canonical.ts';

/** Misbehaviours of a simulated gateway: readme.md says what each does, and which failure mode of §2.12 stands behind it. */
export const CHARIOT_FAULTS = [
  'brick',
  'clamp',
  'echo',
  'garbage',
  'installFails',
  'livelock',
  'loseDelta',
  'mute',
  'notifyFails',
  'outkeys',
  'reject',
  'rollBack',
  'slow',
  'unknownService',
  'wedge',
  'wrongSerial',
  'wrongVersion',
] as const;

export type ChariotFault = (typeof CHARIOT_FAULTS)[number];

export class FaultSwitches {
  readonly #on = new Map<ChariotFault, Json>();

  /** Throws a RangeError on a name that is none of CHARIOT_FAULTS. */
  set(name: string, value: Json): ChariotFault {
    const fault = CHARIOT_FAULTS.find((one) => one === name);
    if (fault === undefined) throw new RangeError(`a gateway has no fault ${JSON.stringify(name)}; it knows ${CHARIOT_FAULTS.join(', ')}`);
    if (value === false || value === null) this.#on.delete(fault);
    else this.#on.set(fault, value);
    return fault;
  }

  on(name: ChariotFault): boolean {
    return this.#on.has(name);
  }

  /** Of a fault that is about one service; about all where it is only switched on. */
  about(name: ChariotFault, key: string): boolean {
    const value = this.#on.get(name);
    return value === true || value === key;
  }

  text(name: ChariotFault, otherwise: string): string {
    const value = this.#on.get(name);
    return typeof value === 'string' ? value : otherwise;
  }

  number(name: ChariotFault, otherwise: number): number {
    const value = this.#on.get(name);
    return typeof value === 'number' ? value : otherwise;
  }

  off(name: ChariotFault): void {
    this.#on.delete(name);
  }
}
