import type { Diagnostic } from '#kit/diagnostics.ts';
import type { DeclaredDifference } from '#model/difference.ts';
import type { Instant } from '#model/ids.ts';
import { declaredDifference } from '#plan/declared-difference.ts';
import type { World } from '#ports/world.ts';
import type { Refusal } from './report.ts';
import { declaredAt, readRevision } from './revision.ts';
import type { DeclareState } from './revision.ts';

export interface DifferenceReport {
  readonly diagnostics: readonly Diagnostic[];
  /** Null with mistakes in `diagnostics` when the revision is invalid. */
  readonly difference: DeclaredDifference | null;
  readonly refusal: Refusal | null;
}

/**
 * What one commit declares otherwise than another, out of the repository alone: opens no connection and no ledger, and reads
 * no environment. Mistakes are those of `ref`, with the published versions of `base` in force.
 */
export async function readDifference(
  world: World,
  state: DeclareState,
  request: { readonly ref: string; readonly base: string; readonly at: Instant },
): Promise<DifferenceReport> {
  const { ref, base, at } = request;
  const loaded = await readRevision(world, state, { mode: 'plan', ref, base, at });
  if (loaded.kind === 'refused') return { diagnostics: loaded.diagnostics, difference: null, refusal: loaded.refusal };
  const { diagnostics } = loaded;
  const was = await declaredAt(world, state, { commit: base, at });
  // Without a base of its own, so that what the merge changes of connections and limits is seen too.
  const is = await declaredAt(world, state, { commit: ref, at });
  if (was !== null && is !== null) return { diagnostics, difference: declaredDifference(was, is), refusal: null };
  const message = `${was === null ? `the base ${base}` : ref} is not valid by itself, so nothing can be compared with it`;
  return { diagnostics, difference: null, refusal: { code: 'INVALID_BASE', message } };
}
