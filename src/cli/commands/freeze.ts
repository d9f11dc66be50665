import { deviceId } from '#model/ids.ts';
import { commitDocument, yamlText } from '#cli/commit.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, declaredOf, withFleet } from '#cli/fleet.ts';
import type { JsonFlags, RepoFlags } from '#cli/flags.ts';

export interface FreezeFlags extends RepoFlags, JsonFlags {
  readonly reason: string;
  readonly until?: string;
  readonly reviewBy?: string;
  readonly name?: string;
}

export function freeze(context: CliContext, flags: FreezeFlags, ...devices: readonly string[]): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    if (flags.until === undefined && flags.reviewBy === undefined) {
      throw new CliTrouble('NO_END', 'a freeze needs --until DAY (ends by itself) or --review-by DAY (asks to be looked at)');
    }
    const declared = await declaredOf(fleet, {});
    for (const device of devices) {
      if (declared.rowOf(deviceId(device)) === undefined) {
        throw new CliTrouble('NO_SUCH_DEVICE', `no device has the id ${device}: see \`headgate devices\``);
      }
    }
    const name = flags.name ?? `freeze-${devices.join('-')}`.slice(0, 60);
    if (declared.overrides.some((override) => override.name === name)) {
      throw new CliTrouble('NAME_TAKEN', `there is an override ${name} already: give another --name`);
    }
    const text = yamlText([
      ['kind', 'Override'],
      ['name', name],
      ['select', { ids: devices }],
      ['freeze', 'true'],
      ['reason', flags.reason],
      ['until', flags.until],
      ['reviewBy', flags.reviewBy],
    ]);
    const path = `overrides/${name}.yaml`;
    return commitDocument(context, fleet, { path, text, message: `Freeze ${devices.join(', ')}\n\n${flags.reason}`, json: flags.json });
  });
}
