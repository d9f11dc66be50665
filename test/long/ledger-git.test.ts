import { afterAll, expect, it } from 'vitest';
import { VirtualClock } from '#sim/clock.ts';
import { appendConcurrently } from '#test/support/git-appends.ts';
import { bareRepository, branchOf, ledgerOn } from '#test/support/git-ledger.ts';
import { git, scratch } from '#test/support/git-repository.ts';
import { serveGit } from '#test/support/git-server.ts';
import { shareOf } from '#test/support/long-share.ts';

const temporary = scratch();
afterAll(() => temporary.clean());

/** Who races: all over HTTP, all on the disk, or both kinds for the one branch. */
const CASES = ['http', 'disk', 'both'].flatMap((kind) => [1, 2, 3].map((round) => ({ kind, round })));

it.each(shareOf(CASES, 'ledger in git'))(
  '200 appends at once through eight handles lose nothing: $kind, round $round',
  async ({ kind }) => {
    const root = temporary.folder();
    const bare = bareRepository(root);
    const server = await serveGit({ root });
    try {
      const clock = new VirtualClock(0);
      const url = `${server.url}/fleet.git`;
      const repos = kind === 'both' ? [url, bare] : [kind === 'http' ? url : bare];
      const handles = await Promise.all(
        Array.from({ length: 8 }, async (_, index) => ledgerOn(await branchOf(repos[index % repos.length] ?? bare), clock)),
      );
      const answer = await clock.run(handles[0]?.acquire('a') ?? Promise.reject(new Error('no handle')));
      if (answer.kind !== 'held') throw new Error('busy');
      const { wanted, found } = await appendConcurrently(handles, { fencing: answer.lease.fencing, appends: 200 });
      for (const records of found) expect(records).toEqual(wanted);
      expect(git(bare, ['fsck', '--full', '--strict', '--no-dangling'])).toBe('');
    } finally {
      await server.close();
    }
  },
);
