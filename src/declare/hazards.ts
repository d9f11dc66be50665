import { compareText } from '#kit/diagnostics.ts';
import type { Declared, DeclaredDevice, FleetDeclaration } from '#model/declared.ts';
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
  const exposed = devices.flatMap(({ family, items }) => {
    const trusting = families.get(family)?.takesAnyAnswer ?? [];
    return items.filter(({ item, content }) => content !== null && trusting.includes(item)).map(({ item }) => ({ family, item }));
  });
  return [...Map.groupBy(exposed, ({ family, item }) => `${family} ${item}`).values()]
    .flatMap(([first, ...more]) => {
      if (first === undefined) return [];
      const of = more.length === 0 ? 'a' : `${more.length + 1}`;
      const whose = `${of} ${first.family} device${more.length === 0 ? '' : 's'}`;
      const text = `an error page, for a late URL or a lost file, becomes the ${first.item} of ${whose}: artifacts.urls is ${fleet.artifacts.urls}, not serve`;
      return [{ item: first.item, text }];
    })
    .toSorted((a, b) => compareText(a.text, b.text));
}
