import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import type { DeviceMethods, MethodCall, MethodReply } from '#ports/device-methods.ts';
import { WireError } from '#ports/wire-error.ts';
import { makeMethodCaller } from './driver-method.ts';
import type { RpcReply } from './rpc-call.ts';

const { signal } = new AbortController();

/** A hub whose device answers so; `asked` is what it was asked. */
function hub(answer: MethodReply | WireError): DeviceMethods & { readonly asked: readonly MethodCall[] } {
  const asked: MethodCall[] = [];
  return {
    asked,
    invoke: async (call) => {
      asked.push(call);
      if (answer instanceof WireError) throw answer;
      return answer;
    },
    close: async () => undefined,
  };
}

function ask(methods: DeviceMethods, params: Json | null = null): Promise<RpcReply | 'silent'> {
  return makeMethodCaller(methods).call({ board: 'esp32_b0', method: 'OTA.Update', params, timeoutMs: 8000, signal });
}

describe('a direct method as a call', () => {
  it('has the name of the call, and its params as the payload', async () => {
    const methods = hub({ status: 0, payload: null });
    await ask(methods, { url: 'https://fw.example/a.zip' });
    expect(methods.asked).toEqual([
      { device: 'esp32_b0', method: 'OTA.Update', payload: { url: 'https://fw.example/a.zip' }, timeoutMs: 8000, signal },
    ]);
  });

  it.each<{ readonly status: number; readonly payload: Json; readonly reply: RpcReply }>([
    { status: 0, payload: null, reply: { kind: 'result', result: null } },
    { status: 0, payload: { state: 1 }, reply: { kind: 'result', result: { state: 1 } } },
    { status: 200, payload: { state: 1 }, reply: { kind: 'result', result: { state: 1 } } },
    { status: 0, payload: { code: 0, message: 'Update applied' }, reply: { kind: 'result', result: 'Update applied' } },
    { status: 0, payload: { code: 0, state: 1 }, reply: { kind: 'result', result: { code: 0, state: 1 } } },
    { status: -1, payload: { code: -1 }, reply: { kind: 'error', code: -1, message: null } },
    { status: 404, payload: { code: 404, message: 'No handler' }, reply: { kind: 'error', code: 404, message: 'No handler' } },
    { status: 500, payload: { code: -1, message: 'Busy' }, reply: { kind: 'error', code: -1, message: 'Busy' } },
    { status: 501, payload: null, reply: { kind: 'error', code: 501, message: null } },
    { status: 403, payload: 'no', reply: { kind: 'error', code: 403, message: null } },
  ])('answered with $status $payload', async ({ reply, ...answer }) => {
    expect(await ask(hub(answer))).toEqual(reply);
  });

  it.each(['DEVICE_OFFLINE', 'DEVICE_SILENT'])('is silent for %s', async (code) => {
    expect(await ask(hub(new WireError(code, 'later', 'away')))).toBe('silent');
  });

  it.each(['SHADOW_401', 'TIMEOUT', 'ECONNREFUSED'])('tells of a hub that cannot be asked: %s', async (code) => {
    await expect(ask(hub(new WireError(code, 'later', 'broken')))).rejects.toMatchObject({ code });
  });
});
