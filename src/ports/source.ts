import type { Result } from '#kit/result.ts';
import type { Reason } from '#model/reasons.ts';
import type { Revision } from '#model/revision.ts';

export interface SourceProblem {
  readonly code:
    | 'NOT_FOUND'
    | 'NOT_A_REPOSITORY'
    | 'SHALLOW'
    | 'NOT_ON_BRANCH'
    | 'NOT_A_DESCENDANT'
    | 'TOO_LARGE'
    | 'FETCH_FAILED'
    /** An object is missing or is not what its name says: a partial clone, a broken disk. */
    | 'DAMAGED'
    | Extract<Reason, 'UNTRUSTED_REVISION'>;
  readonly message: string;
}

/** A fleet repo. Nothing writes a work tree. */
export interface Source {
  /** The revision at a branch, tag, commit (full or at least 7 digits), or `WORKTREE`. */
  read(ref: string): Promise<Result<Revision, SourceProblem>>;
  /**
   * Whether `commit` may be applied: on the branch, and a descendant of (or equal to) the last applied commit, when
   * there is one. A shallow clone that cannot show it is a problem that says so.
   */
  descends(commit: string, branch: string, lastApplied: string | null): Promise<Result<true, SourceProblem>>;
  /** Fetches a remote into its cache; nothing for a local repository. */
  refresh(signal?: AbortSignal): Promise<Result<true, SourceProblem>>;
}
