import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { HubLogin } from '#shadows/hub-login.ts';
import { mappedOptions } from '#shadows/mapped/options.ts';
import { declaredMapped } from '#shadows/mapped/sim-declared.ts';
import type { TwinSimOptions } from './sim.ts';

/** The hardware of a declared device: what `written` says, see declaredMapped. */
export function declaredTwin(device: DeclaredDevice, written: Readonly<Record<string, string>>): TwinSimOptions {
  return declaredMapped(device, written);
}

/** What a person says of a device on the command line. */
export interface TwinHardware extends Pick<TwinSimOptions, 'id' | 'serial' | 'model' | 'firmware' | 'config'> {
  readonly hub: HubLogin;
}

/** With the mapping that `options:` of a group would give it. Throws a RangeError where nothing is mapped. */
export function twinByHand(hardware: TwinHardware, options: Json): TwinSimOptions {
  const entries = isJsonObject(options)
    ? Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
    : [];
  const mapping = mappedOptions(Object.fromEntries(entries));
  if (mapping.firmware === null && mapping.config === null && mapping.settings.size === 0)
    throw new RangeError('the options map nothing: write firmware, config or settings, each with the JSON pointer of its reported');
  return { ...hardware, mapping, settings: {}, measures: {} };
}
