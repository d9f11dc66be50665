import { resolve } from 'node:path';
import { canonicalJson } from '#kit/canonical.ts';
import { openGitLedger } from '#ledger/stores/git.ts';
import { openS3Ledger } from '#ledger/stores/s3.ts';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import type { FleetDeclaration } from '#model/declared.ts';
import type { Clock } from '#ports/clock.ts';
import { LedgerError } from '#ports/ledger.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import type { Wires } from '#ports/wires.ts';
import { openGitPlace } from '#source/git-branch-open.ts';
import { connectionKey, typed } from './connections.ts';
import type { WorldOptions } from './options.ts';

/** The store that fleet.yaml declares, kept in `stores` for the next who asks. Throws LedgerError for one that would not last. */
export async function openLedger(
  options: WorldOptions,
  request: { readonly fleet: FleetDeclaration; readonly clock: Clock; readonly stores: Map<string, LedgerStore>; readonly wires: Wires },
): Promise<LedgerStore> {
  const { stores } = request;
  const declaration = request.fleet.ledger;
  if (options.ledger !== undefined) return options.ledger;
  if (declaration.store === 'git') return await openBranchLedger(options, request);
  if (declaration.store === 's3') return openBucketLedger({ ...request, ...declaration });
  if (declaration.store !== 'sqlite') {
    throw new LedgerError('UNSUPPORTED_STORE', `this version keeps no ledger in ${declaration.store}; such stores are not built in`);
  }
  if (isInCi(options) && !declaration.lasting) {
    throw new LedgerError(
      'NOT_LASTING',
      `a ledger on the disk of a CI runner is gone after the job, and waves and soak times with it; declare another store, or lasting: true when ${declaration.path} outlives the job`,
    );
  }
  const path = resolve(options.repo, declaration.path);
  const store = stores.get(path) ?? openSqliteLedger({ path, clock: request.clock });
  stores.set(path, store);
  return store;
}

function isInCi({ env }: WorldOptions): boolean {
  return env['CI'] === 'true' || env['GITHUB_ACTIONS'] === 'true';
}

/** On a branch of the repository that the fleet repo was cloned from; of the repo itself when it was cloned from nowhere. */
async function openBranchLedger(
  options: WorldOptions,
  request: { readonly fleet: FleetDeclaration; readonly clock: Clock; readonly stores: Map<string, LedgerStore> },
): Promise<LedgerStore> {
  const { fleet, clock, stores } = request;
  const { id, lasting } = fleet.ledger;
  const key = canonicalJson(['git', id]);
  const kept = stores.get(key);
  if (kept !== undefined) return kept;
  const { kind, branch } = await openGitPlace({ repo: options.repo, env: options.env });
  if (kind === 'own' && isInCi(options) && !lasting) {
    throw new LedgerError(
      'NOT_LASTING',
      'this clone has no remote, so the branch headgate/ledger would be gone after the job; clone from where the ledger shall lie, set HEADGATE_LEDGER_REMOTE to its URL, or declare lasting: true when this repository outlives the job',
    );
  }
  const store = stores.get(key) ?? openGitLedger({ branch, id, clock });
  stores.set(key, store);
  return store;
}

/** Where no disk lasts: the bucket that is there anyway. A connection that was changed is another ledger's. */
function openBucketLedger(request: {
  readonly fleet: FleetDeclaration;
  readonly clock: Clock;
  readonly stores: Map<string, LedgerStore>;
  readonly wires: Wires;
  readonly connection: string;
  readonly prefix: string;
}): LedgerStore {
  const { fleet, clock, stores, wires, prefix } = request;
  const connection = typed(fleet.connections.get(request.connection), request.connection, 's3');
  const key = canonicalJson(['s3', connectionKey(connection), prefix]);
  const store = stores.get(key) ?? openS3Ledger({ objects: () => wires.objects(connection), prefix, clock });
  stores.set(key, store);
  return store;
}
