import type { CommentOptions } from '#view/comment-options.ts';
import { commentMarker } from '#view/comment-options.ts';
import { defaultCommentFile, writeFileFor } from './files.ts';
import type { Job } from './job.ts';
import { lineLinks } from './links.ts';
import { makeRest } from './rest.ts';
import type { RestTrouble } from './rest.ts';
import { bodyOf, postSticky } from './sticky.ts';
import type { CommentState, Posted, StickyRequest } from './sticky.ts';

/** What views of a comment are told beside the plan. `commit` is the one that links lead to. */
export function commentOptions(job: Job, commit: string | null): CommentOptions {
  const { occasion, folder } = job;
  const { url } = occasion.run;
  return {
    path: folderName(job),
    links: lineLinks(occasion, occasion.pull?.headSha ?? commit, folder),
    ...(url === null ? {} : { rest: [{ text: 'the run', url }] }),
  };
}

/** Two fleets of one workspace are told apart by their folders, whatever repositories they are in. */
function folderName({ inputs }: Job): string {
  return inputs.path;
}

/** Whether this run has something to say on a pull request. */
function wantsComment({ inputs, occasion }: Job): boolean {
  if (inputs.comment !== 'auto') return inputs.comment === 'true';
  return occasion.pull !== null && /^pull_request(_target)?$/.test(occasion.event);
}

/**
 * Writes the comment to its file, and to the pull request when the run is about one. Whatever comes in between is a warning:
 * the plan itself is not worse for it.
 */
export async function comment(job: Job, markdown: string, onlyAfter?: string): Promise<void> {
  const { runner, inputs, occasion, vault } = job;
  const text = vault.clean(markdown);
  const state = stateOf(job, inputs.command);
  const path = inputs.commentFile ?? defaultCommentFile(runner, inputs.path);
  const written = await writeFileFor(runner, path, bodyOf({ text, state }));
  if (written.ok) runner.output('comment', written.value);
  else runner.annotate('warning', `comment-file: ${written.error}`, { title: 'COMMENT' });
  if (!wantsComment(job)) return;
  if (occasion.pull === null) {
    runner.annotate('warning', `comment: a ${occasion.event} event is about no pull request`, { title: 'COMMENT' });
    return;
  }
  const marker = commentMarker(folderName(job));
  await post(job, { pull: occasion.pull.number, marker, text, state, ...(onlyAfter === undefined ? {} : { onlyAfter }) });
}

function stateOf({ occasion }: Job, command: string): CommentState {
  const { run, pull } = occasion;
  return { head: pull?.headSha ?? null, run: BigInt(run.id), attempt: Number(run.attempt), command, pull: pull?.number ?? null };
}

/** Posts, and says what became of it. False when nothing could be posted. */
export async function post(job: Job, request: Omit<StickyRequest, 'repository'>): Promise<boolean> {
  const { runner, inputs, occasion, world, signal } = job;
  const { api, repository } = occasion;
  if (api === null || repository === null || inputs.token === null) {
    const missing = api === null ? 'GITHUB_API_URL' : repository === null ? 'GITHUB_REPOSITORY' : 'the input token';
    runner.annotate('warning', `the pull request gets no comment: ${missing} is not set`, { title: 'COMMENT' });
    return false;
  }
  const rest = makeRest({ api, token: inputs.token, clock: world.clock, signal });
  const posted = await postSticky(rest, { ...request, repository });
  if (!posted.ok) tellTrouble(job, posted.error);
  else runner.info(`pull request ${request.pull}: ${POSTED[posted.value]}`);
  return posted.ok;
}

const POSTED: Readonly<Record<Posted, string>> = {
  created: 'comment made',
  updated: 'comment updated',
  unchanged: 'the comment says so already',
  outdated: 'comment left alone, a newer commit has its own run',
  'nothing to say': 'no comment needed',
};

function tellTrouble({ runner, occasion, vault }: Job, { code, message }: RestTrouble): void {
  const told = vault.clean(`the pull request gets no comment: ${message}. The job summary says the same`);
  if (code !== 'FORBIDDEN') {
    runner.annotate('warning', told, { title: `COMMENT_${code}` });
    return;
  }
  if (occasion.foreign === null) {
    runner.annotate('warning', `${told}. Give the job \`permissions: pull-requests: write\``, { title: 'COMMENT_FORBIDDEN' });
    return;
  }
  const recipe = 'A pull request of a fork has a token that only reads: a workflow_run workflow can post it (docs/operations/action.md)';
  runner.annotate('notice', `${told}. ${recipe}`, { title: 'COMMENT_FORBIDDEN' });
}
