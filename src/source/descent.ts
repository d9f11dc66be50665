import { type Result, err, ok } from '#kit/result.ts';
import type { SourceProblem } from '#ports/source.ts';
import type { Objects } from './objects.ts';
import { type RefRequest, branchTips } from './refs.ts';
import { shallowCommits } from './repository.ts';

export interface DescentRequest extends RefRequest {
  readonly commit: string;
  readonly branch: string;
  readonly lastApplied: string | null;
}

type Ancestry = 'ancestor' | 'not' | 'cut';

/** Whether the commit is on the branch and descends from the last applied one (or is it): see Source.descends. */
export async function checkDescent(request: DescentRequest): Promise<Result<true, SourceProblem>> {
  const { commit, branch, lastApplied, objects } = request;
  const shallow = await shallowCommits(request.repository.gitdir);
  const tips = await branchTips(branch, request);
  if (tips.length === 0) {
    return err({ code: 'NOT_FOUND', message: `there is no branch ${branch} here, so no commit can be shown to be on it${hint(shallow)}` });
  }
  const onBranch = await anyAncestor(commit, tips, { objects, shallow });
  if (onBranch === 'cut') return err(shallowProblem(`that ${short(commit)} is on branch ${branch}`));
  if (onBranch === 'not') return err({ code: 'NOT_ON_BRANCH', message: `commit ${short(commit)} is not on branch ${branch}` });
  if (lastApplied === null) return ok(true);
  const descends = await anyAncestor(lastApplied, [commit], { objects, shallow });
  if (descends === 'ancestor') return ok(true);
  if (descends === 'cut') return err(shallowProblem(`that ${short(commit)} descends from ${short(lastApplied)}, the last one applied`));
  const message = `commit ${short(commit)} does not descend from ${short(lastApplied)}, the last one applied: to go back, revert it in a new commit`;
  return err({ code: 'NOT_A_DESCENDANT', message });
}

function hint(shallow: ReadonlySet<string>): string {
  return shallow.size > 0 ? ' (the clone is shallow: fetch with fetch-depth: 0)' : '';
}

function shallowProblem(claim: string): SourceProblem {
  const message = `the clone is shallow and cannot show ${claim}: fetch the whole history (fetch-depth: 0 for actions/checkout, git fetch --unshallow)`;
  return { code: 'SHALLOW', message };
}

function short(oid: string): string {
  return oid.slice(0, 12);
}

/**
 * Whether one of `from` is `wanted` or comes after it. Breadth first, so that a near ancestor is found without reading the
 * whole history; `cut` when it was not found and the history ends where a shallow clone was cut off.
 */
async function anyAncestor(
  wanted: string,
  from: readonly string[],
  history: { readonly objects: Objects; readonly shallow: ReadonlySet<string> },
): Promise<Ancestry> {
  const seen = new Set(from);
  let cut = false;
  // A Set is walked in the order of insertion, including what is added on the way.
  for (const oid of seen) {
    if (oid === wanted) return 'ancestor';
    if (history.shallow.has(oid)) {
      cut = true;
      continue;
    }
    for (const parent of (await history.objects.commit(oid)).parents) seen.add(parent);
  }
  return cut ? 'cut' : 'not';
}
