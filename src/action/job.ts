import type { Instant } from '#model/ids.ts';
import type { World } from '#ports/world.ts';
import type { PassOptions, Refusal } from '#reconcile/report.ts';
import type { DeclareState } from '#reconcile/revision.ts';
import type { Occasion } from './event.ts';
import type { ActionInputs } from './inputs.ts';
import type { Runner } from './runner.ts';
import { keyIds, redact, secretForms, secretValues } from './secrets.ts';

/** One run of the action, with all that its commands need. */
export interface Job {
  readonly runner: Runner;
  readonly inputs: ActionInputs;
  readonly occasion: Occasion;
  readonly world: World;
  readonly state: DeclareState;
  readonly signal: AbortSignal;
  /** Folder of the fleet repo within its repository, `.` for the root. */
  readonly folder: string;
  readonly vault: Vault;
}

/** What must not be seen: told to the runner for its log, and cut out of what leaves by other ways. */
export interface Vault {
  hide(secrets: readonly string[]): void;
  /** In the log only. */
  mask(values: readonly string[]): void;
  clean(text: string): string;
}

export function makeVault(runner: Runner): Vault {
  const known = new Set<string>();
  return {
    hide: (secrets) => {
      for (const secret of secrets) {
        if (known.has(secret)) continue;
        known.add(secret);
        // The runner takes a mask a line at a time.
        if (!/[\r\n]/.test(secret)) runner.mask(secret);
      }
    },
    mask: (values) => {
      for (const value of values) runner.mask(value);
    },
    clean: (text) => redact(text, known),
  };
}

/** Hides the token and what the environment is known to hold, before anything is read. */
export function hideEnvironment({ runner, inputs, vault }: Pick<Job, 'runner' | 'inputs' | 'vault'>): void {
  vault.mask(keyIds(null, runner.env));
  vault.hide([...secretForms(inputs.token ?? ''), ...secretValues(null, runner.env)]);
}

/** Hides what the fleet.yaml of these revisions refers to, whether or not they are valid. */
export async function hideReferences(job: Job, refs: readonly (string | null)[]): Promise<void> {
  for (const ref of refs) {
    const revision = await job.world.source.read(ref ?? 'HEAD');
    const bytes = revision.ok ? revision.value.read('fleet.yaml') : undefined;
    if (bytes instanceof Uint8Array) job.vault.hide(secretValues(null, job.runner.env, new TextDecoder().decode(bytes)));
  }
}

/** A revision and the one it is compared with; null is what is checked out, and nothing. */
export interface Compared {
  readonly ref: string | null;
  readonly base: string | null;
}

/**
 * What is planned on a pull request: what is checked out, the merge commit by default, against the branch as that merge found
 * it; against the base that the event names, which can be older, when something else is checked out.
 */
export async function compared({ inputs, occasion, world }: Job): Promise<Compared> {
  const { pull, event } = occasion;
  // There the base is checked out unless the workflow says otherwise.
  const ref = inputs.ref ?? (event === 'pull_request_target' ? (pull?.headSha ?? null) : null);
  if (inputs.base !== null || pull === null) return { ref, base: inputs.base };
  if (ref === null && pull.headSha !== null) {
    const merged = await world.source.read('HEAD^2');
    if (merged.ok && merged.value.ref.commit === pull.headSha) return { ref, base: 'HEAD^1' };
  }
  return { ref, base: pull.baseSha };
}

/** Why the base cannot be read, in terms of the checkout; null when it can. */
export async function checkBase(job: Job, base: string | null): Promise<Refusal | null> {
  if (base === null) return null;
  const read = await job.world.source.read(base);
  if (read.ok || !['NOT_FOUND', 'DAMAGED'].includes(read.error.code)) return null;
  const message = `${read.error.message}; the base ${base} must be in the clone: give actions/checkout \`fetch-depth: 0\``;
  return { code: 'SHALLOW', message };
}

export function passOptions({ inputs, signal }: Job, mode: 'plan' | 'apply', { ref, base }: Compared): PassOptions {
  return {
    mode,
    signal,
    nextPassMs: null,
    ...(ref === null ? {} : { ref }),
    ...(base === null ? {} : { base }),
    ...(inputs.listenMs === null ? {} : { listenMs: inputs.listenMs }),
  };
}

export function nowOf({ world }: Job): Instant {
  return world.clock.now();
}
