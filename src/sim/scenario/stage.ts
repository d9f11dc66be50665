import type { Declared } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimDevice } from '#ports/sim.ts';
import type { Wires } from '#ports/wires.ts';
import type { Checkpoints, World } from '#ports/world.ts';
import type { PassReport } from '#reconcile/report.ts';
import type { DeclareState } from '#reconcile/revision.ts';
import type { Rival } from '#sim/rival.ts';
import type { ServedBucket } from '#sim/addresses.ts';
import type { VirtualClock } from '#sim/clock.ts';

/** The fleet repo of a script: a real git repository in a temporary folder. Times are those of the virtual clock. */
export interface ScenarioRepo {
  readonly dir: string;
  read(path: string): Promise<string>;
  write(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
  commit(message: string, at: Instant): Promise<string>;
  /** `git revert` of HEAD. */
  revert(at: Instant): Promise<string>;
  close(): Promise<void>;
}

/** The simulated world of a script, as sim/world.ts makes it. */
export interface ScenarioWorld {
  readonly wires: Wires;
  readonly devices: ReadonlyMap<string, SimDevice>;
  bucket(connection: string): ObjectStore;
  serve(connection: string, server: Omit<ServedBucket, 'connection' | 'bucket'>): void;
  rival(connection: string, rival: Rival): void;
  close(): Promise<void>;
}

/** What the runner is handed: it opens nothing by itself. */
export interface ScenarioPorts {
  readonly start: Instant;
  makeRepo(fleet: string, at: Instant): Promise<ScenarioRepo>;
  makeClock(start: Instant): VirtualClock;
  makeLedger(clock: VirtualClock): LedgerStore;
  makeWorld(declared: Declared, clock: VirtualClock): Promise<ScenarioWorld>;
  /** Adds a simulated device that carries what is declared, apart from `options`. */
  addDevice(
    world: ScenarioWorld,
    declared: Declared,
    request: { readonly device: string; readonly options: Readonly<Record<string, string>> },
  ): Promise<void>;
  openEngine(options: {
    readonly dir: string;
    readonly wires: Wires;
    readonly clock: VirtualClock;
    readonly ledger: LedgerStore;
    readonly checkpoints: Checkpoints;
  }): World;
  declareAt(dir: string, at: Instant): Promise<Declared>;
}

/** Everything a script has made so far. */
export interface Stage {
  readonly ports: ScenarioPorts;
  readonly clock: VirtualClock;
  readonly output: string[];
  readonly failures: string[];
  repo: ScenarioRepo | null;
  sim: ScenarioWorld | null;
  ledger: LedgerStore | null;
  engine: World | null;
  /** What the process of the engine keeps between passes. */
  state: DeclareState;
  last: PassReport | null;
  /** Set by `crash next …`: what the next checkpoint of that name does. */
  crash: 'appended' | 'performed' | null;
  /** Operations performed in all passes so far. */
  performed: number;
}

/** Thrown by a checkpoint: the process ends here, as far as the engine is concerned. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut';
}
