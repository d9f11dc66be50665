import type { Json } from '#kit/canonical.ts';
import type { Place } from '#kit/diagnostics.ts';
import type { Secret } from '#kit/secret.ts';
import type { DeviceId, Digest, GroupName, Instant, ReleaseId } from './ids.ts';
import type { ItemName } from './item.ts';
import type { Reason } from './reasons.ts';
import type { RevisionRef } from './revision.ts';

/** Where the bytes of an artifact come from. `digest` is their SHA-256; `size` in bytes, null when not declared. */
export type Content = { readonly name: string; readonly digest: Digest; readonly size: number | null } & (
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'object'; readonly connection: string; readonly key: string }
  /** `registry` is a host, with a port where it has one of its own. */
  | { readonly kind: 'oci'; readonly registry: string; readonly repository: string; readonly tag: string }
);

/** What must hold before an item may change, as written in an artifact's `needs` and `neverBelow`. */
export interface Needs {
  /** A range over the reported firmware version, in the family's order: `>= 8.0`. */
  readonly firmware: string | null;
  readonly neverBelow: string | null;
}

/** A certificate that an item carries: what a person calls it, and until when it is valid. */
export interface CertificateFacts {
  readonly name: string;
  readonly notAfter: Instant;
}

/** One item that a device is told to carry, rendered for that device. */
export interface DeclaredItem {
  readonly item: ItemName;
  /** Where the pin, file or setting stands. */
  readonly place: Place;
  /** What a person calls it: `8.2.1`, `MOOR_HOUSE_v14.CR1X`, `base-01.09.json + 2 layers`. */
  readonly version: string;
  /** `name@version` of the artifact, null for files and layers. */
  readonly artifact: string | null;
  /** The part of the group's release it comes from. */
  readonly part: string;
  /** What a report must show: the family's canonical text, compared as text before anything else. */
  readonly value: string;
  /** Facts for the family's own operations and confirmation. Plain JSON, no secrets. */
  readonly facts: Json;
  readonly content: Content | null;
  readonly needs: Needs;
  readonly drift: DriftPolicy;
  /** Secrets of the item in the family's own shape, for `complete` and for its driver; never written anywhere. */
  readonly secret?: Secret<unknown>;
  /** Digest of the ciphertexts that the item takes secrets from, the same whether or not they can be opened here. */
  readonly ciphertext?: Digest;
  /** Of trust and identity: what ends, for the warnings of plan and status. */
  readonly certificates?: readonly CertificateFacts[];
  /** It cannot be compared or sent here: a secret is sealed, or the device's key is missing. `value` means nothing then. */
  readonly impossible?: { readonly reason: Reason; readonly evidence: string };
}

export type DriftPolicy = 'hold' | 'correct' | 'adopt';

export interface Via {
  readonly connection: string;
  /** During a move: the connection the device is going to. */
  readonly to: string | null;
}

export interface Freeze {
  readonly override: string;
  readonly reason: string;
  /** Ends by itself then; null when a person must end it. */
  readonly until: Instant | null;
}

/** A device of the inventory. All text is what was written; `items` are what its group's declared release makes of it. */
export interface DeclaredDevice {
  readonly row: number;
  readonly id: DeviceId;
  readonly place: Place;
  readonly family: string;
  readonly via: Via;
  readonly model: string;
  readonly serial: string | null;
  readonly address: string | null;
  readonly site: string | null;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, string>>;
  /** Read by Headgate, never sent; checked against the family's options schema. */
  readonly options: Readonly<Record<string, Json>>;
  /** Digest of family, serial and address: a new one is replaced hardware. */
  readonly hardware: Digest;
  readonly group: GroupName | null;
  /** From this day (in the device's zone) it is unmanaged. */
  readonly retiredFrom: Instant | null;
  readonly freeze: Freeze | null;
  /** Name of the rollout an override gives this device, null for the group's. */
  readonly rollout: string | null;
  /** In the family's order of items. */
  readonly items: readonly DeclaredItem[];
  /** Digest of what tells this device apart in what it is told: values, labels used, own files, overrides, hardware. */
  readonly personal: Digest;
}

/** A piece of a release that can fail and be blocked: an artifact version, a layer, a setting, a secret. */
export interface ReleasePart {
  /** `firmware cr1000x-os@8.2.1`, `config files/can/base-01.09.json`, `settings MQTTStatusInterval`. */
  readonly id: string;
  readonly digest: Digest;
}

