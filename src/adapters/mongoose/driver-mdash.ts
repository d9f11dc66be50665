import type { Mdash } from '#ports/mdash.ts';
import { WireError } from '#ports/wire-error.ts';
import type { RpcCaller } from './rpc-call.ts';

/**
 * Calls boards through mDash, and hands bundles over to it (docs/protocols/shadow-devices.md §5). One that the account does
 * not have is silent: it must not stand in the way of the others.
 */
export function makeMdashCaller(mdash: Mdash): RpcCaller {
  return {
    async call({ board, method, params, timeoutMs, signal }) {
      try {
        return await mdash.call({ device: board, method, params, timeoutMs, signal });
      } catch (error) {
        if (error instanceof WireError && error.code === 'MDASH_404') return 'silent';
        throw error;
      }
    },
    upload: ({ board, content, bytes, timeoutMs, signal }) => mdash.upload({ device: board, name: content.name, bytes, timeoutMs, signal }),
  };
}
