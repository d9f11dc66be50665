import type { Declared, GroupDeclaration } from '#model/declared.ts';
import { deviceId, groupName, shortDigest } from '#model/ids.ts';
import type { LedgerView } from '#model/records.ts';
import { commitDocument, yamlText } from '#cli/commit.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, declaredOf, ledgerOf, withFleet } from '#cli/fleet.ts';
import type { JsonFlags, RepoFlags } from '#cli/flags.ts';

export interface ApproveFlags extends RepoFlags, JsonFlags {
  readonly reason: string;
  readonly wave?: string;
  readonly unblock: boolean;
  readonly again?: readonly string[];
  readonly release?: string;
  readonly merge: boolean;
  readonly change?: number;
  readonly leave?: number;
}

type Fields = readonly (readonly [string, string | readonly string[] | undefined])[];

export function approve(context: CliContext, flags: ApproveFlags, group?: string): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    const declared = await declaredOf(fleet, {});
    const request = flags.merge
      ? mergeApproval(declared, flags)
      : await groupApproval(flags, group, async () => ({
          declared,
          view: fleet.world.fold(await (await ledgerOf(fleet, declared)).read()),
        }));
    return commitDocument(context, fleet, {
      path: `approvals/${request.file}.yaml`,
      text: yamlText([['kind', 'Approval'], ...request.fields, ['reason', flags.reason]]),
      message: `${request.subject}\n\n${flags.reason}`,
      json: flags.json,
    });
  });
}

interface Approval {
  readonly file: string;
  readonly subject: string;
  readonly fields: Fields;
}

/** Answers CHANGE_LIMIT for the files as they are now. */
function mergeApproval(declared: Declared, flags: ApproveFlags): Approval {
  if (flags.change === undefined && flags.leave === undefined) {
    throw new CliTrouble('NOTHING_APPROVED', 'say how much: --change N, --leave N, or both');
  }
  const tree = declared.revision.mergeTree ?? declared.revision.tree;
  return {
    file: `merge-${shortDigest(tree)}`,
    subject: `Approve the merge ${shortDigest(tree)}`,
    fields: [
      ['merge', tree],
      ['change', flags.change?.toString()],
      ['leave', flags.leave?.toString()],
    ],
  };
}

async function groupApproval(
  flags: ApproveFlags,
  group: string | undefined,
  load: () => Promise<{ readonly declared: Declared; readonly view: LedgerView }>,
): Promise<Approval> {
  if (group === undefined) throw new CliTrouble('NO_GROUP', 'say which group, or --merge for the whole commit');
  const kinds = [flags.wave !== undefined, flags.unblock, flags.again !== undefined].filter(Boolean).length;
  if (kinds !== 1) throw new CliTrouble('NOTHING_APPROVED', 'give exactly one of --wave WAVE, --unblock, --again DEVICE');
  const { declared, view } = await load();
  const declaration = declared.groups.get(groupName(group));
  if (declaration === undefined) throw new CliTrouble('NO_SUCH_GROUP', `no group is named ${group}`);
  checkNames(declared, declaration, flags);
  const release = flags.release ?? view.groups.get(declaration.name)?.rollout?.to ?? declaration.release.id;
  const what = flags.wave ?? (flags.unblock ? 'unblock' : `again-${(flags.again ?? []).join('-')}`);
  return {
    file: `${group}-${shortDigest(release)}-${what}`.slice(0, 120),
    subject: `Approve ${what} of ${group} for release ${shortDigest(release)}`,
    fields: [
      ['group', group],
      ['release', flags.release ?? release.slice(0, 12)],
      ['wave', flags.wave],
      ['unblock', flags.unblock ? 'true' : undefined],
      ['again', flags.again],
    ],
  };
}

function checkNames(declared: Declared, group: GroupDeclaration, flags: ApproveFlags): void {
  const waves = declared.rollouts.get(group.rollout)?.waves.map(({ name }) => name) ?? [];
  if (flags.wave !== undefined && !waves.includes(flags.wave)) {
    throw new CliTrouble('NO_SUCH_WAVE', `rollout ${group.rollout} has no wave ${flags.wave}; it has ${waves.join(', ')}`);
  }
  for (const device of flags.again ?? []) {
    const row = declared.rowOf(deviceId(device));
    if (row === undefined || declared.deviceAt(row).group !== group.name) {
      throw new CliTrouble('NO_SUCH_DEVICE', `${device} is no device of group ${group.name}`);
    }
  }
}
