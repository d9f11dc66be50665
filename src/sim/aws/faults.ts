import { FaultList, type FaultScope } from '#sim/fault-list.ts';
import type { ShadowAnswerName } from './topics.ts';

/**
 * What can go wrong with an answer over MQTT: it is never sent, sent twice, late, or the connection that asked ends
 * after it. `reverse` turns the order of the answers to one request round.
 */
export type AwsAnswerFault =
  | { readonly kind: 'drop' | 'duplicate' | 'cut-after' | 'reverse' }
  | { readonly kind: 'delay'; readonly ms: number };

/**
 * What can go wrong with a call over HTTP. `reset-after`, `lost-response` and `timeout` carry it out first: then the
 * connection is cut, nothing is ever said, or 504 is answered.
 */
export type AwsCallFault =
  | { readonly kind: 'throttle' | 'unavailable' | 'internal' | 'reset-before' | 'reset-after' | 'lost-response' | 'timeout' | 'deny' }
  | { readonly kind: 'delay'; readonly ms: number };

export interface AnswerScope extends FaultScope {
  /** All when left out. */
  readonly answers?: readonly ShadowAnswerName[];
}

export interface CallScope extends FaultScope {
  /** Names of operations, `UpdateThingShadow`; all when left out. */
  readonly operations?: readonly string[];
}

/** Faults to inject, changed while the service runs (docs/protocols/aws-iot.md §18.5). */
export class AwsFaults {
  readonly #answers = new FaultList<AwsAnswerFault>();
  readonly #calls = new FaultList<AwsCallFault>();
  /** Added to the time that presence events tell: AWS is up to 2 min off. */
  presenceSkewMs = 0;

  /** Returns the way to take it back. */
  addToAnswers(fault: AwsAnswerFault, { answers, ...scope }: AnswerScope = {}): () => void {
    return this.#answers.add(fault, scope, answers);
  }

  addToCalls(fault: AwsCallFault, { operations, ...scope }: CallScope = {}): () => void {
    return this.#calls.add(fault, scope, operations);
  }

  /** Those that strike; each use counts against their `times`. */
  onAnswer(answer: ShadowAnswerName, thing: string): readonly AwsAnswerFault[] {
    return this.#answers.strike(answer, thing);
  }

  onCall(operation: string, subject: string): readonly AwsCallFault[] {
    return this.#calls.strike(operation, subject);
  }

  clear(): void {
    this.#answers.clear();
    this.#calls.clear();
    this.presenceSkewMs = 0;
  }
}
