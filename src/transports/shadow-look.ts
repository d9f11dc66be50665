import { unlessAborted } from '#kit/aborted.ts';
import { compareText } from '#kit/diagnostics.ts';
import { HOUR_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { ShadowDocument } from '#model/shadow.ts';
import type { Clock } from '#ports/clock.ts';
import type { Log } from '#ports/log.ts';
import type { FoundShadow, ShadowLook, ShadowNews, ShadowReader, Shadows, ShadowSeen, ShadowSight, ShadowWanted } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';

const PARALLEL_GETS = 32;
/** News may be lost where nobody notices: each shadow is read again after so long. */
const SWEEP_MS = 6 * HOUR_MS;
/** Beyond this an index is not worth asking: it holds more things than any account of ours. */
const MAX_PAGES = 20_000;
/** Up to so many things that were never seen are got one by one, so that they do not make every look a listing. */
const MOST_UNKNOWN = 100;

export interface ShadowLookOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly connection: string;
  /** How an index is used, where the service has one. */
  readonly index: 'off' | 'all' | 'mismatches';
  readonly indexQuery: string | null;
}

/** A shadow service with a way to look at many: see ShadowReader.look. */
export function withLook(shadows: Shadows, options: ShadowLookOptions): ShadowReader {
  const looker = new Looker(shadows, options);
  return {
    ...shadows,
    get: (...request) => shadows.get(...request),
    update: (...request) => shadows.update(...request),
    look: (look, signal) => looker.look(look, signal),
    close: () => {
      looker.close();
      return shadows.close();
    },
  };
}

/** A thing that is listened to. */
interface Known {
  /** Null as long as it was not read. */
  readAt: Instant | null;
  /** Of the newest document that was handed on; null for none. */
  version: number | null;
  news: ShadowNews | null;
}

/** What one look gathers. */
interface Sight {
  readonly seen: Map<string, ShadowSeen>;
  readonly troubles: { readonly code: string; readonly message: string }[];
}

class Looker {
  readonly #shadows: Shadows;
  readonly #options: ShadowLookOptions;
  /** By shadow: the things that were read since the service tells news of them. */
  readonly #watched = new Map<string | null, Map<string, Known>>();
  readonly #stops: (() => void)[] = [];
  #indexIsOff = false;

  constructor(shadows: Shadows, options: ShadowLookOptions) {
    this.#shadows = shadows;
    this.#options = options;
  }

