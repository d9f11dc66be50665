import { deviceId } from '#model/ids.ts';
import { explainJson, explainText } from '#view/explain.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, jsonText, lookAt, resultOf, withFleet } from '#cli/fleet.ts';
import type { StatusFlags } from './status.ts';

export function explain(context: CliContext, flags: StatusFlags, device: string): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    const result = await resultOf(fleet, await lookAt(fleet, flags), flags.ref);
    const row = result.declared.rowOf(deviceId(device));
    if (row === undefined) throw new CliTrouble('NO_SUCH_DEVICE', `no device has the id ${device}: see \`headgate devices\``);
    const declared = result.declared.deviceAt(row);
    fleet.out(flags.json ? jsonText(explainJson(result, declared)) : explainText(result, declared, fleet.paint));
    return 0;
  });
}
