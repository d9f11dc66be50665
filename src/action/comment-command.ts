import type { Refusal } from '#reconcile/report.ts';
import { commentMarker } from '#view/comment-options.ts';
import { at, oid } from './event.ts';
import { readFileFor } from './files.ts';
import type { Job } from './job.ts';
import { post } from './pull-comment.ts';
import { makeRest } from './rest.ts';
import { readState, textIn } from './sticky.ts';
import type { CommentState } from './sticky.ts';
import { tamed } from './untrusted.ts';

/** The most that GitHub takes as a comment, in bytes even if all are ASCII. */
const MOST_BYTES = 65_536;

/**
 * Posts the file that a run without secrets wrote: its own words about the pull request, taken for those of a stranger. What
 * it says of itself (which pull request, which commit) is believed only where the event and the server say the same.
 */
export async function postFile(job: Job): Promise<Refusal | null> {
  const { runner, inputs, occasion, vault } = job;
  if (inputs.commentFile === null) return { code: 'NO_FILE', message: 'comment-file: name the file to post' };
  const text = await readFileFor(runner, inputs.commentFile, MOST_BYTES);
  if (text === null) return { code: 'NO_FILE', message: `comment-file: ${inputs.commentFile} cannot be read, or is longer than a comment` };
  const marker = commentMarker(inputs.path);
  const state = readState(text);
  if (state === null || text.split(/\r?\n/, 1)[0] !== marker) {
    return {
      code: 'NOT_A_COMMENT',
      message: `comment-file: ${inputs.commentFile} was not written by a step for the folder ${inputs.path}`,
    };
  }
  const refusal = await doubt(job, state);
  if (refusal !== null) return refusal;
  const { pull } = state;
  if (pull === null) return { code: 'NOT_A_COMMENT', message: 'comment-file: it is about no pull request' };
  const home = occasion.server === null || occasion.repository === null ? null : `${occasion.server}/${occasion.repository}`;
  const body = `${marker}\n${vault.clean(tamed(textIn(text).slice(marker.length), home))}`;
  // The order of runs is that of the runs we know of, not what a stranger wrote.
  const trusted = { ...state, run: BigInt(occasion.run.id), attempt: Number(occasion.run.attempt), command: 'comment' };
  await post(job, { pull, marker, text: body, state: trusted });
  return null;
}

/** Whether the pull request that the file names is the one whose run this follows. */
async function doubt({ occasion, inputs, world, signal }: Job, state: CommentState): Promise<Refusal | null> {
  const { after, pull, api, repository } = occasion;
  const other = { code: 'OTHER_PULL_REQUEST', message: 'comment-file: it names another pull request or commit than the event does' };
  if (after === null) {
    if (pull === null) return { code: 'NO_PULL_REQUEST', message: `command comment: a ${occasion.event} event is about no pull request` };
    return pull.number === state.pull && pull.headSha === state.head ? null : other;
  }
  if (state.head !== after.headSha) return other;
  if (api === null || repository === null || inputs.token === null) return null;
  const rest = makeRest({ api, token: inputs.token, clock: world.clock, signal });
  const answer = await rest.request('GET', `/repos/${repository}/pulls/${state.pull ?? 0}`);
  if (!answer.ok) return { code: `COMMENT_${answer.error.code}`, message: answer.error.message };
  const { body } = answer.value;
  const from = at(body, 'head', 'repo', 'full_name');
  const same = typeof from === 'string' && from.toLowerCase() === after.headRepository?.toLowerCase();
  // A commit that is no longer the last one is left to the run of the last one.
  return same && oid(at(body, 'head', 'sha')) !== null ? null : other;
}
