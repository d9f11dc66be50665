import { describe, expect, it } from 'vitest';
import { HOUR_MS, SECOND_MS } from '#kit/duration.ts';
import type { JsonObject } from '#model/shadow.ts';
import { seededRandom } from '#sim/random.ts';
import { BOARD, bundleOf, CALLER, onBench, SERVED, type MongooseBench } from '#test/support/mongoose-bench.ts';
import { authFor, challengeOf, readReply, type DigestChallenge } from './rpc.ts';

const ACCOUNT = { username: 'fleet', password: 's3cret' };

/** What the board answered to a text, as texts. */
async function answers(bench: MongooseBench, text: string, below = ''): Promise<readonly string[]> {
  bench.published();
  await bench.tell(text, below);
  return bench.published().flatMap((frame) => (frame.topic === `${CALLER}/rpc` ? [frame.text] : []));
}

async function said(bench: MongooseBench, method: string, params: JsonObject = {}): Promise<unknown> {
  const { result, error } = ((await bench.call(method, params))[0]?.body ?? {}) as JsonObject;
  return error ?? result;
}

describe('frames (§4.1, §4.2)', () => {
  it.each<readonly [string, string, string]>([
    [
      '{"id":"a","src":"recon-1"}',
      '/RPC.Describe',
      '{"id":"a","src":"esp32_AABBCC","dst":"recon-1","error":{"code":404,"message":"name not found"}}',
    ],
    ['{"id":10.5,"src":"recon-1","method":"OTA.Commit"}', '', '{"id":"10.5","src":"esp32_AABBCC","dst":"recon-1","error":{"code":-1}}'],
    [
      '{"id":"12","src":"recon-1","method":"X"}',
      '',
      '{"id":12,"src":"esp32_AABBCC","dst":"recon-1","error":{"code":404,"message":"No handler for X"}}',
    ],
    [
      '{"id":1,"src":"recon-1","method":"RPC.Describe","args":{"name":"OTA.Commit"}}',
      '',
      '{"id":1,"src":"esp32_AABBCC","dst":"recon-1","result":{"name":"OTA.Commit","args_fmt":""}}',
    ],
  ])('%s below %j', (text, below, reply) => onBench(async (bench) => expect(await answers(bench, text, below)).toEqual([reply])));

  it.each([
    '{"id":null,"src":"recon-1","method":"RPC.Ping"}',
    '{"id":{},"src":"recon-1","method":"RPC.Ping"}',
    '{"id":1,"src":"recon-1","method":"RPC.Ping"',
    '{"id":1,"src":"recon+/#","method":"RPC.Ping"}',
    '{"id":1,"src":"recon-1"}',
    `{"id":1,"src":"recon-1","method":"RPC.Ping","params":{"x":"${'x'.repeat(4096)}"}}`,
  ])('%.60s is dropped', (text) =>
    onBench(async (bench) => {
      expect(await answers(bench, text)).toEqual([]);
      expect(await said(bench, 'RPC.Ping')).toEqual({ channel_info: 'MQTT recon-1' });
    }),
  );

  it('go to the topic below the device where the caller is called so', () =>
    onBench(async (bench) => {
      await bench.tell(`{"id":1,"src":"${BOARD}/rpc-resp/mos-1","method":"RPC.Ping"}`);
      expect(bench.published().map(({ topic }) => topic)).toContain(`${BOARD}/rpc-resp/mos-1/rpc`);
    }));
});

