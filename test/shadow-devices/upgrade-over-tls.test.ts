import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { declaredChariot } from '#adapters/chariot/sim-declared.ts';
import { makeChariotDevice } from '#adapters/chariot/sim.ts';
import { buildSimBundle } from '#adapters/mongoose/sim-image.ts';
import { declaredMongoose } from '#adapters/mongoose/sim-declared.ts';
import { makeMongooseDevice } from '#adapters/mongoose/sim.ts';
import { declaredShadow } from '#adapters/shadow/sim-declared.ts';
import { makeShadowDevice } from '#adapters/shadow/sim.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import type { SimDevice, SimPorts } from '#ports/sim.ts';
import type { Wires } from '#ports/wires.ts';
import { SIM_AWS_CREDENTIALS } from '#sim/aws/server.ts';
import type { VirtualClock } from '#sim/clock.ts';
import { startS3Server, type S3Server } from '#sim/s3/server.ts';
import { MemoryFleet, type Files } from '#test/support/memory-fleet.ts';
import { openWiredAccount, trustAlso, wiredClock, type Said, type WiredAccount } from '#test/support/wired-account.ts';
import { systemClock } from '#transports/clock.ts';
import { makeNetworkWires } from '#transports/wires.ts';

const BUCKET = 'depot';
/** A download, an installation of 20 s, a restart. */
const DONE_MS = 40 * SECOND_MS;
const SOAK_MS = 6 * MINUTE_MS;

interface Trial {
  readonly family: 'chariot' | 'mongoose' | 'shadow';
  readonly shadow: string | null;
  readonly options: string;
  make(device: DeclaredDevice, ports: SimPorts): SimDevice;
  /** What lies in the repo for a version. */
  file(version: string): string | Uint8Array;
  /** Where reported has what runs. */
  running(reported: unknown): unknown;
}

const TRIALS: readonly Trial[] = [
  {
    family: 'chariot',
    shadow: null,
    options: '{ serial: /device/serial, agent: agent }',
    make: (device, ports) => makeChariotDevice(declaredChariot(device, {}), ports),
    file: (version) => `image ${version}`,
    running: (reported) => (reported as { firmware: { running: string } }).firmware.running,
  },
  {
    family: 'mongoose',
    shadow: null,
    // Over HTTP nobody calls it: it commits by itself.
    options: '{ commit: self }',
    make: (device, ports) => makeMongooseDevice(declaredMongoose(device, {}), ports),
    file: (version) => buildSimBundle({ platform: 'esp32', version, buildId: `build-${version}` }),
    running: (reported) => (reported as { ota: { fw_version: string } }).ota.fw_version,
  },
  {
    family: 'shadow',
    shadow: 'fleet',
    options: '{ firmware: { reported: /fw/version, desired: { /fw/version: "{version}", /fw/url: "{url}", /fw/sha256: "{sha256}" } } }',
    make: (device, ports) => makeShadowDevice(declaredShadow(device, {}), ports),
    file: (version) => `image ${version}`,
    running: (reported) => (reported as { fw: { version: string } }).fw.version,
  },
];

let clock: VirtualClock;
let account: WiredAccount;
let depot: S3Server;
let distrust: () => void;

beforeAll(async () => {
  clock = wiredClock();
  account = await openWiredAccount({ clock });
  depot = await startS3Server({ buckets: [BUCKET], credentials: [SIM_AWS_CREDENTIALS] });
  distrust = trustAlso(account.server.caCertificate);
});

afterAll(async () => {
  distrust();
  await depot.close();
  await account.close();
});

function filesOf({ family, options, file }: Trial, version: string): Files {
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: wired
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: wired, lasting: true }
connections:
  cloud: { type: aws-iot, region: eu-central-1, endpoint: '${account.server.httpsUrl}' }
  depot: { type: s3, bucket: ${BUCKET}, region: us-east-1, endpoint: '${depot.url}' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, operationsPerMinute: 120 }
`,
    'rollouts/careful.yaml': `kind: Rollout
