import type { DeclaredDevice } from '#model/declared.ts';
import type { CampbellOptions } from './options.ts';
import { osFamily, parseOsVersion } from './os-version.ts';

/** What a message says of the hardware that sent it; members that it does not say are null. */
export interface Claims {
  readonly clientId: string | null;
  readonly model: string | null;
  readonly serial: string | null;
  readonly osVersion: string | null;
}

export interface Identified {
  readonly model: string | null;
  readonly serial: string | null;
  /** Why it cannot be the declared hardware; null when nothing speaks against it. */
  readonly mismatch: string | null;
}

/** The default client id `<MODEL>_<serial>` (docs/protocols/campbell-mqtt.md §1.1) taken apart; null for any other name. */
function defaultClientId(clientId: string): { readonly model: string; readonly serial: string } | null {
  const [, model, serial] = /^((?:CR|GRANITE)[A-Za-z0-9-]*)_([A-Za-z0-9]+)$/.exec(clientId) ?? [];
  return model === undefined || serial === undefined ? null : { model, serial };
}

/** Holds what a message says of its sender against the declared model, serial and client id. */
export function identify(claims: Claims, device: DeclaredDevice, options: CampbellOptions): Identified {
  const byClientId = claims.clientId === null ? null : defaultClientId(claims.clientId);
  const model = claims.model ?? byClientId?.model ?? null;
  const serial = claims.serial ?? byClientId?.serial ?? null;
  const osModel = claims.osVersion === null ? null : (parseOsVersion(claims.osVersion)?.model ?? null);
  const said = (what: string, reported: string, declared: string): string => `reports ${what} ${reported}, declared is ${declared}`;
  const problems = [
    serial !== null && device.serial !== null && serial.toUpperCase() !== device.serial.toUpperCase()
      ? said('serial', serial, device.serial)
      : null,
    model !== null && osFamily(model) !== osFamily(device.model) ? said('model', model, device.model) : null,
    osModel !== null && osFamily(osModel) !== osFamily(device.model)
      ? said('the OS of another model,', claims.osVersion ?? '', device.model)
      : null,
    options.clientId !== null && claims.clientId !== null && claims.clientId !== options.clientId && claims.clientId !== device.address
      ? said('client id', claims.clientId, options.clientId)
      : null,
  ];
  return { model, serial, mismatch: problems.find((problem) => problem !== null) ?? null };
}
