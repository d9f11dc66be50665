import type { Diagnostic } from '#kit/diagnostics.ts';
import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { Revision } from '#model/revision.ts';
import type { Family } from '#ports/family.ts';
import { type DeclareCache } from './cache.ts';

export interface DeclareInput {
  readonly revision: Revision;
  readonly families: ReadonlyMap<string, Family>;
  /** The time at which overrides and retirements are judged: given, not read. */
  readonly at: Instant;
  /** The revision before: digests of published versions must not differ from it. */
  readonly base?: Revision | null;
  readonly cache?: DeclareCache;
}

export interface DeclareAnswer {
  /** Null exactly when a diagnostic is an error. */
  readonly declared: Declared | null;
  readonly diagnostics: readonly Diagnostic[];
}

export function declare(input: DeclareInput): DeclareAnswer {
  void input;
  return { declared: null, diagnostics: [] };
}
