import type { Json } from '#kit/canonical.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { DeviceMethods, MethodReply } from '#ports/device-methods.ts';
import { WireError } from '#ports/wire-error.ts';
import type { RpcCaller, RpcReply } from './rpc-call.ts';

/** What the firmware answers to what went well, and what one that answers by itself may say (§8.8). */
const SUCCESS: readonly number[] = [0, 200];
/** One board that is away, or at work, must not stand in the way of the others. */
const SILENCE: readonly string[] = ['DEVICE_OFFLINE', 'DEVICE_SILENT'];

/**
 * Calls boards by direct methods of a hub: the name of the call is that of the method, its params are the payload
 * (docs/protocols/shadow-devices.md §8.8). Nothing says who calls: a board that asks for that answers 401.
 */
export function makeMethodCaller(methods: DeviceMethods): RpcCaller {
  return {
    async call({ board, method, params, timeoutMs, signal }) {
      try {
        return replyOf(await methods.invoke({ device: board, method, payload: params, timeoutMs, signal }));
      } catch (error) {
        if (error instanceof WireError && SILENCE.includes(error.code)) return 'silent';
        throw error;
      }
    },
  };
}

function replyOf({ status, payload }: MethodReply): RpcReply {
  const told = errorIn(payload);
  if (!SUCCESS.includes(status)) return { kind: 'error', code: told?.code ?? status, message: told?.message ?? null };
  // A text that says how well it went stands where an error would (§4.2).
  return { kind: 'result', result: told?.code === 0 ? told.message : payload };
}

/** `{"code":-1,"message":"…"}` and nothing else, the message where there is one. */
function errorIn(payload: Json): { readonly code: number; readonly message: string | null } | null {
  if (!isJsonObject(payload) || Object.keys(payload).some((key) => key !== 'code' && key !== 'message')) return null;
  const { code, message } = payload;
  return typeof code === 'number' ? { code, message: typeof message === 'string' ? message : null } : null;
}
