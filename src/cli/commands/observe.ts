import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { runPass } from '#reconcile/pass.ts';
import { reportsText } from '#world.ts';
import { counted } from '#view/words.ts';
import type { CliContext } from '#cli/context.ts';
import { resultOf, withFleet } from '#cli/fleet.ts';
import type { RepoFlags } from '#cli/flags.ts';

export interface ObserveFlags extends RepoFlags {
  readonly ref?: string;
  readonly listen?: number;
  readonly out: string;
}

export function observe(context: CliContext, flags: ObserveFlags): Promise<void> {
  const { cwd, signal } = context.cli;
  return withFleet(context, flags, async (fleet) => {
    const report = await runPass(fleet.world, fleet.state, {
      mode: 'plan',
      signal,
      ...(flags.ref === undefined ? {} : { ref: flags.ref }),
      ...(flags.listen === undefined ? {} : { listenMs: flags.listen }),
    });
    const { reports, troubles } = await resultOf(fleet, report, flags.ref);
    for (const { connection, code, message } of troubles) fleet.note(`${connection}: ${code} ${message}`);
    const text = reportsText(reports);
    if (flags.out === '-') fleet.out(text.trimEnd());
    else {
      await writeFile(resolve(cwd, flags.out), text);
      fleet.note(`${counted(reports.length, 'report')} in ${flags.out}`);
    }
    return troubles.length === 0 ? 0 : 1;
  });
}
