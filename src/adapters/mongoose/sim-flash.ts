/** One firmware in a slot: what it says of itself. */
export interface SimImage {
  readonly version: string;
  readonly buildId: string;
}

type Slot = 0 | 1;

/** What `OTA.GetBootState` answers (docs/protocols/shadow-devices.md §4.3). */
export interface BootState {
  readonly active_slot: number;
  readonly is_committed: boolean;
  readonly revert_slot: number;
  /** Seconds; 0 while it is committed. */
  readonly commit_timeout: number;
}

/**
 * What a board keeps without power: two slots, which of them starts, and the URL that it last took (§3.4). The firmware of
 * the microcontroller behind it lies beside that.
 */
export class SimFlash {
  readonly #slots: (SimImage | null)[];
  #active: Slot = 0;
  #revert: Slot = 0;
  #isCommitted = true;
  #commitTimeout = 0;
  /** An uncommitted firmware starts once; any further start is that of the old one. */
  #started = false;
  url: string | null = null;
  host: SimImage | null;

  constructor(running: SimImage, host: SimImage | null) {
    this.#slots = [running, null];
    this.host = host;
  }

  get running(): SimImage {
    const image = this.#slots[this.#active];
    if (image === null || image === undefined) throw new Error('the active slot is empty');
    return image;
  }

  get isCommitted(): boolean {
    return this.#isCommitted;
  }

  get slot(): number {
    return this.#active;
  }

  /** Seconds of the running trial; 0 while it is committed. */
  get commitTimeout(): number {
    return this.#isCommitted ? 0 : this.#commitTimeout;
  }

  /** What goes back where the trial fails. */
  get reverted(): SimImage | null {
    return this.#slots[this.#revert] ?? null;
  }

  state(): BootState {
    return {
      active_slot: this.#active,
      is_committed: this.#isCommitted,
      revert_slot: this.#revert,
      commit_timeout: this.commitTimeout,
    };
  }

  /** Into the other slot, which the next start takes. */
  install(image: SimImage, commitTimeout: number): void {
    const other = otherOf(this.#active);
    this.#slots[other] = image;
    this.#revert = this.#active;
    this.#active = other;
    this.#isCommitted = false;
    this.#commitTimeout = commitTimeout;
    this.#started = false;
  }

  /** At each start: whether this is a committed firmware, the first start of a trial, or the way back out of one. */
  start(): 'committed' | 'trial' | 'reverted' {
    if (this.#isCommitted) return 'committed';
    if (!this.#started) {
      this.#started = true;
      return 'trial';
    }
    this.revert();
    return 'reverted';
  }

  /** False when there is nothing to commit. */
  commit(): boolean {
    if (this.#isCommitted) return false;
    this.#isCommitted = true;
    this.#revert = this.#active;
    this.#commitTimeout = 0;
    return true;
  }

  /** The next start is that of the old one. False when it is committed: there is no way back then (§3.4, rule 3). */
  revert(): boolean {
    if (this.#isCommitted) return false;
    this.#active = this.#revert;
    this.#isCommitted = true;
    this.#commitTimeout = 0;
    return true;
  }

  /** Copies what runs into the other slot; null while it is uncommitted. With `revertTo` it is what a trial goes back to. */
  snapshot(revertTo: { readonly commitTimeout: number } | null): number | null {
    if (!this.#isCommitted) return null;
    const other = otherOf(this.#active);
    this.#slots[other] = this.running;
    if (revertTo !== null) {
      this.#revert = other;
      this.#isCommitted = false;
      this.#commitTimeout = revertTo.commitTimeout;
      this.#started = true;
    }
    return other;
  }

  /** `OTA.SetBootState`: false for a slot that is none, or empty. */
  set({ active_slot, is_committed, revert_slot, commit_timeout }: Partial<BootState>): boolean {
    const active = active_slot ?? this.#active;
    const revert = revert_slot ?? this.#revert;
    if (!isSlot(active) || !isSlot(revert) || this.#slots[active] === null || this.#slots[revert] === null) return false;
    this.#active = active;
    this.#revert = revert;
    this.#isCommitted = is_committed ?? this.#isCommitted;
    this.#commitTimeout = commit_timeout ?? this.#commitTimeout;
    this.#started = false;
    return true;
  }
}

function otherOf(slot: Slot): Slot {
  return slot === 0 ? 1 : 0;
}

function isSlot(value: number): value is Slot {
  return value === 0 || value === 1;
}
