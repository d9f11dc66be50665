import type { Secret } from '#kit/secret.ts';
import type { ConnectionDeclaration } from '#model/declared.ts';
import type { DeviceMethods } from './device-methods.ts';
import type { Mdash } from './mdash.ts';
import type { MessageBus } from './message-bus.ts';
import type { ObjectStore } from './object-store.ts';
import type { Presence, Revocation } from './presence.ts';
import type { Shadows } from './shadows.ts';

export type MqttConnection = Extract<ConnectionDeclaration, { type: 'mqtt' }>;
export type S3Connection = Extract<ConnectionDeclaration, { type: 's3' }>;
export type AwsIotConnection = Extract<ConnectionDeclaration, { type: 'aws-iot' }>;
export type MdashConnection = Extract<ConnectionDeclaration, { type: 'mdash' }>;
export type AzureIotConnection = Extract<ConnectionDeclaration, { type: 'azure-iot' }>;
/** A bus that shadows are kept behind; it stays the caller's to close. */
export interface ShadowBus {
  readonly type: 'mqtt';
  readonly name: string;
  readonly bus: MessageBus;
}

export interface MqttSession {
  /** `holder`: the declared client id with a persistent session. `reader`: a random id and a clean session. */
  readonly role: 'holder' | 'reader';
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
}

/** How connections are opened: over the network in production, within the process in scenarios. Throws WireError. */
export interface Wires {
  /** `signal` ends an attempt that is under way; a connection that stands by then is not touched. */
  bus(connection: MqttConnection, session: MqttSession, signal?: AbortSignal): Promise<MessageBus>;
  objects(connection: S3Connection): Promise<ObjectStore>;
  /**
   * Shadows over HTTP of an `aws-iot` connection, twins of an `azure-iot` one as classic shadows; over MQTT of a bus of an
   * `mqtt` connection. Left out where there are none.
   */
  shadows?(connection: AwsIotConnection | AzureIotConnection | ShadowBus): Promise<Shadows>;
  /** Direct methods of an `azure-iot` connection. Left out where there are none. */
  methods?(connection: AzureIotConnection): Promise<DeviceMethods>;
  /** The account of an `mdash` connection. Left out where there is none. */
  mdash?(connection: MdashConnection): Promise<Mdash>;
  get(
    url: string,
    options: { readonly maxBytes: number; readonly headers?: Readonly<Record<string, string>> },
    signal?: AbortSignal,
  ): Promise<HttpAnswer>;
  /** See DriverPorts.serverChain. Left out where there is no way to ask. */
  serverChain?(
    server: { readonly endpoint: string; readonly port: number | null },
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[] | null>;
  /** The `rpcPassword` of a connection, null where it has none. Left out: null. Throws WireError MISSING_ENV. */
  rpcPassword?(connection: MqttConnection): Secret<string> | null;
  /**
   * Who the broker of a connection saw, as its `presence` says; null where it says `none` or nothing. Left out: null.
   * `bus` opens the connection, where the broker itself tells; it stays the caller's to close.
   */
  presence?(connection: MqttConnection, bus: () => Promise<MessageBus>): Promise<Presence | null>;
  /** How a certificate is withdrawn at the broker, as its `withdraw` says; null where a person does it. Left out: null. */
  revocation?(connection: MqttConnection): Promise<Revocation | null>;
}
