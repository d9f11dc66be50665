import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Instant } from '#model/ids.ts';
import { makeGitRepo } from '#test/support/git-repo.ts';
import { writeImages } from '#test/support/images.ts';
import type { Story } from './stories.ts';

/** In the folder of the repo that a story is told in. */
export const LEDGER_FILE = 'ledger.db';

/** A Monday at 08:30 UTC. */
export const STORY_START: Instant = Date.UTC(2026, 10, 23, 8, 30);

/** The fleet repo of a story with all its commits, of which the branch holds the first. */
export interface StoryRepo {
  readonly dir: string;
  /** One commit per chapter. */
  readonly commits: readonly string[];
  close(): Promise<void>;
}

/** Makes the commits of a story with the real git; their ids are the same each time. */
export async function makeStoryRepo(story: Story): Promise<StoryRepo> {
  const staged = await mkdtemp(join(tmpdir(), 'headgate-crash-fleet-'));
  try {
    await cp(join(import.meta.dirname, 'fleet'), staged, { recursive: true });
    await writeImages(staged);
    const repo = await makeGitRepo(staged, STORY_START);
    const commits = [headOf(repo.dir)];
    for (const { change, message } of story.chapters.slice(1)) {
      if (change === 'revert') commits.push(await repo.revert(STORY_START));
      else {
        for (const { file, from, to } of change) {
          const text = await readFile(join(repo.dir, file), 'utf8');
          if (!text.includes(from)) throw new Error(`${file} does not hold ${from}`);
          await writeFile(join(repo.dir, file), text.replaceAll(from, to));
        }
        commits.push(await repo.commit(message, STORY_START));
      }
    }
    merge(repo.dir, commits[0] ?? '');
    return { dir: repo.dir, commits, close: () => repo.close() };
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
}

/** The branch holds this commit from now on: what a merge does, as far as Headgate can see. Whole at every instant. */
export function merge(dir: string, commit: string): void {
  writeFileSync(`${branchFile(dir)}.new`, `${commit}\n`);
  renameSync(`${branchFile(dir)}.new`, branchFile(dir));
}

export function headOf(dir: string): string {
  return readFileSync(branchFile(dir), 'utf8').trim();
}

function branchFile(dir: string): string {
  return join(dir, '.git', 'refs', 'heads', 'main');
}
