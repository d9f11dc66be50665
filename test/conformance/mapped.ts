import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { valueAt, type ShadowDocument } from '#model/shadow.ts';
import { mappedOptions } from '#shadows/mapped/options.ts';
import { configValue, settingText } from '#shadows/mapped/values.ts';
import { documentDigest, textAt } from '#shadows/values.ts';
import { artifactsYaml } from '#test/support/artifact-yaml.ts';
import type { Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { DEVICE, type FamilyTrial, type ReportWire } from './family.ts';

/** Its thing, and its id at a hub. */
export const THING = 'gw-1';

/** What tells apart the families whose devices obey a mapping. */
export interface MappedFamily<Via extends string> {
  readonly family: 'shadow' | 'twin';
  readonly fleet: string;
  /** The config of its device, and the one that comes after it. */
  readonly configs: readonly [string, string];
  /** The connection by which each item is tried. */
  readonly vias: Readonly<Record<'firmware' | 'config' | 'settings', Via>>;
  wireOf(via: Via): ReportWire;
  offersOf(via: Via): (fleet: MemoryFleet) => readonly string[];
}

interface Written {
  readonly firmware?: string;
  readonly config?: string;
  readonly interval?: number;
  readonly via: string;
}

function filesOf<Via extends string>({ family, fleet, configs }: MappedFamily<Via>, written: Written): Files {
  const { firmware = '1.0.0', config = 'one', interval = 60, via } = written;
  return {
    'fleet.yaml': fleet,
    'devices/gateways.yaml': `kind: Devices
family: ${family}
via: ${via}
defaults: { model: gw2 }
devices:
  ${DEVICE}: { address: ${THING}, serial: "4711" }
`,
    'artifacts/gw.yaml': artifactsYaml({
      name: 'gw',
      family,
      versions: { '1.0.0': 'from: files/gw-1.bin', '1.1.0': 'from: files/gw-2.bin' },
    }),
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
    'files/config-one.json': configs[0],
    'files/config-two.json': configs[1],
  };
}

/** One trial of each item that a mapping knows. */
export function mappedTrials<Via extends string>(family: MappedFamily<Via>): readonly FamilyTrial[] {
  const newConfig = documentDigest(JSON.parse(family.configs[1]) as Json);
  /** A spoilt report may lack anything; what it then shows of an item is nothing, never another value. */
  const oldValues: Readonly<Record<string, (value: string) => boolean>> = {
    firmware: (value) => value === '1.0.0',
    config: (value) => value !== newConfig,
    settings: (value) => !value.includes('interval=90'),
  };
  const trialOf = (item: 'firmware' | 'config' | 'settings', change: Omit<Written, 'via'>) => {
    const via = family.vias[item];
    return {
      family: family.family,
      files: filesOf(family, { via }),
      next: filesOf(family, { ...change, via }),
      item,
      doneMs: 15 * MINUTE_MS,
      stranger: { fault: 'wrongSerial', value: '9999', shownMs: MINUTE_MS },
      wire: family.wireOf(via),
      offers: family.offersOf(via),
      isOld: (of: string, value: string) => oldValues[of]?.(value) === true,
    };
  };
  return [
    { ...trialOf('firmware', { firmware: '1.1.0' }), effect: 'flash' },
    { ...trialOf('config', { config: 'two' }), effect: 'config' },
    { ...trialOf('settings', { interval: 90 }), effect: 'setting' },
  ];
}

/** What is known of the device's own words, for who puts others in their place. */
const lastWords = new WeakMap<MemoryFleet, Uint8Array>();

/** The last report of the device, which it repeats within 11 minutes; `isReport` tells it by its topic. */
export async function lastReport(fleet: MemoryFleet, via: string, isReport: (topic: string) => boolean): Promise<Uint8Array> {
  const stop: { done: boolean } = { done: false };
  fleet.sim.broker(via).onPublish((topic, payload, client) => {
    if (isReport(topic) && client === THING && !stop.done) lastWords.set(fleet, Uint8Array.from(payload));
  });
  await fleet.clock.advance(11 * MINUTE_MS);
  stop.done = true;
  const last = lastWords.get(fleet);
  if (last === undefined) throw new Error('the device says nothing');
  return last;
}

/** What a mapping makes of a document. */
export interface MappedVector {
  readonly name: string;
  readonly options: Readonly<Record<string, Json>>;
  readonly firmware: string | null;
  readonly config: string | null;
  readonly settings: Readonly<Record<string, string | null>>;
}

/** `vectors` of a JSON file. */
export function vectorsIn(path: string): unknown {
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly vectors: unknown }).vectors;
}

export function expectMapped(document: ShadowDocument, { options, firmware, config, settings }: MappedVector): void {
  const { reported } = document;
  const mapping = mappedOptions(options);
  if (mapping.firmware !== null) expect(textAt(valueAt(reported, mapping.firmware.reported))).toEqual({ ok: true, value: firmware });
  if (mapping.config !== null) expect(configValue(mapping.config, document)).toEqual({ ok: true, value: config });
  for (const [name, value] of mapping.settings) expect(settingText(valueAt(reported, value.reported))).toBe(settings[name]);
}

/** Files that the example of either readme refers to. */
export const README_FILES: Files = {
  'files/firmware/gw-1.0.0.bin': 'gateway image 1.0.0',
  'files/firmware/gw-1.1.0.bin': 'gateway image 1.1.0',
  'files/gateways/base.json': '{"net":{"apn":"one.example"}}',
};
