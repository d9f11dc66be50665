import type { GitBranch, GitCommit, MoveAnswer, RefMove } from '#ports/git-branch.ts';
import { WireError } from '#ports/wire-error.ts';
import { damaged, type GitObject } from './git-format.ts';
import { gitHttp } from './git-http.ts';
import { SourceTrouble } from './limits.ts';
import { buildCommit, openCommit } from './git-objects.ts';
import { type PackLimits, readPack, writePack } from './git-pack.ts';
import { type Advertisement, fetchBody, parseAdvertisement, parseFetch, parsePushReport, pushHead } from './git-pkt.ts';

export interface GitCredentials {
  readonly username: string;
  readonly password: string;
}

export interface RemoteBranchOptions {
  /** `https:`, or `http:` on this machine; without credentials. */
  readonly url: string;
  readonly credentials: GitCredentials | null;
  /** A server that says nothing for this long is given up. */
  readonly silenceMs?: number;
  /** Of one answer. */
  readonly maxBytes?: number;
}

type Service = 'git-upload-pack' | 'git-receive-pack';

const MEBIBYTE = 1024 * 1024;
const SILENCE_MS = 30_000;
const MAX_BYTES = 256 * MEBIBYTE;
const PACK_LIMITS: PackLimits = { objects: 500_000, objectBytes: 64 * MEBIBYTE, totalBytes: 1024 * MEBIBYTE };
/** Commits that were made and not moved to yet: a push is tried again with the same one. */
const MADE_KEPT = 4;

interface Remote {
  readonly options: RemoteBranchOptions;
  /** Where the server wants to be asked, after a redirection within it. */
  base: string;
  /** What the server has, of the commits that were asked for or pushed last. */
  known: Map<string, GitObject>;
  /** Commits that were asked for or pushed last. */
  tips: readonly string[];
  readonly made: Map<string, { readonly commit: GitCommit; readonly objects: ReadonlyMap<string, GitObject> }>;
  /** Of git-receive-pack: null until it has been asked. */
  words: ReadonlySet<string> | null;
}

/**
 * A repository behind smart HTTP (version 0 of git's protocol, which every host speaks). Nothing is kept on the disk. One
 * request lists refs, one brings commits without their history, one pushes. Requests of our own for the push: what each
 * ref must be before is said to the server and is not worked out here.
 */
export function openRemoteBranch(options: RemoteBranchOptions): GitBranch {
  const remote: Remote = { options, base: options.url, known: new Map(), tips: [], made: new Map(), words: null };
  return {
    place: options.url,
    refs: async (names, { toMove = false, signal } = {}) => {
      const { refs } = await advertised(remote, toMove ? 'git-receive-pack' : 'git-upload-pack', signal);
      return new Map(names.flatMap((name) => (refs.has(name) ? [[name, refs.get(name) ?? '']] : [])));
    },
    commits: (oids, signal) => commits(remote, oids, signal),
    file: async (oid) => {
      const object = await readObject(remote, oid);
      if (object?.type !== 'blob') throw damaged(`object ${oid}`);
      return object.bytes;
    },
    make: async (request) => {
      const made = await buildCommit(request, (oid) => readObject(remote, oid));
      remote.made.set(made.commit.oid, made);
      for (const oldest of remote.made.keys()) if (remote.made.size > MADE_KEPT) remote.made.delete(oldest);
      return made.commit;
    },
    move: (moves, signal) => move(remote, moves, signal),
    close: async () => {
      remote.known.clear();
      remote.made.clear();
    },
  };
}

async function readObject(remote: Remote, oid: string): Promise<GitObject | undefined> {
  const known = remote.known.get(oid);
  if (known !== undefined) return known;
  for (const { objects } of remote.made.values()) {
    const made = objects.get(oid);
    if (made !== undefined) return made;
  }
  return undefined;
}

async function advertised(remote: Remote, service: Service, signal: AbortSignal | undefined): Promise<Advertisement> {
  const { url } = remote.options;
  const path = `/info/refs?service=${service}`;
  const answer = await ask(remote, { path, method: 'GET', service, body: null, signal });
  const advertisement = parseAdvertisement(answer.bytes, url);
  if (service === 'git-receive-pack') remote.words = advertisement.capabilities;
  if (answer.url.endsWith(path)) remote.base = answer.url.slice(0, -path.length);
  return advertisement;
}

async function commits(remote: Remote, oids: readonly string[], signal: AbortSignal | undefined): Promise<readonly GitCommit[] | 'gone'> {
  const wants = oids.filter((oid) => !remote.known.has(oid));
  if (wants.length > 0) {
    const body = Buffer.from(fetchBody({ wants, haves: remote.tips }));
    const answer = await ask(remote, { path: '/git-upload-pack', method: 'POST', service: 'git-upload-pack', body, signal });
    const pack = parseFetch(answer.bytes, remote.options.url);
    if (pack === 'gone') return 'gone';
    for (const [oid, object] of readPack(pack, PACK_LIMITS, (base) => remote.known.get(base))) remote.known.set(oid, object);
  }
  const opened = await Promise.all(oids.map((oid) => openCommit(oid, (object) => readObject(remote, object))));
  keepOnly(remote, oids, opened);
  return opened.map(({ commit }) => commit);
}

/** What the server need not keep any longer must not be taken for there: it may be written again. */
function keepOnly(remote: Remote, tips: readonly string[], opened: readonly { readonly oids: ReadonlySet<string> }[]): void {
  const kept = new Map<string, GitObject>();
  for (const { oids } of opened) {
    for (const oid of oids) {
      const object = remote.known.get(oid);
      if (object !== undefined) kept.set(oid, object);
    }
  }
  remote.known = kept;
  remote.tips = tips;
}

