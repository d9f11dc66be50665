import { createHash, randomUUID } from 'node:crypto';
import fs, { type ObjectEncodingOptions } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as git from 'isomorphic-git';
import { type Result, err, ok } from '#kit/result.ts';
import type { SourceProblem } from '#ports/source.ts';
import { type FetchGuard, gitHttp } from './git-http.ts';
import { type SourceLimits, SourceTrouble } from './limits.ts';
import { readRef } from './refs.ts';
import { type Repository, findRepository } from './repository.ts';

/** Asked for when the remote wants it. A token goes where the host says: often as the password. Never shown. */
export type RemoteAuth = () => Promise<{ readonly username: string; readonly password: string }>;

export interface RemoteOptions {
  readonly url: string;
  readonly cacheDir: string;
  readonly branch: string;
  readonly auth?: RemoteAuth;
  readonly limits: SourceLimits;
}

export interface Remote {
  repository(): Promise<Result<Repository, SourceProblem>>;
  fetch(signal?: AbortSignal): Promise<Result<true, SourceProblem>>;
}

/** A server that says nothing for this long is given up. */
const SILENCE_MS = 60_000;
const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** A bare clone in the cache, all branches and tags with their whole history: descent can always be shown. */
export function openRemote(options: RemoteOptions): Remote {
  const checked = checkUrl(options.url);
  if (!checked.ok) return { repository: async () => checked, fetch: async () => checked };
  const { url, credentials } = checked.value;
  const gitdir = join(options.cacheDir, `${createHash('sha256').update(url).digest('hex').slice(0, 16)}.git`);
  const fetchOnce = async (guard: FetchGuard): Promise<void> => {
    await prepare(gitdir, { url, branch: options.branch });
    let asked = false;
    const onAuth = async () => {
      // A second question means that the answer was refused.
      if (asked) return { cancel: true };
      asked = true;
      return (await options.auth?.()) ?? credentials ?? { cancel: true };
    };
    const http = gitHttp(guard);
    const refs = await git.listServerRefs({ http, url, onAuth, prefix: 'refs/', protocolVersion: 1 });
    if (!refs.some(({ ref }) => ref === `refs/heads/${options.branch}`)) {
      throw new SourceTrouble('NOT_FOUND', `${url} has no branch ${options.branch}`);
    }
    asked = false;
    if (await isUpToDate(gitdir, refs)) return;
    await git.fetch({
      fs: wholeFiles(gitdir),
      http,
      gitdir,
      remote: 'origin',
      remoteRef: options.branch,
      tags: true,
      prune: true,
      pruneTags: true,
      onAuth,
    });
  };
  return {
    repository: async () => {
      const found = await findRepository(gitdir);
      const tip = found.ok ? await readRef(gitdir, `refs/remotes/origin/${options.branch}`) : null;
      if (tip !== null) return found;
      return err({ code: 'NOT_FOUND', message: `branch ${options.branch} of ${url} has not been fetched yet` });
    },
    fetch: async (signal) => {
      try {
        await fetchOnce({ signal: signal ?? null, silenceMs: SILENCE_MS, maxBytes: options.limits.fetchBytes });
        return ok(true);
      } catch (error) {
        signal?.throwIfAborted();
        return err(fetchProblem(error, url));
      }
    },
  };
}

/** Refs change before their objects are written, so a tip counts only when its commit is there too. */
async function isUpToDate(gitdir: string, refs: readonly { readonly ref: string; readonly oid: string }[]): Promise<boolean> {
  for (const { ref, oid } of refs) {
    const name = ref.startsWith('refs/heads/') ? `refs/remotes/origin/${ref.slice(11)}` : ref;
    if (!name.startsWith('refs/remotes/origin/') && !name.startsWith('refs/tags/')) continue;
    if (ref.endsWith('^{}')) continue;
    if ((await readRef(gitdir, name)) !== oid) return false;
    const found = await git.readObject({ fs, gitdir, oid }).catch(() => null);
    if (found === null) return false;
  }
  return true;
}

interface CheckedUrl {
  readonly url: string;
  readonly credentials: { readonly username: string; readonly password: string } | null;
}

/** An empty clone, made aside and put in its place as a whole: two commands may meet in one cache. */
async function prepare(gitdir: string, origin: { readonly url: string; readonly branch: string }): Promise<void> {
  const isThere = (): boolean => fs.existsSync(join(gitdir, 'config'));
  if (isThere()) {
    const known: unknown = await git.getConfig({ fs, gitdir, path: 'remote.origin.url' });
    // Written anew only where a machine stopped in the middle of it.
    if (known !== origin.url) await git.addRemote({ fs: wholeFiles(gitdir), gitdir, remote: 'origin', url: origin.url, force: true });
    return;
  }
  await mkdir(dirname(gitdir), { recursive: true });
  const aside = await mkdtemp(`${gitdir}.`);
  try {
    await git.init({ fs, gitdir: aside, bare: true, defaultBranch: origin.branch });
    await git.addRemote({ fs, gitdir: aside, remote: 'origin', url: origin.url });
    await rename(aside, gitdir);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    if (!isThere()) throw error;
  }
}

/** Files that are there as a whole or not at all: whoever reads a ref at that moment must not find it empty. */
function wholeFiles(gitdir: string): git.PromiseFsClient {
  const writeFile = async (path: string, data: string | Uint8Array, options?: ObjectEncodingOptions): Promise<void> => {
    const aside = join(gitdir, `tmp_${randomUUID()}`);
    await fs.promises.writeFile(aside, data, options);
    try {
      await rename(aside, path);
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  };
  return { promises: { ...fs.promises, writeFile } };
}

function checkUrl(text: string): Result<CheckedUrl, SourceProblem> {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) return err({ code: 'FETCH_FAILED', message: 'the address of the repository is not a URL' });
  const local = url.protocol === 'http:' && LOOPBACK.has(url.hostname);
  if (url.protocol !== 'https:' && !local) {
    return err({ code: 'FETCH_FAILED', message: `a repository is fetched over https: only, not ${url.protocol}` });
  }
  const credentials =
    url.username === '' && url.password === ''
      ? null
      : { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  url.username = '';
  url.password = '';
  return ok({ url: url.href.replace(/\/$/, ''), credentials });
}

function fetchProblem(error: unknown, url: string): SourceProblem {
  if (error instanceof SourceTrouble) return error.problem;
  const failure = error instanceof Error ? error : new Error('unknown');
  const code = 'code' in failure ? String(failure.code) : failure.name;
  const data = 'data' in failure && failure.data !== null && typeof failure.data === 'object' ? failure.data : {};
  const status = 'statusCode' in data ? Number(data.statusCode) : null;
  if (status === 401 || status === 403 || code === 'UserCanceledError') {
    return { code: 'FETCH_FAILED', message: `${url} refused the credentials, or wants some` };
  }
  if (status === 404) return { code: 'NOT_FOUND', message: `${url}: there is no such repository, or it is not shown without credentials` };
  return { code: 'FETCH_FAILED', message: `${url} could not be fetched (${status === null ? code : `HTTP ${status}`})` };
}
