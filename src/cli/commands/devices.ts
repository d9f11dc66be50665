import type { Declared, DeclaredDevice } from '#model/declared.ts';
import { tableText } from '#view/table.ts';
import { counted } from '#view/words.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, declaredOf, jsonText, withFleet } from '#cli/fleet.ts';
import type { LookFlags } from '#cli/flags.ts';

export interface DevicesFlags extends LookFlags {
  readonly select?: readonly string[];
}

export function devices(context: CliContext, flags: DevicesFlags): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    const tests = (flags.select ?? []).map(parseTest);
    const declared = await declaredOf(fleet, { ref: flags.ref ?? 'WORKTREE' });
    const found = devicesOf(declared).filter((device) => tests.every((test) => test(device)));
    if (flags.json) {
      fleet.out(
        jsonText(
          found.map(({ id, family, model, serial, address, group, site, labels }) => ({
            id,
            family,
            model,
            serial,
            address,
            group,
            site,
            labels,
          })),
        ),
      );
      return 0;
    }
    const rows = found.map((device) => [
      device.id,
      device.model,
      device.serial ?? '',
      device.group ?? 'unmanaged',
      device.site ?? '',
      labelText(device),
    ]);
    if (rows.length > 0) fleet.out(tableText(['device', 'model', 'serial', 'group', 'site', 'labels'], rows, { paint: fleet.paint }));
    fleet.out(counted(found.length, 'device'));
    return 0;
  });
}

function devicesOf(declared: Declared): readonly DeclaredDevice[] {
  return Array.from({ length: declared.size }, (_, row) => declared.deviceAt(row));
}

function labelText(device: DeclaredDevice): string {
  return Object.entries(device.labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(' ');
}

const FIELDS: Readonly<Record<string, (device: DeclaredDevice) => string | null>> = {
  id: ({ id }) => id,
  family: ({ family }) => family,
  model: ({ model }) => model,
  serial: ({ serial }) => serial,
  site: ({ site }) => site,
  group: ({ group }) => group,
};

/** `model=CR6` or `catchment=tees`: a field of the device, or one of its labels. */
function parseTest(text: string): (device: DeclaredDevice) => boolean {
  const [, key = '', value = ''] = /^([^=]+)=(.*)$/.exec(text) ?? [];
  if (key === '') throw new CliTrouble('BAD_SELECT', `--select ${text}: write k=v, as in --select catchment=tees`);
  const field = FIELDS[key];
  return (device) => (field === undefined ? device.labels[key] : field(device)) === value;
}
