import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#model/shadow.ts';
import { VirtualClock } from '#sim/clock.ts';
import { bundleOf } from '#test/support/mongoose-bench.ts';
import { memoryClient } from '#test/support/shadow-wires.ts';
import { makeMdash, SIM_MDASH_KEY, startMdash, type MdashServer } from './mdash.ts';

const KEY = { authorization: `Bearer ${SIM_MDASH_KEY}` };

/** The WebSocket of the platform, with headers as devices send them. */
async function connected(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly socket: WebSocket; readonly heard: JsonObject[]; next(): Promise<JsonObject> }> {
  const socket = new WebSocket(url, { headers });
  const heard: JsonObject[] = [];
  const waiting: ((frame: JsonObject) => void)[] = [];
  socket.addEventListener('message', ({ data }) => {
    const frame = JSON.parse(String(data)) as JsonObject;
    const first = waiting.shift();
    if (first === undefined) heard.push(frame);
    else first(frame);
  });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error('refused')));
  });
  const next = (): Promise<JsonObject> => {
    const frame = heard.shift();
    return frame === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(frame);
  };
  return { socket, heard, next };
}

async function withServer(run: (mdash: MdashServer, ws: string) => Promise<void>): Promise<void> {
  const mdash = await startMdash({ clock: new VirtualClock(Date.UTC(2026, 10, 21, 12)) });
  try {
    await run(mdash, mdash.url.replace('http', 'ws'));
  } finally {
    await mdash.close();
  }
}

async function body(mdash: MdashServer, path: string, init: RequestInit = {}): Promise<unknown> {
  return await (await fetch(`${mdash.url}/api/v2${path}`, { headers: KEY, ...init })).json();
}

describe('the WebSocket of a device', () => {
  it('takes calls, and answers to them', async () => {
    await withServer(async (mdash, ws) => {
      const { token } = mdash.register('module-1');
      const device = await connected(`${ws}/api/v2/rpc`, { authorization: `Bearer ${token}` });
      const asked = body(mdash, '/devices/module-1/rpc/Sys.GetInfo');
      const call = await device.next();
      expect(call).toEqual({ jsonrpc: '2.0', id: 1, method: 'Sys.GetInfo' });
      device.socket.send(JSON.stringify({ id: 99, result: 'of nobody' }));
      device.socket.send('no JSON');
      device.socket.send(JSON.stringify({ id: call['id'] ?? null, result: { fw_version: '1.0', pad: 'x'.repeat(70_000) } }));
      expect(await asked).toMatchObject({ fw_version: '1.0' });
      device.socket.close();
    });
  });

  it('takes an upload in pieces, and may say how much it has queued', async () => {
    await withServer(async (mdash, ws) => {
      const { token } = mdash.register('module-1');
      const device = await connected(`${ws}/api/v2/rpc`, { authorization: `Bearer ${token}` });
      const bytes = bundleOf({ size: 1200 });
      const form = new FormData();
      form.append('file', new Blob([Uint8Array.from(bytes)]), 'fw.zip');
      const uploaded = body(mdash, '/devices/module-1/ota', { method: 'POST', body: form });
      const taken: Buffer[] = [];
      for (;;) {
        const { id, method, params } = (await device.next()) as {
          id: number;
          method: string;
          params?: { offset: number; data: string; size: number };
        };
        if (method === 'OTA.Begin') expect(params).toEqual({ timeout: 300, commit_timeout: 300, size: bytes.length });
        if (method === 'OTA.Write') {
          expect(params?.offset).toBe(Buffer.concat(taken).length);
          taken.push(Buffer.from(params?.data ?? '', 'base64'));
        }
        device.socket.send(JSON.stringify({ id, result: method === 'OTA.Write' ? { queued: 512 } : true }));
        if (method === 'OTA.End') break;
      }
      expect(await uploaded).toBe(true);
      expect(Buffer.concat(taken).equals(bytes)).toBe(true);
      expect(
        taken
          .map(({ length }) => length)
          .slice(0, -1)
          .every((length) => length === 512),
      ).toBe(true);
      device.socket.close();
    });
  });

  it('tries each piece three times, and then ends the update', async () => {
    await withServer(async (mdash, ws) => {
      const { token } = mdash.register('module-1');
      const device = await connected(`${ws}/api/v2/rpc`, { authorization: `Bearer ${token}` });
      const form = new FormData();
      form.append('file', new Blob(['x'.repeat(600)]), 'fw.zip');
      const uploaded = body(mdash, '/devices/module-1/ota', { method: 'POST', body: form });
      const methods: unknown[] = [];
      while (methods.at(-1) !== 'OTA.End') {
        const { id = null, method = null } = await device.next();
        methods.push(method);
        device.socket.send(JSON.stringify(method === 'OTA.Write' ? { id, error: { code: 500, message: 'flash' } } : { id, result: true }));
      }
      expect(methods).toEqual(['OTA.Begin', 'OTA.Write', 'OTA.Write', 'OTA.Write', 'OTA.End']);
      expect(await uploaded).toEqual({ error: { code: 500, message: 'flash' } });
      device.socket.close();
    });
  });

  it('tells what the device is, and hears what is wanted of it', async () => {
    await withServer(async (mdash, ws) => {
      const { token } = mdash.register('module-1');
      const device = await connected(`${ws}/api/v2/rpc`, { authorization: `Bearer ${token}` });
      const told = await connected(`${ws}/api/v2/notify?access_token=${SIM_MDASH_KEY}`);
      const calls: readonly JsonObject[] = [
        { id: 1, method: 'Dash.Heartbeat', params: { fw_version: '1.0', fw_id: 'a' } },
        { id: 2, method: 'Dash.Shadow.Update', params: { state: { reported: { led: { on: false } } } } },
        { id: 3, method: 'State.Set', params: { ota: { percent: 5 } } },
        { id: 4, method: 'State.Set', params: { ota: { percent: null } } },
        { id: 5, method: 'Dash.Log', params: { msg: 'hello' } },
        { id: 6, method: 'Dash.Nope' },
      ];
      const answers: JsonObject[] = [];
      for (const call of calls) {
        device.socket.send(JSON.stringify(call));
        answers.push(await device.next());
      }
      expect(answers.map(({ id, result, error }) => [id, result ?? error])).toEqual([
        ...[1, 2, 3, 4, 5].map((id) => [id, true]),
        [6, { code: 404, message: 'No handler for Dash.Nope' }],
      ]);
      const wanted = { method: 'POST', body: JSON.stringify({ shadow: { state: { desired: { led: { on: true } } } } }) };
      expect(await body(mdash, '/devices/module-1', wanted)).toMatchObject({
        online: true,
        shadow: {
          state: { reported: { ota: { fw_version: '1.0', fw_id: 'a' }, led: { on: false } }, delta: { led: { on: true } } },
          version: 5,
        },
      });
      expect(await device.next()).toMatchObject({ method: 'Shadow.Delta', params: { state: { led: { on: true } }, version: 5 } });
      expect(await body(mdash, '/devices/module-1/data')).toMatchObject([{ message: '{"msg":"hello"}' }]);
      device.socket.send(JSON.stringify({ id: 7, method: 'Dash.Shadow.Get' }));
      expect(await device.next()).toMatchObject({ id: 7, result: { state: { desired: { led: { on: true } } } } });
      device.socket.close();
      const names: unknown[] = [];
      while (names.at(-1) !== 'offline') names.push((await told.next())['name']);
      expect(names).toEqual([
        'rpc.out.Dash.Heartbeat',
        'rpc.out.Dash.Shadow.Update',
        'rpc.out.State.Set',
        'rpc.out.State.Set',
        'rpc.out.Dash.Log',
        'rpc.out.Dash.Nope',
        'rpc.out.Dash.Shadow.Get',
        'offline',
      ]);
      expect(mdash.isOnline('module-1')).toBe(false);
      told.socket.close();
    });
  });

  it('is for nobody without a token', async () => {
    await withServer(async (mdash, ws) => {
      mdash.register('module-1');
      await expect(connected(`${ws}/api/v2/rpc`, { authorization: 'Bearer wrong' })).rejects.toThrow('refused');
      await expect(connected(`${ws}/api/v2/notify?access_token=wrong`)).rejects.toThrow('refused');
      await expect(connected(`${ws}/api/v2/other?access_token=${SIM_MDASH_KEY}`)).rejects.toThrow('refused');
    });
  });
});

