import type { RecordBody } from '#model/records.ts';

/**
 * Names for the places at which an engine can be killed. How many records one append holds depends on what had come in by
 * then, so an append is named by what it holds, not by its number: then the same place is found in another telling.
 */
export class Checkpoints {
  readonly #operations = new Map<string, string>();
  #last: readonly string[] = ['the beginning'];
  #since = 0;

  /** All names of an append, the one to be known by first. */
  appended(bodies: readonly RecordBody[]): readonly string[] {
    const own = bodies.flatMap((body) => this.#nameOf(body));
    this.#since += 1;
    const relative = this.#last.map((name) => `append ${this.#since} after ${name}`);
    if (own.length > 0) {
      this.#last = own;
      this.#since = 0;
    }
    return [...own.map((name) => `append of ${name}`), ...relative];
  }

  performed(operation: string): readonly string[] {
    return [`perform of ${this.#operations.get(operation) ?? operation}`];
  }

  /** Nothing for what not every telling has: records between which devices were faster or slower. */
  #nameOf(body: RecordBody): readonly string[] {
    switch (body.type) {
      case 'genesis':
        return ['genesis'];
      case 'intent': {
        const { id, device, step, declared } = body.operation;
        this.#operations.set(id, `${device} ${step} ${declared}`);
        return body.attempt === 1 ? [`intent ${device} ${step} ${declared}`] : [];
      }
      case 'outcome':
        return body.attempt === 1 && body.result.kind === 'performed' ? [`outcome ${this.#operations.get(body.operation) ?? ''}`] : [];
      case 'closed':
        return [`${body.closing} ${this.#operations.get(body.operation) ?? ''}`];
      case 'event':
        return eventNames(body.event);
      default:
        return [];
    }
  }
}

function eventNames(event: Extract<RecordBody, { type: 'event' }>['event']): readonly string[] {
  switch (event.kind) {
    case 'rollout-began':
      return [`${event.kind} ${event.rollout.group} ${event.rollout.direction}`];
    case 'wave-opened':
    case 'wave-met':
    case 'wave-passed':
      return [`${event.kind} ${event.group} ${event.wave}`];
    case 'rollout-stopped':
      return [`${event.kind} ${event.group}`];
    case 'rollout-completed':
      return [`${event.kind} ${event.group} ${event.entry.release.slice(0, 7)}`];
    default:
      return [];
  }
}
