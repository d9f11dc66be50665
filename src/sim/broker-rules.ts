import type { PeerCertificate } from './peer-certificate.ts';

/** One connection of a client, as it was let in. */
export interface BrokerSession {
  readonly clientId: string;
  readonly certificate: PeerCertificate | null;
  /** Null where the client named nobody. */
  readonly username: string | null;
  /** Whether it asked for a session that ends with the connection. */
  readonly clean: boolean;
}

export interface BrokerMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: number;
  readonly retain: boolean;
}

/** A message that the broker itself publishes; not retained unless it says so. */
export type HouseMessage = Omit<BrokerMessage, 'retain'> & { readonly retain?: boolean };

/** Why a connection ended. `taken-over`: by a new one of the same client id. */
export type Departure = 'client' | 'taken-over' | 'server' | 'protocol' | 'keep-alive' | 'lost';

/** What the owner of a broker makes of it beyond MQTT: reserved topics, and how much is too much. */
export interface BrokerRules {
  /** Who may connect, by what the client shows and says; whoever is admitted when left out. */
  connect?(session: BrokerSession, password: Uint8Array | null): boolean;
  /** `ignore` acknowledges the message and forgets it; `refuse` ends the connection. `will`: of a client that is gone. */
  publish(session: BrokerSession, message: BrokerMessage & { readonly will: boolean }): 'take' | 'ignore' | 'refuse';
  /** Called for each message that was let in, after it went to those who listen. */
  taken(session: BrokerSession, message: BrokerMessage): void;
  /** Whether this filter is granted, beside so many that stand. */
  subscribe(session: BrokerSession, filter: { readonly topic: string; readonly qos: number; readonly standing: number }): boolean;
  /** How long a persistent session outlives its connection. */
  readonly sessionMs: number;
  /** Whether one SUBSCRIBE may hold so many filters; else the connection ends. */
  filters(count: number): boolean;
  /** Whether a retained message goes to a client that has these filters. */
  retained(topic: string, filters: readonly string[]): boolean;
}
