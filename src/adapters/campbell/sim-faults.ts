import type { Json } from '#kit/canonical.ts';

/** Switches of the simulated logger: readme.md says what each does and which fact or unknown stands behind it. */
export const FAULTS = [
  'ackWithoutFlash',
  'asleep',
  'batteryLow',
  'bootBack',
  'brickAfter',
  'brickOnOs',
  'clientIDSpelling',
  'compileError',
  'downloadFails',
  'duplicateReports',
  'failedNameReported',
  'garbage',
  'lostReply',
  'noProgramReply',
  'osCheckFails',
  'outOfOrder',
  'prettyJson',
  'replayRetained',
  'retainState',
  'silentStatus',
  'slowDownload',
  'staleState',
  'trailingSlash',
  'watchdogAfterUpdate',
  'wrongModelVersion',
  'wrongSerial',
] as const;

export type FaultName = (typeof FAULTS)[number];

export class FaultSwitches {
  readonly #values = new Map<FaultName, Json>();

  /** Throws a RangeError on a name that is none of FAULTS. */
  set(name: string, value: Json): FaultName {
    const known = FAULTS.find((one) => one === name);
    if (known === undefined)
      throw new RangeError(`a simulated Campbell logger has no fault ${JSON.stringify(name)}; it has ${FAULTS.join(', ')}`);
    if (value === false || value === null) this.#values.delete(known);
    else this.#values.set(known, value);
    return known;
  }

  on(name: FaultName): boolean {
    return this.#values.has(name);
  }

  /** The parameter where one was given, `otherwise` where it was only switched on. */
  number(name: FaultName, otherwise: number): number {
    const value = this.#values.get(name);
    return typeof value === 'number' ? value : otherwise;
  }

  text(name: FaultName, otherwise: string): string {
    const value = this.#values.get(name);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : otherwise;
  }

  member(name: FaultName, member: string, otherwise: number): number {
    const value = this.#values.get(name);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return otherwise;
    const found = (value as Readonly<Record<string, Json | undefined>>)[member];
    return typeof found === 'number' ? found : otherwise;
  }
}