  async look(look: ShadowLook, signal: AbortSignal): Promise<ShadowSight> {
    const sight: Sight = { seen: new Map(), troubles: [] };
    try {
      if (this.#shadows.watch !== undefined) await this.#followNews(look, sight, signal);
      else if (this.#shadows.search !== undefined && this.#options.index !== 'off') await this.#askIndex(look, sight, signal);
      else await this.#getEach(look.shadow, { things: look.things.map(({ thing }) => thing), sight }, signal);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      sight.troubles.push({ code: error.code, message: error.message });
    }
    return { seen: [...sight.seen.values()].toSorted((a, b) => compareText(a.thing, b.thing)), troubles: sight.troubles };
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /** Listens before it reads, so that nothing falls in between. */
  async #followNews(look: ShadowLook, sight: Sight, signal: AbortSignal): Promise<void> {
    const { shadow, things } = look;
    const known = this.#watched.get(shadow) ?? (await unlessAborted(this.#watch(shadow), signal));
    const now = this.#options.clock.now();
    const due = things.filter(({ thing, open, version }) => {
      const entry = known.get(thing);
      const isRead = entry?.readAt != null && now - entry.readAt < SWEEP_MS;
      // What was handed on and is not known was lost on the way: a pass that failed.
      return open || !isRead || (version ?? -1) < (entry.version ?? -1);
    });
    for (const { thing } of things) {
      const entry = known.get(thing);
      if (entry?.news == null || entry.readAt === null) continue;
      sight.seen.set(thing, { thing, document: entry.news.document, source: 'news', connected: null, connectedSince: null });
      entry.version = entry.news.document.version;
      entry.news = null;
    }
    // What is told from here on may be newer than the answer.
    for (const { thing } of due) if (!known.has(thing)) known.set(thing, { readAt: null, version: null, news: null });
    const got = (thing: string, document: ShadowDocument | 'missing'): void => {
      const entry = known.get(thing);
      if (entry === undefined) return;
      entry.readAt = now;
      entry.version = document === 'missing' ? null : document.version;
      if ((entry.news?.document.version ?? -1) <= (entry.version ?? -1)) entry.news = null;
    };
    await this.#getEach(shadow, { things: due.map(({ thing }) => thing), sight, got }, signal);
  }

  async #watch(shadow: string | null): Promise<Map<string, Known>> {
    const known = new Map<string, Known>();
    const stop = await this.#shadows.watch?.([shadow], {
      news: (news) => {
        const entry = known.get(news.thing);
        // What was never asked for is read whole: the first news must not stand for it.
        if (entry !== undefined && (entry.news?.document.version ?? -1) < (news.document.version ?? -1)) entry.news = news;
      },
      lost: () => known.clear(),
    });
    if (stop !== undefined) this.#stops.push(stop);
    this.#watched.set(shadow, known);
    return known;
  }

  async #askIndex(look: ShadowLook, sight: Sight, signal: AbortSignal): Promise<void> {
    const { shadow, things } = look;
    const wanted = new Map(things.map((one) => [one.thing, one]));
    const strangers = things.filter(({ known }) => !known);
    const byMatch = this.#options.index === 'mismatches' && strangers.length <= MOST_UNKNOWN && things.every(({ match }) => match !== null);
    const queries = byMatch ? mismatchQueries(things) : ['*'];
    try {
      for (const query of queries) await this.#page({ query: this.#narrowed(query), shadow, wanted, sight }, signal);
    } catch (error) {
      if (!(error instanceof WireError) || !NO_INDEX.has(error.code)) throw error;
      const { log, connection } = this.#options;
      if (!this.#indexIsOff) log.warn('fleet indexing cannot be used: each shadow is read by itself', { connection, code: error.code });
      this.#indexIsOff = true;
      await this.#getEach(shadow, { things: things.map(({ thing }) => thing), sight }, signal);
      return;
    }
    // The index lags behind, and knows registered things alone. What it calls no mismatch any more has changed by itself.
    const missed = things.filter(({ thing, known, differs }) => !sight.seen.has(thing) && (!byMatch || !known || differs));
    // It may not hold shadows of this name, and that it has none proves nothing.
    const blank = things.filter(({ thing }) => isBlank(sight.seen.get(thing)));
    const older = things.filter(({ thing, version }) => isOlder(sight.seen.get(thing), version));
    const due = new Set([...missed, ...blank, ...older, ...things.filter(({ open }) => open)].map(({ thing }) => thing));
    await this.#getEach(shadow, { things: [...due].toSorted(compareText), sight }, signal);
  }

  #narrowed(query: string): string {
    const { indexQuery } = this.#options;
    if (indexQuery === null) return query;
    return query === '*' ? indexQuery : `(${indexQuery}) AND ${query}`;
  }

  async #page(
    request: {
      readonly query: string;
      readonly shadow: string | null;
      readonly wanted: ReadonlyMap<string, ShadowWanted>;
      readonly sight: Sight;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const { query, shadow, wanted, sight } = request;
    let next: string | null = null;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const answer: Awaited<ReturnType<NonNullable<Shadows['search']>>> | undefined = await this.#shadows.search?.(
        { query, shadow, next },
        signal,
      );
      for (const found of answer?.found ?? []) if (wanted.has(found.thing)) sight.seen.set(found.thing, seenIn(found));
      next = answer?.next ?? null;
      if (next === null) return;
    }
  }

  async #getEach(
    shadow: string | null,
    request: { readonly things: readonly string[]; readonly sight: Sight; got?(thing: string, document: ShadowDocument | 'missing'): void },
    signal: AbortSignal,
  ): Promise<void> {
    const { things, sight, got } = request;
    const waiting = [...things];
    const broken = { error: null as WireError | null };
    const worker = async (): Promise<void> => {
      for (let thing = waiting.shift(); thing !== undefined && broken.error === null; thing = waiting.shift()) {
        try {
          const document = await this.#shadows.get({ thing, shadow }, signal);
          const { connected = null, connectedSince = null } = sight.seen.get(thing) ?? {};
          sight.seen.set(thing, { thing, document, source: 'get', connected, connectedSince });
          got?.(thing, document);
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          // What the service says of one thing concerns that thing; a dead wire concerns all.
          if (ONE_THING.has(error.code) && !signal.aborted) sight.troubles.push({ code: error.code, message: error.message });
          else broken.error = error;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL_GETS, things.length) }, worker));
    if (broken.error !== null) sight.troubles.push({ code: broken.error.code, message: broken.error.message });
    sight.troubles.sort((a, b) => compareText(a.message, b.message));
  }
}

function isBlank(seen: ShadowSeen | undefined): boolean {
  return seen !== undefined && (seen.document === 'missing' || seen.document.version === null);
}

/** Whether it is older than what is known, or of a shadow that begins anew. */
function isOlder(seen: ShadowSeen | undefined, version: number | null): boolean {
  if (seen === undefined || seen.document === 'missing' || version === null) return false;
  return seen.document.version !== null && seen.document.version < version;
}

/** Codes of an index that is not there, is being built, or does not know what is asked. */
const NO_INDEX: ReadonlySet<string> = new Set(['INDEX_OFF', 'INDEX_NOT_READY', 'INDEX_QUERY']);

const ONE_THING: ReadonlySet<string> = new Set(['SHADOW_400', 'SHADOW_403', 'SHADOW_404', 'SHADOW_UNREADABLE']);

function seenIn({ thing, document, connected, connectedSince }: FoundShadow): ShadowSeen {
  return { thing, document: document ?? 'missing', source: 'index', connected, connectedSince };
}

/** One query for each distinct match, sorted. */
function mismatchQueries(things: readonly ShadowWanted[]): readonly string[] {
  const queries = new Set(
    things.flatMap(({ match }) => {
      if (match === null) return [];
      return [match.among === null ? `NOT (${match.declared})` : `(${match.among}) AND NOT (${match.declared})`];
    }),
  );
  return [...queries].toSorted(compareText);
}
