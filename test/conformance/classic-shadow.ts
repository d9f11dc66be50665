import type { JsonObject } from '#model/shadow.ts';
import type { FamilyTrial, ReportWire } from './family.ts';

/** The wire and the offers of a device with a classic shadow; `beside` is what its updates say next to `reported`. */
export function classicShadow(thing: string, beside: JsonObject = {}): Pick<FamilyTrial, 'wire' | 'offers' | 'takesAtOnce'> {
  const place = { thing, shadow: null };
  const wire: ReportWire = {
    channels: ['classic', 'other', 'named'],
    last: (fleet) => {
      const reported = fleet.sim.aws('field').shadows.contentOf(place)?.state['reported'] ?? {};
      return Promise.resolve(new TextEncoder().encode(JSON.stringify({ state: { reported, ...beside } })));
    },
    put: (fleet, channel, payload) => {
      const spot = channel === 'other' ? { thing: `${thing}x`, shadow: null } : { thing, shadow: channel === 'named' ? 'fleet' : null };
      fleet.sim.aws('field').shadows.update(spot, payload);
      return Promise.resolve();
    },
  };
  return {
    wire,
    offers: (fleet) => [JSON.stringify(fleet.sim.aws('field').shadows.contentOf(place)?.state['desired'] ?? null)],
    takesAtOnce: true,
  };
}
