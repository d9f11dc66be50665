import { MINUTE_MS } from '#kit/duration.ts';
import { families } from '#adapters/registry.ts';
import { declare } from '#declare/declare.ts';
import type { Declared } from '#model/declared.ts';
import type { Clock } from '#ports/clock.ts';
import type { World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassReport } from '#reconcile/report.ts';
import { restMs } from '#reconcile/repeat.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import { openGitSource } from '#source/git-source.ts';
import { headOf, merge, STORY_START } from './repo.ts';
import type { StoryRepo } from './repo.ts';
import type { Story } from './stories.ts';

/** Hears every logger say once what it runs. */
const LISTEN_MS = 6 * MINUTE_MS;
/** Another one has the lease, or has had it meanwhile. */
const BUSY = 75;
const LIMIT_MS = 24 * 60 * MINUTE_MS;

export interface Playing {
  readonly story: Story;
  readonly repo: Pick<StoryRepo, 'dir' | 'commits'>;
  readonly engine: World;
  readonly clock: Clock;
  /** Drives virtual time while that is under way. */
  run<T>(work: Promise<T>): Promise<T>;
}

/**
 * Passes until the story is told, merging the next commit whenever a chapter is done. Goes on where an earlier process ended:
 * which chapter it is, the branch says. Throws when the story does not end within a day of its clock.
 */
export async function play({ story, repo, engine, clock, run }: Playing): Promise<void> {
  const state = makeDeclareState();
  const limit = clock.now() + LIMIT_MS;
  let listenMs = LISTEN_MS;
  let report: PassReport | null = null;
  while (clock.now() < limit) {
    const chapter = repo.commits.indexOf(headOf(repo.dir));
    report = await run(runPass(engine, state, { mode: 'apply', newLedger: chapter === 0, listenMs, nextPassMs: MINUTE_MS }));
    listenMs = 0;
    // On a slow machine a lease may run out in the middle of a pass.
    if (report.refusal !== null && report.exit !== BUSY) throw new Error(`${report.refusal.code}: ${report.refusal.message}`);
    if (story.chapters[chapter]?.done(report) === true) {
      const next = repo.commits[chapter + 1];
      if (next === undefined) return;
      merge(repo.dir, next);
    }
    await run(clock.sleep(restMs(report, clock.now())));
  }
  throw new Error(`the story ${story.name} did not end: ${JSON.stringify(whereIs(report))}`);
}

function whereIs(report: PassReport | null): unknown {
  if (report?.result == null) return { exit: report?.exit, refusal: report?.refusal };
  const { decision, view } = report.result;
  const rollouts = [...view.groups].map(([group, { rollout, blocked }]) => ({ group, phase: rollout?.phase, blocked: blocked.length }));
  return { exit: report.exit, held: decision.held, open: [...view.open.keys()], rollouts };
}

export async function declaredIn(dir: string): Promise<Declared> {
  const revision = await openGitSource({ dir }).read('HEAD');
  if (!revision.ok) throw new Error(revision.error.message);
  const entries = new Map([...families()].map(([name, entry]) => [name, entry.family]));
  const { declared, diagnostics } = declare({ revision: revision.value, families: entries, at: STORY_START });
  if (declared === null) throw new Error(diagnostics.map((one) => `${one.place.file}:${one.place.line} ${one.summary}`).join('\n'));
  return declared;
}
