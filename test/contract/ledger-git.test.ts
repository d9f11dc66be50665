import { afterAll } from 'vitest';
import { scratch } from '#test/support/git-repository.ts';
import { bareRepository, branchOf, ledgerOn } from '#test/support/git-ledger.ts';
import { serveGit } from '#test/support/git-server.ts';
import { deferredBranch } from '#test/support/git-deferred.ts';
import { ledgerContract } from './ledger.ts';

const temporary = scratch();
afterAll(() => temporary.clean());

ledgerContract('git in the repository itself', async () => {
  const { dir } = temporary.repository();
  return { handle: (clock) => ledgerOn(deferredBranch(branchOf(dir)), clock), clean: async () => undefined };
});

ledgerContract('git over HTTP', async () => {
  const root = temporary.folder();
  bareRepository(root);
  const server = await serveGit({ root });
  return {
    handle: (clock) => ledgerOn(deferredBranch(branchOf(`${server.url}/fleet.git`)), clock),
    clean: () => server.close(),
  };
});
