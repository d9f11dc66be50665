import { openGitLedger } from '#ledger/stores/git.ts';
import { openS3Ledger } from '#ledger/stores/s3.ts';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import type { SigningCredentials } from '#kit/sigv4.ts';
import type { LedgerRecord } from '#model/records.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import { openGitPlace } from '#source/git-branch-open.ts';
import { ledgerConnection } from '#test/support/s3-ledger.ts';
import { systemClock } from '#transports/clock.ts';
import { openS3Store } from '#transports/s3.ts';

/** Where the ledger of a fleet lies: `url` with the runner's credentials. */
export type LedgerPlace =
  | { readonly store: 'git'; readonly url: string }
  | {
      readonly store: 's3';
      readonly endpoint: string;
      readonly bucket: string;
      readonly prefix: string;
      readonly credentials: SigningCredentials;
    }
  | { readonly store: 'sqlite'; readonly path: string };

export const LEDGER_ID = 'short';

/** A handle that knows nothing yet. */
async function openLedgerAt(place: LedgerPlace): Promise<LedgerStore> {
  switch (place.store) {
    case 'git': {
      const { branch } = await openGitPlace({ repo: place.url, env: {} });
      return openGitLedger({ branch, id: LEDGER_ID, clock: systemClock });
    }
    case 's3': {
      const { endpoint, bucket, prefix, credentials } = place;
      const objects = (): ReturnType<typeof openS3Store> => openS3Store(ledgerConnection(endpoint, bucket), credentials);
      return openS3Ledger({ objects, prefix, clock: systemClock });
    }
    case 'sqlite':
      return openSqliteLedger({ path: place.path, clock: systemClock });
  }
}

/** All records: reading verifies the hash chain. */
export async function readLedger(place: LedgerPlace): Promise<readonly LedgerRecord[]> {
  const ledger = await openLedgerAt(place);
  try {
    return await ledger.read();
  } finally {
    await ledger.close();
  }
}
