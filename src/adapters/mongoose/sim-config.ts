import type { Json } from '#kit/canonical.ts';
import { isJsonObject, mergePatches, type JsonObject } from '#model/shadow.ts';

/** The config of a board: what `Config.Set` changes is lost at the next start unless it is saved. */
export class SimConfig {
  #saved: JsonObject;
  #live: JsonObject;

  constructor(config: JsonObject) {
    this.#saved = config;
    this.#live = config;
  }

  /** `update.timeout`; the whole where nothing is named, undefined where there is no such value. */
  at(key: string): Json | undefined {
    if (key === '') return this.#live;
    let value: Json | undefined = this.#live;
    for (const name of key.split('.')) {
      if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined;
      value = value[name];
    }
    return value;
  }

  number(key: string, otherwise: number): number {
    const value = this.at(key);
    return typeof value === 'number' ? value : otherwise;
  }

  isOn(key: string): boolean {
    return this.at(key) === true;
  }

  /** False where it names a value that the board does not have. */
  set(change: JsonObject): boolean {
    if (!isWithin(this.#live, change)) return false;
    this.#live = mergePatches(this.#live, change);
    return true;
  }

  save(): void {
    this.#saved = this.#live;
  }

  /** At each start. */
  load(): void {
    this.#live = this.#saved;
  }
}

function isWithin(known: JsonObject, change: JsonObject): boolean {
  return Object.entries(change).every(([name, value]) => {
    if (!Object.hasOwn(known, name)) return false;
    const there = known[name];
    return isJsonObject(there) ? isJsonObject(value) && isWithin(there, value) : typeof there === typeof value;
  });
}
