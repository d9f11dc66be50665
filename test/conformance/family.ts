import type { ItemName } from '#model/item.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { PassResult } from '#reconcile/report.ts';
import type { Files, MemoryFleet } from '#test/support/memory-fleet.ts';

/** The one device of a trial's fleet. */
export const DEVICE = 'd0';

/**
 * What the shared suite must know of a family to try it against its own simulator: how a fleet of it is written, and how
 * somebody puts reports on its wire. All that must hold is in families.test.ts and the same for every family.
 */
export interface FamilyTrial {
  readonly family: string;
  /** Devices, artifacts and group of a fleet with the one device DEVICE; fleet.yaml and the rollout are shared. */
  readonly files: Files;
  /** The next revision: this item of the device changes, and no other. */
  readonly next: Files;
  readonly item: ItemName;
  /** The effect at the simulated device that the change is made of. */
  readonly effect: string;
  /** How long the device takes for it, its report included. */
  readonly doneMs: number;
  /** The fault with which the device shows other hardware, and how long until it shows. */
  readonly stranger: { readonly fault: string; readonly value: string | true; readonly shownMs: number };
  readonly wire: ReportWire;
  /** Whether a reported value says that the device runs what it ran before the change, or says nothing. */
  isOld(item: string, value: string): boolean;
  /** What waits for the device to come for it; the objects of the bucket `logs` when left out. */
  offers?(fleet: MemoryFleet): readonly string[];
  /** The device is told of an offer and takes it at once: only one that is away leaves it lying. */
  readonly takesAtOnce?: true;
  /** Of a family whose devices ask, and are answered by what stands in the ledger. */
  readonly responds?: Responds;
}

export interface Responds {
  /** Admits that operation, as a pass does that has recorded it. */
  offer(fleet: MemoryFleet, result: PassResult, open: OpenOperation): Promise<void>;
  /** What is offered now. */
  offers(fleet: MemoryFleet): Promise<readonly string[]>;
  /** An answer that leaves the device as it is. */
  changesNothing(payload: Uint8Array): boolean;
}

/** Where the reports of a family are, for somebody who is not the device. */
export interface ReportWire {
  /** Places at which a report may stand. */
  readonly channels: readonly string[];
  /** The last report that the device itself wrote. */
  last(fleet: MemoryFleet): Promise<Uint8Array>;
  put(fleet: MemoryFleet, channel: string, payload: Uint8Array): Promise<void>;
}

/** What is the same for all trials of a family. */
export interface FamilyPages {
  readonly family: string;
  readonly fixtures: readonly { readonly file: string; readonly name: string; check(): Promise<void> | void }[];
  /** Files that the example of its readme refers to. */
  readonly readme: Files;
}

/** `fleet.yaml` of a trial; `wires` are the lines of its connections to devices. */
export function fleetYaml(...wires: readonly string[]): string {
  return `kind: Fleet
format: 1
name: trial
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: trial, lasting: true }
connections:
${wires.map((wire) => `  ${wire}\n`).join('')}  logs: { type: s3, bucket: logs, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
  depot: { type: s3, bucket: depot, region: eu-west-2, endpoint: 'http://127.0.0.1:9000' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, operationsPerMinute: 120, maxAttempts: 3 }
`;
}

/** The broker `field`. */
export const FIELD = "field: { type: mqtt, url: 'mqtt://127.0.0.1:1883' }";

const SHARED: Files = {
  'fleet.yaml': fleetYaml(FIELD),
  'rollouts/careful.yaml': `kind: Rollout
name: careful
waves: [{ name: all, gate: { soak: 1m } }]
windows: any
`,
};

/** A fleet repo with the shared files in it. */
export function filesOf(files: Files): Files {
  return { ...SHARED, ...files };
}
