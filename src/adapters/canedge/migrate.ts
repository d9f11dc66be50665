import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { objectOf } from './json.ts';
import { MIGRATION_STEPS, type MigrationStep } from './migrate-steps.ts';
import { modelByName } from './models.ts';
import { compareSeries } from './versions.ts';

/** From one config series to a later one: docs/protocols/canedge-s3.md §4.3. */

export interface MigrationRequest {
  /** `01.07`. */
  readonly from: string;
  readonly to: string;
  /** `CANedge2 GNSS`. */
  readonly model: string;
}

export interface Migrated {
  readonly document: Json;
  /** What could not be carried over and must be looked at by a person, in the order of the steps. */
  readonly notes: readonly string[];
}

export interface MigrationProblem {
  readonly code: 'MIGRATION_BACKWARDS' | 'MIGRATION_UNKNOWN' | 'MIGRATION_NOT_AN_OBJECT' | 'MIGRATION_MODEL';
  readonly message: string;
}

/**
 * A config of an earlier series as one of a later series: every published step on the way, in order. The document given is
 * not changed. There is no way back, and none over a series of which nothing is published.
 */
export function migrateConfig(document: Json, request: MigrationRequest): Result<Migrated, MigrationProblem> {
  const model = modelByName(request.model);
  if (model === undefined) return err({ code: 'MIGRATION_MODEL', message: `no CANedge model is called ${request.model}` });
  if (objectOf(document) === undefined) return err({ code: 'MIGRATION_NOT_AN_OBJECT', message: 'a config is a JSON object' });
  const steps = migrationPath(request.from, request.to);
  if (!steps.ok) return steps;
  const notes: string[] = [];
  let migrated = document;
  for (const step of steps.value) {
    const after = step.apply(objectOf(migrated) ?? {}, model);
    migrated = after.document;
    notes.push(...after.notes.map((note) => `${step.from} to ${step.to}: ${note}`));
  }
  return ok({ document: migrated, notes });
}

function migrationPath(from: string, to: string): Result<readonly MigrationStep[], MigrationProblem> {
  const order = compareSeries(from, to);
  if (order === 0) return ok([]);
  if (order > 0)
    return err({ code: 'MIGRATION_BACKWARDS', message: `a config of series ${from} cannot be made one of ${to}: there is no way back` });
  const steps: MigrationStep[] = [];
  let reached = from;
  while (reached !== to) {
    const step = MIGRATION_STEPS.find((one) => one.from === reached && compareSeries(one.to, to) <= 0);
    if (step === undefined)
      return err({ code: 'MIGRATION_UNKNOWN', message: `nothing published says how a config of series ${reached} becomes one of ${to}` });
    steps.push(step);
    reached = step.to;
  }
  return ok(steps);
}
