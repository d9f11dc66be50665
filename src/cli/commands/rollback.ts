import { shortDigest } from '#model/ids.ts';
import { authorOf } from '#cli/commit.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, declaredOf, jsonText, ledgerOf, withFleet } from '#cli/fleet.ts';
import type { Fleet } from '#cli/fleet.ts';
import type { JsonFlags, RepoFlags } from '#cli/flags.ts';
import { revertCommit } from '#world.ts';

export type RollbackFlags = RepoFlags & JsonFlags;

export function rollback(context: CliContext, flags: RollbackFlags, commit?: string): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    const author = await authorOf(context, fleet.repo);
    const target = commit ?? (await commitUnderWay(fleet)) ?? 'HEAD';
    const answer = await revertCommit({ dir: fleet.repo, commit: target, author, at: fleet.world.clock.now() });
    if (!answer.ok) throw new CliTrouble(answer.error.code, answer.error.message);
    if (flags.json) fleet.out(jsonText({ reverted: target, commit: answer.value }));
    else
      fleet.out(
        `${shortDigest(answer.value)} takes back ${target === 'HEAD' ? 'the last commit' : shortDigest(target)}; push it, and the next pass brings the devices home`,
      );
    return 0;
  });
}

/** The commit of the newest rollout that has not completed: what somebody who types `rollback` means. */
async function commitUnderWay(fleet: Fleet): Promise<string | null> {
  const declared = await declaredOf(fleet, {});
  const view = fleet.world.fold(await (await ledgerOf(fleet, declared)).read());
  const running = [...view.groups.values()].flatMap(({ rollout }) =>
    rollout === null || rollout.direction === 'rollback' ? [] : [rollout],
  );
  return running.toSorted((a, b) => b.beganAt - a.beganAt)[0]?.commit ?? null;
}
