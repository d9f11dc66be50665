import type { ConnectionWatch } from '#ports/sim.ts';

/**
 * Says of each simulated device when it is on, when it is first connected, and each reason once why it is not. A device
 * that never gets in would look healthy otherwise: it tries again for ever, in silence. Messages of WireError hold no secrets.
 */
export class ConnectionLines implements ConnectionWatch {
  readonly #out: (text: string) => void;
  readonly #told = new Set<string>();
  /** What is to be said once the device is on. */
  readonly #held = new Map<string, string[]>();
  readonly #on = new Set<string>();
  readonly #failed = new Map<string, PromiseWithResolvers<void>>();

  constructor(out: (text: string) => void) {
    this.#out = out;
  }

  isOn(device: string, truth: string): void {
    this.#on.add(device);
    this.#out(`${device} is on: ${truth}`);
    for (const line of this.#held.get(device) ?? []) this.#out(line);
    this.#held.delete(device);
  }

  /** Resolves when it has failed for the first time. */
  async firstFailure(device: string): Promise<void> {
    await this.#failure(device).promise;
  }

  connected(device: string): void {
    this.#tell(device, 'connected', `${device} is connected`);
  }

  failed(device: string, { error, isCut }: Parameters<ConnectionWatch['failed']>[1]): void {
    const what = isCut ? 'lost its connection' : 'cannot connect';
    this.#tell(device, error.code, `${device} ${what}: ${error.code}: ${error.message} (it goes on trying)`);
    this.#failure(device).resolve();
  }

  #failure(device: string): PromiseWithResolvers<void> {
    const failure = this.#failed.get(device) ?? Promise.withResolvers<void>();
    this.#failed.set(device, failure);
    return failure;
  }

  #tell(device: string, about: string, line: string): void {
    const key = `${device} ${about}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    if (this.#on.has(device)) this.#out(line);
    else this.#held.set(device, [...(this.#held.get(device) ?? []), line]);
  }
}
