import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import { isJsonObject, namedAt, valueAt } from '#model/shadow.ts';
import type { Json } from '#kit/canonical.ts';
import { mappedOptions } from '#shadows/mapped/options.ts';
import { configValue, settingText } from '#shadows/mapped/values.ts';
import { documentDigest, objectIn, textAt } from '#shadows/values.ts';
import type { Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { readTwin } from '#transports/azure-document.ts';
import { DEVICE, type FamilyPages, type FamilyTrial, type ReportWire } from './family.ts';

const ID = 'gw-1';
const FIXTURES = 'src/adapters/twin/fixtures';

const FLEET = `kind: Fleet
format: 1
name: trial
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: trial, lasting: true }
connections:
  hub: { type: azure-iot, host: trial.azure-devices.net, policy: service, key: '\${env:HUB_KEY}' }
  paged: { type: azure-iot, host: trial.azure-devices.net, policy: service, key: '\${env:HUB_KEY}', index: all }
  asked: { type: azure-iot, host: trial.azure-devices.net, policy: service, key: '\${env:HUB_KEY}', index: mismatches }
  logs: { type: s3, bucket: logs, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
  depot: { type: s3, bucket: depot, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, operationsPerMinute: 120, maxAttempts: 3 }
`;

type Via = 'hub' | 'paged' | 'asked';

interface Written {
  readonly firmware?: string;
  readonly config?: string;
  readonly interval?: number;
  readonly via: Via;
}

function files({ firmware = '1.0.0', config = 'one', interval = 60, via }: Written): Files {
  return {
    'fleet.yaml': FLEET,
    'devices/gateways.yaml': `kind: Devices
family: twin
via: ${via}
defaults: { model: gw2 }
devices:
  ${DEVICE}: { address: ${ID}, serial: "4711" }
`,
    'artifacts/gw.yaml': `kind: Artifact
name: gw
item: firmware
fits: { family: twin }
versions:
  1.0.0: { from: files/gw-1.bin }
  1.1.0: { from: files/gw-2.bin }
`,
    'groups/all.yaml': `kind: Group
name: all
select: all
options:
  serial: /serial
  firmware:
    reported: /fw/version
    desired: { /fw/version: "{version}", /fw/url: "{url}", /fw/sha256: "{sha256}" }
    failed: { at: /fw/state, when: [failed], why: /fw/why }
  config: { reported: /config }
  settings:
    interval: { reported: /settings/interval, type: number }
    site: { reported: /settings/site }
pins:
  firmware: gw@${firmware}
  config: { layers: [files/config-${config}.json] }
settings: { interval: ${interval}, site: moor }
rollout: careful
`,
    'files/gw-1.bin': 'gateway image 1.0.0',
    'files/gw-2.bin': 'gateway image 1.1.0',
    'files/config-one.json': '{"net":{"apn":"one.example","dns":"192.0.2.53"},"log":"info"}',
    // It loses a key: a device with a twin is told of that.
    'files/config-two.json': '{"net":{"apn":"two.example"},"log":"info"}',
  };
}

/** What is known of the device's own words, for who puts others in their place. */
const lastWords = new WeakMap<MemoryFleet, Uint8Array>();

function wireOf(via: Via): ReportWire {
  return {
    channels: [ID, 'other'],
    last: async (fleet) => {
      fleet.sim.broker(via).onPublish((topic, payload, client) => {
        if (client === ID && topic.startsWith('$iothub/twin/PATCH/properties/reported/')) lastWords.set(fleet, Uint8Array.from(payload));
      });
      await fleet.clock.advance(11 * MINUTE_MS);
      const last = lastWords.get(fleet);
      if (last === undefined) throw new Error('the device says nothing');
      return last;
    },
    put: (fleet, id, payload) => {
      const { twins } = fleet.sim.azure(via);
      if (!twins.has(id)) twins.addDevice(id);
      const patch = objectIn(payload);
      try {
        if (patch !== null) twins.report(id, patch);
      } catch (error) {
        // A hub takes no report that a twin cannot hold.
        if (!(error instanceof Error) || error.name !== 'HubError') throw error;
      }
      return Promise.resolve();
    },
  };
}

function offersOf(via: Via): (fleet: MemoryFleet) => readonly string[] {
  return (fleet) => {
    const { desired } = fleet.sim.azure(via).twins.readByDevice(ID);
    const { $version: _version, ...state } = isJsonObject(desired) ? desired : {};
    return [JSON.stringify(state)];
  };
}

const NEW_CONFIG = documentDigest(JSON.parse(String(files({ via: 'hub' })['files/config-two.json'])) as Json);

/** A spoilt report may lack anything; what it then shows of an item is nothing, never another value. */
const OLD_VALUES: Readonly<Record<string, (value: string) => boolean>> = {
  firmware: (value) => value === '1.0.0',
  config: (value) => value !== NEW_CONFIG,
  settings: (value) => !value.includes('interval=90'),
};

function trialOf(via: Via) {
  return {
    family: 'twin',
    files: files({ via }),
    doneMs: 15 * MINUTE_MS,
    stranger: { fault: 'wrongSerial', value: '9999', shownMs: MINUTE_MS },
    wire: wireOf(via),
    offers: offersOf(via),
    isOld: (item: string, value: string) => OLD_VALUES[item]?.(value) === true,
  } as const;
}

export const TWIN_TRIALS: readonly FamilyTrial[] = [
  { ...trialOf('hub'), next: files({ firmware: '1.1.0', via: 'hub' }), item: 'firmware', effect: 'flash' },
  { ...trialOf('paged'), next: files({ config: 'two', via: 'paged' }), item: 'config', effect: 'config' },
  { ...trialOf('asked'), next: files({ interval: 90, via: 'asked' }), item: 'settings', effect: 'setting' },
];

interface Vector {
  readonly name: string;
  readonly twin: unknown;
  readonly options: Readonly<Record<string, Json>>;
  readonly version: number;
  readonly firmware: string | null;
  readonly config: string | null;
  readonly settings: Readonly<Record<string, string | null>>;
  readonly heardAt: string | null;
}

function vectorsIn(file: string): readonly Vector[] {
  return (JSON.parse(readFileSync(`${FIXTURES}/${file}`, 'utf8')) as { readonly vectors: readonly Vector[] }).vectors;
}

/** A twin as a hub writes it comes out by the mapping as the vector says. */
function readBack({ twin, options, version, firmware, config, settings, heardAt }: Vector): void {
  const document = readTwin(twin)?.document;
  const mapping = mappedOptions(options);
  if (document === undefined) throw new Error('no twin');
  expect(document.version).toBe(version);
  expect(namedAt(document.reported, '')).toBe(heardAt === null ? null : Date.parse(heardAt));
  if (mapping.firmware !== null)
    expect(textAt(valueAt(document.reported, mapping.firmware.reported))).toEqual({ ok: true, value: firmware });
  if (mapping.config !== null) expect(configValue(mapping.config, document)).toEqual({ ok: true, value: config });
  for (const [name, value] of mapping.settings) expect(settingText(valueAt(document.reported, value.reported))).toBe(settings[name]);
}

export const TWIN_PAGES: FamilyPages = {
  family: 'twin',
  fixtures: vectorsIn('twins.json').map((vector) => ({ file: 'twins.json', name: vector.name, check: () => readBack(vector) })),
  readme: {
    'fleet.yaml': FLEET,
    'files/firmware/gw-1.0.0.bin': 'gateway image 1.0.0',
    'files/firmware/gw-1.1.0.bin': 'gateway image 1.1.0',
    'files/gateways/base.json': '{"net":{"apn":"one.example"}}',
  },
};