name: careful
waves: [{ name: canary, select: { labels: { ring: canary } }, gate: { success: 100%, soak: 5m } }, { name: rest }]
budget: [{ max: 100% }]
windows: any
`,
    'devices/all.yaml': `kind: Devices
family: ${family}
via: cloud
defaults: { model: ${family === 'mongoose' ? 'esp32' : 'gw2'} }
devices: { ${family}-1: { labels: { ring: canary } }, ${family}-2: {} }
`,
    'artifacts/gw.yaml': `kind: Artifact
name: gw
item: firmware
fits: { family: ${family} }
versions: { 1.0.0: { from: files/1 }, 1.1.0: { from: files/2 } }
`,
    'groups/all.yaml': `kind: Group
name: all
select: all
options: ${options}
pins: { firmware: gw@${version} }
rollout: careful
`,
    'files/1': file('1.0.0'),
    'files/2': file('1.1.0'),
  };
}

/** The transports of production; virtual time stands still while a socket is waited for. */
function wires(): Wires {
  const { accessKeyId, secretAccessKey } = SIM_AWS_CREDENTIALS;
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  // Signatures go by the time of the machine.
  const network = makeNetworkWires({ clock: systemClock, env });
  const { shadows } = network;
  if (shadows === undefined) throw new Error('the network has shadows');
  return {
    bus: (...given) => clock.track(network.bus(...given)),
    objects: async (connection) => clock.tracked(await clock.track(network.objects(connection))),
    shadows: async (connection) => clock.tracked(await clock.track(shadows(connection))),
    get: (...given) => clock.track(network.get(...given)),
  };
}

describe('the engine over HTTPS with SigV4, devices on MQTT with certificates', () => {
  it.each(TRIALS)('upgrades a $family fleet wave by wave', async (trial) => {
    const fleet = await MemoryFleet.start({ files: filesOf(trial, '1.0.0'), clock, wires });
    const names = [1, 2].map((number) => `${trial.family}-${number}`);
    const devices = new Map<string, { readonly hardware: SimDevice; readonly said: readonly Said[] }>();
    for (const name of names) {
      const { declared } = fleet;
      const row = declared.rowOf(deviceId(name));
      if (row === undefined) throw new Error(`${name} is not declared`);
      const { ports, said } = await account.device(name);
      const hardware = trial.make(declared.deviceAt(row), ports);
      devices.set(name, { hardware, said });
      await clock.run(hardware.powerOn());
    }
    const carried = (): readonly (string | undefined)[] =>
      [...devices.values()].map(({ hardware }) => hardware.truth()['firmware']?.replace(/ build-.*$/, ''));
    const converged = async (): Promise<number> => {
      const { result, refusal } = await fleet.pass();
      expect(refusal).toBe(null);
      expect(result?.troubles).toEqual([]);
      return result?.plan.groups[0]?.converged ?? -1;
    };
    await account.run(5 * SECOND_MS);
    expect((await fleet.pass({ newLedger: true })).result?.plan.groups[0]?.converged).toBe(2);

    fleet.repo.commit(filesOf(trial, '1.1.0'), 'To 1.1.0');
    await converged();
    await account.run(DONE_MS);
    expect(carried()).toEqual(['1.1.0', '1.0.0']);
    expect(await converged()).toBe(1);
    await account.clock.advance(SOAK_MS);
    // The wave has passed, and the next one opens.
    await converged();
    await account.run(DONE_MS);
    expect(await converged()).toBe(2);
    expect(carried()).toEqual(['1.1.0', '1.1.0']);
    for (const [name, { hardware }] of devices) {
      expect(hardware.effects.filter(({ kind }) => kind === 'flash')).toHaveLength(1);
      const { state } = await account.get({ thing: name, shadow: trial.shadow });
      expect(trial.running(state['reported'])).toBe('1.1.0');
    }
    for (const { hardware } of devices.values()) await clock.run(hardware.powerOff());
    await fleet.close();
  });
});
