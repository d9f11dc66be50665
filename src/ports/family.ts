import type { Json } from '#kit/canonical.ts';
import type { Result } from '#kit/result.ts';
import type { Secret } from '#kit/secret.ts';
import type { CertificateFacts, ConnectionDeclaration, Content, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { IdentityFacts, IssuedVersions } from '#model/identity.ts';
import type { ItemName } from '#model/item.ts';
import type { Confirmation, OpenOperation, OperationDraft, OperationRecord } from '#model/operation.ts';
import type { FieldChange, Impossible } from '#model/plan.ts';
import type { Reason } from '#model/reasons.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';

/** What declare knows of a device when it asks the family what an item must look like. */
export interface DeviceFacts {
  readonly id: string;
  readonly model: string;
  readonly serial: string | null;
  readonly address: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, Json>>;
  /** Of what type its connection is; null where that is not known, because fleet.yaml has a mistake of its own. Left out: the same. */
  readonly connectionType?: ConnectionDeclaration['type'] | null;
}

/** A mistake the family found in what is declared; declare adds the place. */
export interface FamilyProblem {
  readonly severity?: 'error' | 'warning';
  readonly code: string;
  readonly summary: string;
  readonly fix?: string;
}

/** What a pin resolved to, before the family says what a report must show. */
export interface PinnedItem {
  readonly item: ItemName;
  /** For artifacts: name and version; for files and layers null. */
  readonly artifact: { readonly name: string; readonly version: string; readonly reportsAs: string | null } | null;
  readonly content: Content | null;
  /**
   * config: the merged document with references resolved. settings: the map with references resolved. files with `exact`:
   * `{ exact: true, files: [{ name, digest, size }] }`, and no content. Where a secret
   * belongs it holds `[secret]` (SECRET_TEXT).
   */
  readonly document: Json;
  /** The firmware version declared for this device beside it, null when none is. */
  readonly firmware: string | null;
  /** `use` and `keep` of trust and identity as PEM or DER bytes, `use` first. */
  readonly certificates: readonly Uint8Array[];
  /** Secrets of `document` by JSON pointer (`/connect/wifi/accesspoint/0/pwd`), each UTF-8 text; left out when it has none. */
  readonly secrets?: ReadonlyMap<string, Secret>;
  /** The fleet's render key (`secrets.render`), null when fleet.yaml names none; given where `secrets` is. */
  readonly renderKey?: Secret | null;
  /** identity: the device's own certificate and its private key (PEM or DER) of `use`. */
  readonly identity?: { readonly certificate: Uint8Array; readonly key: Secret } | null;
  /** identity: every certificate of this device, by version; null where a file of `use` or `keep` is no certificate. */
  readonly versions?: Omit<IdentityFacts, 'clientId'> | null;
  /** identity: instead of all that, where its versions say `issuedAfter`: the key is made by the device's own provisioning. */
  readonly issued?: IssuedVersions;
}

export interface ExpectedItem {
  /** What a report must show, in the family's canonical text. */
  readonly value: string;
  /** Version for people. */
  readonly version: string;
  readonly facts: Json;
  /** Bytes the family rendered (a config), or the pinned content unchanged. */
  readonly content: Content | null;
  /** What `complete` or the driver needs of the item's secrets. No part of them, nor a digest of a short one, may stand elsewhere. */
  readonly secret?: Secret<unknown>;
  /** Of trust and identity: the certificates, for the warnings before they end. */
  readonly certificates?: readonly CertificateFacts[];
  /** What the device takes and somebody should look at all the same: each text is told once, whoever it shows on. */
  readonly warnings?: readonly FamilyProblem[];
}

/** What is known of a device when an item that depends on its report is finished. */
export interface CompleteContext {
  readonly device: DeclaredDevice;
  readonly reported: ReportedDevice | undefined;
  /** What the ledger has pinned of this hardware, null before it has. */
  readonly pinned: Json;
}

/** What a declared item may be compared with. */
export interface DifferenceContext {
  readonly reported: Extract<ReportedItem, { kind: 'value' }>;
  /** The item as the present release declares it for this device; null when there is none, or it is the very same. */
  present(): DeclaredItem | null;
}

export interface OperationsRequest {
  readonly device: DeclaredDevice;
  /** The items to reach, in the family's order: those of the declared or of the present release. */
  readonly items: readonly DeclaredItem[];
  readonly reported: ReportedDevice;
  /** Names of the items that differ from the report, in the family's order. */
  readonly drifted: readonly ItemName[];
}

export interface OperationsAnswer {
  /** In the order in which they must happen; the engine keeps only the first live. */
  readonly drafts: readonly OperationDraft[];
  readonly impossible: readonly Impossible[];
}

export interface ReasonText {
  readonly class: 'verdict' | 'trouble';
  readonly text: string;
}

/** The pure face of a device family: no async, no clock, no randomness, no I/O. */
export interface Family {
  readonly name: string;
  /** In the order in which they are changed on a device. */
  readonly items: readonly ItemName[];
  /** Measures it can report, with the unit. */
  readonly measures: Readonly<Record<string, string>>;
  /** JSON Schema 2020-12 of `options:`; of `settings:`, null when the family takes none. */
  readonly optionsSchema: Json;
  readonly settingsSchema: Json;
  /** Types of connections over which it reaches its devices; another one is an error. Left out: any. */
  readonly connections?: readonly ConnectionDeclaration['type'][];
  /** Known models; a model that is not here is an error with the nearest one. Empty: any. */
  readonly models: readonly string[];
  /** Mistakes in the device's own declaration: shape of its address, its id, its options together. */
  lint(device: DeviceFacts): readonly FamilyProblem[];
  /** `${series}`: the config series of a firmware version; null where the family has none. */
  series(firmware: string): string | null;
  /** Order of versions in the family's own way, for `needs` and `neverBelow`: negative, zero, positive; null when one cannot be read. */
  compareVersions(a: string, b: string): number | null;
  /** What must be known of a pin to deliver it, and what a report must show when it is there. */
  expectation(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem>;
  /** Items in which secrets may stand; in others they are a mistake of the fleet repo. Left out: none. */
  readonly secretItems?: readonly ItemName[];
  /**
   * Finishes an item with a `secret` by what only the device's report can tell (a public key): value and content are
   * known only then. Deterministic; asked for items with a `secret` alone, and answers one without.
   */
  complete?(item: DeclaredItem, context: CompleteContext): Result<DeclaredItem, { readonly reason: Reason; readonly evidence: string }>;
  /** What is pinned of hardware when it is first seen, and recorded in the ledger. Left out: nothing. */
  readonly pin?: {
    /** The facts to pin, null while the report does not say them. */
    of(reported: ReportedDevice): Json;
    /** What a report says against them, in words: the device is then IDENTITY_MISMATCH. Null when it agrees or says nothing. */
    contradiction(pinned: Json, reported: ReportedDevice, device: DeclaredDevice): string | null;
  };
  /** Whether the report shows the declared item. Asked only when the texts differ. */
  agrees(declared: DeclaredItem, reported: Extract<ReportedItem, { kind: 'value' }>): boolean;
  /**
   * Whether a record beside the report says otherwise, though the report shows the declared item: what somebody else wrote
   * over a durable one is drift too. Left out: there is none.
   */
  contradicts?(declared: DeclaredItem, reported: Extract<ReportedItem, { kind: 'value' }>): boolean;
  /**
   * The fields in which a drifted item differs: from the report where that says enough, else from what the device's present
   * release gives it. Bounded and without secrets; null when neither can tell. Left out: only whole values are shown.
   */
  differences?(declared: DeclaredItem, known: DifferenceContext): readonly FieldChange[] | null;
  /**
   * Whether the report proves that the device could do without the old value of this item: asked of each device of a group
   * before an operation with `onceAllCarry`. Left out: a report of known age that agrees.
   */
  proves?(declared: DeclaredItem, reported: ReportedDevice): boolean;
  /**
   * What lets a device that carries these items in at its broker, in words without secrets: listed when it retires; of the
   * `replaced` hardware that was there before it, of which serial and address are not known any more. Left out: nothing.
   */
  credentials?(device: DeclaredDevice, items: readonly DeclaredItem[], replaced: boolean): readonly string[];
  operations(request: OperationsRequest): OperationsAnswer;
  /** Items of which a device takes whatever a server answers, an error page too. Left out: none. */
  readonly takesAnyAnswer?: readonly ItemName[];
  /** Why an item was never reported, and what makes the device tell it, in words. Left out, or null: nothing more is known. */
  unheard?(device: DeclaredDevice, item: ItemName): string | null;
  /** What the reports say of an operation that was sent. Reads no clock. */
  confirm(open: OpenOperation, reported: ReportedDevice): Confirmation;
  /** Operations that take an untaken offer back, in order; empty for a push. */
  withdrawal(open: OpenOperation): readonly OperationDraft[];
  /** Silence after taking an operation for longer than this is lost (or three usual gaps, whichever is longer). */
  lostAfterMs(operation: OperationRecord): number;
  /** States that need a second step from us within that time. */
  readonly attention: { readonly withinMs: number } | null;
  /** Its codes of failures, each with its class and plain words. */
  readonly reasons: Readonly<Record<string, ReasonText>>;
}