async function move(remote: Remote, moves: readonly RefMove[], signal: AbortSignal | undefined): Promise<MoveAnswer> {
  const words = remote.words ?? (await advertised(remote, 'git-receive-pack', signal)).capabilities;
  if (words.has('atomic')) {
    const answer = await push(remote, moves, signal);
    if (answer.kind === 'done') await arrived(remote, moves);
    return answer;
  }
  // In two steps where it cannot be one: a second ref that is moved first could name what the first never came to.
  const [first, ...others] = moves;
  if (first === undefined) return { kind: 'done' };
  const answer = await push(remote, [first], signal);
  if (answer.kind !== 'done') return answer;
  await arrived(remote, [first]);
  for (const other of others) await push(remote, [other], signal).catch(() => undefined);
  return answer;
}

async function arrived(remote: Remote, moves: readonly RefMove[]): Promise<void> {
  const tips = [...new Set(moves.map(({ to }) => to))];
  for (const tip of tips) for (const [oid, object] of remote.made.get(tip)?.objects ?? []) remote.known.set(oid, object);
  const opened = await Promise.all(tips.map((oid) => openCommit(oid, (object) => readObject(remote, object))));
  keepOnly(remote, tips, opened);
  remote.made.clear();
}

async function push(remote: Remote, moves: readonly RefMove[], signal: AbortSignal | undefined): Promise<MoveAnswer> {
  const objects = new Map<string, GitObject>();
  for (const { to } of moves) {
    for (const [oid, object] of remote.made.get(to)?.objects ?? []) if (!remote.known.has(oid)) objects.set(oid, object);
  }
  const words = ['report-status', 'side-band-64k', 'agent=headgate', ...(moves.length > 1 ? ['atomic'] : [])];
  const offered = words.filter((word) => word.startsWith('agent=') || remote.words?.has(word) === true);
  const body = Buffer.concat([Buffer.from(pushHead(moves, offered)), writePack(objects.values())]);
  const { bytes } = await ask(remote, { path: '/git-receive-pack', method: 'POST', service: 'git-receive-pack', body, signal });
  const report = parsePushReport(bytes, remote.options.url);
  const failed = moves.flatMap(({ name }) => report.refs.get(name) ?? (report.refs.has(name) ? [] : ['it was not answered']));
  if (report.unpack !== 'ok') return { kind: 'refused', message: `unpack: ${report.unpack}` };
  if (failed.length === 0) return { kind: 'done' };
  const final = failed.find((reason) => FINAL.test(reason));
  if (final === undefined) return { kind: 'moved' };
  return { kind: 'refused', message: report.words === '' ? final : `${final} (${report.words})` };
}

/** Reasons that another try cannot change; a ref that is not where it was expected is told in many words. */
const FINAL = /declined|den(?:y|ied)|prohibited|protected|non-fast-forward|hook|not allowed|permission|funny refname|shallow|quota|unpack/i;

interface Asked {
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly service: Service;
  readonly body: Buffer | null;
  readonly signal: AbortSignal | undefined;
}

async function ask(remote: Remote, asked: Asked): Promise<{ readonly url: string; readonly bytes: Buffer }> {
  const { url, credentials, silenceMs = SILENCE_MS, maxBytes = MAX_BYTES } = remote.options;
  const { path, method, service, body, signal } = asked;
  const http = gitHttp({ signal: signal ?? null, silenceMs, maxBytes });
  const headers: Record<string, string> =
    method === 'GET' ? {} : { 'Content-Type': `application/x-${service}-request`, Accept: `application/x-${service}-result` };
  if (credentials !== null) {
    headers['Authorization'] = `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
  }
  try {
    const response = await http.request({ url: `${remote.base}${path}`, method, headers, ...(body === null ? {} : { body: once(body) }) });
    const parts: Uint8Array[] = [];
    for await (const chunk of response.body ?? []) parts.push(chunk);
    if (response.statusCode !== 200) throw statusError(response.statusCode, url, service);
    // A server that sends us elsewhere is given no credentials there.
    if (new URL(response.url).origin !== new URL(url).origin) {
      throw new WireError('GIT_REDIRECTED', 'never', `${url} has moved to ${new URL(response.url).origin}: name it by its new URL`);
    }
    return { url: response.url, bytes: Buffer.concat(parts) };
  } catch (error) {
    signal?.throwIfAborted();
    throw wireError(error, url);
  }
}

async function* once(bytes: Uint8Array): AsyncIterableIterator<Uint8Array> {
  yield bytes;
}

function statusError(status: number, url: string, service: Service): WireError {
  const right = service === 'git-upload-pack' ? 'read' : 'write';
  if (status === 401 || status === 403) {
    const message = `${url} refused the credentials, or wants some: set HEADGATE_GIT_TOKEN, or GITHUB_TOKEN in a workflow, to a token that may ${right} contents`;
    return new WireError(`GIT_${status}`, 'never', message);
  }
  if (status === 404) {
    return new WireError(
      'GIT_404',
      'never',
      `${url}: there is no such repository, or it is not shown without credentials (HEADGATE_GIT_TOKEN)`,
    );
  }
  const retry = status === 408 || status === 429 || status >= 500 ? 'later' : 'never';
  return new WireError(`GIT_${status}`, retry, `${url} answered with HTTP ${status}`);
}

function wireError(error: unknown, url: string): WireError {
  if (error instanceof WireError) return error;
  if (error instanceof SourceTrouble) {
    const { code, message } = error.problem;
    return code === 'TOO_LARGE'
      ? new WireError('GIT_TOO_LARGE', 'never', `${url}: ${message}`)
      : new WireError('TIMEOUT', 'later', `${url}: ${message}`);
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'GIT_UNREACHABLE';
  return new WireError(code, 'later', `${url} could not be reached (${code})`);
}
