import type { Json } from './canonical.ts';

/** Values that are set by name, of a closed list of names: what a simulated device does wrong. */
export class Switches<Name extends string> {
  readonly #who: string;
  readonly #names: readonly Name[];
  readonly #on = new Map<Name, Json>();

  /** `who` stands in the error on a name that is none: `a node`. */
  constructor(who: string, names: readonly Name[]) {
    this.#who = who;
    this.#names = names;
  }

  /** False and null switch it off. Throws a RangeError on a name that is none of the list. */
  set(name: string, value: Json): Name {
    const fault = this.#names.find((one) => one === name);
    if (fault === undefined)
      throw new RangeError(`${this.#who} has no fault ${JSON.stringify(name)}; it knows ${this.#names.toSorted().join(', ')}`);
    if (value === false || value === null) this.#on.delete(fault);
    else this.#on.set(fault, value);
    return fault;
  }

  off(name: Name): void {
    this.#on.delete(name);
  }

  on(name: Name): boolean {
    return this.#on.has(name);
  }

  /** What it was switched on with; undefined when it is off. */
  value(name: Name): Json | undefined {
    return this.#on.get(name);
  }

  /** The parameter where a text was given, `otherwise` where it was only switched on. */
  text(name: Name, otherwise: string): string {
    const value = this.value(name);
    return typeof value === 'string' ? value : otherwise;
  }

  /** The parameter where a number was given, `otherwise` where it was only switched on. */
  number(name: Name, otherwise: number): number {
    const value = this.value(name);
    return typeof value === 'number' ? value : otherwise;
  }
}
