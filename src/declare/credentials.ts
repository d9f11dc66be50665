import type { Declared, DeclaredItem } from '#model/declared.ts';
import type { Family } from '#ports/family.ts';
import { deviceFacts, deviceItems, type PlacedDevice } from './devices.ts';
import type { RenderWorld } from './render.ts';

/**
 * What lets a device in at its broker, in words. A retired device carries nothing any more, and still holds what its group
 * gives a device of that name; whether that could be sent today is of no account.
 */
export function makeCredentialsOf(
  placed: readonly PlacedDevice[],
  families: ReadonlyMap<string, Family>,
  world: RenderWorld,
): NonNullable<Declared['credentialsOf']> {
  // Only of those few anything is kept, however large the fleet is.
  const retired = new Map(placed.flatMap((one, row) => (one.former === null ? [] : [[row, heldBy(one, world)] as const])));
  return (device, replaced) => {
    const { credentials } = families.get(device.family) ?? {};
    return credentials?.(device, retired.get(device.row) ?? device.items, replaced) ?? [];
  };
}

function heldBy(placed: PlacedDevice, world: RenderWorld): readonly DeclaredItem[] {
  const memo = { ...world.memo, identities: new Map<string, string>() };
  const aside: RenderWorld = { ...world, memo, mistake: () => undefined, found: () => undefined };
  const former = { ...placed, group: placed.former };
  return deviceItems(former, deviceFacts(former, aside), aside).items;
}
