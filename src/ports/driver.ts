import type { Json } from '#kit/canonical.ts';
import type { Secret } from '#kit/secret.ts';
import type { ConnectionDeclaration, Content, DeclaredDevice } from '#model/declared.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { Reason } from '#model/reasons.ts';
import type { OutcomeResult } from '#model/records.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Artifacts } from './artifacts.ts';
import type { Clock } from './clock.ts';
import type { DeviceMethods } from './device-methods.ts';
import type { Family } from './family.ts';
import type { BlobStore } from './ledger.ts';
import type { Log } from './log.ts';
import type { Mdash } from './mdash.ts';
import type { MessageBus } from './message-bus.ts';
import type { ObjectStore } from './object-store.ts';
import type { Presence, Revocation } from './presence.ts';
import type { Journal, Responder, ResponderPorts } from './responder.ts';
import type { ShadowReader } from './shadows.ts';

/** What the composition root hands to a driver. A connection is opened when first asked for, and shared. */
export interface DriverPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly artifacts: Artifacts;
  readonly blobs: BlobStore;
  /** Only who holds the lease may ask devices anything; left out, nobody is asked. */
  readonly role?: 'holder' | 'reader';
  /** What the responder of this process told its devices; left out where none runs. */
  readonly journal?: Journal;
  bus(connection: string): Promise<MessageBus>;
  objects(connection: string): Promise<ObjectStore>;
  /**
   * The shadow service behind a connection: of `aws-iot` over HTTP, of `azure-iot` the twins as classic shadows, of `mqtt`
   * over the bus of that connection. Its calls are counted. Left out where no connection has one.
   */
  shadows?(connection: string): Promise<ShadowReader>;
  /** Direct methods of an `azure-iot` connection. Left out where no connection has them. */
  methods?(connection: string): Promise<DeviceMethods>;
  /** The account of an `mdash` connection. Left out where no connection is one. */
  mdash?(connection: string): Promise<Mdash>;
  connection(name: string): ConnectionDeclaration | undefined;
  /** What boards behind an `mqtt` connection ask of who calls them; null for nothing. Left out: null. Throws WireError. */
  rpcPassword?(connection: string): Secret<string> | null;
  /**
   * The certificates (DER, its own first) that a server shows to whoever connects by TLS; null when it cannot be reached
   * from here. Left out where there is no way to ask.
   */
  serverChain?(
    server: { readonly endpoint: string; readonly port: number | null },
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[] | null>;
  /** `presence:` of an mqtt connection; null where it has none. Left out: no connection has one. */
  presence?(connection: string): Promise<Presence | null>;
  /** `withdraw:` of an mqtt connection; null where a person withdraws. Left out: no connection has one. */
  revocation?(connection: string): Promise<Revocation | null>;
}

export interface ObserveRequest {
  readonly devices: readonly DeclaredDevice[];
  /** The last reports, so that unchanged ones need not be read again and gaps can be learned. */
  last(device: DeviceId): ReportedDevice | undefined;
  /** Devices with an open operation are looked at each pass. */
  isOpen(device: DeviceId): boolean;
  /** When the newest open operation of a device was intended; null for none. Left out where nobody asks devices anything. */
  openSince?(device: DeviceId): Instant | null;
  /** The operations of a device that are open: what a sign of it may be of. Left out where nobody knows them. */
  openOf?(device: DeviceId): readonly OpenOperation[];
  /** How long to listen for what the wire does not keep, in ms; 0 takes what is there. */
  readonly listenMs: number;
  readonly signal: AbortSignal;
}

export interface ObserveAnswer {
  /** New reports, merged over the last ones: complete, ready to be kept. Devices of which nothing new is known are left out. */
  readonly reports: readonly ReportedDevice[];
  /** Wires that broke: what is known of their devices stays as it was. */
  readonly troubles: readonly { readonly connection: string; readonly code: string; readonly message: string }[];
}

/** What a look before the act found. */
export type Precheck =
  | { readonly kind: 'clear' }
  /** An earlier attempt's effect is there: nothing is repeated. */
  | { readonly kind: 'already'; readonly reference: number; readonly undo: Json }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly evidence: string };

export interface PerformContext {
  readonly device: DeclaredDevice;
  readonly reported: ReportedDevice | undefined;
  /** The content with its source, where the operation carries one. */
  readonly content: Content | null;
  /** The secret of the item that the operation leads to, in the family's own shape; left out where it has none. */
  readonly secret?: Secret<unknown>;
  readonly fencing: number;
  readonly signal: AbortSignal;
}

/** The face of a family that does I/O. Nothing in it decides; nothing in it retries. */
export interface Driver {
  /** Changes nothing at a device. */
  observe(request: ObserveRequest): Promise<ObserveAnswer>;
  /** Looks for traces of an earlier attempt and for a moved precondition. Changes nothing. */
  precheck(operation: Operation, open: OpenOperation | null, context: PerformContext): Promise<Precheck>;
  /** Why this process cannot carry it out though another one can, so that it is not begun here; null where it can. */
  elsewhere?(operation: Operation): string | null;
  /** One side effect. Answers `trouble` for a wire that broke; `retryAt` is set by the engine. */
  perform(operation: Operation, open: OpenOperation | null, context: PerformContext): Promise<DriverOutcome>;
  close(): Promise<void>;
}

export type DriverOutcome =
  | Extract<OutcomeResult, { kind: 'performed' | 'already' | 'refused' }>
  | { readonly kind: 'trouble'; readonly code: string; readonly evidence: string; readonly retry: 'now' | 'later' | 'never' };

/** One line of the registry. */
export interface FamilyEntry {
  readonly family: Family;
  makeDriver(ports: DriverPorts): Driver;
  /** Families whose devices ask for what they shall do: hosted by a daemon beside its passes. */
  makeResponder?(ports: ResponderPorts): Responder;
}
