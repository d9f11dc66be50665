import { describe, expect, it } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import type { HttpExchange } from '#ports/clients.ts';
import { WireError } from '#ports/wire-error.ts';
import { VirtualClock } from '#sim/clock.ts';
import { withMdash, withMdashServer } from '#test/support/mdash-bench.ts';
import { BOARD, bundleOf } from '#test/support/mongoose-bench.ts';
import { openMdash } from './mdash.ts';

const CALL = { device: BOARD, method: 'OTA.Commit', params: null, timeoutMs: 20 * SECOND_MS };
const UPLOAD = { device: BOARD, name: 'fw.zip', bytes: new Uint8Array(3), timeoutMs: 60 * SECOND_MS };

type Sent = Parameters<HttpExchange>[0];

/** A client of an mDash that answers everything in the same way; `sent` is what it was asked. */
function answering(status: number, body: string): { readonly client: ReturnType<typeof openMdash>; readonly sent: Sent[] } {
  const sent: Sent[] = [];
  const client = openMdash({
    url: 'https://mdash.sim/',
    key: 'k3y',
    exchange: (request) => {
      sent.push(request);
      return Promise.resolve({ status, headers: {}, bytes: new TextEncoder().encode(body) });
    },
  });
  return { client, sent };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'no error',
    (error: unknown) => (error instanceof WireError ? `${error.code} ${error.retry}` : String(error)),
  );
}

describe('what mDash answers to a call', () => {
  it.each<readonly [string, number, string, unknown]>([
    ['nothing', 200, '', { kind: 'result', result: null }],
    ['null', 200, 'null', { kind: 'result', result: null }],
    ['a value', 200, '{"state":0}', { kind: 'result', result: { state: 0 } }],
    ['how much the device has queued', 200, '{"queued":512}', { kind: 'result', result: { queued: 512 } }],
    ['a whole frame', 200, '{"id":1,"src":"x","result":{"state":0}}', { kind: 'result', result: { state: 0 } }],
    ['a value that has a result', 200, '{"result":1,"other":2}', { kind: 'result', result: { result: 1, other: 2 } }],
    ['an error of the device', 200, '{"error":{"code":-1}}', { kind: 'error', code: -1, message: null }],
    [
      'the same with a status',
      500,
      '{"error":{"code":-1,"message":"Wrong platform"}}',
      { kind: 'error', code: -1, message: 'Wrong platform' },
    ],
    [
      'an unknown method',
      404,
      '{"error":{"code":404,"message":"No handler for X"}}',
      { kind: 'error', code: 404, message: 'No handler for X' },
    ],
    [
      'an error with code 0, which is none',
      200,
      '{"error":{"code":0,"message":"Update applied, finalizing"}}',
      { kind: 'result', result: 'Update applied, finalizing' },
    ],
    ['that the device did not answer', 504, 'late', 'silent'],
  ])('%s', async (_what, status, body, expected) => {
    expect(await answering(status, body).client.call(CALL)).toEqual(expected);
  });

  it.each<readonly [string, number, string, string]>([
    ['a wrong key', 401, 'Unauthorized', 'MDASH_401 never'],
    ['a device that is not there', 404, 'No such device', 'MDASH_404 never'],
    ['too many calls', 429, '', 'MDASH_429 later'],
    ['a device that is offline', 503, 'Device is offline', 'MDASH_503 later'],
    ['a broken mDash', 500, 'Internal error', 'MDASH_500 later'],
    ['somebody else in the place of it', 302, '', 'MDASH_302 never'],
    ['a page', 200, '<html>', 'BAD_ANSWER later'],
  ])('%s is an error of the wire', async (_what, status, body, expected) => {
    expect(await codeOf(answering(status, body).client.call(CALL))).toBe(expected);
  });

  it('is asked for by GET without parameters, with the key in a header alone', async () => {
    const { client, sent } = answering(200, 'null');
    await client.call(CALL);
    await client.call({ ...CALL, device: 'a/b?c', method: 'OTA.Update', params: { url: 'u' } });
    expect(sent.map(({ method, target, body }) => [method, target, new TextDecoder().decode(body)])).toEqual([
      ['GET', `/api/v2/devices/${BOARD}/rpc/OTA.Commit`, ''],
      ['POST', '/api/v2/devices/a%2Fb%3Fc/rpc/OTA.Update', '{"url":"u"}'],
    ]);
    expect(sent.map(({ headers }) => headers['authorization'])).toEqual(['Bearer k3y', 'Bearer k3y']);
  });
});

