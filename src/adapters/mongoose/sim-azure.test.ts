import { expect, it } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import { makeAzureHub, type AzureHub } from '#sim/azure/hub.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeSimPorts } from '#sim/ports.ts';
import type { SimDevice } from '#ports/sim.ts';
import { BOARD, BUNDLE, HARDWARE } from '#test/support/mongoose-bench.ts';
import { memoryClient } from '#test/support/shadow-wires.ts';
import { makeMongooseDevice } from './sim.ts';

interface Scene {
  readonly hub: AzureHub;
  readonly clock: VirtualClock;
  readonly board: SimDevice;
  /** Topics and bodies of the board since it was asked last. */
  said(): readonly (readonly [string, string])[];
  want(url: string): void;
}

async function scene(run: (scene: Scene) => Promise<void>): Promise<void> {
  const clock = new VirtualClock(Date.UTC(2026, 10, 21, 12));
  const hub = makeAzureHub({ clock });
  hub.twins.addDevice(BOARD);
  await clock.track(import('mqtt'));
  const ports = makeSimPorts({
    clock,
    seed: 1,
    id: BOARD,
    connect: ({ clientId, credentials }) => memoryClient(hub.broker, clock, { clientId, username: credentials?.username ?? '' }),
    objects: () => Promise.reject(new Error('a board has no bucket')),
    get: () => Promise.resolve({ status: 200, headers: { 'content-length': String(BUNDLE.length) }, bytes: BUNDLE }),
  });
  const board = makeMongooseDevice({ ...HARDWARE, cloud: 'azure' }, ports);
  let heard: (readonly [string, string])[] = [];
  hub.broker.onPublish((topic, payload) => heard.push([topic, new TextDecoder().decode(payload)]));
  const said = (): readonly (readonly [string, string])[] => {
    const taken = heard;
    heard = [];
    return taken;
  };
  const want = (url: string): void => void hub.twins.write(BOARD, { desired: { ota: { url } }, replace: false, ifMatch: null });
  await clock.run(board.powerOn());
  await clock.settled();
  await run({ hub, clock, board, said, want });
  await clock.run(board.powerOff());
  await hub.close();
}

it('gets its twin, reports without waiting for an answer, and obeys what is desired (§8, D1)', () =>
  scene(async ({ hub, clock, board, said, want }) => {
    const [get, report] = said();
    expect(get).toEqual(['$iothub/twin/GET/?$rid=get1', '']);
    expect(report?.[0]).toBe('$iothub/twin/PATCH/properties/reported/?rid=upd2');
    want('https://fw.example/a/2.0.zip?attempt=1');
    await clock.settled();
    expect(said()).toEqual([
      ['$iothub/twin/PATCH/properties/reported/?rid=upd3', '{"ota":{"url":"https://fw.example/a/2.0.zip?attempt=1"}}'],
    ]);
    await clock.advance(20 * SECOND_MS);
    expect(board.truth()['firmware']).toBe('2.0 20261101-120000 (on trial)');
    expect(hub.twins.readByDevice(BOARD)['reported']).toMatchObject({
      ota: { fw_version: '2.0', is_committed: false, partition: 1, status: 0 },
    });
  }));

it('catches up by its GET, because a hub sends nothing again', () =>
  scene(async ({ clock, board, want }) => {
    await clock.run(board.powerOff());
    want('https://fw.example/a/2.0.zip?attempt=1');
    await clock.run(board.powerOn());
    await clock.advance(20 * SECOND_MS);
    expect(board.truth()['firmware']).toBe('2.0 20261101-120000 (on trial)');
  }));

it('answers direct methods as it answers calls (§4.2)', () =>
  scene(async ({ hub, clock, board, want }) => {
    const invoke = async (methodName: string, payload: unknown = null): Promise<unknown> => {
      const body = new TextEncoder().encode(JSON.stringify({ methodName, payload, responseTimeoutInSeconds: 5 }));
      const target = `/twins/${BOARD}/methods?api-version=2021-04-12`;
      const answer = await clock.run(hub.endpoint.handle({ method: 'POST', target, headers: {}, body, certificate: null }));
      return typeof answer === 'string' ? answer : JSON.parse(new TextDecoder().decode(answer.bytes));
    };
    expect(await invoke('OTA.Commit')).toEqual({ status: 500, payload: { code: -1, message: null } });
    expect(await invoke('RPC.Describe', { name: 'OTA.Commit' })).toMatchObject({ status: 200, payload: { name: 'OTA.Commit' } });
    want('https://fw.example/a/2.0.zip?attempt=1');
    await clock.advance(20 * SECOND_MS);
    expect(await invoke('OTA.Commit')).toEqual({ status: 200, payload: null });
    expect(board.truth()['firmware']).toBe('2.0 20261101-120000');
  }));
