import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { openGitLedger } from '#ledger/stores/git.ts';
import type { GitBranch } from '#ports/git-branch.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import type { VirtualClock } from '#sim/clock.ts';
import { openGitPlace } from '#source/git-branch-open.ts';
import { git } from './git-repository.ts';

/** A bare repository as a host keeps it: pushes are allowed, the default branch is main. */
export function bareRepository(folder: string): string {
  const dir = join(folder, 'fleet.git');
  git(folder, ['init', '--quiet', '--bare', '--initial-branch=main', dir]);
  // What a host does in the background is no part of any test, and a process after each push.
  appendFileSync(join(dir, 'config'), '[http]\n\treceivepack = true\n[receive]\n\tautogc = false\n');
  return dir;
}

/** A ledger over that branch on the virtual clock, which stands still while git is at work. */
export function ledgerOn(branch: GitBranch, clock: VirtualClock, squashAfter?: number, id = 'upland'): LedgerStore {
  return openGitLedger({ branch: clock.tracked(branch), id, clock, ...(squashAfter === undefined ? {} : { squashAfter }) });
}

export async function branchOf(repo: string, env: Readonly<Record<string, string>> = {}): Promise<GitBranch> {
  return (await openGitPlace({ repo, env })).branch;
}
