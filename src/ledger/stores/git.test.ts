import { writeFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { verifyChain } from '#ledger/chain.ts';
import { deviceId, digest } from '#model/ids.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { GitBranch } from '#ports/git-branch.ts';
import { type Lease, LedgerError, type LedgerStore } from '#ports/ledger.ts';
import { WireError } from '#ports/wire-error.ts';
import { VirtualClock } from '#sim/clock.ts';
import { appended } from '#test/contract/ledger.ts';
import { appendConcurrently } from '#test/support/git-appends.ts';
import { bareRepository, branchOf, ledgerOn } from '#test/support/git-ledger.ts';
import { type GitRepository, git, repositoryAt, scratch } from '#test/support/git-repository.ts';
import { type GitServer, type GitServerOptions, serveGit } from '#test/support/git-server.ts';

const START = Date.UTC(2026, 10, 21);
const temporary = scratch();
const servers: GitServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
  temporary.clean();
});

interface Place {
  /** The bare repository itself, for real git. */
  readonly bare: string;
  readonly server: GitServer;
  readonly url: string;
}

async function place(options: Omit<GitServerOptions, 'root'> = {}): Promise<Place> {
  const root = temporary.folder();
  const bare = bareRepository(root);
  const server = await serveGit({ root, ...options });
  servers.push(server);
  return { bare, server, url: `${server.url}/fleet.git` };
}

const clock = new VirtualClock(START);

async function openAt(repo: string, squashAfter?: number): Promise<LedgerStore> {
  return ledgerOn(await branchOf(repo), clock, squashAfter);
}

async function hold(store: LedgerStore, holder = 'a'): Promise<Lease> {
  const answer = await clock.run(store.acquire(holder));
  if (answer.kind !== 'held') throw new Error(`busy: ${answer.holder}`);
  return answer.lease;
}

function pass(commit: string): RecordBody {
  return { type: 'pass', commit, tree: digest('0'.repeat(64)), engine: '0.1.0', planned: 3, at: START };
}

function report(device: string): ReportedDevice {
  const nothing = { serial: null, model: null, heardAt: START, online: null, gapMs: null, problem: null };
  return { device: deviceId(device), ...nothing, items: {}, measures: {}, signs: [], memo: {} };
}

/** A ledger of four records in two files, its lease released. */
async function written(repo: string): Promise<void> {
  const store = await openAt(repo);
  const lease = await hold(store);
  await appended(store, [pass('a'), pass('b'), pass('c')], lease.fencing);
  await appended(store, [pass('d')], lease.fencing);
  await lease.release();
  await store.close();
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error instanceof LedgerError || error instanceof WireError ? error.code : String(error);
}

async function commitsOf(repo: string): Promise<string> {
  const store = await openAt(repo);
  const records = await store.read();
  await store.close();
  expect(verifyChain(records).ok).toBe(true);
  return records.map(({ body }) => (body.type === 'pass' ? body.commit : '?')).join('');
}

/** A clone in which a person works on the ledger's branch. */
function cloneOf(bare: string): GitRepository {
  const dir = join(temporary.folder(), 'clone');
  git(temporary.folder(), ['clone', '--quiet', bare, dir]);
  git(dir, ['checkout', '--quiet', 'headgate/ledger']);
  return repositoryAt(dir);
}