describe('an upload', () => {
  it('is a form that other programs read', async () => {
    const { client, sent } = answering(200, 'true');
    const bytes = bundleOf();
    expect(await client.upload({ ...UPLOAD, name: 'a"\r\nb.zip', bytes })).toEqual({ kind: 'result', result: true });
    const [request] = sent;
    if (request === undefined) throw new Error('nothing was sent');
    const { headers, body, target } = request;
    expect(target).toBe(`/api/v2/devices/${BOARD}/ota`);
    const form = await new Response(Uint8Array.from(body), { headers: { 'content-type': headers['content-type'] ?? '' } }).formData();
    const file = form.get('file');
    if (!(file instanceof File)) throw new Error('no file');
    expect([[...form.keys()], file.name, new Uint8Array(await file.arrayBuffer())]).toEqual([
      ['file'],
      'a___b.zip',
      Uint8Array.from(bytes),
    ]);
  });

  it.each<readonly [string, number, string, unknown]>([
    ['taken', 200, 'true', { kind: 'result', result: true }],
    [
      'refused by the device',
      500,
      '{"error":{"code":-1,"message":"Wrong platform"}}',
      { kind: 'error', code: -1, message: 'Wrong platform' },
    ],
    ['answered with something else', 200, 'false', { kind: 'error', code: 200 }],
    ['not answered', 504, '', 'silent'],
  ])('%s', async (_what, status, body, expected) => {
    const reply = await answering(status, body).client.upload(UPLOAD);
    if (typeof expected === 'string') expect(reply).toBe(expected);
    else expect(reply).toMatchObject(expected as object);
  });

  it.each([404, 405, 410, 501])('to an mDash that takes none any more is an error of the wire: %i', async (status) => {
    expect(await codeOf(answering(status, 'Not found').client.upload(UPLOAD))).toBe('MDASH_NO_UPLOADS never');
  });

  it('of which nobody knows what became is an error of the wire', async () => {
    expect(await codeOf(answering(502, '').client.upload(UPLOAD))).toBe('MDASH_502 later');
    expect(await codeOf(answering(401, '').client.upload(UPLOAD))).toBe('MDASH_401 never');
  });
});

describe('the list of devices', () => {
  it('takes what it can read, sorted', async () => {
    const shadow = { state: { reported: { ota: { fw_version: '1.0' } } }, timestamp: 1_795_000_000 };
    const list = [{ id: 'b', online: true, shadow }, { id: 'a', online: 'perhaps', shadow: { state: [] } }, { name: 'no id' }, 7];
    expect(await answering(200, JSON.stringify(list)).client.devices()).toEqual([
      { id: 'a', online: null, reported: null, at: null },
      { id: 'b', online: true, reported: { ota: { fw_version: '1.0' } }, at: 1_795_000_000_000 },
    ]);
  });

  it('that is none is an error of the wire', async () => {
    expect(await codeOf(answering(200, '{"message":"hello"}').client.devices())).toBe('BAD_ANSWER later');
    expect(await codeOf(answering(403, '').client.devices())).toBe('MDASH_403 never');
  });
});

