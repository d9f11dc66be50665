import { createHash } from 'node:crypto';
import { SECOND_MS } from '#kit/duration.ts';
import { AWS_IOT } from '#model/aws-quotas.ts';
import { isJsonObject, readShadowDocument, type JsonObject, type ShadowDocument } from '#model/shadow.ts';
import type { Clock } from '#ports/clock.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import type { ShadowListener, ShadowPlace, Shadows, ShadowUpdate, ShadowWritten } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import { shadowError } from './aws-iot-errors.ts';
import { readWritten } from './aws-iot.ts';
import { Limit } from './limit.ts';
import { TokenBuckets } from './token-bucket.ts';

/** Requests of one connection that may wait for their answers at once (docs/protocols/aws-iot.md §5.8). */
const IN_FLIGHT = 10;
const ANSWER_LIMIT_MS = 10 * SECOND_MS;
/** A document, its metadata and the one before it: 30 KB at the most, twice, with their times (§5.8). */
const MAX_MESSAGE_BYTES = 256 * 1024;

type Verb = 'get' | 'update';

interface Waiting {
  readonly place: ShadowPlace;
  answered(answer: JsonObject): void;
  refused(refusal: JsonObject): void;
}

export interface ShadowsOverBusOptions {
  /** Measures quotas and the wait for an answer. */
  readonly clock: Clock;
}

/**
 * Shadows over MQTT, of AWS IoT or of a plain broker with the same documents: docs/protocols/aws-iot.md §5.1, §5.2. Answers
 * are told apart by client tokens of this process. The bus stays the caller's: closing ends only the listening.
 */
export function openShadowsOverBus(bus: MessageBus, options: ShadowsOverBusOptions): Shadows {
  const over = new ShadowsOverBus(bus, options);
  return {
    get: (place, signal) => over.get(place, signal),
    update: (update, signal) => over.update(update, signal),
    watch: (shadows, listener) => over.watch(shadows, listener),
    close: () => {
      over.close();
      return Promise.resolve();
    },
  };
}

class ShadowsOverBus {
  readonly #bus: MessageBus;
  readonly #limit: Limit;
  readonly #buckets: TokenBuckets<Verb>;
  readonly #slots = new Slots(IN_FLIGHT);
  readonly #waiting = new Map<string, Waiting>();
  readonly #standing = new Map<string, Promise<void>>();
  readonly #listeners = new Set<{ readonly shadows: ReadonlySet<string | null>; readonly listener: ShadowListener }>();
  readonly #stop: () => void;
  readonly #nonce: string;
  #requests = 0;

