import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, outputs, withTroubles } from '#cli/fleet.ts';
import { starterFiles } from '#cli/starter.ts';

export interface InitFlags {
  readonly name?: string;
}

export function init(context: CliContext, flags: InitFlags, dir = '.'): Promise<void> {
  return withTroubles(context, async () => {
    const root = resolve(context.cli.cwd, dir);
    const files = starterFiles(flags.name ?? fleetName(basename(root)));
    const taken = Object.keys(files).find((path) => existsSync(join(root, path)));
    if (taken !== undefined) throw new CliTrouble('EXISTS', `${join(dir, taken)} is there already; nothing was written`);
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
    const { out } = outputs(context);
    const enter = dir === '.' ? '' : `cd ${dir} && `;
    out(Object.keys(files).join('\n'));
    out(`\nNext: put your loggers into devices/loggers.csv and the broker into fleet.yaml, then\n\n  ${enter}headgate validate`);
    if (!existsSync(join(root, '.git'))) out(`  ${enter}git init -b main && git add . && git commit -m "Declare the fleet"`);
    return 0;
  });
}

/** A name that a fleet may have, made of the folder's. */
function fleetName(folder: string): string {
  const name = folder
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return name === '' ? 'fleet' : name;
}
