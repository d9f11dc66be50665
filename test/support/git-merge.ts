import { repositoryAt } from './git-repository.ts';
import type { GitRepository } from './git-repository.ts';

/** A pull request as a runner finds it: the merge commit is checked out, the branch and its base are its parents. */
export interface CheckedOutPull {
  readonly head: string;
  readonly base: string;
  readonly merge: string;
}

/** Commits the change to a branch of its own and checks out its merge with main, as actions/checkout does for a pull request. */
export function openPull(dir: string, branch: string, change: (repository: GitRepository) => void): CheckedOutPull {
  const repository = repositoryAt(dir);
  const known = repository.git('branch', '--list', branch) !== '';
  repository.git('checkout', '--quiet', ...(known ? [branch] : ['-b', branch, 'main']));
  change(repository);
  const head = repository.commit(`Change ${branch}`);
  const base = repository.git('rev-parse', 'main');
  repository.git('checkout', '--quiet', '--detach', 'main');
  repository.git('merge', '--quiet', '--no-ff', '-m', `Merge ${branch} into main`, branch);
  return { head, base, merge: repository.git('rev-parse', 'HEAD') };
}

/** Merges the branch, and checks out main with it. */
export function mergePull(dir: string, branch: string): string {
  const repository = repositoryAt(dir);
  repository.git('checkout', '--quiet', 'main');
  repository.git('merge', '--quiet', '--no-ff', '-m', `Merge ${branch}`, branch);
  return repository.git('rev-parse', 'HEAD');
}
