import type { GitBranch } from '#ports/git-branch.ts';

/** A branch that is still being opened, for those who need one at once. */
export function deferredBranch(opening: Promise<GitBranch>): GitBranch {
  return {
    place: 'a repository of the test',
    refs: async (...args) => (await opening).refs(...args),
    commits: async (...args) => (await opening).commits(...args),
    file: async (...args) => (await opening).file(...args),
    make: async (...args) => (await opening).make(...args),
    move: async (...args) => (await opening).move(...args),
    close: async () => (await opening).close(),
  };
}
