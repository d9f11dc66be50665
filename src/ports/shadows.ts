import type { Instant } from '#model/ids.ts';
import type { JsonObject, ShadowDocument } from '#model/shadow.ts';

/** A shadow of a thing: named, or the classic one (docs/protocols/aws-iot.md §5.1). */
export interface ShadowPlace {
  readonly thing: string;
  /** Null for the classic shadow. */
  readonly shadow: string | null;
}

export interface ShadowUpdate extends ShadowPlace {
  /** Merged into `desired`: the changed keys only, null deletes a key. */
  readonly desired: JsonObject;
  /** The version that the shadow must still have; null writes whatever it has, and a shadow that is not there yet. */
  readonly version: number | null;
}

/** What an accepted update is known by: `at` in the service's clock, to whole seconds where it tells no more, as ms. */
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

/** Shadows of many things at once: which of them must be asked for is found out with as few calls as the wire allows. */
export interface ShadowLook {
  readonly shadow: string | null;
  readonly things: readonly ShadowWanted[];
}

export interface ShadowWanted {
  readonly thing: string;
  /** An operation is open: it is got, whatever an index or the news say. */
  readonly open: boolean;
  /** It was seen by an earlier look, of this process or of another one, so that a look for mismatches may pass it over. */
  readonly known: boolean;
  /** What was last known of it is not as declared: it is got where a look for mismatches does not find it any more. */
  readonly differs: boolean;
  /**
   * Version of the document that was last read of it; null for none. An index that has a lower one lags behind, or the shadow
   * was deleted and made again: it is got.
   */
  readonly version: number | null;
  /** What a thing matches in the index that is as declared; null where the index cannot tell. */
  readonly match: IndexMatch | null;
}

/** Two terms of a query in the index's language (docs/protocols/aws-iot.md §12). */
export interface IndexMatch {
  /** Selects the things that share this declaration, such as `attributes.model:gw AND thingGroupNames:north`; null for all. */
  readonly among: string | null;
  /** `shadow.name.fleet.reported.fw:"1.2.0"` */
  readonly declared: string;
}

export interface ShadowSeen {
  readonly thing: string;
  readonly document: ShadowDocument | 'missing';
  /** `get`: as it is now. `news`: as the service told it. `index`: seconds to minutes old, and may be older than what is known. */
  readonly source: 'get' | 'news' | 'index';
  readonly connected: boolean | null;
  readonly connectedSince: Instant | null;
}

export interface ShadowSight {
  /** Sorted by thing; those of which nothing new is known are left out. */
  readonly seen: readonly ShadowSeen[];
  /** What broke on the way: what is known of the things that are not among the seen stays as it was. */
  readonly troubles: readonly { readonly code: string; readonly message: string }[];
}

/** What a driver is given: the service, and the way to look at many. */
export interface ShadowReader extends Shadows {
  /**
   * Over a wire that tells news: each thing once, then what was told, and each again every few hours. With an index: its
   * pages, or one query for each distinct match, and a get for each open thing. Else a get for each thing. Throws nothing
   * but the signal's reason.
   */
  look(look: ShadowLook, signal: AbortSignal): Promise<ShadowSight>;
}
