import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { GitBranch } from '#ports/git-branch.ts';
import { WireError } from '#ports/wire-error.ts';
import { bareRepository } from '#test/support/git-ledger.ts';
import { git, scratch } from '#test/support/git-repository.ts';
import { type GitServer, serveGit } from '#test/support/git-server.ts';
import { openGitPlace } from './git-branch-open.ts';
import { openRemoteBranch } from './git-branch-remote.ts';

const temporary = scratch();
const servers: (GitServer | { close(): Promise<void> })[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
  temporary.clean();
});

const REF = 'refs/heads/headgate/ledger';
const OTHER = 'refs/heads/headgate/witness';
const AT = Date.UTC(2026, 10, 21);

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error instanceof WireError ? error.code : String(error);
}

async function serve(root: string): Promise<GitServer> {
  const server = await serveGit({ root });
  servers.push(server);
  return server;
}

/** One commit after another with a single file; gives what the move answered. */
async function advance(branch: GitBranch, text: string): Promise<string> {
  const tip = (await branch.refs([REF])).get(REF) ?? null;
  const known = tip === null ? [] : await branch.commits([tip]);
  if (known === 'gone') return 'gone';
  const changes = new Map([['file', Buffer.from(text)]]);
  const made = await branch.make({ base: known[0] ?? null, parents: tip === null ? [] : [tip], changes, message: text, at: AT });
  return (await branch.move([{ name: REF, from: tip, to: made.oid }])).kind;
}

describe.each(['local', 'http'])('a branch, %s', (kind) => {
  async function open(): Promise<{ readonly bare: string; readonly branch: () => Promise<GitBranch> }> {
    const root = temporary.folder();
    const bare = bareRepository(root);
    const repo = kind === 'local' ? bare : `${(await serve(root)).url}/fleet.git`;
    return { bare, branch: async () => (await openGitPlace({ repo, env: {} })).branch };
  }

  it('takes one of two that move it from the same place', async () => {
    const { bare, branch } = await open();
    const [one, two] = [await branch(), await branch()];
    expect(await advance(one, 'first')).toBe('done');
    const from = (await two.refs([REF])).get(REF) ?? null;
    const made = async (who: GitBranch, text: string): Promise<string> => {
      const base = await who.commits([from ?? '']);
      if (base === 'gone' || base[0] === undefined) throw new Error('gone');
      const changes = new Map([['file', Buffer.from(text)]]);
      return (await who.make({ base: base[0], parents: [base[0].oid], changes, message: text, at: AT })).oid;
    };
    const moves = [
      [one, await made(one, 'a')],
      [two, await made(two, 'b')],
    ] as const;
    const answers = await Promise.all(moves.map(([who, to]) => who.move([{ name: REF, from, to }])));
    expect(answers.map((answer) => answer.kind).toSorted()).toEqual(['done', 'moved']);
    expect(git(bare, ['rev-list', '--count', REF])).toBe('2');
  });

  it('moves all refs or none', async () => {
    const { bare, branch } = await open();
    const one = await branch();
    await advance(one, 'first');
    const tip = git(bare, ['rev-parse', REF]);
    const base = await one.commits([tip]);
    if (base === 'gone' || base[0] === undefined) throw new Error('gone');
    const { oid } = await one.make({ base: base[0], parents: [tip], changes: new Map(), message: 'next', at: AT });
    const stale = '1'.repeat(40);
    const answer = await one.move([
      { name: REF, from: tip, to: oid },
      { name: OTHER, from: stale, to: oid },
    ]);
    expect(answer.kind).toBe('moved');
    expect(git(bare, ['for-each-ref', '--format=%(objectname) %(refname)'])).toBe(`${tip} ${REF}`);
    const both = await one.move([
      { name: REF, from: tip, to: oid },
      { name: OTHER, from: null, to: oid },
    ]);
    expect(both.kind).toBe('done');
    expect(git(bare, ['rev-parse', REF, OTHER])).toBe(`${oid}\n${oid}`);
  });

  it('says when a commit is not there any more, and when a branch is in the way', async () => {
    const { bare, branch } = await open();
    const one = await branch();
    expect(await one.commits(['2'.repeat(40)])).toBe('gone');
    git(bare, ['update-ref', 'refs/heads/headgate', git(bare, ['commit-tree', '-m', 'x', git(bare, ['mktree'], '')])]);
    expect(await advance(one, 'first')).not.toBe('done');
    expect(git(bare, ['for-each-ref', '--format=%(refname)'])).toBe('refs/heads/headgate');
  });

  it('keeps up with real git that packs refs and objects meanwhile', async () => {
    const { bare, branch } = await open();
    const [one, two] = [await branch(), await branch()];
    for (let round = 0; round < 12; round += 1) {
      expect(await advance(round % 2 === 0 ? one : two, `round ${round}`)).toBe('done');
      if (round % 3 === 0) git(bare, ['pack-refs', '--all']);
      if (round % 4 === 0) git(bare, ['gc', '--quiet', '--prune=now']);
    }
    expect(git(bare, ['rev-list', '--count', REF])).toBe('12');
    expect(git(bare, ['fsck', '--full', '--strict'])).toBe('');
  });
});

