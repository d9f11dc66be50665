import type { Clock } from '#ports/clock.ts';
import type { ArtifactHost } from '#artifacts/serve.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import type { Log } from '#ports/log.ts';
import type { Journal } from '#ports/responder.ts';
import type { Wires } from '#ports/wires.ts';
import type { Checkpoints } from '#ports/world.ts';

export interface WorldOptions {
  /** A folder with a git repository, or the https URL of one. */
  readonly repo: string;
  readonly branch?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
  /** Real time beside a scaled `clock`; the same clock when left out. */
  readonly wireClock?: Clock;
  readonly wires?: Wires;
  readonly log?: Log;
  /** Where fetched artifacts and cloned remotes are kept; in memory only when left out. */
  readonly cacheDir?: string;
  readonly holder?: string;
  readonly checkpoints?: Checkpoints;
  /** In the place of the store that fleet.yaml declares: scenarios keep theirs in memory. */
  readonly ledger?: LedgerStore;
  readonly engine?: string;
  /** In the place of a server of our own for `urls: serve`: scenarios answer in their own process. */
  readonly artifactHost?: ArtifactHost;
  /** What responders of this process write to; left out where none runs. */
  readonly journal?: Journal;
  /** The name of this one of several daemons: each has MQTT sessions of its own. */
  readonly instance?: string;
}
