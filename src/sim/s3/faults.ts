import type { S3View } from './store.ts';

export const S3_OPERATIONS = [
  'ListBuckets',
  'CreateBucket',
  'HeadBucket',
  'DeleteBucket',
  'GetBucketLocation',
  'ListObjects',
  'ListObjectsV2',
  'PutObject',
  'CopyObject',
  'GetObject',
  'HeadObject',
  'DeleteObject',
  'DeleteObjects',
] as const;
export type S3Operation = (typeof S3_OPERATIONS)[number];

/**
 * What can go wrong. `reset-after` and `lost-response` apply the request first: the connection is cut, or nothing is
 * ever said. `stale-list` answers lists from an older state.
 */
export type S3Fault =
  | { readonly kind: 'slow-down' | 'internal-error' | 'reset-before' | 'reset-after' | 'lost-response' | 'deny' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'stale-list'; readonly view: S3View };

export interface S3FaultScope {
  /** All operations when left out. */
  readonly operations?: readonly S3Operation[];
  /** Keys that begin so; for a list, the prefix asked for. All when left out. */
  readonly prefix?: string;
  /** How often it strikes; for ever when left out. */
  readonly times?: number;
  /** How many requests it lets pass first. */
  readonly skip?: number;
}

/** Faults to inject, changed while the server runs. */
export interface S3Faults {
  /** Behave as a server that never heard of If-Match and If-None-Match on writes. */
  ignoreConditions: boolean;
  /** Returns the way to take it back. */
  add(fault: S3Fault, scope?: S3FaultScope): () => void;
  /** Those that strike this request; each use counts against their `times`. */
  strike(operation: S3Operation, key: string): readonly S3Fault[];
  clear(): void;
  /** How often faults struck so far. */
  readonly struck: number;
}

export function makeS3Faults(): S3Faults {
  let entries: { readonly fault: S3Fault; readonly scope: S3FaultScope; left: number; skip: number }[] = [];
  let struck = 0;
  return {
    ignoreConditions: false,
    get struck() {
      return struck;
    },
    add(fault, scope = {}) {
      const entry = { fault, scope, left: scope.times ?? Number.POSITIVE_INFINITY, skip: scope.skip ?? 0 };
      entries.push(entry);
      return () => {
        entries = entries.filter((other) => other !== entry);
      };
    },
    strike(operation, key) {
      const hits: S3Fault[] = [];
      for (const entry of entries) {
        const { operations, prefix } = entry.scope;
        if (operations !== undefined && !operations.includes(operation)) continue;
        if (prefix !== undefined && !key.startsWith(prefix)) continue;
        if (entry.skip > 0) entry.skip--;
        else if (entry.left > 0) {
          entry.left--;
          hits.push(entry.fault);
        }
      }
      struck += hits.length;
      return hits;
    },
    clear() {
      entries = [];
      this.ignoreConditions = false;
    },
  };
}
