import { readDifference } from '#reconcile/difference.ts';
import { readRevision } from '#reconcile/revision.ts';
import { diagnosticsJson, diagnosticsText, problemCount } from '#view/diagnostics-text.ts';
import { differenceText } from '#view/difference-text.ts';
import { counted } from '#view/words.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, jsonText, sourceLines, withFleet } from '#cli/fleet.ts';
import type { Fleet } from '#cli/fleet.ts';
import type { LookFlags } from '#cli/flags.ts';

export interface ValidateFlags extends LookFlags {
  readonly base?: string;
  readonly at?: number;
}

export function validate(context: CliContext, flags: ValidateFlags): Promise<void> {
  return withFleet(context, flags, (fleet) => validateFleet(fleet, flags));
}

/** Reads the working tree unless a ref is named: mistakes are looked for before they are committed. */
async function validateFleet(fleet: Fleet, flags: ValidateFlags): Promise<number> {
  const ref = flags.ref ?? 'WORKTREE';
  const at = flags.at ?? fleet.world.clock.now();
  const loaded = await readRevision(fleet.world, fleet.state, {
    mode: 'plan',
    ref,
    at,
    ...(flags.base === undefined ? {} : { base: flags.base }),
  });
  if (loaded.kind === 'refused' && loaded.refusal !== null) throw new CliTrouble(loaded.refusal.code, loaded.refusal.message);
  const { diagnostics } = loaded;
  const valid = loaded.kind === 'loaded';
  if (flags.json) fleet.out(jsonText({ valid, diagnostics: diagnosticsJson(diagnostics) }));
  else if (diagnostics.length > 0)
    fleet.out(diagnosticsText(diagnostics, { paint: fleet.paint, sourceLine: await sourceLines(fleet, ref) }));
  if (!flags.json && valid) {
    const { declared } = loaded;
    for (const { text } of declared.hazards ?? []) fleet.note(`hazard: ${text}`);
    fleet.out(
      `${fleet.paint('good', 'valid')}: ${counted(declared.size, 'device')} in ${counted(declared.groups.size, 'group')}, ${problemCount(diagnostics)}`,
    );
  }
  if (!flags.json && valid && flags.base !== undefined) await showDifference(fleet, { ref, base: flags.base, at });
  return valid ? 0 : 1;
}

/** What the revision declares otherwise than its base: without any network, as validate is. */
async function showDifference(fleet: Fleet, request: { readonly ref: string; readonly base: string; readonly at: number }): Promise<void> {
  const { difference, refusal } = await readDifference(fleet.world, fleet.state, request);
  if (refusal !== null) throw new CliTrouble(refusal.code, refusal.message);
  if (difference !== null) fleet.out(`\n${differenceText(difference, fleet.paint)}`);
}