describe('a device on MQTT', () => {
  it('tells its shadow, asks for it, and hears what is wanted of it', async () => {
    const clock = new VirtualClock(Date.UTC(2026, 10, 21, 12));
    const mdash = makeMdash({ clock });
    mdash.register('module-1');
    await clock.track(import('mqtt'));
    const device = await clock.run(memoryClient(mdash.broker, clock, { clientId: 'module-1' }));
    const heard: [string, JsonObject][] = [];
    device.listen(({ topic, payload }) => heard.push([topic, JSON.parse(new TextDecoder().decode(payload)) as JsonObject]));
    await clock.run(device.subscribe(['module-1/shadow', 'module-1/shadow/delta', 'module-1/rpc'], 1));
    const publish = (topic: string, value: unknown): Promise<void> =>
      clock.run(device.publish(topic, new TextEncoder().encode(value === '' ? '' : JSON.stringify(value)), { qos: 1 }));
    await publish('module-1/shadow/update', { state: { reported: { led: false } } });
    await publish('other/shadow/update', { state: { reported: { led: 'of another' } } });
    await publish('module-1/shadow/get', '');
    const wanted = new TextEncoder().encode(JSON.stringify({ shadow: { state: { desired: { led: true } } } }));
    await clock.run(mdash.handle({ method: 'POST', target: '/api/v2/devices/module-1', headers: KEY, body: wanted }));
    await clock.settled();
    expect(heard).toEqual([
      ['module-1/shadow', { state: { desired: {}, reported: { led: false }, delta: {} }, tags: {}, version: 1, timestamp: 1_795_262_400 }],
      ['module-1/shadow/delta', { state: { led: true }, version: 2 }],
    ]);
    const on = new TextEncoder().encode('{"on":true}');
    const asked = mdash.handle({ method: 'POST', target: '/api/v2/devices/module-1/rpc/Led.Set', headers: KEY, body: on });
    await clock.settled();
    const [topic, frame] = heard.at(-1) ?? [];
    expect([topic, frame]).toEqual(['module-1/rpc', { id: 1, src: 'module-1/r', method: 'Led.Set', params: { on: true } }]);
    await publish('module-1/r/rpc', { id: 1, src: 'module-1', dst: 'module-1/r', error: { code: 0, message: 'done' } });
    const answer = await asked;
    if (typeof answer === 'string') throw new Error(answer);
    expect([answer.status, new TextDecoder().decode(answer.bytes)]).toEqual([200, '"done"']);
    await clock.run(device.close());
    await mdash.close();
  });
});
