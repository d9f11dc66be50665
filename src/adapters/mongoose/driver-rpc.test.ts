import { expect, it } from 'vitest';
import type { JsonObject } from '#model/shadow.ts';
import { SECOND_MS } from '#kit/duration.ts';
import { WireError } from '#ports/wire-error.ts';
import { BOARD, bundleOf, HARDWARE, onBench, type MongooseBench } from '#test/support/mongoose-bench.ts';
import { makeMqttCaller } from './driver-rpc.ts';
import type { RpcReply } from './rpc-call.ts';
import type { DigestAccount } from './rpc.ts';

interface Asking {
  readonly params?: JsonObject;
  readonly account?: DigestAccount;
  readonly src?: string;
  readonly board?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

function ask({ cloud, clock }: MongooseBench, method: string, asking: Asking = {}): Promise<RpcReply | 'silent'> {
  const { params = null, account = null, src = `${BOARD}/rpc-resp/headgate`, board = BOARD, timeoutMs = 6 * SECOND_MS } = asking;
  const { signal = new AbortController().signal } = asking;
  return clock.run(makeMqttCaller({ bus: cloud, clock, src, account }).call({ board, method, params, timeoutMs, signal }));
}

const FLEET: DigestAccount = { username: 'fleet', password: 's3cret' };
const ASKS = { hardware: { asksWho: true } };

it('gives what a board answers, whoever else listens', () =>
  onBench(async (bench) => {
    const state = { active_slot: 0, is_committed: true, revert_slot: 0, commit_timeout: 0 };
    expect(await ask(bench, 'OTA.GetBootState')).toEqual({ kind: 'result', result: state });
    expect(await ask(bench, 'OTA.GetBootState', { src: 'recon-1' })).toEqual({ kind: 'result', result: state });
    expect(await ask(bench, 'Nope.X')).toEqual({ kind: 'error', code: 404, message: 'No handler for Nope.X' });
    expect(await ask(bench, 'OTA.Commit')).toEqual({ kind: 'error', code: -1, message: null });
  }));

it('takes error.code 0 for success', () =>
  onBench(async (bench) => {
    bench.serve('http://h/f.zip', bundleOf());
    const reply = await ask(bench, 'OTA.Update', { params: { url: 'http://h/f.zip', commit_timeout: 300 } });
    expect(reply).toEqual({ kind: 'result', result: 'Update applied, finalizing' });
  }));

it('is silent for a board that is away, and for one of another name', () =>
  onBench(async (bench) => {
    expect(await ask(bench, 'Sys.GetInfo', { board: 'esp32_FFFFFF' })).toBe('silent');
    await bench.clock.run(bench.board.powerOff());
    const began = bench.clock.now();
    expect(await ask(bench, 'Sys.GetInfo')).toBe('silent');
    expect(bench.clock.now() - began).toBe(6 * SECOND_MS);
  }));

it('shows who calls where a board asks, once', () =>
  onBench(async (bench) => {
    expect(await ask(bench, 'Sys.GetInfo')).toMatchObject({ kind: 'error', code: 401 });
    expect(await ask(bench, 'Sys.GetInfo', { account: FLEET })).toMatchObject({ kind: 'result' });
    bench.published();
    const wrong = await ask(bench, 'Sys.GetInfo', { account: { ...FLEET, password: 'other' } });
    expect(wrong).toMatchObject({ kind: 'error', code: 401 });
    expect(bench.published()).toHaveLength(2);
  }, ASKS));

it('lets second answers go', () =>
  onBench(
    async (bench) => {
      const replies = await Promise.all([ask(bench, 'Sys.GetInfo'), ask(bench, 'OTA.Status')]);
      expect(replies).toMatchObject([{ result: { fw_version: HARDWARE.firmware.version } }, { result: { state: 0 } }]);
      expect(await ask(bench, 'RPC.Ping')).toMatchObject({ kind: 'result' });
    },
    { faults: { duplicateDelivery: true } },
  ));

it('believes no answer of somebody else', () =>
  onBench(async (bench) => {
    bench.board.fault('silentToRpc', true);
    await bench.clock.run(bench.board.powerOff());
    const answers = ask(bench, 'Sys.GetInfo');
    for (const id of ['1', '"1"', 'null', '{}']) {
      await bench.publish(`${BOARD}/rpc-resp/headgate/rpc`, `{"id":${id},"src":"esp32_FFFFFF","result":{"fw_version":"9"}}`);
    }
    expect(await answers).toBe('silent');
  }));

it('ends at its signal', () =>
  onBench(async (bench) => {
    await bench.clock.run(bench.board.powerOff());
    const controller = new AbortController();
    const answers = ask(bench, 'Sys.GetInfo', { signal: controller.signal, timeoutMs: 3600 * SECOND_MS });
    controller.abort(new WireError('TIMEOUT', 'later', 'the deadline has passed'));
    await expect(answers).rejects.toThrow('the deadline has passed');
  }));

it('sends nothing that a board cannot read', () =>
  onBench(async (bench) => {
    bench.published();
    const url = `http://h/${'x'.repeat(5000)}`;
    await expect(ask(bench, 'OTA.Update', { params: { url } })).rejects.toThrow('a board reads 4096');
    expect(bench.published()).toEqual([]);
  }));
