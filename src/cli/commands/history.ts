import { deviceId } from '#model/ids.ts';
import { historyJson, historyLines, historyText } from '#view/history.ts';
import type { CliContext } from '#cli/context.ts';
import { declaredOf, jsonText, ledgerOf, withFleet } from '#cli/fleet.ts';
import type { LookFlags } from '#cli/flags.ts';

export interface HistoryFlags extends LookFlags {
  readonly last?: number;
}

export function history(context: CliContext, flags: HistoryFlags, device?: string): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    const declared = await declaredOf(fleet, flags);
    const ledger = await ledgerOf(fleet, declared);
    const { zone } = declared.fleet;
    const all = historyLines(await ledger.read(), device === undefined ? null : deviceId(device), zone);
    const lines = flags.last === undefined ? all : all.slice(Math.max(0, all.length - flags.last));
    fleet.out(flags.json ? jsonText(historyJson(lines)) : historyText(lines, zone));
    return 0;
  });
}
