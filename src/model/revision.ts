import type { Digest, Instant } from './ids.ts';

/** A commit of the fleet repo (or, with `commit` null, a working tree: may be planned, never applied). */
export interface RevisionRef {
  readonly commit: string | null;
  /** Digest of the tree: two revisions with equal files have equal trees. */
  readonly tree: Digest;
  /** The same of all files outside approvals/: what an Approval calls a merge, since it cannot name the tree that holds it. */
  readonly mergeTree?: Digest;
  readonly subject: string;
  readonly author: string;
  readonly committedAt: Instant | null;
}

/** A file of a revision. `oid` names the bytes (git blob oid), so what was made of them can be cached by it. */
export interface RevisionFile {
  readonly path: string;
  readonly oid: string;
  readonly size: number;
  /** A symlink or submodule is listed, so that it can be refused, but never followed. */
  readonly mode: 'file' | 'symlink' | 'submodule';
}

/**
 * The files of a revision. Listing is sorted by path. Bytes are read up front for everything below the size limit, so
 * that declare stays pure: `read` answers from memory, undefined for a file that is missing, `tooLarge` for one over it.
 */
export interface Revision {
  readonly ref: RevisionRef;
  readonly files: ReadonlyMap<string, RevisionFile>;
  read(path: string): Uint8Array | 'tooLarge' | undefined;
}
