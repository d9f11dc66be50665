import type { Declared, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { Revision } from '#model/revision.ts';
import type { Family } from '#ports/family.ts';
import type { DeclareCache } from './cache.ts';
import { deviceFacts, deviceItems } from './devices.ts';
import type { CompiledGroup } from './groups.ts';
import type { Inventory } from './inventory.ts';
import type { CompiledOverride } from './overrides.ts';
import { makeRenderMemo, type RenderMemo } from './render.ts';
import type { RenderSecrets } from './sealed.ts';
import { matches } from '#model/selector.ts';

/** What a declaration was made of: kept out of its sight, for rendering devices under the pins of an older one. */
interface Origins {
  readonly groups: ReadonlyMap<string, CompiledGroup>;
  readonly overrides: readonly CompiledOverride[];
  readonly inventory: Inventory;
  readonly revision: Revision;
  readonly families: ReadonlyMap<string, Family>;
  readonly cache: DeclareCache;
  readonly secrets: RenderSecrets;
}

const originsOf = new WeakMap<Declared, Origins>();
const memoOf = new WeakMap<Declared, RenderMemo>();

export function remember(declared: Declared, origins: Origins): void {
  originsOf.set(declared, origins);
  memoOf.set(declared, makeRenderMemo());
}

/**
 * What a device, as `now` declares it, carries under the pins that its group had in `older`: labels, values, hardware
 * and overrides of now, artifacts, layers and settings of then. Files of its own are those of now. Undefined when
 * `older` does not know the group.
 */
export function itemsUnder(now: Declared, older: Declared, device: DeclaredDevice): readonly DeclaredItem[] | undefined {
  if (older === now) return device.items;
  const [present, past] = [originsOf.get(now), originsOf.get(older)];
  const row = present?.inventory.byId.get(device.id);
  const group = device.group === null ? undefined : past?.groups.get(device.group);
  const family = present?.families.get(device.family);
  if (present === undefined || past === undefined || row === undefined || group === undefined || family === undefined) return undefined;
  const overrides = present.overrides.filter(({ active, selector }) => active && selector !== null && matches(selector, device));
  const world = {
    files: past.revision,
    ownFiles: present.revision,
    cache: present.cache,
    memo: memoOf.get(now) ?? makeRenderMemo(),
    secrets: both(past.secrets, present.secrets),
    connections: now.fleet.connections,
    // An item that the older pins cannot make for this device is left out, and so left alone.
    mistake: () => undefined,
    found: () => undefined,
  };
  const placed = { row, family, group, former: null, overrides };
  return deviceItems(placed, deviceFacts(placed, world), world).items;
}

/** Files of then and of now: each was opened with its own revision. The render key is a part of the older release. */
function both(past: RenderSecrets, present: RenderSecrets): RenderSecrets {
  const of: RenderSecrets['of'] = (oid) => {
    const then = past.of(oid);
    return then.kind === 'opened' ? then : present.of(oid);
  };
  return { of, identityNamed: past.identityNamed || present.identityNamed, renderKey: past.renderKey };
}