describe('a branch of this machine', () => {
  it('waits for a lock of another git program, and says which when it stays', async () => {
    const { dir } = temporary.repository();
    const { branch, kind } = await openGitPlace({ repo: dir, env: {} });
    expect(kind).toBe('own');
    expect(await advance(branch, 'first')).toBe('done');
    const lock = join(dir, '.git', `${REF}.lock`);
    writeFileSync(lock, '');
    const error: unknown = await advance(branch, 'second').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'GIT_LOCKED', retry: 'later' });
    rmSync(lock);
    expect(await advance(branch, 'second')).toBe('done');
    expect(git(dir, ['status', '--porcelain'])).toBe('');
  });

  it('is the one that a clone came from, over a path, a file URL or what is named', async () => {
    const root = temporary.folder();
    const bare = bareRepository(root);
    const server = await serve(root);
    const clone = temporary.repository();
    const placeOf = async (env: Readonly<Record<string, string>> = {}) => {
      const { kind, branch } = await openGitPlace({ repo: clone.dir, env });
      return [kind, branch.place];
    };
    expect(await placeOf()).toEqual(['own', clone.dir]);
    clone.git('remote', 'add', 'origin', bare);
    expect(await placeOf()).toEqual(['shared', bare]);
    clone.git('remote', 'set-url', 'origin', `file://${bare}`);
    expect(await placeOf()).toEqual(['shared', bare]);
    clone.git('remote', 'set-url', 'origin', `${server.url.replace('://', '://me:s3cret@')}/fleet.git/`);
    expect(await placeOf()).toEqual(['remote', `${server.url}/fleet.git`]);
    expect(await placeOf({ HEADGATE_LEDGER_REMOTE: bare })).toEqual(['shared', bare]);
  });

  it('cannot be reached over ssh, and says what to set', async () => {
    const clone = temporary.repository();
    clone.git('remote', 'add', 'origin', 'git@git.example.org:fleet/upland.git');
    const openIt = (env: Readonly<Record<string, string>> = {}) => openGitPlace({ repo: clone.dir, env });
    for (const address of [
      'git@git.example.org:fleet/upland.git',
      'ssh://git@git.example.org/upland.git',
      'http://git.example.org/u.git',
    ]) {
      clone.git('remote', 'set-url', 'origin', address);
      await expect(openIt()).rejects.toThrow(/HEADGATE_LEDGER_REMOTE to the https URL/);
    }
    expect((await openIt({ HEADGATE_LEDGER_REMOTE: 'https://git.example.org/u.git' })).kind).toBe('remote');
    clone.git('remote', 'rename', 'origin', 'upstream');
    await expect(openIt()).rejects.toThrow(/no remote is called origin/);
    expect(await codeOf(openGitPlace({ repo: temporary.folder(), env: {} }))).toBe('GIT_404');
  });

  it('uses what actions/checkout leaves in a clone', async () => {
    const root = temporary.folder();
    bareRepository(root);
    const server = await serveGit({ root, credentials: 'x-access-token:t0ken' });
    servers.push(server);
    const clone = temporary.repository();
    clone.git('remote', 'add', 'origin', `${server.url}/fleet.git`);
    const refs = async () => (await openGitPlace({ repo: clone.dir, env: {} })).branch.refs([REF]);
    expect(await codeOf(refs())).toBe('GIT_401');
    clone.git(
      'config',
      `http.${server.url}/.extraheader`,
      `AUTHORIZATION: basic ${Buffer.from('x-access-token:t0ken').toString('base64')}`,
    );
    expect((await refs()).size).toBe(0);
  });
});