/** What a group declares: all its devices are told, apart from what tells them apart. */
export interface Release {
  readonly id: ReleaseId;
  /** Sorted by id. The release id is the digest of the parts. */
  readonly parts: readonly ReleasePart[];
}

export interface Condition {
  readonly measure: string;
  readonly test: 'at-least' | 'at-most' | 'equals' | 'no-rise';
  /** As written, null for `no rise`. */
  readonly value: string | null;
}

export interface GroupDeclaration {
  readonly name: GroupName;
  readonly place: Place;
  readonly release: Release;
  /** Rows of the devices it owns, ascending. */
  readonly rows: readonly number[];
  readonly rollout: string;
  readonly silenceMs: number;
  readonly health: readonly Condition[];
  readonly before: readonly Condition[];
  readonly watchMs: number;
  readonly after: { readonly group: GroupName; readonly forMs: number } | null;
}

export interface GateRules {
  /** Share of the devices that answered or were lost, 0 to 1. */
  readonly success: number;
  readonly minimum: number;
  readonly quorum: number;
  readonly patienceMs: number;
  readonly then: 'ask' | 'go-on';
  readonly soakMs: number;
}

export interface WaveRules {
  readonly name: string;
  readonly place: Place;
  readonly select: Selector | null;
  readonly count: number | null;
  /** 0 to 1, of all devices that the release changes. */
  readonly share: number | null;
  readonly gate: GateRules;
}

export interface BudgetRule {
  readonly max: { readonly kind: 'count'; readonly count: number } | { readonly kind: 'share'; readonly share: number };
  /** `site`, `model`, a label (`label:x`), or null for the whole group. */
  readonly by: string | null;
}

export interface RolloutRules {
  readonly name: string;
  readonly place: Place;
  /** The implied last wave is always there, so there is at least one. */
  readonly waves: readonly WaveRules[];
  readonly budget: readonly BudgetRule[];
  /** Names of windows; empty means any time. */
  readonly windows: readonly string[];
  readonly onFailure: 'halt' | 'revert';
  readonly rollback: { readonly waves: readonly WaveRules[]; readonly windows: readonly string[] };
  readonly together: boolean;
}

export interface WindowSpan {
  /** ISO weekdays, 1 is Monday. */
  readonly days: readonly number[];
  /** Minutes since local midnight; `to` below `from` runs past midnight, 1440 is the end of the day. */
  readonly from: number;
  readonly to: number;
}

export interface WindowDeclaration {
  readonly name: string;
  readonly place: Place;
  /** `device` or an IANA zone. */
  readonly zone: string;
  readonly allow: readonly WindowSpan[];
  /** Whole local days, both included, ISO dates. */
  readonly deny: readonly { readonly first: string; readonly last: string; readonly why: string }[];
  readonly marginMs: number;
}

/** All members that are given must hold. `all` is the explicit everything. */
export interface Selector {
  readonly all: boolean;
  readonly family: string | null;
  readonly model: readonly string[] | null;
  readonly ids: readonly string[] | null;
  readonly labels: Readonly<Record<string, readonly string[]>>;
  readonly groups: readonly string[] | null;
  readonly not: Selector | null;
}

export interface ApprovalDeclaration {
  readonly place: Place;
  readonly reason: string;
  readonly group: GroupName | null;
  /** A prefix of the release id, at least 7 digits. */
  readonly release: string | null;
  readonly wave: string | null;
  readonly unblock: boolean;
  readonly again: readonly DeviceId[];
  readonly merge: string | null;
  readonly change: number | null;
  readonly leave: number | null;
}

export interface OverrideDeclaration {
  readonly name: string;
  readonly place: Place;
  readonly reason: string;
  readonly starts: Instant | null;
  readonly reviewBy: Instant | null;
  readonly until: Instant | null;
  readonly devices: readonly DeviceId[];
}

