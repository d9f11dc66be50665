import type { DeclaredDevice } from '#model/declared.ts';
import { withConfigFor } from './secrets-config.ts';
import { keysOf } from './sim-secrets.ts';
import type { CanedgeSimOptions } from './sim.ts';

/**
 * The hardware of a declared CANedge, carrying what is declared; secrets are encrypted to the key that it will have.
 * `written` says what it has instead: `firmware` as the device reports it.
 */
export function declaredCanedge(device: DeclaredDevice, written: Readonly<Record<string, string>>): CanedgeSimOptions {
  const id = device.address ?? device.serial ?? device.id;
  const items = withConfigFor(device, keysOf(id).kpub).items;
  const config = items.find((item) => item.item === 'config')?.content;
  const firmware = items.find((item) => item.item === 'firmware');
  const trust = items.find((item) => item.item === 'trust')?.content;
  return {
    id,
    model: device.model,
    firmware: written['firmware'] ?? firmware?.version ?? '01.08.01',
    ...(config?.kind === 'bytes' ? { config: config.bytes } : {}),
    ...(trust?.kind === 'bytes' ? { certificates: trust.bytes } : {}),
  };
}
