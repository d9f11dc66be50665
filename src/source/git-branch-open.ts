import fs from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import * as git from 'isomorphic-git';
import type { GitBranch } from '#ports/git-branch.ts';
import { WireError } from '#ports/wire-error.ts';
import { openLocalBranch } from './git-branch-local.ts';
import { type GitCredentials, openRemoteBranch } from './git-branch-remote.ts';
import { findRepository } from './repository.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface GitPlace {
  /** `remote`: others push to it. `shared`: a repository elsewhere on this machine. `own`: the fleet repo itself. */
  readonly kind: 'remote' | 'shared' | 'own';
  readonly branch: GitBranch;
}

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);

/**
 * The repository that a fleet repo's ledger lies in: HEADGATE_LEDGER_REMOTE, else the remote `origin`, else the repository
 * itself. `repo` is a folder or an https URL. Throws WireError for an address that cannot be used (ssh).
 */
export async function openGitPlace(request: { readonly repo: string; readonly env: Env }): Promise<GitPlace> {
  const { repo, env } = request;
  const named = env['HEADGATE_LEDGER_REMOTE'] ?? '';
  if (/^https?:/i.test(repo)) return await openAddress(named === '' ? repo : named, { dir: resolve('.'), env, gitdir: null });
  const dir = resolve(repo);
  const found = await findRepository(dir);
  if (!found.ok) throw new WireError('GIT_404', 'never', `${found.error.message}: a ledger in git needs one`);
  const { gitdir } = found.value;
  const address = named === '' ? await originOf(gitdir) : named;
  if (address === null) return { kind: 'own', branch: await openLocalBranch(dir) };
  return await openAddress(address, { dir, env, gitdir });
}

async function originOf(gitdir: string): Promise<string | null> {
  const url: unknown = await git.getConfig({ fs, gitdir, path: 'remote.origin.url' });
  if (typeof url === 'string' && url !== '') return url;
  const remotes = await git.listRemotes({ fs, gitdir });
  if (remotes.length === 0) return null;
  throw new WireError(
    'GIT_REMOTE',
    'never',
    'no remote is called origin: set HEADGATE_LEDGER_REMOTE to the https URL of the one that holds the ledger',
  );
}

interface Where {
  readonly dir: string;
  readonly env: Env;
  readonly gitdir: string | null;
}

async function openAddress(address: string, { dir, env, gitdir }: Where): Promise<GitPlace> {
  if (/^file:\/\//i.test(address)) return { kind: 'shared', branch: await openLocalBranch(new URL(address).pathname) };
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(address)) {
    const path = isAbsolute(address) ? address : resolve(dir, address);
    // HOST:PATH is how git writes ssh; a folder of that name comes first.
    if (/^[^/]+:/.test(address) && !fs.existsSync(path)) throw overSsh();
    return { kind: 'shared', branch: await openLocalBranch(path) };
  }
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null) throw new WireError('GIT_REMOTE', 'never', 'the address of the ledger’s repository is not a URL');
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.has(url.hostname))) throw overSsh();
  const inUrl: GitCredentials | null =
    url.password === '' && url.username === ''
      ? null
      : { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  url.username = '';
  url.password = '';
  url.hash = '';
  const plain = url.href.replace(/\/$/, '');
  const credentials = ownToken(env) ?? inUrl ?? workflowToken(env, url) ?? (await checkoutToken(gitdir, url));
  return { kind: 'remote', branch: openRemoteBranch({ url: plain, credentials }) };
}

function overSsh(): WireError {
  return new WireError(
    'GIT_REMOTE',
    'never',
    'a ledger in git is reached over https only: set HEADGATE_LEDGER_REMOTE to the https URL of the repository and HEADGATE_GIT_TOKEN to a token that may write contents',
  );
}

/** What the environment has for that repository: HEADGATE_GIT_TOKEN, or the token of a workflow on its own host. */
export function environmentCredentials(address: string, env: Env): GitCredentials | null {
  return ownToken(env) ?? (URL.canParse(address) ? workflowToken(env, new URL(address)) : null);
}

/** GitHub's name for a token as the user; other hosts take any. */
const TOKEN_USER = 'x-access-token';

function ownToken(env: Env): GitCredentials | null {
  const token = env['HEADGATE_GIT_TOKEN'] ?? '';
  return token === '' ? null : { username: TOKEN_USER, password: token };
}

/** The token of a workflow goes to the host that runs the workflow and to no other. */
function workflowToken(env: Env, url: URL): GitCredentials | null {
  const token = env['GITHUB_TOKEN'] ?? '';
  const host = env['GITHUB_SERVER_URL'] ?? 'https://github.com';
  if (token === '' || !URL.canParse(host) || new URL(host).origin !== url.origin) return null;
  return { username: TOKEN_USER, password: token };
}

/** What actions/checkout leaves in the clone for git itself: `http.https://HOST/.extraheader = AUTHORIZATION: basic …`. */
async function checkoutToken(gitdir: string | null, url: URL): Promise<GitCredentials | null> {
  if (gitdir === null) return null;
  const header: unknown = await git.getConfig({ fs, gitdir, path: `http.${url.origin}/.extraheader` });
  const [, encoded] = /^authorization: basic ([\w+/=-]+)$/i.exec(typeof header === 'string' ? header.trim() : '') ?? [];
  const [, username, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString('utf8')) ?? [];
  return username === undefined || password === undefined ? null : { username, password };
}
