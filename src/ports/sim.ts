import type { Json } from '#kit/canonical.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { MessageBus } from './message-bus.ts';
import type { ObjectStore } from './object-store.ts';
import type { WireError } from './wire-error.ts';
import type { HttpAnswer } from './wires.ts';

export interface SimWill {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

/** The broker that a device is configured for, where that is not simply the one it was given. */
export interface SimEndpoint {
  readonly host: string;
  /** Null for the port that belongs to the scheme. */
  readonly port: number | null;
  readonly tls: boolean;
}

/** What a device shows a broker; members that it does not have are null. PEM texts. */
export interface SimCredentials {
  readonly cert: string | null;
  readonly key: string | null;
  readonly ca: string | null;
  readonly username: string | null;
  readonly password: string | null;
}

/** The S3 server that a device is configured for. */
export interface SimS3Address {
  /** `https://s3.example.org`, without a port. */
  readonly endpoint: string;
  readonly port: number | null;
  readonly bucket: string | null;
}

export interface SimS3Server {
  /** What it shows to whoever connects by TLS: DER, its own certificate first. Null when that was never said. */
  readonly chain: readonly Uint8Array[] | null;
  open(): Promise<ObjectStore>;
}

/** What a simulated device may touch: its own connections, as the real one has them. */
export interface SimPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Seeded, in [0, 1). */
  random(): number;
  /** Connects as the device does. Closing without `graceful` drops the connection, so that the will is sent. */
  connect(options: {
    readonly clientId: string;
    readonly clean: boolean;
    readonly keepAliveSeconds: number;
    readonly will: SimWill | null;
    readonly endpoint?: SimEndpoint;
    readonly credentials?: SimCredentials;
  }): Promise<SimConnection>;
  /** The bucket behind an endpoint as the device is configured; throws WireError when it cannot be reached. */
  objects(): Promise<ObjectStore>;
  /**
   * The server under an address, null when there is none. Undefined, or left out, in a world whose servers have no
   * addresses: a device finds the bucket it was given as long as it is told to use the server that it began with.
   */
  server?(address: SimS3Address): SimS3Server | null | undefined;
  /** The device's own HTTP GET; throws WireError when the connection fails. */
  get(url: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer>;
}

export interface SimConnection {
  readonly bus: MessageBus;
  /** Called once when the connection is gone for whatever cause. */
  onLost(listener: () => void): void;
  drop(): Promise<void>;
}

/** Who wants to know how simulated devices fare at their broker. */
export interface ConnectionWatch {
  connected(device: string): void;
  /** It does not get in, or `isCut`: the other side ended a connection that stood. */
  failed(device: string, trouble: { readonly error: WireError; readonly isCut: boolean }): void;
}

/** What really happened at a device: what tests count, instead of calls. */
export interface SimEffect {
  readonly at: number;
  /** `flash`, `program`, `config`, `reboot`, `download`: the family's own words. */
  readonly kind: string;
  readonly detail: string;
}

/** A simulated device that speaks the real wire. Faults are the family's own names, listed in its readme. */
export interface SimDevice {
  readonly id: string;
  powerOn(): Promise<void>;
  powerOff(): Promise<void>;
  /** Switches a fault on (`true`, or a parameter) or off (`false`). Throws on a name the family does not know. */
  fault(name: string, value: Json): void;
  readonly faults: readonly string[];
  /** The truth: what is really on the device. Keys are item names; values as a report would show them. */
  truth(): Readonly<Record<string, string>>;
  /** The truth of an item that shows only against what is declared: settings, files. Undefined where `truth` has it. */
  truthOf?(item: string, facts: Json): string | undefined;
  /** Why it would not reach the server that it is told to use, null when it would; whether or not it has power now. */
  outOfReach?(): string | null;
  readonly effects: readonly SimEffect[];
  readonly powered: boolean;
}
