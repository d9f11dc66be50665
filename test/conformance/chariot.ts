import { MINUTE_MS } from '#kit/duration.ts';
import { documentValue } from '#adapters/chariot/wire.ts';
import { chariotVectors } from '#test/support/chariot-sessions.ts';
import { artifactsYaml } from '#test/support/artifact-yaml.ts';
import type { Files } from '#test/support/memory-fleet.ts';
import { classicShadow } from './classic-shadow.ts';
import { DEVICE, type FamilyPages, type FamilyTrial } from './family.ts';

const THING = 'gw-1';
const NEW_CONFIG = { net: { apn: 'two.example' }, level: 3 };

interface Written {
  readonly firmware?: string;
  readonly program?: string;
  readonly config?: string;
}

function files({ firmware = '1.0.0', program = '7.1', config = 'one' }: Written = {}): Files {
  return {
    'devices/gateways.yaml': `kind: Devices
family: chariot
via: field
defaults: { model: gw2 }
devices:
  ${DEVICE}: { address: ${THING}, serial: "4711" }
`,
    'artifacts/gateway.yaml': artifactsYaml(
      { name: 'gateway', family: 'chariot', versions: { '1.0.0': 'from: files/gw-1.bin', '1.1.0': 'from: files/gw-2.bin' } },
      {
        name: 'reader',
        item: 'program',
        family: 'chariot',
        versions: { '7.1': 'from: files/reader-1.bin', '7.2': 'from: files/reader-2.bin' },
      },
    ),
    'groups/all.yaml': `kind: Group
name: all
select: all
options: { serial: /device/serial, agent: agent, config: { running: running } }
pins: { firmware: gateway@${firmware}, program: reader@${program}, config: { layers: [files/config-${config}.json] } }
rollout: careful
`,
    'files/gw-1.bin': 'gateway image 1.0.0',
    'files/gw-2.bin': 'gateway image 1.1.0',
    'files/reader-1.bin': 'reader 7.1',
    'files/reader-2.bin': 'reader 7.2',
    'files/config-one.json': '{"net":{"apn":"one.example"},"old":true}',
    'files/config-two.json': JSON.stringify(NEW_CONFIG),
  };
}

const OLD_VALUES: Readonly<Record<string, (value: string) => boolean>> = {
  firmware: (value) => value === '1.0.0',
  program: (value) => value === '7.1',
  config: (value) => value !== documentValue(NEW_CONFIG),
};

const trial = {
  ...classicShadow(THING, { desired: null }),
  family: 'chariot',
  files: files(),
  doneMs: 15 * MINUTE_MS,
  stranger: { fault: 'wrongSerial', value: '9999', shownMs: MINUTE_MS },
  isOld: (item: string, value: string) => OLD_VALUES[item]?.(value) === true,
} as const;

export const CHARIOT_TRIALS: readonly FamilyTrial[] = [
  { ...trial, next: files({ firmware: '1.1.0' }), item: 'firmware', effect: 'flash' },
  { ...trial, next: files({ program: '7.2' }), item: 'program', effect: 'program' },
  { ...trial, next: files({ config: 'two' }), item: 'config', effect: 'config' },
];

export const CHARIOT_PAGES: FamilyPages = {
  family: 'chariot',
  fixtures: chariotVectors(),
  readme: {
    'files/firmware/gw-1.0.0.bin': 'gateway image 1.0.0',
    'files/firmware/gw-1.1.0.bin': 'gateway image 1.1.0',
    'files/gateways/reader.json': '{"net":{"apn":"one.example"}}',
  },
};
