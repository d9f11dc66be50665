import type { Broker } from '#sim/broker.ts';
import type { BrokerMessage, BrokerSession } from '#sim/broker-rules.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import type { AwsFaults } from './faults.ts';
import { readPlain } from './shadow-request.ts';
import {
  refusal,
  type ShadowAccepted,
  type ShadowAddress,
  type ShadowRefused,
  type ShadowStore,
  type ShadowUpdated,
} from './shadow-store.ts';
import { shadowTopic, type ShadowAnswerName, type ShadowVerb } from './topics.ts';
import type { WireSwitches } from './switches.ts';

export interface ShadowWireOptions {
  readonly store: ShadowStore;
  readonly clock: Clock;
  readonly faults: AwsFaults;
  readonly switches: WireSwitches;
  readonly broker: () => Pick<Broker, 'publish' | 'dropClient'>;
}

export interface ShadowRequest {
  readonly address: ShadowAddress;
  readonly verb: ShadowVerb;
}

interface Answer {
  readonly name: ShadowAnswerName;
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** Who hears what was answered: a session over MQTT, nobody over HTTP. */
interface Asked {
  readonly session: BrokerSession | null;
  readonly qos: number;
}

/** More unanswered requests on one connection are refused (docs/protocols/aws-iot.md §5.7, 429). */
const IN_FLIGHT = 10;

/**
 * The shadow service on its topics. Requests are carried out one at a time as they come; an update is followed by delta
 * (if something differs), documents and accepted, in this order unless a fault turns it round (§18.3). Answers are
 * ordinary messages: everybody who listens gets them, with the QoS of the request, never retained.
 */
export class ShadowWire {
  readonly #options: ShadowWireOptions;
  readonly #inFlight = new WeakMap<BrokerSession, number>();

  constructor(options: ShadowWireOptions) {
    this.#options = options;
  }

  /** A request that came over MQTT. */
  take(session: BrokerSession, { address, verb }: ShadowRequest, message: BrokerMessage): void {
    const asked = { session, qos: message.qos };
    const waiting = this.#inFlight.get(session) ?? 0;
    if (waiting >= IN_FLIGHT) {
      this.#publish(address, [this.#tooMany(address, verb, message.payload)], asked);
      return;
    }
    const outcome = this.#options.store[verb](address, message.payload);
    this.#publish(address, answersOf(address, verb, outcome), asked);
  }

  /** The same for a request over HTTP: what others hear of it is open (§18.4, `httpOriginAccepted`); a refusal is not told. */
  call({ address, verb }: ShadowRequest, body: Uint8Array): ShadowAccepted | ShadowRefused {
    const outcome = this.#options.store[verb](address, body);
    if (!outcome.ok || verb === 'get') return outcome;
    const answers = answersOf(address, verb, outcome);
    const heard = this.#options.switches.httpOriginAccepted ? answers : answers.filter(({ name }) => name === 'delta');
    this.#publish(address, heard, { session: null, qos: 1 });
    return outcome;
  }

  #tooMany(address: ShadowAddress, verb: ShadowVerb, payload: Uint8Array): Answer {
    const read = readPlain(payload);
    const clientToken = read.ok ? read.value.clientToken : read.error.clientToken;
    const at = Math.floor(this.#options.clock.now() / SECOND_MS);
    return answer(address, verb, {
      name: 'rejected',
      document: refusal({ code: 429, message: 'Too many requests', clientToken }, at).document,
    });
  }

  #publish(address: ShadowAddress, answers: readonly Answer[], { session, qos }: Asked): void {
    const struck = answers.map((one) => ({ one, faults: this.#options.faults.onAnswer(one.name, address.thing) }));
    const reversed = struck.some(({ faults }) => faults.some(({ kind }) => kind === 'reverse'));
    for (const { one, faults } of reversed ? struck.toReversed() : struck) {
      const kinds = new Set(faults.map(({ kind }) => kind));
      const delayMs = Math.max(0, ...faults.map((fault) => (fault.kind === 'delay' ? fault.ms : 0)));
      const send = (): void => {
        const times = kinds.has('drop') ? 0 : kinds.has('duplicate') ? 2 : 1;
        for (let count = 0; count < times; count += 1) this.#options.broker().publish({ topic: one.topic, payload: one.payload, qos });
        if (kinds.has('cut-after') && session !== null) this.#options.broker().dropClient(session.clientId);
      };
      if (delayMs === 0) send();
      else void this.#later(isAnswer(one) ? session : null, delayMs, send);
    }
  }

  /** `session` is who waits for it. */
  async #later(session: BrokerSession | null, ms: number, send: () => void): Promise<void> {
    if (session !== null) this.#inFlight.set(session, (this.#inFlight.get(session) ?? 0) + 1);
    await this.#options.clock.sleep(ms);
    if (session !== null) this.#inFlight.set(session, (this.#inFlight.get(session) ?? 1) - 1);
    send();
  }
}

/** Delta and documents are news: who asked waits for neither. */
function isAnswer({ name }: Answer): boolean {
  return name === 'accepted' || name === 'rejected';
}

function answersOf(address: ShadowAddress, verb: ShadowVerb, outcome: ShadowAccepted | ShadowUpdated | ShadowRefused): readonly Answer[] {
  if (!outcome.ok) return [answer(address, verb, { name: 'rejected', document: outcome.document })];
  const accepted = answer(address, verb, { name: 'accepted', document: outcome.document });
  if (!('documents' in outcome)) return [accepted];
  const documents = answer(address, verb, { name: 'documents', document: outcome.documents });
  if (outcome.delta === null) return [documents, accepted];
  return [answer(address, verb, { name: 'delta', document: outcome.delta }), documents, accepted];
}

function answer(
  address: ShadowAddress,
  verb: ShadowVerb,
  { name, document }: { readonly name: ShadowAnswerName; readonly document: string },
): Answer {
  return { name, topic: shadowTopic(address, verb, name), payload: Buffer.from(document) };
}
