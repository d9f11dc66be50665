import { describe, expect, it } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import { boardAt, withMdashServer } from '#test/support/mdash-bench.ts';
import { BOARD, bundleOf } from '#test/support/mongoose-bench.ts';
import { SIM_MDASH_KEY, type MdashServer } from './mdash.ts';

const BEARER = { authorization: `Bearer ${SIM_MDASH_KEY}` };

/** As anybody's program calls it: with the client of the platform. */
async function called(
  mdash: MdashServer,
  path: string,
  init: RequestInit = {},
): Promise<{ readonly status: number; readonly body: unknown }> {
  const answer = await fetch(`${mdash.url}/api/v2${path}`, { headers: { ...BEARER, 'content-type': 'application/json' }, ...init });
  const text = await answer.text();
  return { status: answer.status, body: answer.headers.get('content-type') === 'application/json' ? JSON.parse(text) : text };
}

function post(value: unknown): RequestInit {
  return { method: 'POST', body: JSON.stringify(value) };
}

function uploaded(mdash: MdashServer, device: string, bytes: Uint8Array): Promise<Response> {
  const form = new FormData();
  form.append('note', 'from a person');
  form.append('file', new Blob([Uint8Array.from(bytes)]), 'fw.zip');
  return fetch(`${mdash.url}/api/v2/devices/${device}/ota`, { method: 'POST', headers: BEARER, body: form });
}

