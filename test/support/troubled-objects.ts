import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';

export interface ObjectCall {
  readonly kind: 'list' | 'get' | 'head' | 'put' | 'delete';
  readonly key: string;
}

/**
 * What befalls a call: `lost` is done, but the connection is cut before the answer; `done-500` is done and answered with
 * 500; `failed` is not done; `hang` is never answered and never done; `denied` is 403.
 */
export type ObjectTrouble = 'lost' | 'done-500' | 'failed' | 'hang' | 'denied';

/** The same bucket over a line on which each call may meet trouble, as `strike` says. */
export function troubled(
  store: ObjectStore,
  strike: (call: ObjectCall) => ObjectTrouble | undefined | Promise<ObjectTrouble | undefined>,
): ObjectStore {
  const through = async <T>(call: ObjectCall, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> => {
    const trouble = await strike(call);
    const doing = `${call.kind} ${call.key}`;
    if (trouble === 'failed') throw new WireError('S3_500', 'later', doing);
    if (trouble === 'denied') throw new WireError('S3_403', 'never', doing);
    if (trouble === 'hang') return aborted(signal);
    const answer = await work();
    if (trouble === 'lost') throw new WireError('ECONNRESET', 'later', doing);
    if (trouble === 'done-500') throw new WireError('S3_500', 'later', doing);
    return answer;
  };
  return {
    list: (request, signal) => through({ kind: 'list', key: request.prefix }, signal, () => store.list(request, signal)),
    get: (key, options, signal) => through({ kind: 'get', key }, signal, () => store.get(key, options, signal)),
    head: (key, signal) => through({ kind: 'head', key }, signal, () => store.head(key, signal)),
    put: (...[key, bytes, options, signal]) => through({ kind: 'put', key }, signal, () => store.put(key, bytes, options, signal)),
    delete: (key, signal) => through({ kind: 'delete', key }, signal, () => store.delete(key, signal)),
    presign: (key, seconds) => store.presign(key, seconds),
    close: () => store.close(),
  };
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