function hook(bare: string, script: string): void {
  const path = join(bare, 'hooks', 'update');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

const LEDGER = 'refs/heads/headgate/ledger';
const WITNESS = 'refs/heads/headgate/witness';

/** A branch whose pushes are lost on the way there, or whose answers on the way back. */
function lossy(branch: GitBranch, fate: () => 'arrives' | 'lost there' | 'lost back'): GitBranch {
  return {
    ...branch,
    move: async (...args) => {
      const what = fate();
      if (what === 'lost there') throw new WireError('ECONNRESET', 'later', 'lost');
      const answer = await branch.move(...args);
      if (what === 'lost back') throw new WireError('ECONNRESET', 'later', 'lost');
      return answer;
    },
  };
}

describe('a ledger in git', { timeout: 60_000 }, () => {
  it('is not made by looking at it', async () => {
    const { bare, url } = await place();
    const store = await openAt(url);
    expect([await store.read(), (await store.head()).seq, await store.reports.load(), await store.begun?.()]).toEqual([[], 0, [], false]);
    expect(await store.blobs.get(digest('0'.repeat(64)))).toBeUndefined();
    expect(git(bare, ['for-each-ref'])).toBe('');
  });

  it('can be read with git alone, and real git finds nothing wrong with it', async () => {
    const { bare, url } = await place();
    await written(url);
    expect(git(bare, ['fsck', '--full', '--strict'])).toBe('');
    expect(JSON.parse(git(bare, ['show', 'headgate/ledger:head.json']))).toMatchObject({ seq: 4, write: 4 });
    const files = git(bare, ['ls-tree', '-r', '--name-only', 'headgate/ledger']).split('\n');
    expect(files).toEqual(['README.md', 'head.json', 'lease.json', 'ledger.json', 'records/000000001.jsonl', 'records/000000004.jsonl']);
    const lines = git(bare, ['show', 'headgate/ledger:records/000000001.jsonl', 'headgate/ledger:records/000000004.jsonl']).split('\n');
    expect(lines.map((line) => (JSON.parse(line) as LedgerRecord).seq)).toEqual([1, 2, 3, 4]);
    expect(git(bare, ['log', '--format=%s', 'headgate/ledger']).split('\n')).toEqual([
      'lease 1 released by "a"',
      'record 4',
      'records 1 to 3',
      'lease 1 taken by "a"',
    ]);
    expect(git(bare, ['rev-parse', LEDGER])).toBe(git(bare, ['rev-parse', WITNESS]));
  });

  it('keeps few files of records however many appends there are', async () => {
    const { dir } = temporary.repository();
    const store = await openAt(dir);
    const { fencing } = await hold(store);
    for (let round = 0; round < 40; round += 1) await appended(store, [pass(`${round}`)], fencing);
    const files = git(dir, ['ls-tree', '-r', '--name-only', 'headgate/ledger', 'records/']).split('\n');
    expect(files.length).toBeLessThan(8);
    expect((await (await openAt(dir)).read()).length).toBe(40);
  });

  it('writes what waits in one commit, and staged reports with the next', async () => {
    const { bare, url, server } = await place();
    const store = await openAt(url);
    const lease = await hold(store);
    await store.read();
    server.requests.length = 0;
    store.reports.stage?.([report('b'), report('a')], START);
    expect(
      (await store.reports.load()).map(({ device }) => device),
      'seen at once by who staged them',
    ).toEqual(['a', 'b']);
    const bytes = ['x', 'y', 'z'].map((text) => Buffer.from(text));
    await Promise.all([appended(store, [pass('a')], lease.fencing), lease.renew(), ...bytes.map((one) => store.blobs.put(one))]);
    expect(server.requests.length, 'all in one push').toBe(1);
    const other = await openAt(url);
    expect((await other.reports.load()).map(({ device }) => device)).toEqual(['a', 'b']);
    expect(git(bare, ['rev-list', '--count', 'headgate/ledger'])).toBe('2');
    store.reports.stage?.([report('c')], START);
    await lease.release();
    expect((await other.reports.load()).length).toBe(3);
  });

  it('loses nothing when many append at once through several handles', async () => {
    const { url } = await place();
    const first = await openAt(url);
    const { fencing } = await hold(first);
    const handles = [first, await openAt(url), await openAt(url), await openAt(url)];
    const { wanted, found } = await appendConcurrently(handles, { fencing, appends: 40 });
    for (const records of found) expect(records).toEqual(wanted);
  });
});

describe('a push whose answer is lost', { timeout: 60_000 }, () => {
  it.each(['lost there', 'lost back'] as const)('is recognised, or done again: %s', async (loss) => {
    const { url } = await place();
    let next: 'arrives' | 'lost there' | 'lost back' = 'arrives';
    const branch = lossy(await branchOf(url), () => {
      const now = next;
      next = 'arrives';
      return now;
    });
    const store = ledgerOn(branch, clock);
    next = loss;
    const lease = await hold(store);
    next = loss;
    await appended(store, [pass('a')], lease.fencing);
    next = loss;
    expect(await lease.renew()).toBe(true);
    next = loss;
    await store.reports.save([report('a')], START);
    next = loss;
    const name = await store.blobs.put(Buffer.from('bytes'));
    await appended(store, [pass('b')], lease.fencing);
    next = loss;
    await lease.release();
    expect(await commitsOf(url)).toBe('ab');
    const other = await openAt(url);
    expect([(await other.reports.load()).length, (await other.blobs.get(name))?.length]).toEqual([1, 5]);
    expect((await hold(other, 'b')).fencing).toBe(2);
  });

  it('is recognised over HTTP when the connection breaks, also after others have written on top', async () => {
    let lose = false;
    const { url } = await place({ lose: (path) => lose && path.endsWith('/git-receive-pack') });
    const store = await openAt(url);
    const lease = await hold(store);
    lose = true;
    const append = appended(store, [pass('a')], lease.fencing);
    const other = await openAt(url);
    while ((await other.head()).seq === 0) continue;
    lose = false;
    await other.reports.save([report('z')], START);
    expect((await append).map(({ seq }) => seq)).toEqual([1]);
    expect(await commitsOf(url)).toBe('a');
  });

  it('gives exactly the acknowledged records, whatever is lost', async () => {
    const { dir } = temporary.repository();
    let seed = 7;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const branch = lossy(await branchOf(dir), () => (random() < 0.5 ? 'arrives' : random() < 0.5 ? 'lost there' : 'lost back'));
    const store = ledgerOn(branch, clock);
    const lease = await hold(store);
    let wanted = '';
    for (const name of 'abcdefghijklmnopqrst') {
      const done = await appended(store, [pass(name)], lease.fencing).then(
        () => true,
        () => false,
      );
      const records = await commitsOf(dir);
      if (done) wanted += name;
      else wanted = records;
      expect(records).toBe(wanted);
      await store.read();
    }
    expect(wanted.length).toBeGreaterThan(10);
  });
});

describe('a repository that does not let everything be done', { timeout: 60_000 }, () => {
  it('need only take pushes to the two branches of the ledger', async () => {
    const { bare, url } = await place();
    hook(bare, 'case "$1" in refs/heads/headgate/*) exit 0;; esac; echo "main is protected" >&2; exit 1');
    await written(url);
    expect(await commitsOf(url)).toBe('abcd');
  });

  it('is quoted when it refuses, and nothing is done', async () => {
    const { bare, url } = await place();
    hook(bare, 'echo "only through a pull request, please" >&2; exit 1');
    const store = await openAt(url);
    const error: unknown = await clock.run(store.acquire('a')).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'WireError', code: 'GIT_REFUSED', retry: 'never' });
    expect(String(error)).toContain('only through a pull request, please');
    expect(git(bare, ['for-each-ref'])).toBe('');
  });

  it('has its history cut after so many commits, and where that is refused is carried on with', async () => {
    for (const deny of ['false', 'true']) {
      const { bare, url } = await place();
      git(bare, ['config', 'receive.denyNonFastForwards', deny]);
      const store = await openAt(url, 6);
      for (const name of 'abcdefg') {
        const lease = await hold(store);
        await appended(store, [pass(name)], lease.fencing);
        await lease.release();
      }
      await store.close();
      expect(await commitsOf(url)).toBe('abcdefg');
      expect(Number(git(bare, ['rev-list', '--count', 'headgate/ledger'])), deny).toBe(deny === 'true' ? 21 : 4);
      expect(git(bare, ['fsck', '--full'])).not.toContain('missing');
    }
  });

  it('is asked for the branch first where it cannot move two as one, and a witness that lags is no harm', async () => {
    const { bare, url } = await place();
    git(bare, ['config', 'receive.advertiseAtomic', 'false']);
    await written(url);
    expect(git(bare, ['rev-parse', LEDGER])).toBe(git(bare, ['rev-parse', WITNESS]));
    hook(bare, 'case "$1" in *witness) exit 1;; esac; exit 0');
    const store = await openAt(url);
    const lease = await hold(store);
    await appended(store, [pass('f')], lease.fencing);
    await lease.release();
    expect(git(bare, ['rev-parse', LEDGER])).not.toBe(git(bare, ['rev-parse', WITNESS]));
    expect(await commitsOf(url)).toBe('abcdf');
  });

  it('shows no credentials in what goes wrong, and asks for the right token', async () => {
    const { url } = await place({ credentials: 'x-access-token:s3cret-token' });
    const wrong = url.replace('://', '://field:wr0ng-password@');
    for (const [repo, env] of [
      [url, {}],
      [wrong, {}],
      [url, { HEADGATE_GIT_TOKEN: 'wr0ng-token' }],
      [url, { GITHUB_TOKEN: 's3cret-token' }],
    ] as const) {
      const error: unknown = await ledgerOn(await branchOf(repo, env), clock)
        .read()
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'GIT_401', retry: 'never' });
      expect(String(error)).toContain('HEADGATE_GIT_TOKEN');
      expect(JSON.stringify(error) + String(error)).not.toMatch(/s3cret|wr0ng/);
    }
    for (const env of [{ HEADGATE_GIT_TOKEN: 's3cret-token' }, { GITHUB_TOKEN: 's3cret-token', GITHUB_SERVER_URL: new URL(url).origin }]) {
      expect(await ledgerOn(await branchOf(url, env), clock).read()).toEqual([]);
    }
  });
});

