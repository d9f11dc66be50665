import { SECOND_MS } from '#kit/duration.ts';
import type { Content } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { Artifacts } from '#ports/artifacts.ts';
import type { Clock } from '#ports/clock.ts';
import type { Log } from '#ports/log.ts';
import { WireError } from '#ports/wire-error.ts';
import type { Image } from './decide.ts';

/** A fetch that failed is tried again by whoever asks after that. */
const AGAIN_AFTER_MS = 30 * SECOND_MS;

interface Held {
  image: Image;
  triedAt: Instant;
}

/**
 * Verified images, one copy each however many devices ask: blocks are cut out of it. Nothing is served before the whole
 * image has the declared SHA-256 (artifacts sees to that).
 */
export class Images {
  readonly #ports: { readonly artifacts: Artifacts; readonly clock: Clock; readonly log: Log };
  readonly #held = new Map<string, Held>();
  readonly #ending = new AbortController();
  #contents: ReadonlyMap<string, Content> = new Map();

  constructor(ports: { readonly artifacts: Artifacts; readonly clock: Clock; readonly log: Log }) {
    this.#ports = ports;
  }

  /** The images that may be asked for from now on: others are let go, and new ones are fetched at once. */
  want(contents: ReadonlyMap<string, Content>): void {
    this.#contents = contents;
    for (const digest of this.#held.keys()) if (!contents.has(digest)) this.#held.delete(digest);
    for (const digest of contents.keys()) this.of(digest);
  }

  of(digest: string): Image {
    const held = this.#held.get(digest);
    const content = this.#contents.get(digest);
    if (content === undefined) return { kind: 'missing', why: 'no revision that is known declares it' };
    const stale = held?.image.kind === 'missing' && this.#ports.clock.now() - held.triedAt >= AGAIN_AFTER_MS;
    if (held !== undefined && !stale) return held.image;
    const loading: Held = { image: { kind: 'loading' }, triedAt: this.#ports.clock.now() };
    this.#held.set(digest, loading);
    void this.#load(content, loading);
    return loading.image;
  }

  get count(): number {
    return [...this.#held.values()].filter(({ image }) => image.kind === 'ready').length;
  }

  get bytes(): number {
    return [...this.#held.values()].reduce((sum, { image }) => sum + (image.kind === 'ready' ? image.bytes.length : 0), 0);
  }

  close(): void {
    this.#ending.abort(new WireError('CLOSED', 'never', 'the responder was closed'));
    this.#held.clear();
    this.#contents = new Map();
  }

  async #load(content: Content, held: Held): Promise<void> {
    try {
      const found = await this.#ports.artifacts.bytes(content, this.#ending.signal);
      held.image = found.ok
        ? { kind: 'ready', bytes: found.value, checksum: Uint8Array.from(Buffer.from(content.digest, 'hex')) }
        : { kind: 'missing', why: found.error.message };
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      held.image = { kind: 'missing', why: error.message };
    }
    if (held.image.kind === 'missing') this.#ports.log.warn('image not available', { name: content.name, why: held.image.why });
  }
}