describe('mDash for a client that is not ours', () => {
  it('updates a board that is uploaded to, which is on trial until somebody commits', async () => {
    await withMdashServer(async ({ mdash, clock, board }) => {
      const answer = await uploaded(mdash, BOARD, bundleOf({ size: 3000 }));
      expect([answer.status, await answer.json()]).toEqual([200, true]);
      await clock.advance(10 * SECOND_MS);
      expect(await called(mdash, `/devices/${BOARD}/rpc/Sys.GetInfo`)).toMatchObject({
        status: 200,
        body: { fw_version: '2.0', fw_id: '20261101-120000' },
      });
      expect(await called(mdash, `/devices/${BOARD}/rpc/OTA.Status`)).toMatchObject({
        body: { is_committed: false, commit_timeout: 300, partition: 1 },
      });
      expect(await called(mdash, `/devices/${BOARD}/rpc/OTA.Commit`, { method: 'POST' })).toEqual({ status: 200, body: null });
      expect(board.truth()).toEqual({ firmware: '2.0 20261101-120000' });
      expect(await called(mdash, `/devices/${BOARD}/rpc/OTA.Commit`)).toEqual({ status: 200, body: { error: { code: -1 } } });
      expect(board.effects.map(({ kind }) => kind)).toEqual(['flash', 'reboot', 'commit']);
    });
  });

  it('tells what a board refuses, and keeps it as it was', async () => {
    await withMdashServer(
      async ({ mdash, clock, board }) => {
        const answer = await uploaded(mdash, BOARD, bundleOf({ platform: 'stm32' }));
        expect([answer.status, await answer.json()]).toEqual([500, { error: { code: -1, message: 'Wrong platform' } }]);
        await clock.advance(10 * SECOND_MS);
        expect(board.truth()).toEqual({ firmware: '1.0 20260101-120000' });
        expect(await called(mdash, `/devices/${BOARD}/rpc/Nope.X`)).toEqual({
          status: 500,
          body: { error: { code: 404, message: 'No handler for Nope.X' } },
        });
      },
      { switches: { errors: 'status' } },
    );
  });

  it('takes what boards answer to pieces: null, or true', async () => {
    await withMdashServer(
      async ({ mdash, clock, board }) => {
        expect(await (await uploaded(mdash, BOARD, bundleOf())).json()).toBe(true);
        await clock.advance(10 * SECOND_MS);
        expect(board.effects.map(({ kind }) => kind)).toEqual(['flash', 'reboot']);
      },
      { faults: { resultsTrue: true } },
    );
  });

  it('takes no uploads where that is switched off', async () => {
    await withMdashServer(
      async ({ mdash, board }) => {
        expect((await uploaded(mdash, BOARD, bundleOf())).status).toBe(404);
        expect(board.effects).toEqual([]);
      },
      { switches: { ota: 'gone' } },
    );
  });

  it('refuses forms without a file, and strangers', async () => {
    await withMdashServer(async ({ mdash }) => {
      const form = new FormData();
      form.append('other', new Blob(['x']), 'fw.zip');
      const path = `${mdash.url}/api/v2/devices/${BOARD}/ota`;
      expect((await fetch(path, { method: 'POST', headers: BEARER, body: form })).status).toBe(400);
      expect((await fetch(path, { method: 'POST', headers: BEARER, body: 'no form' })).status).toBe(400);
      expect((await fetch(`${mdash.url}/api/v2/devices`)).status).toBe(401);
      expect((await fetch(`${mdash.url}/api/v2/devices?access_token=${SIM_MDASH_KEY}`)).status).toBe(200);
      expect((await called(mdash, '/devices/nobody/rpc/Sys.GetInfo')).status).toBe(404);
      expect((await called(mdash, `/devices/${BOARD}/rpc/Sys.GetInfo`, { method: 'POST', body: '{' })).status).toBe(400);
    });
  });

  it('keeps devices with their shadows, keys, and what is logged', async () => {
    await withMdashServer(async ({ mdash, board, clock }) => {
      const made = await called(mdash, '/devices', post({ name: 'Moor house' }));
      expect(made).toMatchObject({ status: 200, body: { id: 'device2', name: 'Moor house', online: false, token: 'token-device2' } });
      expect(await called(mdash, '/devices')).toMatchObject({
        body: [
          { id: 'device2', online: false },
          { id: BOARD, online: true },
        ],
      });
      const wanted = { shadow: { state: { desired: { led: { on: true }, gone: null } } } };
      const changed = await called(mdash, '/devices/device2', post(wanted));
      expect(changed.body).toMatchObject({
        shadow: { state: { desired: { led: { on: true } }, reported: {}, delta: { led: { on: true } } }, version: 1 },
      });
      expect(await called(mdash, '/devices/device2', { method: 'DELETE' })).toEqual({ status: 200, body: true });
      expect((await called(mdash, '/devices/device2')).status).toBe(404);
      const key = (await called(mdash, '/keys', { method: 'POST' })).body as { readonly id: string };
      expect((await fetch(`${mdash.url}/api/v2/keys?access_token=${key.id}`)).status).toBe(200);
      expect(await called(mdash, `/keys/${key.id}`, { method: 'DELETE' })).toMatchObject({ body: true });
      expect(await called(mdash, `/devices/${BOARD}/data`)).toEqual({ status: 200, body: [] });
      await clock.run(board.powerOff());
      await clock.settled();
      expect(await called(mdash, '/devices')).toMatchObject({ body: [{ id: BOARD, online: false }] });
      expect((await called(mdash, `/devices/${BOARD}/rpc/Sys.GetInfo`)).status).toBe(503);
    });
  });

  it('keeps each board to its own answers', async () => {
    await withMdashServer(async ({ mdash, clock }) => {
      const other = boardAt(mdash, clock, { id: 'esp32_000002', firmware: { version: '0.9', buildId: 'old' } });
      await clock.run(other.powerOn());
      await clock.settled();
      const versions = await Promise.all(
        [BOARD, 'esp32_000002', BOARD].map(
          async (id) => (await called(mdash, `/devices/${id}/rpc/Sys.GetInfo`)).body as { fw_version: string },
        ),
      );
      expect(versions.map(({ fw_version: version }) => version)).toEqual(['1.0', '0.9', '1.0']);
      await clock.run(other.powerOff());
    });
  });
});