export type ConnectionDeclaration = { readonly name: string; readonly place: Place } & (
  | {
      readonly type: 'mqtt';
      /** Secrets stay references until world.ts reads the environment: `${env:MQTT_PASSWORD}`. */
      readonly url: string;
      readonly username: string | null;
      readonly password: string | null;
      readonly clientId: string | null;
      /** PEM bytes out of the revision, null when not declared. */
      readonly ca: Uint8Array | null;
      readonly cert: Uint8Array | null;
      readonly key: string | null;
      readonly presence: string | null;
      readonly withdraw: string | null;
      /** A reference to the password that boards ask of who calls them; null or left out for none. */
      readonly rpcPassword?: string | null;
    }
  | {
      readonly type: 's3';
      readonly bucket: string;
      readonly region: string;
      readonly endpoint: string | null;
      readonly prefix: string;
      readonly accessKeyId: string | null;
      readonly secretAccessKey: string | null;
    }
  | {
      readonly type: 'aws-iot';
      readonly region: string;
      /** The data endpoint `https://…-ats.iot.REGION.amazonaws.com`; null asks AWS for it. */
      readonly endpoint: string | null;
      /** How fleet indexing is used to look: not at all, for every thing, or for the things that are not as declared. */
      readonly index: 'off' | 'all' | 'mismatches';
      /** What narrows the things that are looked at in the index, in its query language; null for all things. */
      readonly indexQuery: string | null;
    }
  | {
      readonly type: 'azure-iot';
      /** `NAME.azure-devices.net`, with a port where it is not Azure's. */
      readonly host: string;
      readonly policy: string;
      /** A reference to the key of the policy. */
      readonly key: string;
      /** How queries are used to look: not at all, for every twin, or for the twins that are not as declared. */
      readonly index: 'off' | 'all' | 'mismatches';
      /** What narrows the twins that are looked at, as after WHERE; null for all. */
      readonly indexQuery: string | null;
    }
  | {
      readonly type: 'mdash';
      /** Without the `/api/v2` that follows it. */
      readonly url: string;
      /** A reference to the key of the account. */
      readonly key: string;
    }
);

export type LedgerDeclaration = { readonly id: string; readonly lasting: boolean; readonly place: Place } & (
  | { readonly store: 'git' }
  | { readonly store: 'sqlite'; readonly path: string }
  | { readonly store: 's3'; readonly connection: string; readonly prefix: string }
  | { readonly store: 'postgres'; readonly url: string }
);

export interface Limits {
  /** Share of the fleet that one merge may change without an Approval, 0 to 1. */
  readonly change: number;
  /** Devices that one merge may remove from the inventory without an Approval. */
  readonly leave: number;
  readonly personal: number;
  readonly operationsPerMinute: number;
  readonly maxAttempts: number;
  readonly passLimitMs: number;
  readonly observeDeadlineMs: number;
}

export interface FleetDeclaration {
  readonly name: string;
  readonly place: Place;
  readonly branch: string;
  readonly zone: string;
  readonly ledger: LedgerDeclaration;
  readonly connections: ReadonlyMap<string, ConnectionDeclaration>;
  readonly artifacts: { readonly via: string | null; readonly urls: 'presigned' | 'serve' | 'direct'; readonly publicUrl: string | null };
  readonly commitsMustBeSigned: boolean;
  readonly limits: Limits;
  /** For a daemon: a cron line, and a reference to the secret of its webhook. Left out where fleet.yaml says neither. */
  readonly daemon?: { readonly schedule: string | null; readonly webhook: string | null };
}

/** Everything a revision declares. Devices are read through the row accessors; rows are in code unit order of the id. */
export interface Declared {
  readonly revision: RevisionRef;
  readonly fleet: FleetDeclaration;
  readonly size: number;
  deviceAt(row: number): DeclaredDevice;
  rowOf(id: DeviceId): number | undefined;
  readonly groups: ReadonlyMap<GroupName, GroupDeclaration>;
  readonly rollouts: ReadonlyMap<string, RolloutRules>;
  readonly windows: ReadonlyMap<string, WindowDeclaration>;
  readonly overrides: readonly OverrideDeclaration[];
  readonly approvals: readonly ApprovalDeclaration[];
  /**
   * What this device (as it is declared now: labels, values, hardware) carries under the group's pins of an older
   * revision that is loaded beside this one; undefined when that revision did not know the group.
   */
  itemsUnder(older: Declared, device: DeclaredDevice): readonly DeclaredItem[] | undefined;
  /** What is allowed and goes wrong some day, by item: printed, and in nobody's way. */
  readonly hazards?: readonly { readonly item: ItemName; readonly text: string }[];
  /**
   * What lets this device, or the `replaced` hardware that was there before, in at its broker, in words, for whoever must
   * revoke it; of a retired device what it held last. Left out, or empty: nothing that its family knows of.
   */
  credentialsOf?(device: DeclaredDevice, replaced: boolean): readonly string[];
}
