import { rolloutsJson, rolloutsText } from '#view/rollouts.ts';
import type { CliContext } from '#cli/context.ts';
import { declaredOf, jsonText, ledgerOf, withFleet } from '#cli/fleet.ts';
import type { LookFlags } from '#cli/flags.ts';

export function rollouts(context: CliContext, flags: LookFlags): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    const declared = await declaredOf(fleet, flags);
    const ledger = await ledgerOf(fleet, declared);
    const view = fleet.world.fold(await ledger.read());
    fleet.out(flags.json ? jsonText(rolloutsJson(view)) : rolloutsText(view, declared.fleet.zone, fleet.paint));
    return 0;
  });
}
