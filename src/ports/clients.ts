import type { SigningCredentials } from '#kit/sigv4.ts';
import type { Clock } from './clock.ts';
import type { DeviceMethods } from './device-methods.ts';
import type { Mdash } from './mdash.ts';
import type { MessageBus } from './message-bus.ts';
import type { ObjectStore } from './object-store.ts';
import type { Presence, Revocation } from './presence.ts';
import type { SimWill } from './sim.ts';
import type { Shadows } from './shadows.ts';
import type { WireError } from './wire-error.ts';
import type { AwsIotConnection, AzureIotConnection, HttpAnswer, S3Connection } from './wires.ts';

/** How one MQTT connection is made. PEM texts and secrets are plain by now: references were resolved before. */
export interface BusOptions {
  /** `mqtt://host[:port]` or `mqtts://host[:port]`; with `streamBuilder` only a name for error messages. */
  readonly url: string;
  readonly clientId: string;
  readonly clean: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly ca?: string | Uint8Array;
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  readonly will?: SimWill;
  /** 60 by default; 0 sends no pings. Always real time. */
  readonly keepAliveSeconds?: number;
  /** Stamps messages and paces reconnection. */
  readonly clock: Clock;
  /** Measures connect, acknowledge and settle limits; real time by default. */
  readonly limitClock?: Clock;
  /** A Duplex in the place of a socket. */
  readonly streamBuilder?: () => NodeJS.ReadWriteStream;
  /** `headgate/marker/<clientId>` by default. null: no marker, as devices connect; nothing is held to be old then. */
  readonly markerTopic?: string | null;
  /** True by default: a lost connection is made again, with back-off, until `close`. */
  readonly reconnect?: boolean;
  /** Only that protocol; both are tried by default, the newer first. */
  readonly protocol?: 4 | 5;
  /** Longest message taken in, in bytes (1 MiB by default); a longer one is skipped and counted in `skipped`. */
  readonly maxPacketBytes?: number;
}

/** A message bus with what a simulated device and a daemon need to know of its connection. */
export interface LiveBus extends MessageBus {
  readonly connected: boolean;
  /** Why the connection is gone; null where it stands, or where we ended it ourselves. Left out where nobody knows. */
  readonly trouble?: WireError | null;
  /** Messages that were not taken in: longer than the limit, or pushed out of a full backlog. */
  readonly skipped: number;
  /** Called each time the connection is gone, for whatever cause, `close` and `drop` included. */
  onLost(listener: () => void): void;
  /** Called each time a lost connection stands again, subscriptions included. */
  onRestored(listener: () => void): void;
  /** Cuts the connection without a goodbye, so that the broker sends the will, and leaves it cut. */
  drop(): Promise<void>;
}

export type OpenBus = (options: BusOptions, signal?: AbortSignal) => Promise<LiveBus>;

/** What talks to servers over the network: made in transports, handed to the simulated world. */
export interface NetworkClients {
  openBus: OpenBus;
  openObjects(connection: S3Connection, credentials: SigningCredentials): Promise<ObjectStore>;
  get(
    url: string,
    options: { readonly maxBytes: number; readonly headers?: Readonly<Record<string, string>> },
    signal?: AbortSignal,
  ): Promise<HttpAnswer>;
  /** AWS IoT that answers in this process; nothing is signed for anybody. */
  openShadows(connection: AwsIotConnection, options: { readonly clock: Clock; readonly exchange: HttpExchange }): Promise<Shadows>;
  /** An Azure IoT hub that answers in this process. */
  openTwins(connection: AzureIotConnection, options: { readonly clock: Clock; readonly exchange: HttpExchange }): Shadows;
  /** Its direct methods. */
  openMethods(connection: AzureIotConnection, options: { readonly clock: Clock; readonly exchange: HttpExchange }): DeviceMethods;
  /** mDash that answers in this process. */
  openMdash(options: { readonly url: string; readonly key: string; readonly clock: Clock; readonly exchange: HttpExchange }): Mdash;
  shadowsOverBus(bus: MessageBus, options: { readonly clock: Clock }): Shadows;
  /** `presence: aws`, heard on a bus that stays the caller's. */
  presenceOverBus(bus: MessageBus): Promise<Presence>;
  /** `withdraw: aws` by an account that answers in this process. */
  openAwsRevocation(options: { readonly region: string; readonly clock: Clock; readonly exchange: HttpExchange }): Promise<Revocation>;
}

/** One call over HTTP without a socket. `target` is path and query, percent-encoded; header names in lower case. */
export type HttpExchange = (request: {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Ends the wait for an answer where it is over a network. */
  readonly signal?: AbortSignal;
}) => Promise<HttpAnswer>;
