import { readFile } from 'node:fs/promises';

type Environment = Readonly<Record<string, string | undefined>>;

/** The pull request that a run is about. What the event does not say is null. */
export interface PullRequest {
  readonly number: number;
  readonly headSha: string | null;
  readonly baseSha: string | null;
  readonly baseRef: string | null;
}

/** Where a run stands: the environment of GitHub's runners, which those of Gitea and Forgejo set too, and the event's file. */
export interface Occasion {
  readonly event: string;
  readonly server: string | null;
  readonly api: string | null;
  /** `owner/name`. */
  readonly repository: string | null;
  readonly run: { readonly id: string; readonly attempt: string; readonly url: string | null };
  readonly pull: PullRequest | null;
  /** Why the tree is not to be trusted with secrets; null when it is of the repository itself. */
  readonly foreign: string | null;
  /** Commit and repository of the run that a `workflow_run` event tells of. */
  readonly after: { readonly headSha: string; readonly headRepository: string | null } | null;
  /** Gitea or Forgejo: addresses of lines and runs are others there. */
  readonly gitea: boolean;
}

/** An event's file is written by the server, but parts of it by whoever opened the pull request. */
const MOST_EVENT_BYTES = 32 * 1024 * 1024;

export async function readOccasion(env: Environment): Promise<Occasion> {
  const payload = await readPayload(env['GITHUB_EVENT_PATH']);
  const event = env['GITHUB_EVENT_NAME'] ?? '';
  const api = address(env['GITHUB_API_URL']);
  const gitea = env['GITEA_ACTIONS'] === 'true' || env['FORGEJO_ACTIONS'] === 'true' || (api ?? '').endsWith('/api/v1');
  const server = address(env['GITHUB_SERVER_URL']);
  const repository = repositoryName(env['GITHUB_REPOSITORY']);
  const id = /^\d+$/.test(env['GITHUB_RUN_ID'] ?? '') ? (env['GITHUB_RUN_ID'] ?? '0') : '0';
  const page = gitea ? (env['GITHUB_RUN_NUMBER'] ?? id) : id;
  const url = server === null || repository === null || page === '0' ? null : `${server}/${repository}/actions/runs/${page}`;
  const attempt = /^\d+$/.test(env['GITHUB_RUN_ATTEMPT'] ?? '') ? (env['GITHUB_RUN_ATTEMPT'] ?? '1') : '1';
  const run = { id, attempt, url };
  return { event, server, api, repository, run, gitea, pull: pullOf(payload), foreign: foreignOf(event, payload), after: afterOf(payload) };
}

async function readPayload(path: string | undefined): Promise<unknown> {
  if (path === undefined || path === '') return {};
  const text = await readFile(path, 'utf8').catch(() => '');
  if (text.length > MOST_EVENT_BYTES) return {};
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function pullOf(payload: unknown): PullRequest | null {
  const pull = at(payload, 'pull_request');
  const number = wholeNumber(at(pull, 'number') ?? at(payload, 'number') ?? at(payload, 'issue', 'number'));
  const about = pull !== undefined || at(payload, 'issue', 'pull_request') !== undefined;
  if (!about || number === null) return null;
  const baseRef = at(pull, 'base', 'ref');
  return {
    number,
    headSha: oid(at(pull, 'head', 'sha')),
    baseSha: oid(at(pull, 'base', 'sha')),
    baseRef: typeof baseRef === 'string' ? baseRef : null,
  };
}

/**
 * Whether the tree can be somebody else's. A comment on a pull request does not say where the branch comes from, so it counts
 * as foreign; so does a head repository that was deleted.
 */
function foreignOf(event: string, payload: unknown): string | null {
  const pull = at(payload, 'pull_request');
  if (pull !== undefined) {
    const [head, base] = [at(pull, 'head', 'repo', 'full_name'), at(pull, 'base', 'repo', 'full_name')];
    if (typeof head !== 'string' || typeof base !== 'string') return 'the pull request does not say which repository it comes from';
    return head.toLowerCase() === base.toLowerCase() ? null : `the pull request comes from ${repositoryName(head) ?? 'a fork'}, a fork`;
  }
  if (at(payload, 'issue', 'pull_request') !== undefined) return `a ${event} event does not say which repository a pull request comes from`;
  const after = afterOf(payload);
  if (after === null) return null;
  const own = at(payload, 'repository', 'full_name');
  const same = after.headRepository !== null && typeof own === 'string' && after.headRepository.toLowerCase() === own.toLowerCase();
  return same ? null : `the run before was of ${after.headRepository ?? 'a repository that is gone'}, a fork`;
}

function afterOf(payload: unknown): Occasion['after'] {
  const headSha = oid(at(payload, 'workflow_run', 'head_sha'));
  if (headSha === null) return null;
  const name = at(payload, 'workflow_run', 'head_repository', 'full_name');
  return { headSha, headRepository: typeof name === 'string' ? repositoryName(name) : null };
}

/** The value below these keys; undefined where there is none, or where null stands. */
export function at(value: unknown, ...keys: readonly string[]): unknown {
  let found = value;
  for (const key of keys) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[key];
  }
  return found ?? undefined;
}

export function oid(value: unknown): string | null {
  return typeof value === 'string' && /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(value) ? value : null;
}

function wholeNumber(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null;
}

function repositoryName(text: string | undefined): string | null {
  return text !== undefined && /^[\w.-]+\/[\w.-]+$/.test(text) ? text : null;
}

function address(text: string | undefined): string | null {
  return text !== undefined && /^https?:\/\/[^\s/?#]+[^\s?#]*$/.test(text) ? text.replace(/\/+$/, '') : null;
}