  constructor(bus: MessageBus, { clock }: ShadowsOverBusOptions) {
    this.#bus = bus;
    this.#limit = new Limit(clock);
    this.#buckets = new TokenBuckets(clock, (verb) => AWS_IOT.quotas.perSecond[verb]);
    // Answers reach every subscriber: another process, or this one before a restart, must never have the same token.
    this.#nonce = createHash('sha256').update(`${bus.clientId} ${clock.now()} ${clock.monotonicMs()}`).digest('hex').slice(0, 12);
    this.#stop = bus.listen((message) => this.#hear(message));
    bus.onRestored?.(() => this.#listeners.forEach(({ listener }) => listener.lost()));
  }

  async get(place: ShadowPlace, signal?: AbortSignal): Promise<ShadowDocument | 'missing'> {
    const answer = await this.#ask('get', { place, body: {} }, signal);
    if (answer.kind === 'refused') {
      if (answer.code === 404) return 'missing';
      throw shadowError(answer.code, `get ${textOf(place)}: refused`);
    }
    const document = readShadowDocument(answer.body);
    if (document === null || document.version === null) throw unreadable(place);
    return document;
  }

  async update(update: ShadowUpdate, signal?: AbortSignal): Promise<ShadowWritten | 'conflict'> {
    const { desired, version } = update;
    const body: JsonObject = { state: { desired }, ...(version === null ? {} : { version }) };
    const answer = await this.#ask('update', { place: update, body }, signal);
    if (answer.kind === 'refused') {
      if (answer.code === 409) return 'conflict';
      throw shadowError(answer.code, `update ${textOf(update)}: refused`);
    }
    const written = readWritten(answer.body);
    if (written === null) throw unreadable(update);
    return written;
  }

  /** News come at QoS 0, so that no session keeps those of a run that has ended. */
  async watch(shadows: readonly (string | null)[], listener: ShadowListener): Promise<() => void> {
    const entry = { shadows: new Set(shadows), listener };
    this.#listeners.add(entry);
    try {
      for (const shadow of entry.shadows) await this.#subscribed([`${prefixOf('+', shadow)}/update/documents`], 0);
    } catch (error) {
      this.#listeners.delete(entry);
      throw error;
    }
    return () => this.#listeners.delete(entry);
  }

  close(): void {
    this.#stop();
    this.#listeners.clear();
  }

  async #ask(verb: Verb, request: { readonly place: ShadowPlace; readonly body: JsonObject }, signal?: AbortSignal): Promise<Answer> {
    const { place, body } = request;
    const answers = `${prefixOf('+', place.shadow)}/${verb}`;
    await this.#subscribed([`${answers}/accepted`, `${answers}/rejected`], 1);
    await this.#buckets.take(verb, signal);
    return this.#slots.run(async () => {
      signal?.throwIfAborted();
      this.#requests += 1;
      const token = `hg-${this.#nonce}-${this.#requests}`;
      const answer = new Promise<Answer>((resolve) => {
        this.#waiting.set(token, {
          place,
          answered: (answered) => resolve({ kind: 'answered', body: answered }),
          refused: (refusal) => resolve({ kind: 'refused', code: codeOf(refusal) }),
        });
      });
      const payload = new TextEncoder().encode(JSON.stringify({ ...body, clientToken: token }));
      try {
        await this.#bus.publish(`${prefixOf(place.thing, place.shadow)}/${verb}`, payload, { qos: 1 });
        const hold = { ms: ANSWER_LIMIT_MS, doing: `${verb} ${textOf(place)}` };
        return await this.#limit.hold(answer, signal === undefined ? hold : { ...hold, signal });
      } finally {
        this.#waiting.delete(token);
      }
    });
  }

  async #subscribed(filters: readonly string[], qos: 0 | 1): Promise<void> {
    const key = filters.join(' ');
    const standing = this.#standing.get(key) ?? this.#bus.subscribe(filters, qos);
    this.#standing.set(key, standing);
    try {
      await standing;
    } catch (error) {
      this.#standing.delete(key);
      throw error;
    }
  }

  #hear({ topic, payload }: BusMessage): void {
    if (!topic.startsWith('$aws/things/') || payload.length > MAX_MESSAGE_BYTES) return;
    const heard = readTopic(topic);
    if (heard === null) return;
    const body = objectIn(payload);
    if (body === null) return;
    if (heard.what === 'update/documents') this.#tell(heard, body);
    else this.#answer(heard, body);
  }

  #answer({ thing, shadow, what }: Heard, body: JsonObject): void {
    const token = body['clientToken'];
    const waiting = typeof token === 'string' ? this.#waiting.get(token) : undefined;
    if (waiting === undefined || waiting.place.thing !== thing || waiting.place.shadow !== shadow) return;
    if (what.endsWith('/accepted')) waiting.answered(body);
    else waiting.refused(body);
  }

  #tell({ thing, shadow }: Heard, body: JsonObject): void {
    const { current, timestamp } = body;
    const document = isJsonObject(current) ? readShadowDocument({ timestamp, ...current }) : null;
    if (document === null || document.version === null) return;
    for (const { shadows, listener } of this.#listeners) if (shadows.has(shadow)) listener.news({ thing, shadow, document });
  }
}

type Answer = { readonly kind: 'answered'; readonly body: JsonObject } | { readonly kind: 'refused'; readonly code: number };

interface Heard extends ShadowPlace {
  readonly what: string;
}

const TOPIC =
  /^\$aws\/things\/([a-zA-Z0-9:_-]{1,128})\/shadow\/(?:name\/([a-zA-Z0-9:_$-]{1,64})\/)?(get\/accepted|get\/rejected|update\/accepted|update\/rejected|update\/documents)$/;

function readTopic(topic: string): Heard | null {
  const [, thing, shadow, what] = TOPIC.exec(topic) ?? [];
  return thing === undefined || what === undefined ? null : { thing, shadow: shadow ?? null, what };
}

function prefixOf(thing: string, shadow: string | null): string {
  return `$aws/things/${thing}/shadow${shadow === null ? '' : `/name/${shadow}`}`;
}

function textOf({ thing, shadow }: ShadowPlace): string {
  return shadow === null ? `shadow of ${thing}` : `shadow ${shadow} of ${thing}`;
}

function codeOf(refusal: JsonObject): number {
  const { code } = refusal;
  return typeof code === 'number' && Number.isInteger(code) && code >= 400 && code < 600 ? code : 500;
}

function unreadable(place: ShadowPlace): WireError {
  return new WireError('SHADOW_UNREADABLE', 'later', `${textOf(place)}: the answer is no shadow document`);
}

function objectIn(payload: Uint8Array): JsonObject | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** So many at once; who comes later waits for its turn. */
class Slots {
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
