import { join, resolve } from 'node:path';
import { hostname } from 'node:os';
import { canonicalJson } from '#kit/canonical.ts';
import { families } from '#adapters/registry.ts';
import { makeArtifactCache } from '#artifacts/cache.ts';
import { registryAuthIn } from '#artifacts/oci.ts';
import { foldRecords } from '#ledger/fold.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { DriverSet, World } from '#ports/world.ts';
import { applyRolloutEvent } from '#rollout/state.ts';
import { makeSecretOpener } from '#secrets/open.ts';
import { environmentCredentials } from '#source/git-branch-open.ts';
import { openGitSource, openRemoteSource } from '#source/git-source.ts';
import { systemClock } from '#transports/clock.ts';
import { ConnectionWatch } from '#transports/watch.ts';
import { makeNetworkWires } from '#transports/wires.ts';
import { openArtifactHost } from '#world/artifact-host.ts';
import { connectionKey } from '#world/connections.ts';
import { openDrivers } from '#world/drivers.ts';
import { openLedger } from '#world/ledger.ts';
import type { WorldOptions } from '#world/options.ts';

/** Written into each record and pass: the version of package.json. */
export const ENGINE = '0.1.0';

/** Puts all the parts together: the only place that knows every folder. */
export function openWorld(options: WorldOptions): World {
  const clock = options.clock ?? systemClock;
  const wireClock = options.wireClock ?? clock;
  const wires = options.wires ?? makeNetworkWires({ clock, env: options.env });
  const log = options.log ?? SILENT_LOG;
  const stores = new Map<string, LedgerStore>();
  const sets = new Map<string, { readonly key: string; readonly set: DriverSet }>();
  const cache = makeArtifactCache(options.cacheDir ?? null);
  const journal = options.journal === undefined ? {} : { journal: options.journal };
  const watch = new ConnectionWatch();
  return {
    source: openSource(options),
    secrets: makeSecretOpener({ env: options.env }),
    clock,
    wireClock,
    log,
    engine: options.engine ?? ENGINE,
    holder: options.holder ?? `${hostname()} ${process.pid}`,
    families: families(),
    checkpoints: options.checkpoints ?? {},
    fold: (records, from) => foldRecords(records, { event: applyRolloutEvent, ...(from === undefined ? {} : { from }) }),
    ledger: (fleet) => openLedger(options, { fleet, clock: wireClock, stores, wires }),
    drivers: async (declared, role, blobs) => {
      const key = canonicalJson([...declared.fleet.connections.keys()].map((name) => connectionKey(declared.fleet.connections.get(name))));
      const kept = sets.get(role);
      if (kept?.key === key) return kept.set;
      await kept?.set.close();
      const serve = role === 'holder' ? await openArtifactHost(options, declared, wireClock) : null;
      const set = openDrivers({
        declared,
        role,
        blobs,
        wires,
        clock,
        log,
        serve,
        cache,
        watch,
        instance: options.instance ?? null,
        registryAuth: registryAuthIn(options.env),
        ...journal,
      });
      sets.set(role, { key, set });
      return set;
    },
    connections: () => watch.states(),
    close: async () => {
      for (const { set } of sets.values()) await set.close();
      for (const store of stores.values()) await store.close();
    },
  };
}

function openSource(options: WorldOptions): World['source'] {
  if (!/^https?:\/\//.test(options.repo)) return openGitSource({ dir: resolve(options.repo) });
  const cacheDir = options.cacheDir ?? join(resolve('.'), '.headgate');
  const credentials = environmentCredentials(options.repo, options.env);
  const auth = credentials === null ? {} : { auth: () => Promise.resolve(credentials) };
  return openRemoteSource({ url: options.repo, cacheDir, branch: options.branch ?? 'main', ...auth });
}

/** What entry points write for a person: a commit, its inverse, a file of reports. */
export { readAuthor } from '#source/author.ts';
export { commitFiles, revertCommit } from '#source/commit.ts';
export { parseReports, reportsText } from '#observe/reports-file.ts';
export { recipientsOf } from '#declare/needed.ts';
export { sealSecret } from '#secrets/seal.ts';
export { createRepository } from '#source/create.ts';
export { systemClock } from '#transports/clock.ts';
export { networkClients } from '#transports/wires.ts';

/** For CANedges by hand: what a file is, a config encrypted to one device, a config without its secrets. */
export { configCrc, readDocument, shownConfig, kpubIn } from '#adapters/canedge/by-hand.ts';
export { encryptConfig } from '#adapters/canedge/encrypt.ts';
export { inspectFile } from '#adapters/canedge/inspect.ts';
export type { Inspection } from '#adapters/canedge/inspect.ts';

/** For firmware bundles by hand: what one is, and who signed it. */
export { readBundle } from '#adapters/mongoose/bundle.ts';
export type { Bundle } from '#adapters/mongoose/bundle.ts';
export type { BundleProblem } from '#adapters/mongoose/bundle-problem.ts';
export { verifySignatures } from '#adapters/mongoose/bundle-signatures.ts';

/** For loggers on the bench: one action on one of them. */
export type { BenchAction } from '#adapters/campbell/driver-bench.ts';
export { benchLogger } from '#world/bench.ts';
export type { BenchRequest } from '#world/bench.ts';
