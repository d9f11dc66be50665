import { err, ok } from '#kit/result.ts';
import type { Result } from '#kit/result.ts';
import { at, oid } from './event.ts';
import type { Rest, RestTrouble } from './rest.ts';

/** Who wrote a comment last: kept in its last line, which nobody sees. */
export interface CommentState {
  readonly head: string | null;
  /** Runs are numbered upwards by the server. */
  readonly run: bigint;
  readonly attempt: number;
  readonly command: string;
  readonly pull: number | null;
}

export interface StickyRequest {
  /** `owner/name`. */
  readonly repository: string;
  readonly pull: number;
  /** First line of the comment, by which it is found again: one per folder. */
  readonly marker: string;
  /** The markdown, beginning with the marker. */
  readonly text: string;
  readonly state: CommentState;
  /** Only touches a comment that this command wrote; makes none. */
  readonly onlyAfter?: string;
}

/** What became of the comment. `outdated`: a newer commit of the pull request has its own run. */
export type Posted = 'created' | 'updated' | 'unchanged' | 'outdated' | 'nothing to say';

interface Comment {
  readonly id: number;
  readonly body: string;
  readonly author: number | null;
  readonly bot: boolean;
}

/** Each round begins by looking at what is there; one is enough unless others write at the same time. */
const ROUNDS = 4;
/** A page holds a hundred: who has more comments than this on one pull request gets a second one of ours. */
const MOST_PAGES = 50;

/** Names under which the runners of Gitea and Forgejo write; GitHub marks its bots as such. */
const RUNNER_NAMES: ReadonlySet<string> = new Set(['gitea-actions', 'forgejo-actions', 'github-actions[bot]']);

/**
 * Sees to it that the pull request has exactly one comment of ours with this marker, and that it says this: made, changed in
 * place, or left alone when it already does. What a newer commit has written is not overwritten.
 */
export async function postSticky(rest: Rest, request: StickyRequest): Promise<Result<Posted, RestTrouble>> {
  let trouble: RestTrouble = { code: 'UNSURE', message: 'the comment was changed by others each time it was looked at' };
  let created: number | null = null;
  for (let round = 0; round < ROUNDS; round += 1) {
    const found = await ours(rest, request);
    if (!found.ok) return found;
    const [kept, ...others] = found.value;
    for (const other of others) {
      const deleted = await rest.request('DELETE', commentPath(request, other.id));
      if (!deleted.ok && deleted.error.code !== 'NOT_FOUND') return deleted;
    }
    if (kept !== undefined) {
      if (kept.id === created) return ok('created');
      const updated = await update(rest, request, kept);
      if (updated.ok || updated.error.code !== 'NOT_FOUND') return updated;
      trouble = updated.error;
      continue;
    }
    if (request.onlyAfter !== undefined) return ok('nothing to say');
    if (await isOutdated(rest, request, null)) return ok('outdated');
    const answer = await rest.request('POST', `${issuePath(request)}/comments`, { body: bodyOf(request) });
    if (!answer.ok && answer.error.code !== 'UNSURE') return answer;
    if (!answer.ok) trouble = answer.error;
    // Another run may have done the same at the same time: the next round sees both and keeps the older.
    else created = numberOf(answer.value.body, 'id');
  }
  return created === null ? err(trouble) : ok('created');
}

async function update(rest: Rest, request: StickyRequest, kept: Comment): Promise<Result<Posted, RestTrouble>> {
  const state = readState(kept.body);
  if (request.onlyAfter !== undefined && state?.command !== request.onlyAfter) return ok('nothing to say');
  if (textIn(kept.body) === textIn(bodyOf(request))) return ok('unchanged');
  if (await isOutdated(rest, request, state)) return ok('outdated');
  const answer = await rest.request('PATCH', commentPath(request, kept.id), { body: bodyOf(request) });
  return answer.ok ? ok('updated') : answer;
}

/**
 * Whether the pull request has moved on to another commit than ours. Where the server does not tell, a comment of a run that
 * began later is taken for newer.
 */
