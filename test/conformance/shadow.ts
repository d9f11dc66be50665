import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { mappedOptions } from '#shadows/mapped/options.ts';
import { configValue, settingText } from '#shadows/mapped/values.ts';
import { textAt } from '#shadows/values.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { namedAt, readShadowDocument, valueAt } from '#model/shadow.ts';
import type { Json } from '#kit/canonical.ts';
import type { Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { DEVICE, type FamilyPages, type FamilyTrial, type ReportWire } from './family.ts';

const THING = 'gw-1';
const FIXTURES = 'src/adapters/shadow/fixtures';

const FLEET = `kind: Fleet
format: 1
name: trial
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: trial, lasting: true }
connections:
  field: { type: mqtt, url: 'mqtt://127.0.0.1:1883' }
  cloud: { type: aws-iot, region: eu-central-1, endpoint: 'https://aws.sim', index: all }
  logs: { type: s3, bucket: logs, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
  depot: { type: s3, bucket: depot, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, operationsPerMinute: 120, maxAttempts: 3 }
`;

interface Written {
  readonly firmware?: string;
  readonly config?: string;
  readonly interval?: number;
  /** AWS IoT over HTTP with its index, or a plain broker. */
  readonly via?: 'cloud' | 'field';
}

function files({ firmware = '1.0.0', config = 'one', interval = 60, via = 'field' }: Written = {}): Files {
  return {
    'fleet.yaml': FLEET,
    'devices/gateways.yaml': `kind: Devices
family: shadow
via: ${via}
defaults: { model: gw2 }
devices:
  ${DEVICE}: { address: ${THING}, serial: "4711" }
`,
    'artifacts/gw.yaml': `kind: Artifact
name: gw
item: firmware
fits: { family: shadow }
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
    'files/config-one.json': '{"net":{"apn":"one.example"},"log":"info"}',
    'files/config-two.json': '{"net":{"apn":"two.example"},"log":"info"}',
  };
}

/** What is known of the device's own words, for who puts others in their place. */
const lastWords = new WeakMap<MemoryFleet, Uint8Array>();

function wireOf(via: 'cloud' | 'field'): ReportWire {
  const update = `$aws/things/${THING}/shadow/name/fleet/update`;
  return {
    channels: ['fleet', 'other', 'classic'],
    last: async (fleet) => {
      const stop: { done: boolean } = { done: false };
      fleet.sim.broker(via).onPublish((topic, payload, client) => {
        if (topic === update && client === THING && !stop.done) lastWords.set(fleet, Uint8Array.from(payload));
      });
      await fleet.clock.advance(11 * MINUTE_MS);
      stop.done = true;
      const last = lastWords.get(fleet);
      if (last === undefined) throw new Error('the device says nothing');
      return last;
    },
    put: (fleet, channel, payload) => {
      const shadow = channel === 'classic' ? null : channel;
      fleet.sim.aws(via).shadows.update({ thing: THING, shadow }, payload);
      return Promise.resolve();
    },
  };
}

function offersOf(via: 'cloud' | 'field'): (fleet: MemoryFleet) => readonly string[] {
  return (fleet) => {
    const content = fleet.sim.aws(via).shadows.contentOf({ thing: THING, shadow: 'fleet' });
    return [JSON.stringify(content?.state['desired'] ?? null)];
  };
}

/** A spoilt report may lack anything; what it then shows of an item is nothing, never another value. */
const OLD_VALUES: Readonly<Record<string, (value: string) => boolean>> = {
  firmware: (value) => value === '1.0.0',
  config: (value) => value === 'none' || !NEW_CONFIGS.has(value),
  settings: (value) => !value.includes('interval=90'),
};

const NEW_CONFIGS = new Set([configText(JSON.parse(String(files()['files/config-two.json'])) as Json)]);

function configText(document: Json): string {
  const read = readShadowDocument({ state: { reported: { config: document } }, version: 1 });
  const mapping = mappedOptions({ config: { reported: '/config' } }).config;
  if (read === null || mapping === null) throw new Error('no document');
  const value = configValue(mapping, read);
  return value.ok ? value.value : '';
}

function trialOf(via: 'cloud' | 'field') {
  return {
    family: 'shadow',
    files: files({ via }),
    doneMs: 15 * MINUTE_MS,
    stranger: { fault: 'wrongSerial', value: '9999', shownMs: MINUTE_MS },
    wire: wireOf(via),
    offers: offersOf(via),
    isOld: (item: string, value: string) => OLD_VALUES[item]?.(value) === true,
  } as const;
}

export const SHADOW_TRIALS: readonly FamilyTrial[] = [
  { ...trialOf('field'), next: files({ firmware: '1.1.0' }), item: 'firmware', effect: 'flash' },
  { ...trialOf('cloud'), next: files({ config: 'two', via: 'cloud' }), item: 'config', effect: 'config' },
  { ...trialOf('cloud'), next: files({ interval: 90, via: 'cloud' }), item: 'settings', effect: 'setting' },
];

interface Vector {
  readonly name: string;
  readonly document: unknown;
  readonly options: Readonly<Record<string, Json>>;
  readonly firmware: string | null;
  readonly config: string | null;
  readonly settings: Readonly<Record<string, string | null>>;
  readonly heardAt: number;
}

function vectorsIn(file: string): readonly Vector[] {
  return (JSON.parse(readFileSync(`${FIXTURES}/${file}`, 'utf8')) as { readonly vectors: readonly Vector[] }).vectors;
}

/** A document as AWS writes it comes out by the mapping as the vector says. */
function readBack({ document, options, firmware, config, settings, heardAt }: Vector): void {
  const read = readShadowDocument(document);
  const mapping = mappedOptions(options);
  if (read === null) throw new Error('no document');
  expect(namedAt(read.reported, '')).toBe(heardAt * 1000);
  if (mapping.firmware !== null) expect(textAt(valueAt(read.reported, mapping.firmware.reported))).toEqual({ ok: true, value: firmware });
  if (mapping.config !== null) expect(configValue(mapping.config, read)).toEqual({ ok: true, value: config });
  for (const [name, value] of mapping.settings) expect(settingText(valueAt(read.reported, value.reported))).toBe(settings[name]);
}

export const SHADOW_PAGES: FamilyPages = {
  family: 'shadow',
  fixtures: vectorsIn('documents.json').map((vector) => ({ file: 'documents.json', name: vector.name, check: () => readBack(vector) })),
  readme: {
    'fleet.yaml': FLEET,
    'files/firmware/gw-1.0.0.bin': 'gateway image 1.0.0',
    'files/firmware/gw-1.1.0.bin': 'gateway image 1.1.0',
    'files/gateways/base.json': '{"net":{"apn":"one.example"}}',
  },
};
