import type { Json } from '#kit/canonical.ts';
import type { Instant } from '#model/ids.ts';

/** A shadow of a thing: named, or the classic one (docs/protocols/aws-iot.md §5.1). */
export interface ShadowPlace {
  readonly thing: string;
  /** Null for the classic shadow. */
  readonly shadow: string | null;
}

export type JsonObject = { readonly [key: string]: Json | undefined };

/** One section of a shadow: what it holds, and when each leaf was last named. Empty where the service has no such section. */
export interface ShadowSection {
  readonly state: JsonObject;
  /**
   * The shape of `state` with `{ timestamp: SECONDS }` in the place of each leaf (docs/protocols/aws-iot.md §5.5). Whether
   * a node is a leaf is told by `state` alone: a member may itself be called `timestamp`. Empty where it is not known.
   */
  readonly times: JsonObject;
}

/** What a service keeps of one shadow. Everything in it was written by others: nothing of it is to be trusted. */
export interface ShadowDocument {
  /** Grows with each accepted update; what is lower than one that was seen is older (§5.6). Null where an index has none. */
  readonly version: number | null;
  readonly desired: ShadowSection;
  readonly reported: ShadowSection;
  /** When the service gave this answer, in its own clock and whole seconds, as ms; null where it does not say. */
  readonly at: Instant | null;
}

export interface ShadowUpdate extends ShadowPlace {
  /** Merged into `desired`: the changed keys only, null deletes a key. */
  readonly desired: JsonObject;
  /** The version that the shadow must still have; null writes whatever it has, and a shadow that is not there yet. */
  readonly version: number | null;
}

/** What an accepted update is known by: `at` in the service's clock, whole seconds, as ms. */
export interface ShadowWritten {
  readonly version: number;
  readonly at: Instant;
}

export interface ShadowQuery {
  /** In the query language of fleet indexing, version 2017-09-30 (§12): at most 1000 bytes and 12 terms. */
  readonly query: string;
  /** Which shadow of each thing is wanted. */
  readonly shadow: string | null;
  /** The `next` of the page before. */
  readonly next: string | null;
}

/** What the index has of one thing: seconds to minutes old, so it finds candidates and proves nothing. */
export interface FoundShadow {
  readonly thing: string;
  /** Null where the thing has no such shadow, or it is not indexed. */
  readonly document: ShadowDocument | null;
  /** Whether a client of this name is connected; null where the index does not keep it. */
  readonly connected: boolean | null;
  /** When that became so, in ms of the service's clock; null where it does not say. */
  readonly connectedSince: Instant | null;
}

export interface FoundPage {
  /** At most 100, in no order. */
  readonly found: readonly FoundShadow[];
  readonly next: string | null;
}

/** An accepted update as the service tells it on `update/documents`. */
export interface ShadowNews extends ShadowPlace {
  readonly document: ShadowDocument;
}

/**
 * A shadow service: AWS IoT over HTTP, or the same documents over a broker. All calls throw WireError: `SHADOW_400`,
 * `SHADOW_401`, `SHADOW_403`, `SHADOW_413` (never), `SHADOW_429`, `SHADOW_500`, `SHADOW_503` and `TIMEOUT` (later), or
 * what the network says. Every call waits for the quota of its operation; one call is one request.
 */
export interface Shadows {
  get(place: ShadowPlace, signal?: AbortSignal): Promise<ShadowDocument | 'missing'>;
  /** `conflict`: somebody wrote in between, and nothing was changed. Sent once: after TIMEOUT it may have been done. */
  update(update: ShadowUpdate, signal?: AbortSignal): Promise<ShadowWritten | 'conflict'>;
  /** One page of an index of all things. Left out where there is none. Throws `INDEX_OFF` (never) where it is not switched on. */
  search?(query: ShadowQuery, signal?: AbortSignal): Promise<FoundPage>;
  /**
   * Tells every accepted update of shadows of these names from now on; `lost` when some may have been missed, and all must
   * be read again. Resolves when the service listens; returns the way to stop. Left out where the wire tells nothing by itself.
   */
  watch?(shadows: readonly (string | null)[], listener: ShadowListener): Promise<() => void>;
  close(): Promise<void>;
}

export interface ShadowListener {
  news(news: ShadowNews): void;
  lost(): void;
}
