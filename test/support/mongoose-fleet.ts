import { buildSimBundle, type SimBundleOptions } from '#adapters/mongoose/sim-image.ts';
import type { Files } from './memory-fleet.ts';

/** `VERSION BUILD_ID` of the bundles of these fleets. */
export const BUILD = '20261101-120000/main@abc1234';
export const PLATFORM = 'esp32';

export interface MongooseFiles {
  readonly firmware?: string;
  readonly host?: string | null;
  /** `field` is a broker that keeps shadows, `cloud` is AWS IoT over HTTP, `hub` is an Azure IoT hub, `dash` is mDash. */
  readonly via?: 'field' | 'cloud' | 'hub' | 'dash';
  /** Flow style, as in a group. */
  readonly options?: string;
  readonly health?: string;
  readonly boards?: readonly string[];
  readonly group?: string;
  /** Of the broker, as a reference. */
  readonly rpcPassword?: string;
}

const VERSIONS = ['1.0.0', '2.0.0', '3.0.0'] as const;

/** A fleet of boards `b0`… with firmware 1.0.0, 2.0.0 and 3.0.0 of PLATFORM, and host firmware of ccm_host. */
export function mongooseFiles(written: MongooseFiles = {}): Files {
  const { firmware = '1.0.0', host = null, via = 'field', options = '{}', boards = ['b0'], health, group = '', rpcPassword } = written;
  const password = rpcPassword === undefined ? '' : `, rpcPassword: '${rpcPassword}'`;
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: boards
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: boards, lasting: true }
connections:
  field: { type: mqtt, url: 'mqtt://127.0.0.1:1883'${password} }
  cloud: { type: aws-iot, region: eu-central-1, endpoint: 'https://aws.sim', index: all }
  hub: { type: azure-iot, host: moor.azure-devices.net, policy: service, key: '\${env:HUB_KEY}' }
  dash: { type: mdash, url: 'https://mdash.sim', key: '\${env:MDASH_KEY}' }
  logs: { type: s3, bucket: logs, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
  depot: { type: s3, bucket: depot, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, operationsPerMinute: 120, maxAttempts: 3 }
`,
    'devices/boards.yaml': `kind: Devices
family: mongoose
via: ${via}
defaults: { model: ${PLATFORM} }
devices:
${boards.map((id, index) => `  ${id}: { address: esp32_${id}, serial: "5ECF7F0600${40 + index}" }`).join('\n')}
`,
    'artifacts/board.yaml': `kind: Artifact
name: board
item: firmware
fits: { family: mongoose }
versions:
${VERSIONS.map((version) => `  ${version}: { from: files/board-${version}.zip }`).join('\n')}
---
kind: Artifact
name: host
item: firmware.host
fits: { family: mongoose }
versions:
${VERSIONS.map((version) => `  ${version}: { from: files/host-${version}.zip }`).join('\n')}
`,
    'groups/all.yaml': `kind: Group
name: all
select: all
options: ${options}
pins: { firmware: board@${firmware}${host === null ? '' : `, firmware.host: host@${host}`} }
${health === undefined ? '' : `health: ${health}\n`}${group}rollout: careful
`,
    ...Object.fromEntries(VERSIONS.map((version) => [`files/board-${version}.zip`, bundle({ version, platform: PLATFORM })])),
    ...Object.fromEntries(
      VERSIONS.map((version) => [`files/host-${version}.zip`, bundle({ version, platform: 'ccm_host', type: 'STM32' })]),
    ),
    'rollouts/careful.yaml': `kind: Rollout
name: careful
waves: [{ name: all, gate: { soak: 1m } }]
windows: any
`,
  };
}

function bundle(options: Pick<SimBundleOptions, 'version' | 'platform' | 'type'>): Uint8Array {
  return buildSimBundle({ buildId: BUILD, size: 60_000, ...options });
}
