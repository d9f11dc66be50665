import { createHash, type Hash } from 'node:crypto';
import { sha256 } from '#kit/digest.ts';

/**
 * What lies under the updater of a simulated node: the slot that is written and the images that can run
 * (docs/protocols/drogue-dfu.md §4, §5.1).
 */

/**
 * simulator: takes every block where it says. embassy: refuses a block at another offset, pads the last one to its write
 * size, and keeps a stale offset when an image begins. strict: refuses what does not follow, begins anew at offset 0, and
 * compares the checksum before it swaps.
 */
export type FlashDriver = 'simulator' | 'embassy' | 'strict';

/** none: forgotten when the updater ends its run. ram: when the power goes. persisted: never. */
export type Progress = 'none' | 'ram' | 'persisted';

export interface FlashOptions {
  readonly version: string;
  readonly driver: FlashDriver;
  readonly progress: Progress;
  readonly writeSize: number;
}

export interface RunningImage {
  readonly version: string;
  /** SHA-256 in lower-case hex; null for what the node was made with. */
  readonly digest: string | null;
  /** Its bytes are not those that the Swap named. */
  readonly damaged: boolean;
}

export class NodeFlash {
  readonly #options: FlashOptions;
  #slot: Slot;
  #next: string | null = null;
  #offset = 0;
  #running: RunningImage;
  #before: RunningImage | null = null;

  constructor(options: FlashOptions) {
    this.#options = options;
    this.#slot = slotFor(options.driver);
    this.#running = { version: options.version, digest: null, damaged: false };
  }

  get running(): RunningImage {
    return this.#running;
  }

  /** The new image runs and was not marked good. */
  get onTrial(): boolean {
    return this.#before !== null;
  }

  /** What the updater asks once when its run begins. */
  progress(): { readonly version: string; readonly offset: number } | null {
    if (this.#options.progress === 'none') this.#forget();
    return this.#next === null ? null : { version: this.#next, offset: this.#offset };
  }

  start(version: string): void {
    this.#next = version;
    if (this.#options.driver === 'embassy') return;
    this.#offset = 0;
    this.#slot = slotFor(this.#options.driver);
  }

  /** False for a block that the driver refuses. */
  write(version: string, offset: number, data: Uint8Array): boolean {
    const { driver, writeSize } = this.#options;
    if (driver !== 'simulator' && offset !== this.#offset) return false;
    if (driver === 'strict' && version !== this.#next) return false;
    this.#slot.write(offset, data);
    this.#next = version;
    const padded = driver === 'embassy' ? Math.ceil(data.length / writeSize) * writeSize : data.length;
    this.#offset = offset + padded;
    return true;
  }

  /** Null where the checksum is compared and does not fit: what was written is thrown away. */
  swap(version: string, checksum: Uint8Array): RunningImage | null {
    const digest = this.#slot.digest();
    const damaged = checksum.length > 0 && Buffer.from(checksum).toString('hex') !== digest;
    this.#forget();
    return damaged && this.#options.driver === 'strict' ? null : { version, digest, damaged };
  }

  boot(image: RunningImage): void {
    this.#before = this.#running;
    this.#running = image;
  }

  markGood(): void {
    this.#before = null;
  }

  /** A reset, or the power came back. True where an image on trial was put away. */
  reset(): boolean {
    if (this.#options.progress !== 'persisted') this.#forget();
    if (this.#before === null) return false;
    this.#running = this.#before;
    this.#before = null;
    return true;
  }

  #forget(): void {
    this.#next = null;
    this.#offset = 0;
    this.#slot = slotFor(this.#options.driver);
  }
}

interface Slot {
  write(offset: number, data: Uint8Array): void;
  digest(): string;
}

function slotFor(driver: FlashDriver): Slot {
  return driver === 'strict' ? new HashedSlot() : new ByteSlot();
}

/** Written without a gap, so that hundreds of nodes need not hold their images. */
class HashedSlot implements Slot {
  readonly #hash: Hash = createHash('sha256');

  write(_offset: number, data: Uint8Array): void {
    this.#hash.update(data);
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}

const ERASED = 0xff;

/** With every gap that was left in it. */
class ByteSlot implements Slot {
  #bytes = new Uint8Array(0);
  #end = 0;

  write(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, end)).fill(ERASED);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(data, offset);
    this.#end = Math.max(this.#end, end);
  }

  digest(): string {
    return sha256(this.#bytes.subarray(0, this.#end));
  }
}
