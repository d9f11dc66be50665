import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { FleetDeclaration } from '#model/declared.ts';
import { LedgerError } from '#ports/ledger.ts';
import type { World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassOptions } from '#reconcile/report.ts';
import { makeDeclareState, readRevision } from '#reconcile/revision.ts';
import { bareRepository } from '#test/support/git-ledger.ts';
import { type GitRepository, git, scratch } from '#test/support/git-repository.ts';
import { type GitServer, serveGit } from '#test/support/git-server.ts';
import { openWorld } from '#world.ts';

const temporary = scratch();
const servers: GitServer[] = [];
const worlds: World[] = [];
afterAll(async () => {
  for (const world of worlds) await world.close();
  for (const server of servers) await server.close();
  temporary.clean();
});

const AT = Date.UTC(2026, 10, 21);
const LEDGER = 'refs/heads/headgate/ledger';
const CI = { CI: 'true' };

/** The example with its ledger in git; with an origin that real git serves, if asked. */
async function fleetRepo(options: {
  readonly served: boolean;
  readonly credentials?: string;
}): Promise<{ readonly clone: GitRepository; readonly bare: string; readonly server: GitServer | null }> {
  const clone = temporary.repository();
  cpSync('fleet-example', clone.dir, { recursive: true });
  const fleet = readFileSync(join(clone.dir, 'fleet.yaml'), 'utf8');
  writeFileSync(join(clone.dir, 'fleet.yaml'), fleet.replace(/^ledger: .*$/m, 'ledger: { store: git, id: upland }'));
  clone.commit('The network as it stands');
  if (!options.served) return { clone, bare: join(clone.dir, '.git'), server: null };
  const root = temporary.folder();
  const bare = bareRepository(root);
  clone.git('push', '--quiet', bare, 'main');
  const server = await serveGit({ root, ...(options.credentials === undefined ? {} : { credentials: options.credentials }) });
  servers.push(server);
  clone.git('remote', 'add', 'origin', `${server.url}/fleet.git`);
  return { clone, bare, server };
}

function worldAt(dir: string, env: Readonly<Record<string, string>> = {}): World {
  const world = openWorld({ repo: dir, env, cacheDir: temporary.folder() });
  worlds.push(world);
  return world;
}

/** A pass over no reports at all: nothing is observed, so no device and no broker is needed. */
function passOf(world: World, more: Partial<PassOptions>) {
  return runPass(world, makeDeclareState(), { mode: 'apply', reports: [], at: AT, ...more });
}

async function fleetOf(world: World): Promise<FleetDeclaration> {
  const loaded = await readRevision(world, makeDeclareState(), { mode: 'plan', at: AT });
  if (loaded.kind === 'refused') throw new Error(JSON.stringify(loaded));
  return loaded.declared.fleet;
}

describe('a fleet whose ledger is in git', () => {
  it('makes no branch by a plan, nor by an apply that is not told to begin a ledger', async () => {
    const { clone, bare } = await fleetRepo({ served: true });
    const plan = await passOf(worldAt(clone.dir, CI), { mode: 'plan' });
    expect(plan.refusal).toBeNull();
    expect((await passOf(worldAt(clone.dir, CI), {})).refusal?.code).toBe('EMPTY_LEDGER');
    expect(git(bare, ['for-each-ref', '--format=%(refname)'])).toBe('refs/heads/main');
  });

  it('goes on in the next process with an empty disk, and asks little of the server', async () => {
    const { clone, bare, server } = await fleetRepo({ served: true });
    const begun = await passOf(worldAt(clone.dir, CI), { newLedger: true });
    expect([begun.refusal, begun.result?.view.ledger]).toEqual([null, 'upland']);
    const requests = server?.requests ?? [];
    const looked = requests.length;
    const again = await passOf(worldAt(clone.dir, CI), {});
    expect(again.refusal).toBeNull();
    expect(again.result?.before.seq).toBe(begun.result?.view.seq);
    expect(requests.slice(looked), 'a quiet pass: look, fetch, take the lease, release it').toEqual([
      '/fleet.git/info/refs?service=git-receive-pack',
      '/fleet.git/git-upload-pack',
      '/fleet.git/git-receive-pack',
      '/fleet.git/git-receive-pack',
    ]);
    const planned = requests.length;
    const before = git(bare, ['rev-parse', LEDGER]);
    expect((await passOf(worldAt(clone.dir, CI), { mode: 'plan' })).result?.before.seq).toBe(begun.result?.view.seq);
    expect(requests.slice(planned)).toEqual(['/fleet.git/info/refs?service=git-upload-pack', '/fleet.git/git-upload-pack']);
    expect(git(bare, ['rev-parse', LEDGER])).toBe(before);
    expect(JSON.parse(git(bare, ['show', 'headgate/ledger:lease.json']))).toMatchObject({ held: false, fencing: 2 });
  });

  it('refuses a ledger that was put back, and begins a new one only when told', async () => {
    const { clone, bare } = await fleetRepo({ served: true });
    await passOf(worldAt(clone.dir), { newLedger: true });
    git(bare, ['update-ref', '-d', LEDGER]);
    for (const mode of ['plan', 'apply'] as const) {
      const { refusal, exit } = await passOf(worldAt(clone.dir), { mode });
      expect([refusal?.code, exit]).toEqual(['REWOUND', 1]);
      expect(refusal?.message).toContain('--new-ledger');
    }
    const begun = await passOf(worldAt(clone.dir), { newLedger: true });
    expect([begun.refusal, begun.result?.before.seq]).toEqual([null, 0]);
    expect((await passOf(worldAt(clone.dir), {})).refusal).toBeNull();
  });

  it('keeps it in the repository itself where that was cloned from nowhere, but not in a job that throws it away', async () => {
    const { clone } = await fleetRepo({ served: false });
    const world = worldAt(clone.dir, CI);
    const error: unknown = await world.ledger(await fleetOf(world)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LedgerError);
    expect(error).toMatchObject({ code: 'NOT_LASTING' });
    expect((await passOf(worldAt(clone.dir), { newLedger: true })).refusal).toBeNull();
    expect(clone.git('status', '--porcelain')).toBe('');
    expect(clone.git('show', 'headgate/ledger:ledger.json')).toContain('"upland"');
  });

  it('finds it beside the fleet repo that is read from a URL', async () => {
    const { bare, server } = await fleetRepo({ served: true, credentials: 'x-access-token:t0ken' });
    const nobody = await passOf(worldAt(`${server?.url}/fleet.git`), { newLedger: true });
    expect(nobody.refusal?.code).toBe('FETCH_FAILED');
    const world = worldAt(`${server?.url}/fleet.git`, { HEADGATE_GIT_TOKEN: 't0ken' });
    expect((await passOf(world, { newLedger: true })).refusal).toBeNull();
    expect(git(bare, ['for-each-ref', '--format=%(refname)'])).toContain(LEDGER);
  });
});
