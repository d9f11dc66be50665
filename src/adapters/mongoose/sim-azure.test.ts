import { expect, it } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { makeAzureHub, type AzureHub } from '#sim/azure/hub.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeSimPorts } from '#sim/ports.ts';
import type { SimDevice } from '#ports/sim.ts';
import { type Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { BOARD, BUNDLE, bundleOf, HARDWARE } from '#test/support/mongoose-bench.ts';
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
    expect(await invoke('OTA.Commit')).toEqual({ status: -1, payload: { code: -1 } });
    hub.switches.methodBelowZero = 'lost';
    expect(await invoke('OTA.Commit')).toMatchObject({ Message: expect.stringContaining('GatewayTimeout') });
    expect(await invoke('OTA.Nothing')).toEqual({ status: 404, payload: { code: 404, message: 'No handler for OTA.Nothing' } });
    expect(await invoke('RPC.Describe', { name: 'OTA.Commit' })).toMatchObject({ status: 0, payload: { name: 'OTA.Commit' } });
    want('https://fw.example/a/2.0.zip?attempt=1');
    await clock.advance(20 * SECOND_MS);
    expect(await invoke('OTA.Commit')).toEqual({ status: 0, payload: null });
    expect(board.truth()['firmware']).toBe('2.0 20261101-120000');
  }));

function files(version: string): Files {
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: hub
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: hub, lasting: true }
connections:
  hub: { type: azure-iot, host: hub.azure-devices.net, policy: service, key: '\${env:HUB_KEY}' }
  depot: { type: s3, bucket: depot, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, operationsPerMinute: 120 }
`,
    'devices/boards.yaml': 'kind: Devices\nfamily: mongoose\nvia: hub\ndefaults: { model: esp32 }\ndevices: { near: {}, away: {} }\n',
    'artifacts/board.yaml': `kind: Artifact
name: board
item: firmware
fits: { family: mongoose }
versions: { "1.0": { from: files/1.zip }, "2.0": { from: files/2.zip } }
`,
    'groups/all.yaml': `kind: Group\nname: all\nselect: all\npins: { firmware: board@${version} }\nrollout: all\nsilence: 6h\noptions: { commit: self }\n`,
    'rollouts/all.yaml': 'kind: Rollout\nname: all\nwaves: [{ name: all }]\nbudget: [{ max: 100% }]\nwindows: any\n',
    'files/1.zip': bundleOf({ version: '1.0' }),
    'files/2.zip': bundleOf(),
  };
}

it('is upgraded through the hub by our own engine, also when it was away', async () => {
  const fleet = await MemoryFleet.start({ files: files('1.0') });
  const [near, away] = [await fleet.add('near'), await fleet.add('away')];
  await fleet.clock.advance(MINUTE_MS);
  await fleet.pass({ newLedger: true });
  await fleet.clock.run(away.powerOff());
  fleet.repo.commit(files('2.0'), 'Boards to 2.0');
  const passes = async (count: number): Promise<readonly string[]> => {
    for (let pass = 1; pass < count; pass += 1) {
      await fleet.clock.advance(2 * MINUTE_MS);
      await fleet.pass();
    }
    await fleet.clock.advance(2 * MINUTE_MS);
    return ((await fleet.pass()).result?.decision.held ?? []).map(({ device, reason }) => `${device} ${reason}`);
  };
  expect(await passes(3)).toEqual(['away OFFERED']);
  expect(near.truth()['firmware']).toBe('2.0 20261101-120000');
  await fleet.clock.run(away.powerOn());
  expect(await passes(3)).toEqual([]);
  expect(away.truth()['firmware']).toBe('2.0 20261101-120000');
  expect(near.effects.map(({ kind }) => kind)).toEqual(['download', 'flash', 'reboot', 'commit']);
  await fleet.close();
});
