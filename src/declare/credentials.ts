import type { Declared, DeclaredItem } from '#model/declared.ts';
import { deviceFacts, deviceItems, type PlacedDevice } from './devices.ts';
import type { RenderWorld } from './render.ts';

/**
 * What lets a device in at its broker, in words. A retired device carries nothing any more, and still holds what its group
 * gives a device of that name; whether that could be sent today is of no account.
 */
export function makeCredentialsOf(placed: readonly PlacedDevice[], world: RenderWorld): NonNullable<Declared['credentialsOf']> {
  return (device, replaced) => {
    const found = placed[device.row];
    const { credentials } = found?.family ?? {};
    if (found === undefined || credentials === undefined) return [];
    return credentials(device, found.former === null ? device.items : heldBy(found, world), replaced);
  };
}

function heldBy(placed: PlacedDevice, world: RenderWorld): readonly DeclaredItem[] {
  const memo = { ...world.memo, identities: new Map<string, string>() };
  const aside: RenderWorld = { ...world, memo, mistake: () => undefined, found: () => undefined };
  const former = { ...placed, group: placed.former };
  return deviceItems(former, deviceFacts(former, aside), aside).items;
}
