import { SECOND_MS } from '#kit/duration.ts';
import type { NodeFlash } from './sim-flash.ts';
import type { Command } from './wire-commands.ts';
import type { Status } from './wire.ts';

/**
 * reference: the published updater with everything that it does not check (docs/protocols/drogue-dfu.md §4, §9.7).
 * strict: takes only what answers its last status.
 */
export type Profile = 'reference' | 'strict';

export interface UpdaterOptions {
  readonly profile: Profile;
  readonly mtu: number | null;
  readonly correlationId: number | null;
  /** The pause after a block and after a timeout; whole seconds count (§4.5). */
  readonly backoffMs: number;
}

/** What the updater does after a command. `ignored`: nothing, it waits on. */
export type Step =
  | { readonly kind: 'again'; readonly pauseMs: number }
  | { readonly kind: 'synced'; readonly pauseMs: number }
  | { readonly kind: 'swap'; readonly version: string; readonly checksum: Uint8Array }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'ignored' };

/** One run of the updater: asks the flash once, then goes by its own copy of version and offset. */
export class Updater {
  readonly #flash: NodeFlash;
  readonly #options: UpdaterOptions;
  readonly #version: string;
  #next: string | null;
  #offset: number;
  /** What the last command made of the flash, for the effects that a test counts. */
  began: string | null = null;

  constructor(flash: NodeFlash, options: UpdaterOptions) {
    this.#flash = flash;
    this.#options = options;
    this.#version = flash.running.version;
    const held = flash.progress();
    this.#next = held?.version ?? null;
    this.#offset = held?.offset ?? 0;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Of whole seconds: 999 ms are none. */
  get backoffMs(): number {
    return wholeSeconds(this.#options.backoffMs);
  }

  status(): Status {
    const { mtu, correlationId } = this.#options;
    const update = this.#next === null ? null : { version: this.#next, offset: this.#offset };
    return { version: this.#version, mtu, correlationId, update };
  }

  take(command: Command): Step {
    this.began = null;
    const strict = this.#options.profile === 'strict';
    if (strict && command.correlationId !== this.#options.correlationId) return { kind: 'ignored' };
    switch (command.kind) {
      case 'Wait':
        return { kind: 'again', pauseMs: pollMs(command.poll) ?? this.backoffMs };
      case 'Sync':
        if (strict && command.version !== this.#version) return { kind: 'ignored' };
        return { kind: 'synced', pauseMs: pollMs(command.poll) ?? this.backoffMs };
      case 'Write':
        return strict ? this.#writeStrictly(command) : this.#write(command);
      case 'Swap':
        if (strict && command.version !== this.#next) return { kind: 'ignored' };
        return { kind: 'swap', version: command.version, checksum: command.checksum };
    }
  }

  #write({ version, offset, data }: Extract<Command, { kind: 'Write' }>): Step {
    if (offset === 0) this.#start(version);
    if (!this.#flash.write(version, offset, data)) return { kind: 'failed', why: `block at ${offset} refused` };
    // By the length of the block, wherever it lay.
    this.#offset += data.length;
    this.#next = version;
    return { kind: 'again', pauseMs: this.backoffMs };
  }

  #writeStrictly({ version, offset, data }: Extract<Command, { kind: 'Write' }>): Step {
    const follows = version === this.#next ? offset === this.#offset : offset === 0;
    if (!follows || data.length === 0 || data.length > (this.#options.mtu ?? Number.POSITIVE_INFINITY)) return { kind: 'ignored' };
    if (offset === 0) this.#start(version);
    if (!this.#flash.write(version, offset, data)) return { kind: 'failed', why: `block at ${offset} refused` };
    this.#offset = offset + data.length;
    this.#next = version;
    return { kind: 'again', pauseMs: this.backoffMs };
  }

  #start(version: string): void {
    this.#flash.start(version);
    this.began = version;
  }
}

function pollMs(poll: number | null): number | null {
  return poll === null || poll === 0 ? null : poll * SECOND_MS;
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / SECOND_MS) * SECOND_MS;
}