describe('an account', () => {
  it.each([
    ['http://mdash.example.org', 'BAD_URL never'],
    ['ftp://mdash.example.org', 'BAD_URL never'],
    ['https://user:pass@mdash.example.org', 'BAD_URL never'],
    ['https://mdash.example.org?access_token=k3y', 'BAD_URL never'],
    ['mdash.example.org', 'BAD_URL never'],
  ])('is not opened at %s', async (url, code) => {
    const work = Promise.resolve().then(() => openMdash({ url, key: 'k3y' }));
    expect(await codeOf(work)).toBe(code);
    await work.catch((error: unknown) => expect(String(error)).not.toMatch(/k3y|pass/));
  });

  it('that nobody answers for is not reached', async () => {
    const client = openMdash({ url: 'http://127.0.0.1:9', key: 'k3y' });
    expect(await codeOf(client.call(CALL))).toMatch(/^(ECONNREFUSED|EADDRNOTAVAIL) later$/);
    await client.close();
  });

  it('is silent when its time is over, and stops when told', async () => {
    const clock = new VirtualClock(0);
    const client = openMdash({ url: 'https://mdash.sim', key: 'k3y', clock, exchange: () => new Promise(() => undefined) });
    const call = client.call(CALL);
    await clock.advance(19 * SECOND_MS);
    await clock.advance(2 * SECOND_MS);
    expect(await call).toBe('silent');
    const stop = new AbortController();
    const stopped = codeOf(client.call({ ...CALL, signal: stop.signal }));
    stop.abort(new WireError('CLOSED', 'never', 'closed by us'));
    expect(await stopped).toBe('CLOSED never');
  });

  it('is asked by eight calls at once, and those that wait for their turn are not held to be silent', async () => {
    const clock = new VirtualClock(0);
    let most = 0;
    let now = 0;
    const exchange: HttpExchange = async () => {
      now += 1;
      most = Math.max(most, now);
      await clock.sleep(15 * SECOND_MS);
      now -= 1;
      return { status: 200, headers: {}, bytes: new Uint8Array() };
    };
    const client = openMdash({ url: 'https://mdash.sim', key: 'k3y', clock, exchange });
    const calls = Promise.all(Array.from({ length: 20 }, () => client.call(CALL)));
    const replies = await clock.run(calls);
    expect(new Set(replies.map((reply) => JSON.stringify(reply)))).toEqual(new Set(['{"kind":"result","result":null}']));
    expect([most, clock.now()]).toEqual([8, 45 * SECOND_MS]);
  });
});

describe('one board behind mDash', () => {
  it('is upgraded over HTTP, runs uncommitted, and is committed by a call', async () => {
    await withMdashServer(async ({ client, clock, board }) => {
      expect(await client.devices()).toMatchObject([{ id: BOARD, online: true }]);
      expect(await client.upload({ ...UPLOAD, bytes: bundleOf({ size: 20_000 }) })).toEqual({ kind: 'result', result: true });
      await clock.advance(10 * SECOND_MS);
      expect(await client.call({ ...CALL, method: 'Sys.GetInfo' })).toMatchObject({ kind: 'result', result: { fw_version: '2.0' } });
      expect(await client.call({ ...CALL, method: 'OTA.GetBootState' })).toMatchObject({ result: { is_committed: false } });
      expect(await client.call(CALL)).toEqual({ kind: 'result', result: null });
      expect(board.truth()).toEqual({ firmware: '2.0 20261101-120000' });
    });
  });

  it('goes back when nobody commits', async () => {
    await withMdash(async ({ client, clock, board }) => {
      expect(await clock.run(client.upload({ ...UPLOAD, bytes: bundleOf() }))).toEqual({ kind: 'result', result: true });
      await clock.advance(400 * SECOND_MS);
      expect(board.truth()).toEqual({ firmware: '1.0 20260101-120000' });
      expect(await clock.run(client.call({ ...CALL, method: 'OTA.Status' }))).toMatchObject({ result: { is_committed: true } });
    });
  });

  it.each([['refused'], ['waits']] as const)('is silent when it is off, whatever mDash says of that: %s', async (offline) => {
    await withMdash(
      async ({ client, clock, board, mdash }) => {
        await clock.run(board.powerOff());
        await clock.settled();
        expect(await clock.run(client.devices())).toMatchObject([{ online: false }]);
        expect(await clock.run(client.call(CALL))).toBe('silent');
        expect(await clock.run(client.call(CALL))).toBe('silent');
        const lists = mdash.requests.filter((asked) => asked === 'GET /devices');
        expect(lists).toHaveLength(offline === 'refused' ? 2 : 1);
      },
      { switches: { offline } },
    );
  });

  it('takes no second upload while it runs uncommitted', async () => {
    await withMdash(async ({ client, clock, board }) => {
      await clock.run(client.upload({ ...UPLOAD, bytes: bundleOf() }));
      await clock.advance(10 * SECOND_MS);
      expect(await clock.run(client.upload({ ...UPLOAD, bytes: bundleOf({ version: '3.0' }) }))).toEqual({
        kind: 'error',
        code: -1,
        message: 'Failed to init updater',
      });
      expect(board.effects.filter(({ kind }) => kind === 'flash')).toHaveLength(1);
    });
  });

  it('says what it has against a bundle', async () => {
    await withMdash(async ({ client, clock, board }) => {
      const reply = await clock.run(client.upload({ ...UPLOAD, bytes: bundleOf({ platform: 'esp8266' }) }));
      expect(reply).toEqual({ kind: 'error', code: -1, message: 'Wrong platform' });
      expect(board.effects).toEqual([]);
    });
  });
});