describe('a server that is no good', () => {
  async function answering(
    answer: (path: string) => { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: Buffer } | null,
  ): Promise<string> {
    const server: Server = createServer((request, response) => {
      const found = answer(request.url ?? '');
      if (found !== null) response.writeHead(found.status ?? 200, found.headers).end(found.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push({
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/fleet.git`;
  }

  it.each([
    ['a page of HTML', Buffer.from('<html>login</html>')],
    ['nothing', Buffer.alloc(0)],
    ['a flush only', Buffer.from('0000')],
    ['a list that is cut short', Buffer.from('001e# service=git-upload-pack\n0000003f')],
    ['a list without its end', Buffer.from('001e# service=git-upload-pack\n0000')],
  ])('is not believed: %s', async (_what, body) => {
    const url = await answering(() => ({ body }));
    expect(await codeOf(openRemoteBranch({ url, credentials: null }).refs([REF]))).toBe('GIT_DAMAGED');
  });

  it.each([
    [{ status: 500 }, 'GIT_500'],
    [{ status: 404 }, 'GIT_404'],
    [{ status: 403 }, 'GIT_403'],
    [{ status: 429 }, 'GIT_429'],
    [{ body: Buffer.alloc(100_000, 'x') }, 'GIT_TOO_LARGE'],
    [null, 'TIMEOUT'],
  ])('is told from others: %o is %s', async (answer, code) => {
    const url = await answering(() => answer);
    const branch = openRemoteBranch({ url, credentials: null, silenceMs: 200, maxBytes: 50_000 });
    expect(await codeOf(branch.refs([REF]))).toBe(code);
  });

  it('gets no credentials when it sends us to another host, and is left when aborted', async () => {
    const seen: string[] = [];
    const elsewhere = await answering((path) => {
      seen.push(path);
      return { body: Buffer.from('') };
    });
    const url = await answering(() => ({ status: 302, headers: { Location: elsewhere } }));
    const branch = openRemoteBranch({ url, credentials: { username: 'me', password: 's3cret' } });
    expect(await codeOf(branch.refs([REF]))).toBe('GIT_REDIRECTED');
    expect(seen).toHaveLength(1);
    const silent = openRemoteBranch({ url: await answering(() => null), credentials: null });
    const abort = new AbortController();
    const looking = silent.refs([REF], { signal: abort.signal });
    setImmediate(() => abort.abort(new Error('the pass is over')));
    await expect(looking).rejects.toThrow('the pass is over');
    const closed = await serveGit({ root: temporary.folder() });
    await closed.close();
    expect(await codeOf(openRemoteBranch({ url: `${closed.url}/x.git`, credentials: null }).refs([REF]))).toBe('ECONNREFUSED');
  });
});

describe('a loose ref', () => {
  it('may be a folder that a longer name left behind, but no symbolic ref', async () => {
    const bare = bareRepository(temporary.folder());
    const { branch } = await openGitPlace({ repo: bare, env: {} });
    mkdirSync(join(bare, REF), { recursive: true });
    expect(await advance(branch, 'first')).toBe('done');
    expect(readFileSync(join(bare, REF), 'utf8')).toMatch(/^[0-9a-f]{40}\n$/);
    writeFileSync(join(bare, REF), 'ref: refs/heads/main\n');
    expect(await codeOf(branch.refs([REF]))).toBe('GIT_DAMAGED');
  });
});