describe('methods (§4.3)', () => {
  it('are listed by their names', () =>
    onBench(async (bench) => {
      const ota = ['Begin', 'Write', 'End', 'Update', 'Commit', 'Revert', 'CreateSnapshot', 'GetBootState', 'SetBootState', 'Status'];
      const others = ['RPC.List', 'RPC.Describe', 'RPC.Ping', 'Sys.GetInfo', 'Sys.Reboot', 'Config.Get', 'Config.Set', 'Config.Save'];
      expect(await said(bench, 'RPC.List')).toEqual([...ota.map((name) => `OTA.${name}`), ...others].toSorted());
    }));

  it('Sys.GetInfo and OTA.Status have the members of the page', () =>
    onBench(async (bench) => {
      await bench.clock.advance(90 * SECOND_MS);
      const info = (await said(bench, 'Sys.GetInfo')) as JsonObject;
      expect(Object.keys(info)).toEqual(
        'id app fw_version fw_id mg_version mg_id mac arch uptime public_key ram_size ram_free ram_min_free fs_size fs_free wifi'.split(
          ' ',
        ),
      );
      expect(info).toMatchObject({ id: BOARD, uptime: 90, fw_version: '1.0', mac: 'A4CF12AABBCC' });
      const idle = '"result":{"state":0,"message":"idle","is_committed":true,"progress_percent":0,"commit_timeout":0,"partition":0}';
      expect((await bench.call('OTA.Status'))[0]?.text).toContain(idle);
    }));

  it('Config: what is set is lost with the next start unless it is saved', () =>
    onBench(async (bench) => {
      const timeout = (): Promise<unknown> => said(bench, 'Config.Get', { key: 'update.timeout' });
      expect(await said(bench, 'Config.Set', { config: { update: { timeout: 300 } } })).toBe(null);
      expect(await timeout()).toBe(300);
      await said(bench, 'Sys.Reboot', { delay_ms: 10 });
      await bench.clock.advance(10 * SECOND_MS);
      expect(await timeout()).toBe(600);
      await said(bench, 'Config.Set', { config: { update: { timeout: 300 } } });
      expect(await said(bench, 'Config.Save', { reboot: true })).toBe(null);
      await bench.clock.advance(10 * SECOND_MS);
      expect(await timeout()).toBe(300);
      expect(await said(bench, 'Config.Get', { key: 'nope.x' })).toMatchObject({ code: 404 });
      expect(await said(bench, 'Config.Set', { config: { nope: 1 } })).toMatchObject({ code: -1 });
      expect(await said(bench, 'Config.Get')).toMatchObject({ device: { id: BOARD } });
    }));

  it('OTA.SetBootState and OTA.CreateSnapshot move between the slots', () =>
    onBench(async (bench) => {
      expect(await said(bench, 'OTA.SetBootState')).toEqual({ code: -2 });
      expect(await said(bench, 'OTA.SetBootState', { active_slot: 1 })).toEqual({ code: -1 });
      expect(await said(bench, 'OTA.CreateSnapshot')).toEqual({ slot: 1 });
      expect(await said(bench, 'OTA.SetBootState', { active_slot: 1 })).toBe(null);
      expect(await said(bench, 'OTA.GetBootState')).toMatchObject({ active_slot: 1 });
      expect(await said(bench, 'OTA.CreateSnapshot', { set_as_revert: true, commit_timeout: 60 })).toEqual({ slot: 0 });
      const state = { active_slot: 1, is_committed: false, revert_slot: 0, commit_timeout: 60 };
      expect(await said(bench, 'OTA.GetBootState')).toEqual(state);
      await bench.clock.advance(70 * SECOND_MS);
      expect(await said(bench, 'OTA.GetBootState')).toEqual({ active_slot: 0, is_committed: true, revert_slot: 0, commit_timeout: 0 });
    }));

  it('answer 418 in the last 100 ms before a restart', () =>
    onBench(async (bench) => {
      expect(await said(bench, 'Sys.Reboot', { delay_ms: 1000 })).toBe(null);
      expect(await said(bench, 'RPC.Ping')).toMatchObject({ channel_info: 'MQTT recon-1' });
      await bench.clock.advance(900);
      expect(await said(bench, 'RPC.Ping')).toEqual({ code: 418 });
      await bench.clock.advance(100);
      expect(await bench.call('RPC.Ping')).toEqual([]);
      await bench.clock.advance(5 * SECOND_MS);
      expect(await said(bench, 'RPC.Ping')).toMatchObject({ channel_info: 'MQTT recon-1' });
    }));

  it('answer 418 between the reply of OTA.Update and the restart', () =>
    onBench(async (bench) => {
      bench.serve(SERVED, bundleOf());
      await bench.tell(JSON.stringify({ id: 1, src: CALLER, method: 'OTA.Update', params: { url: SERVED, commit_timeout: 300 } }));
      while (!bench.published().some(({ topic }) => topic === `${CALLER}/rpc`)) await bench.clock.advance(10);
      expect(await said(bench, 'OTA.Status')).toEqual({ code: 418 });
      await bench.clock.advance(100);
      expect(await bench.call('OTA.Status')).toEqual([]);
    }));

  it('OTA.Begin, Write and End answer null or true', () =>
    onBench(async (bench) => {
      expect(await said(bench, 'OTA.Begin')).toBe(null);
      bench.board.fault('resultsTrue', true);
      expect(await said(bench, 'OTA.Write', { data: 'AAAA' })).toBe(true);
    }));
});

describe('a board that asks who calls (§4.2)', () => {
  const challenge = async (bench: MongooseBench): Promise<DigestChallenge | null> => {
    const [text = ''] = await answers(bench, '{"id":1,"src":"recon-1","method":"RPC.Ping"}');
    const reply = readReply(new TextEncoder().encode(text));
    return reply === null ? null : challengeOf(reply.outcome);
  };

  it.each(['MD5', 'SHA-256'] as const)('takes the right answer to its question, by %s', (algorithm) =>
    onBench(
      async (bench) => {
        const asked = await challenge(bench);
        expect(asked).toEqual({ nonce: bench.clock.now() / 1000, realm: 'RPC', algorithm });
        if (asked === null) return;
        const shown = async (change: JsonObject = {}, password = ACCOUNT.password): Promise<unknown> => {
          const auth = { ...authFor(asked, { ...ACCOUNT, password }, 424_242), ...change };
          const [text = '{}'] = await answers(bench, JSON.stringify({ id: 2, src: CALLER, method: 'RPC.Ping', auth }));
          const { error } = JSON.parse(text) as { readonly error?: { readonly code: number } };
          return error?.code;
        };
        expect(await shown()).toBeUndefined();
        expect(await shown({}, 'guessed')).toBe(401);
        expect(await shown({ realm: 'other' })).toBe(401);
        expect(await shown({ cnonce: 1 })).toBe(401);
        expect(await shown({ algorithm: 'none' })).toBe(401);
        await bench.clock.advance(HOUR_MS + SECOND_MS);
        expect(await shown()).toBe(401);
      },
      { hardware: { asksWho: true, account: { ...ACCOUNT, realm: 'RPC', algorithm } } },
    ),
  );

  it('or forbids some methods to everybody', () =>
    onBench(
      async (bench) => {
        expect(await said(bench, 'OTA.Commit')).toEqual({ code: 403, message: 'unauthorized' });
        expect(await said(bench, 'RPC.Ping')).toMatchObject({ channel_info: 'MQTT recon-1' });
      },
      { faults: { forbids: true } },
    ));
});

