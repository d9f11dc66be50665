import { compareText } from '#kit/diagnostics.ts';
import type { Declared, DeclaredDevice, FleetDeclaration } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { Family } from '#ports/family.ts';

/**
 * What is allowed and goes wrong some day: a bucket answers a URL that is late, or an object that is gone, with an error
 * page, and there are devices that take any answer for what they asked for. Our own server answers nothing at all then.
 */
export function hazardsOf(
  fleet: FleetDeclaration,
  devices: readonly DeclaredDevice[],
  families: ReadonlyMap<string, Family>,
): NonNullable<Declared['hazards']> {
  if (fleet.artifacts.urls === 'serve') return [];
  const exposed = new Map<string, { readonly family: string; readonly item: ItemName; devices: number }>();
  for (const { family, items } of devices) {
    const trusting = families.get(family)?.takesAnyAnswer ?? [];
    if (trusting.length === 0) continue;
    for (const { item, content } of items) {
      if (content === null || !trusting.includes(item)) continue;
      const entry = exposed.get(`${family} ${item}`) ?? { family, item, devices: 0 };
      entry.devices += 1;
      exposed.set(`${family} ${item}`, entry);
    }
  }
  return [...exposed.values()]
    .map(({ family, item, devices: count }) => {
      const whose = count === 1 ? `a ${family} device` : `${count} ${family} devices`;
      const text = `an error page, for a late URL or a lost file, becomes the ${item} of ${whose}: artifacts.urls is ${fleet.artifacts.urls}, not serve`;
      return { item, text };
    })
    .toSorted((a, b) => compareText(a.text, b.text));
}
