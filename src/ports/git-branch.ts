import type { Instant } from '#model/ids.ts';

/** A commit with all the files it holds. */
export interface GitCommit {
  readonly oid: string;
  /** Oid of each file's bytes by its path. */
  readonly files: ReadonlyMap<string, string>;
}

export interface NewCommit {
  /** The commit whose files are changed; null for none. */
  readonly base: GitCommit | null;
  /** Must be known to the repository. None begins a history of its own. */
  readonly parents: readonly string[];
  /** Bytes of each file that is written, null for one that goes. */
  readonly changes: ReadonlyMap<string, Uint8Array | null>;
  readonly message: string;
  readonly at: Instant;
}

/** One ref to be moved: `from` is null for one that must not exist yet. */
export interface RefMove {
  /** In full: `refs/heads/…`. */
  readonly name: string;
  readonly from: string | null;
  readonly to: string;
}

export type MoveAnswer =
  /** The first ref was moved. The others too where the repository can do it as one; else as far as they stood where expected. */
  | { readonly kind: 'done' }
  /** The first ref is not where it was expected, and nothing was done. */
  | { readonly kind: 'moved' }
  /** The repository does not let this be done: `message` is its own word, for people. */
  | { readonly kind: 'refused'; readonly message: string };

/**
 * What a ledger needs of a git repository into which others write as well. All calls throw WireError: after one thrown
 * by `move` it is unknown whether the refs were moved. Messages hold no credentials.
 */
export interface GitBranch {
  /** Names the repository for people. */
  readonly place: string;
  /** The refs of these names that exist, with their commits, in one look at the repository; `toMove` when a move will follow. */
  refs(
    names: readonly string[],
    options?: { readonly toMove?: boolean; readonly signal?: AbortSignal | undefined },
  ): Promise<ReadonlyMap<string, string>>;
  /** Commits by oid, with all they hold, however old they are. `gone` when one of them is not there (any more). */
  commits(oids: readonly string[], signal?: AbortSignal): Promise<readonly GitCommit[] | 'gone'>;
  /** The bytes of a file of a commit that was read or made here. */
  file(oid: string): Promise<Uint8Array>;
  /** Makes a commit that nobody else sees before a ref is moved to it. */
  make(commit: NewCommit): Promise<GitCommit>;
  /** Moves the refs if each is where it is expected; durable when it resolves with `done`. */
  move(moves: readonly RefMove[], signal?: AbortSignal): Promise<MoveAnswer>;
  close(): Promise<void>;
}
