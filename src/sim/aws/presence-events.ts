import type { BrokerSession, Departure, HouseMessage } from '#sim/broker-rules.ts';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import type { AwsFaults } from './faults.ts';
import { idOf } from './registry.ts';

/** The newest connection of a client id. Times in ms. */
export interface ConnectionRecord {
  readonly session: BrokerSession;
  readonly sessionIdentifier: string;
  readonly versionNumber: number;
  readonly connectedSince: number;
  /** Null while it is connected. */
  readonly left: { readonly at: number; readonly reason: string } | null;
}

export interface PresenceEventsOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly faults: AwsFaults;
  publish(message: HouseMessage): void;
}

/** As AWS words it: docs/protocols/aws-iot.md §13. */
const REASONS: Readonly<Record<Departure, string>> = {
  client: 'CLIENT_INITIATED_DISCONNECT',
  'taken-over': 'DUPLICATE_CLIENTID',
  server: 'SERVER_INITIATED_DISCONNECT',
  protocol: 'CLIENT_ERROR',
  'keep-alive': 'MQTT_KEEP_ALIVE_TIMEOUT',
  lost: 'CONNECTION_LOST',
};
/** What GetConnection still tells of a client that left (§4.3). */
const REMEMBERED_MS = 30 * MINUTE_MS;

/** Who is connected by which certificate, told on `$aws/events/presence/connected|disconnected/CLIENT`. */
export class PresenceEvents {
  readonly #options: PresenceEventsOptions;
  readonly #records = new Map<string, ConnectionRecord>();
  #count = 0;

  constructor(options: PresenceEventsOptions) {
    this.#options = options;
  }

  arrived(session: BrokerSession): void {
    const { clientId } = session;
    const now = this.#options.clock.now();
    const before = this.#records.get(clientId);
    // The count begins anew for a client that was away for about an hour.
    const continues = before !== undefined && (before.left === null || now - before.left.at <= HOUR_MS);
    this.#count += 1;
    const record = {
      session,
      sessionIdentifier: idOf(`session ${clientId} ${this.#count}`),
      versionNumber: continues ? before.versionNumber + 1 : 0,
      connectedSince: now,
      left: null,
    };
    this.#records.set(clientId, record);
    this.#tell('connected', record, { ipAddress: '127.0.0.1' });
  }

  left(session: BrokerSession, why: Departure): void {
    const record = this.#records.get(session.clientId);
    if (record === undefined) return;
    const disconnectReason = REASONS[why];
    this.#records.set(session.clientId, { ...record, left: { at: this.#options.clock.now(), reason: disconnectReason } });
    this.#tell('disconnected', record, { clientInitiatedDisconnect: why === 'client', disconnectReason });
  }

  /** Null where it never was, or left so long ago that AWS tells no more; `forever` for the index. */
  of(clientId: string, forever = false): ConnectionRecord | null {
    const record = this.#records.get(clientId) ?? null;
    if (forever || record === null || record.left === null) return record;
    return this.#options.clock.now() - record.left.at > REMEMBERED_MS ? null : record;
  }

  #tell(eventType: 'connected' | 'disconnected', record: ConnectionRecord, more: object): void {
    const { clientId, certificate } = record.session;
    // A client id with wildcards gets no events (§3).
    if (/[#+]/.test(clientId)) return;
    const event = {
      clientId,
      timestamp: this.#options.clock.now() + this.#options.faults.presenceSkewMs,
      eventType,
      sessionIdentifier: record.sessionIdentifier,
      ...(certificate === null ? {} : { principalIdentifier: certificate.fingerprint }),
      ...more,
      versionNumber: record.versionNumber,
    };
    const topic = `$aws/events/presence/${eventType}/${clientId}`;
    this.#options.publish({ topic, payload: Buffer.from(JSON.stringify(event)), qos: 1 });
  }
}
