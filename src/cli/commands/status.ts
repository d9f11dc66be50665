import { groupName } from '#model/ids.ts';
import { devicesText, statusJson, statusText } from '#view/status.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, jsonText, lookAt, resultOf, withFleet } from '#cli/fleet.ts';
import type { LookFlags } from '#cli/flags.ts';

export interface StatusFlags extends LookFlags {
  readonly fresh: boolean;
}

export function status(context: CliContext, flags: StatusFlags, group?: string): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    const result = await resultOf(fleet, await lookAt(fleet, flags), flags.ref);
    const name = group === undefined ? null : groupName(group);
    if (name !== null && !result.declared.groups.has(name)) throw new CliTrouble('NO_SUCH_GROUP', `no group is named ${name}`);
    if (flags.json) fleet.out(jsonText(statusJson(result)));
    else fleet.out(name === null ? statusText(result, fleet.paint) : devicesText(result, name, fleet.paint));
    return 0;
  });
}
