interface Flight<T> {
  readonly outcome: Promise<T>;
  readonly abort: AbortController;
  waiting: number;
}

/** Work under a key, done once for all who ask meanwhile. */
export type Shared<T> = (key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal) => Promise<T>;

/**
 * Makes one. Who aborts leaves alone, with the signal's reason; the work itself is aborted when nobody waits any more.
 * Nothing is kept once it is done.
 */
export function makeShared<T>(): Shared<T> {
  const flights = new Map<string, Flight<T>>();
  return (key, work, signal) => {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    let flight = flights.get(key);
    if (flight === undefined) {
      const abort = new AbortController();
      const outcome = work(abort.signal).finally(() => {
        if (flights.get(key)?.outcome === outcome) flights.delete(key);
      });
      flight = { outcome, abort, waiting: 0 };
      flights.set(key, flight);
    }
    return waitFor(flight, signal, () => flights.delete(key));
  };
}

function waitFor<T>(flight: Flight<T>, signal: AbortSignal | undefined, abandon: () => void): Promise<T> {
  flight.waiting += 1;
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      flight.waiting -= 1;
      if (flight.waiting === 0) {
        abandon();
        flight.abort.abort();
      }
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', leave, { once: true });
    flight.outcome.then(resolve, reject).finally(() => signal?.removeEventListener('abort', leave));
  });
}
