import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { isJsonObject } from '#model/shadow.ts';
import { thingOf } from '#shadows/values.ts';
import { chariotOptions } from './options.ts';
import { identityKey } from './identity.ts';
import type { ClaimConfig } from './sim-provision.ts';
import type { ChariotSimOptions, SimIdentity } from './sim.ts';

/**
 * The hardware of a declared device, carrying what is declared. `written` says what it has instead: `firmware` and `program`
 * as it says them, `config=none`, `measure.NAME`, `fixedRotation=on` for one that goes on with a new certificate by itself, and the timings by name (`installMs=3000`).
 */
export function declaredChariot(
  device: DeclaredDevice,
  written: Readonly<Record<string, string>>,
  enrolled: Omit<SimIdentity, 'key' | 'fixedRotation'> | null = null,
): ChariotSimOptions {
  const item = (name: string): DeclaredItem | undefined => device.items.find((one) => one.item === name);
  const timings = (['installMs', 'applyMs', 'reportMs'] as const).flatMap((name) =>
    written[name] === undefined ? [] : [[name, Number(written[name])] as const],
  );
  const measures = Object.entries(written).flatMap(([name, value]) =>
    name.startsWith('measure.') ? [[name.slice('measure.'.length), value] as const] : [],
  );
  return {
    id: thingOf(device),
    services: chariotOptions(device.options),
    serial: device.serial,
    model: device.model,
    firmware: written['firmware'] ?? item('firmware')?.value ?? null,
    program: written['program'] ?? item('program')?.value ?? null,
    config: written['config'] === 'none' ? null : configOf(item('config')),
    measures: Object.fromEntries(measures),
    timings: Object.fromEntries(timings),
    identity:
      enrolled === null ? null : { ...enrolled, key: identityKey(device.options), fixedRotation: written['fixedRotation'] === 'on' },
  };
}

/** The hardware without what its services are; with a claim its certificate store is empty, and it provisions itself. */
export type ChariotHardware = Omit<ChariotSimOptions, 'services' | 'identity'> & { readonly claim?: ClaimConfig | null };

/** With services as `options:` of a declared device have them; anything but an object counts as not written. */
export function chariotOfOptions(hardware: ChariotHardware, options: Json): ChariotSimOptions {
  const entries = isJsonObject(options)
    ? Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
    : [];
  const given = Object.fromEntries(entries);
  const { claim = null, ...rest } = hardware;
  const identity = claim === null ? null : { key: identityKey(given), certificates: [], claim, fixedRotation: false };
  return { ...rest, services: chariotOptions(given), identity };
}

function configOf(item: DeclaredItem | undefined): Json | null {
  return item?.content?.kind === 'bytes' ? (JSON.parse(new TextDecoder().decode(item.content.bytes)) as Json) : null;
}
