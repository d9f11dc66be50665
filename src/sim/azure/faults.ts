import { FaultList, type FaultScope } from '#sim/fault-list.ts';

/** What can go wrong with an answer, or a notification, over MQTT. `throttle` and `error` answer 429 and 500 and do nothing. */
type TwinAnswerFault =
  | { readonly kind: 'drop' | 'duplicate' | 'cut-after' | 'throttle' | 'error' }
  | { readonly kind: 'delay'; readonly ms: number };

/** What can go wrong with a call over HTTP; `reset-after`, `lost-response` and `timeout` carry it out first. */
type HubCallFault =
  | { readonly kind: 'throttle' | 'unavailable' | 'internal' | 'reset-before' | 'reset-after' | 'lost-response' | 'timeout' | 'deny' }
  | { readonly kind: 'delay'; readonly ms: number };

export type TwinAnswerName = 'get' | 'report' | 'desired';

/** Faults to inject while the hub runs. */
export class HubFaults {
  readonly #answers = new FaultList<TwinAnswerFault>();
  readonly #calls = new FaultList<HubCallFault>();

  /** Returns the way to take it back. All answers when none is named. */
  addToAnswers(
    fault: TwinAnswerFault,
    { answers, ...scope }: FaultScope & { readonly answers?: readonly TwinAnswerName[] } = {},
  ): () => void {
    return this.#answers.add(fault, scope, answers);
  }

  /** `operations` as `getTwin`; all when left out. */
  addToCalls(fault: HubCallFault, { operations, ...scope }: FaultScope & { readonly operations?: readonly string[] } = {}): () => void {
    return this.#calls.add(fault, scope, operations);
  }

  onAnswer(answer: TwinAnswerName, device: string): readonly TwinAnswerFault[] {
    return this.#answers.strike(answer, device);
  }

  onCall(operation: string, device: string): readonly HubCallFault[] {
    return this.#calls.strike(operation, device);
  }

  clear(): void {
    this.#answers.clear();
    this.#calls.clear();
  }
}