async function isOutdated(rest: Rest, request: StickyRequest, there: CommentState | null): Promise<boolean> {
  const { head, run } = request.state;
  if (head === null || there?.head === head) return false;
  const pull = await rest.request('GET', `/repos/${request.repository}/pulls/${request.pull}`);
  const now = pull.ok ? oid(at(pull.value.body, 'head', 'sha')) : null;
  if (now !== null) return now !== head;
  return there !== null && there.run > run;
}

/** Our comments with the marker, the oldest first. Whoever merely quotes the marker has not written them. */
async function ours(rest: Rest, request: StickyRequest): Promise<Result<readonly Comment[], RestTrouble>> {
  const found: Comment[] = [];
  for (let page = 1; page <= MOST_PAGES; page += 1) {
    const answer = await rest.request('GET', `${issuePath(request)}/comments?per_page=100&limit=100&page=${page}`);
    if (!answer.ok) return answer;
    const list: readonly unknown[] = Array.isArray(answer.value.body) ? answer.value.body : [];
    found.push(...list.flatMap(commentOf).filter(({ body }) => body.split(/\r?\n/, 1)[0] === request.marker));
    if (!answer.value.more) break;
  }
  // A server that does not know of pages answers each with all.
  const distinct = [...new Map(found.map((comment) => [comment.id, comment])).values()];
  const self = distinct.every(({ bot }) => bot) ? null : await ownId(rest);
  return ok(distinct.filter(({ bot, author }) => bot || (author !== null && author === self)).toSorted((a, b) => a.id - b.id));
}

/** The token of a job belongs to no user; that of a person does. */
async function ownId(rest: Rest): Promise<number | null> {
  const answer = await rest.request('GET', '/user');
  return answer.ok ? numberOf(answer.value.body, 'id') : null;
}

function commentOf(value: unknown): readonly Comment[] {
  const [id, body, login] = [numberOf(value, 'id'), at(value, 'body'), at(value, 'user', 'login')];
  if (id === null || typeof body !== 'string') return [];
  const bot = at(value, 'user', 'type') === 'Bot' || (typeof login === 'string' && RUNNER_NAMES.has(login));
  return [{ id, body, author: numberOf(at(value, 'user'), 'id'), bot }];
}

function numberOf(value: unknown, key: string): number | null {
  const found = at(value, key);
  return typeof found === 'number' && Number.isSafeInteger(found) ? found : null;
}

function issuePath({ repository, pull }: StickyRequest): string {
  return `/repos/${repository}/issues/${pull}`;
}

function commentPath({ repository }: StickyRequest, id: number): string {
  return `/repos/${repository}/issues/comments/${id}`;
}

/** The comment as it is sent, and as it is written to a file. */
export function bodyOf({ text, state }: Pick<StickyRequest, 'text' | 'state'>): string {
  const head = state.head ?? '-';
  const line = `<!-- headgate:run head=${head} run=${state.run}.${state.attempt} command=${state.command} pull=${state.pull ?? '-'} -->`;
  return `${text.trimEnd()}\n\n${line}\n`;
}

const STATE_LINE = /^<!-- headgate:run head=([0-9a-f]{40,64}|-) run=(\d{1,20})\.(\d{1,9}) command=([a-z]{1,20}) pull=(\d{1,15}|-) -->$/;

/** The last line of a comment of ours; null when there is none. */
export function readState(body: string): CommentState | null {
  const last = body.trimEnd().split(/\r?\n/).at(-1) ?? '';
  const [, head, run, attempt, command, pull] = STATE_LINE.exec(last) ?? [];
  if (head === undefined || run === undefined || command === undefined) return null;
  const number = pull === '-' ? null : Number(pull);
  return { head: head === '-' ? null : head, run: BigInt(run), attempt: Number(attempt), command, pull: number };
}

/** What people read: without the last line, however the server stores the ends of lines. */
export function textIn(body: string): string {
  const text = body.replaceAll('\r\n', '\n').trimEnd();
  return readState(text) === null ? text : text.slice(0, text.lastIndexOf('\n') + 1).trimEnd();
}