describe('a branch that was meddled with', { timeout: 60_000 }, () => {
  const LAST = 'records/000000004.jsonl';
  const FIRST = 'records/000000001.jsonl';

  it.each<[string, string, (text: string) => string | null, string]>([
    ['a body', FIRST, (text) => text.replace('"planned":3', '"planned":4'), 'BROKEN_CHAIN'],
    ['a hash', LAST, (text) => text.replace(/"hash":"./, '"hash":"0'), 'BROKEN_CHAIN'],
    ['a line removed', FIRST, (text) => text.replace(/^.*\n/, ''), 'BROKEN_CHAIN'],
    ['the end cut off', LAST, (text) => text.slice(0, -20), 'BROKEN_CHAIN'],
    ['the last line end cut off', LAST, (text) => text.slice(0, -1), 'BROKEN_CHAIN'],
    ['a file emptied', LAST, () => '', 'BROKEN_CHAIN'],
    ['the first file removed', FIRST, () => null, 'BROKEN_CHAIN'],
    ['the last file removed', LAST, () => null, 'BROKEN_CHAIN'],
    ['a newer version of a record', LAST, (text) => text.replaceAll('"version":1', '"version":2'), 'TOO_NEW'],
    ['a newer format', 'ledger.json', (text) => text.replace('"format": 1', '"format": 2'), 'TOO_NEW'],
    ['another id', 'ledger.json', (text) => text.replace('upland', 'lowland'), 'OTHER_LEDGER'],
    ['a conflict marker in the head', 'head.json', (text) => `<<<<<<< ours\n${text}`, 'BROKEN_CHAIN'],
    ['the lease gone', 'lease.json', () => null, 'BROKEN_CHAIN'],
    ['a lease given back in time', 'lease.json', (text) => text.replace('"fencing": 1', '"fencing": 0'), 'REWOUND'],
    ['an older write', 'head.json', (text) => text.replace('"write": 4', '"write": 3'), 'REWOUND'],
    ['no ledger at all', 'ledger.json', () => null, 'REWOUND'],
  ])('is found out: %s', async (_what, path, edit, code) => {
    const { bare, url } = await place();
    await written(url);
    const clone = cloneOf(bare);
    const text = edit(git(clone.dir, ['show', `HEAD:${path}`]) + '\n');
    if (text === null) clone.git('rm', '--quiet', path);
    else clone.write(path, text);
    clone.commit('tidy up');
    clone.git('push', '--quiet', 'origin', 'headgate/ledger');
    for (const look of [(store: LedgerStore) => store.read(), (store: LedgerStore) => clock.run(store.acquire('b'))]) {
      expect(await codeOf(look(await openAt(url)))).toBe(code);
    }
    expect(await codeOf((await openAt(url)).append([pass('x')], 1)), 'nothing is added to it').toBe(code);
  });

  it('is found out when it was put back, deleted or replaced, and restored or begun anew only when told', async () => {
    const damages: readonly [string, (bare: string) => void][] = [
      ['put back', (bare) => git(bare, ['update-ref', LEDGER, `${LEDGER}~2`])],
      ['deleted', (bare) => git(bare, ['update-ref', '-d', LEDGER])],
      ['replaced by a foreign history', (bare) => replaceBranch(bare)],
    ];
    for (const [what, damage] of damages) {
      const { bare, url } = await place();
      const alive = await openAt(url);
      await written(url);
      await alive.read();
      damage(bare);
      expect(await codeOf((await openAt(url)).read()), what).toBe('REWOUND');
      expect(await codeOf(clock.run((await openAt(url)).acquire('b'))), what).toBe('REWOUND');
      expect(await codeOf(alive.read()), what).toBe('REWOUND');
      const clone = join(temporary.folder(), 'restore');
      git(temporary.folder(), ['clone', '--quiet', bare, clone]);
      git(clone, ['push', '--quiet', '--force', 'origin', 'origin/headgate/witness:refs/heads/headgate/ledger']);
      expect(await commitsOf(url), 'as the error and the page say').toBe('abcd');
      damage(bare);
      const before = git(bare, ['for-each-ref', '--format=%(objectname)', 'refs/heads/headgate']).split('\n');
      const store = await openAt(url);
      await store.beginAnew?.();
      expect(await store.read()).toEqual([]);
      for (const oid of before) git(bare, ['merge-base', '--is-ancestor', oid, LEDGER]);
      const lease = await hold(store);
      expect(lease.fencing, 'no number is given out again').toBeGreaterThan(1);
      await appended(store, [pass('z')], lease.fencing);
      expect(await commitsOf(url)).toBe('z');
      await store.beginAnew?.();
      expect(await commitsOf(url), 'a ledger that is in order is left alone').toBe('z');
    }
  });

  it('is a missing ledger when both branches are gone, and is seen by whoever has read it', async () => {
    const { bare, url } = await place();
    const alive = await openAt(url);
    await written(url);
    await alive.read();
    for (const ref of [LEDGER, WITNESS]) git(bare, ['update-ref', '-d', ref]);
    expect(await (await openAt(url)).begun?.()).toBe(false);
    expect(await codeOf(alive.read())).toBe('REWOUND');
  });

  it('is not written to when it never was a ledger', async () => {
    const { bare, url } = await place();
    const clone = temporary.repository();
    clone.write('notes.txt', 'our own branch of that name');
    clone.commit('notes');
    clone.git('push', '--quiet', bare, 'HEAD:refs/heads/headgate/ledger');
    const before = git(bare, ['for-each-ref']);
    const store = await openAt(url);
    expect(await codeOf(clock.run(store.acquire('a')))).toBe('NOT_A_LEDGER');
    expect(await codeOf(store.beginAnew?.() ?? Promise.resolve())).toBe('NOT_A_LEDGER');
    expect(git(bare, ['for-each-ref'])).toBe(before);
  });

  it('loses a report or bytes that were changed, not the ledger', async () => {
    const { bare, url } = await place();
    await written(url);
    const store = await openAt(url);
    await store.reports.save([report('a'), report('b')], START);
    const name = await store.blobs.put(Buffer.from('previous config'));
    const clone = cloneOf(bare);
    const shard = clone.git('ls-files', 'reports').split('\n')[0] ?? '';
    clone.write(shard, '{"device":\nnonsense\n');
    clone.write(`blobs/${name.slice(0, 2)}/${name}`, 'other bytes');
    clone.commit('tidy up');
    clone.git('push', '--quiet', 'origin', 'headgate/ledger');
    expect(await store.read()).toHaveLength(4);
    expect((await store.reports.load()).length).toBeLessThan(2);
    expect(await store.blobs.get(name)).toBeUndefined();
    expect(await store.blobs.put(Buffer.from('previous config')), 'and can be written again').toBe(name);
    expect((await store.blobs.get(name))?.length).toBe(15);
  });
});

/** A force-push of something else altogether. */
function replaceBranch(bare: string): void {
  const clone = temporary.repository();
  clone.write('fleet.yaml', 'kind: Fleet\n');
  clone.commit('the fleet');
  clone.git('push', '--quiet', '--force', bare, 'HEAD:refs/heads/headgate/ledger');
}