describe('what goes wrong with calls', () => {
  it('each is delivered twice: the second update fails', () =>
    onBench(
      async (bench) => {
        bench.serve(SERVED, bundleOf());
        const replies = await bench.call('OTA.Update', { url: SERVED, commit_timeout: 300 }, 2 * SECOND_MS);
        expect(replies.map(({ body }) => (body as JsonObject)['error'])).toEqual([
          { code: -1, message: 'Failed to init updater' },
          { code: 0, message: 'Update applied, finalizing' },
        ]);
      },
      { faults: { duplicateDelivery: true } },
    ));

  it('the reply is lost, once or of one method; all is silent; or none can be read', () =>
    onBench(async (bench) => {
      const count = async (method = 'RPC.Ping'): Promise<number> => (await bench.call(method)).length;
      bench.board.fault('replyLost', 1);
      expect([await count(), await count()]).toEqual([0, 1]);
      bench.board.fault('replyLost', 'OTA.Status');
      expect([await count('OTA.Status'), await count()]).toEqual([0, 1]);
      bench.board.fault('replyLost', false);
      bench.board.fault('silentToRpc', true);
      expect(await count()).toBe(0);
      bench.board.fault('silentToRpc', false);
      bench.board.fault('mute', true);
      expect(await count()).toBe(0);
      bench.board.fault('mute', false);
      bench.board.fault('garbage', true);
      const [spoilt] = await bench.call('RPC.Ping');
      expect(readReply(new TextEncoder().encode(spoilt?.text))).toBe(null);
    }));

  it('another board answers, and none has such a fault', () =>
    onBench(async (bench) => {
      bench.board.fault('wrongIdentity', true);
      expect(await said(bench, 'Sys.GetInfo')).toMatchObject({ id: BOARD, mac: '5ECFFFFFFFFF' });
      expect(() => bench.board.fault('nope', true)).toThrow('a board has no fault "nope"');
    }));

  it('and one without a shadow has no topics of one', () =>
    onBench(
      async (bench) => {
        expect(Object.keys(bench.aws.broker.subscriptionsOf(BOARD) ?? {})).toEqual([`${BOARD}/rpc`, `${BOARD}/rpc/#`]);
        expect(bench.reported()).toEqual([]);
        expect(await said(bench, 'RPC.Ping')).toMatchObject({ channel_info: 'MQTT recon-1' });
      },
      { faults: { rpcOnly: true } },
    ));
});

it('answers as before whatever came in between: noise on its topics, and on those of its shadow', () =>
  onBench(async (bench) => {
    const next = seededRandom(7, 'noise');
    const frame = '{"id":1,"src":"recon-1","dst":"x","method":"OTA.Update","params":{"url":"http://h","commit_timeout":[]}}';
    const shadow = '{"state":{"ota":{"url":{}}},"version":1,"clientToken":"88713090"}';
    for (let count = 0; count < 300; count += 1) {
      const text = count % 2 === 0 ? frame : shadow;
      const at = Math.floor(next() * text.length);
      const noise = text.slice(0, at) + String.fromCharCode(Math.floor(next() * 0x2ff)) + text.slice(at + Math.floor(next() * 9));
      if (count % 2 === 0) await bench.tell(noise, count % 3 === 0 ? '' : `/${noise.slice(0, 9).replaceAll(/[+#\0/]/g, '')}`);
      else
        bench.aws.broker.publish({
          topic: `$aws/things/${BOARD}/shadow/update/delta`,
          payload: new TextEncoder().encode(noise),
          qos: 1,
          retain: false,
        });
    }
    await bench.clock.advance(60 * SECOND_MS);
    bench.published();
    expect(await said(bench, 'OTA.GetBootState')).toMatchObject({ active_slot: 0, is_committed: true });
  }));

it('connects again with a growing pause', () =>
  onBench(async (bench) => {
    await bench.aws.broker.faults({ refuse: true });
    await bench.clock.advance(20 * SECOND_MS);
    expect(bench.aws.broker.clients).toEqual([]);
    await bench.aws.broker.faults({ refuse: false });
    await bench.clock.advance(20 * SECOND_MS);
    expect(bench.aws.broker.clients).toEqual([BOARD]);
  }));
