import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Source } from '#ports/source.ts';
import { type GitRepository, scratch } from '#test/support/git-repository.ts';
import { type GitServer, type GitServerOptions, serveGit } from '#test/support/git-server.ts';
import { openRemoteSource } from './git-source.ts';

const temporary = scratch();
const servers: GitServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
  temporary.clean();
});

async function serve(repository: GitRepository, options: Omit<GitServerOptions, 'root'> = {}): Promise<GitServer> {
  const server = await serveGit({ root: repository.dir, ...options });
  servers.push(server);
  return server;
}

async function commitAt(source: Source, ref: string): Promise<string | null> {
  const answer = await source.read(ref);
  return answer.ok ? answer.value.ref.commit : answer.error.code;
}

describe('a remote', () => {
  it('is cloned with its history, and follows pushes, new tags and deleted branches', async () => {
    const repository = temporary.repository();
    repository.write('fleet.yaml', 'one');
    const first = repository.commit('first');
    repository.git('branch', 'side');
    const server = await serve(repository);
    const cacheDir = temporary.folder();
    const source = openRemoteSource({ url: `${server.url}/.git`, cacheDir, branch: 'main' });
    expect(await commitAt(source, 'HEAD')).toBe('NOT_FOUND');
    expect(await source.refresh()).toEqual({ ok: true, value: true });
    expect(await commitAt(source, 'HEAD')).toBe(first);
    expect(await commitAt(source, 'side')).toBe(first);
    expect(await commitAt(source, 'WORKTREE')).toBe('NOT_FOUND');
    repository.write('fleet.yaml', 'two');
    const second = repository.commit('second');
    repository.git('tag', '-a', '-m', 'one', 'v1');
    repository.git('branch', '-D', 'side');
    expect(await commitAt(source, 'main'), 'nothing is fetched by a read').toBe(first);
    expect((await source.refresh()).ok).toBe(true);
    for (const ref of ['main', 'HEAD', 'v1', second, second.slice(0, 8)]) expect(await commitAt(source, ref), ref).toBe(second);
    expect(await commitAt(source, 'side')).toBe('NOT_FOUND');
    expect(await source.descends(second, 'main', first)).toEqual({ ok: true, value: true });
    const another = openRemoteSource({ url: `${server.url}/.git`, cacheDir, branch: 'main' });
    expect(await commitAt(another, 'HEAD'), 'the cache outlives the process').toBe(second);
  });

  it('is cloned by several at once into one cache', async () => {
    const repository = temporary.repository();
    repository.write('fleet.yaml', 'one');
    repository.commit('first');
    const server = await serve(repository);
    for (let round = 0; round < 3; round += 1) {
      const cacheDir = join(temporary.folder(), 'cache');
      const open = (): Source => openRemoteSource({ url: `${server.url}/.git`, cacheDir, branch: 'main' });
      const sources = Array.from({ length: 8 }, open);
      // Not at the same instant: one writes what another reads.
      const fetches = sources.map(async (source, index) => {
        for (let turn = 0; turn < index * 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        return source.refresh();
      });
      expect(await Promise.all(fetches)).toEqual(sources.map(() => ({ ok: true, value: true })));
      for (const source of sources) expect(await commitAt(source, 'HEAD')).toBe(repository.git('rev-parse', 'HEAD'));
      const [clone = '', ...aside] = readdirSync(cacheDir);
      expect(aside).toEqual([]);
      writeFileSync(join(cacheDir, clone, 'config'), '');
      repository.commit(`round ${round}`);
      expect(await open().refresh(), 'half of it was written when the machine stopped').toEqual({ ok: true, value: true });
    }
  });

  it('is never found half fetched by another who looks', async () => {
    const repository = temporary.repository();
    repository.commit('first');
    const server = await serve(repository);
    const cacheDir = temporary.folder();
    const source = openRemoteSource({ url: `${server.url}/.git`, cacheDir, branch: 'main' });
    await source.refresh();
    const ref = join(cacheDir, readdirSync(cacheDir)[0] ?? '', 'refs', 'remotes', 'origin', 'main');
    for (let round = 0; round < 10; round += 1) {
      const oids = [readFileSync(ref, 'utf8').trim(), repository.commit(`round ${round}`)];
      const fetching = { done: false };
      const fetched = source.refresh().finally(() => (fetching.done = true));
      while (!fetching.done) {
        expect(oids).toContain(readFileSync(ref, 'utf8').trim());
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect((await fetched).ok).toBe(true);
      expect(readFileSync(ref, 'utf8').trim()).toBe(oids[1]);
    }
  });

  it('asks for objects only when a ref has moved, or its objects are not there', async () => {
    const repository = temporary.repository();
    const first = repository.commit('first');
    const server = await serve(repository);
    const cacheDir = temporary.folder();
    const source = openRemoteSource({ url: `${server.url}/.git`, cacheDir, branch: 'main' });
    await source.refresh();
    const fetches = () => server.requests.filter((path) => path.endsWith('/git-upload-pack')).length;
    expect(fetches()).toBe(1);
    await source.refresh();
    expect(fetches()).toBe(1);
    const [clone = ''] = readdirSync(cacheDir);
    for (const name of readdirSync(join(cacheDir, clone, 'objects/pack'))) rmSync(join(cacheDir, clone, 'objects/pack', name));
    expect(await commitAt(source, 'HEAD')).toBe('DAMAGED');
    expect((await source.refresh()).ok).toBe(true);
    expect(fetches()).toBe(2);
    expect(await commitAt(source, 'HEAD')).toBe(first);
  });

  it('shows its credentials to the server that asks and to nobody else', async () => {
    const repository = temporary.repository();
    const first = repository.commit('first');
    const server = await serve(repository, { credentials: 'headgate:s3cret/+' });
    const url = `${server.url}/.git`;
    const auth = (password: string) => async () => ({ username: 'headgate', password });
    const good = openRemoteSource({ url, cacheDir: temporary.folder(), branch: 'main', auth: auth('s3cret/+') });
    expect((await good.refresh()).ok).toBe(true);
    expect(await commitAt(good, 'HEAD')).toBe(first);
    const inUrl = openRemoteSource({ url: url.replace('://', '://headgate:s3cret%2F+@'), cacheDir: temporary.folder(), branch: 'main' });
    expect((await inUrl.refresh()).ok).toBe(true);
    const wrong = openRemoteSource({ url, cacheDir: temporary.folder(), branch: 'main', auth: auth('wr0ng') });
    const wrongInUrl = openRemoteSource({ url: url.replace('://', '://headgate:wr0ng@'), cacheDir: temporary.folder(), branch: 'main' });
    const none = openRemoteSource({ url, cacheDir: temporary.folder(), branch: 'main' });
    for (const source of [wrong, wrongInUrl, none]) {
      const answer = await source.refresh();
      expect(answer.ok ? null : answer.error.code).toBe('FETCH_FAILED');
      expect(JSON.stringify(answer)).not.toContain('wr0ng');
    }
    const read = await wrongInUrl.read('HEAD');
    expect(JSON.stringify(read)).not.toContain('wr0ng');
  });

  it('says what cannot be fetched', async () => {
    const repository = temporary.repository();
    repository.commit('first');
    const server = await serve(repository);
    const codeOf = async (url: string, branch = 'main', fetchBytes = 1_000_000) => {
      const answer = await openRemoteSource({ url, cacheDir: temporary.folder(), branch, limits: { fetchBytes } }).refresh();
      return answer.ok ? 'ok' : answer.error.code;
    };
    expect(await codeOf(`${server.url}/.git`)).toBe('ok');
    expect(await codeOf(`${server.url}/.git`, 'release')).toBe('NOT_FOUND');
    expect(await codeOf(`${server.url}/nowhere.git`)).toBe('NOT_FOUND');
    expect(await codeOf(`${server.url}/.git`, 'main', 50)).toBe('TOO_LARGE');
    expect(await codeOf('http://127.0.0.1:1/x.git')).toBe('FETCH_FAILED');
    expect(await codeOf('http://git.example.org/x.git')).toBe('FETCH_FAILED');
    expect(await codeOf('ssh://git@example.org/x.git')).toBe('FETCH_FAILED');
    expect(await codeOf('not a url')).toBe('FETCH_FAILED');
  });

  it('does not take an answer that was cut short for a remote without branches', async () => {
    const repository = temporary.repository();
    const first = repository.commit('first');
    const server = await serve(repository);
    const cacheDir = temporary.folder();
    const url = `${server.url}/.git`;
    expect((await openRemoteSource({ url, cacheDir, branch: 'main' }).refresh()).ok).toBe(true);
    const second = repository.commit('second');
    for (let fetchBytes = 0; fetchBytes < 200; fetchBytes += 20) {
      const cut = openRemoteSource({ url, cacheDir, branch: 'main', limits: { fetchBytes } });
      const answer = await cut.refresh();
      expect(answer.ok ? null : answer.error.code).toBe('TOO_LARGE');
      expect(await commitAt(cut, 'HEAD')).toBe(first);
    }
    const whole = openRemoteSource({ url, cacheDir, branch: 'main' });
    await whole.refresh();
    expect(await commitAt(whole, 'HEAD')).toBe(second);
  });

  it('gives up at once when aborted, and leaves no connection behind', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const source = openRemoteSource({ url: `http://127.0.0.1:${port}/x.git`, cacheDir: temporary.folder(), branch: 'main' });
    const abort = new AbortController();
    const connected = new Promise<void>((resolve) => silent.once('request', () => resolve()));
    const refreshing = source.refresh(abort.signal);
    await connected;
    abort.abort(new Error('the pass is over'));
    await expect(refreshing).rejects.toThrow('the pass is over');
    await new Promise<void>((resolve) => silent.close(() => resolve()));
  });
});
