import type { SourceProblem } from '#ports/source.ts';

/** What a repository may cost: a fleet repo is small, and whoever can push must not be able to fill the memory. */
export interface SourceLimits {
  /** Entries of all trees, folders included. */
  readonly entries: number;
  /** A larger file is listed and read as `tooLarge`. */
  readonly blobBytes: number;
  /** Of all files below `blobBytes` together. */
  readonly totalBytes: number;
  /** Folders above a file. */
  readonly depth: number;
  /** What blobs already read may occupy between two reads. */
  readonly cacheBytes: number;
  /** Of one answer of a remote. */
  readonly fetchBytes: number;
}

const MEBIBYTE = 1024 * 1024;

export const SOURCE_LIMITS: SourceLimits = {
  entries: 20_000,
  blobBytes: 64 * MEBIBYTE,
  totalBytes: 512 * MEBIBYTE,
  depth: 32,
  cacheBytes: 256 * MEBIBYTE,
  fetchBytes: 2048 * MEBIBYTE,
};

/** A problem on its way out of the depth of a read: caught at the border of the source, where it becomes a value. */
export class SourceTrouble extends Error {
  override readonly name = 'SourceTrouble';
  readonly problem: SourceProblem;

  constructor(code: SourceProblem['code'], message: string) {
    super(message);
    this.problem = { code, message };
  }
}
