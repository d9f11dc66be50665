import type { Client } from 'aedes';
import type { BrokerSession } from './broker-rules.ts';
import type { PeerCertificate } from './peer-certificate.ts';

export interface BrokerAuth {
  /** Passwords by user name. */
  readonly users: Readonly<Record<string, string>>;
  /** Says who may do what; all who are known may do everything when left out. */
  allow?(user: string, action: 'publish' | 'subscribe', topic: string): boolean;
}

/** Who may connect: by the certificate that a client shows, null for none, and by its client id. */
export type Admission = (certificate: PeerCertificate | null, clientId: string) => boolean;

/** Who the clients of a broker are, and what they may do. */
export class BrokerAccess {
  readonly #auth: BrokerAuth | undefined;
  readonly #users = new WeakMap<Client, string>();
  readonly #sessions = new WeakMap<Client, BrokerSession>();
  readonly #certificates = new WeakMap<object, PeerCertificate>();
  #admission: Admission | null = null;

  constructor(auth: BrokerAuth | undefined) {
    this.#auth = auth;
  }

  /** What TLS showed on that connection; null for nothing. */
  show(socket: object, certificate: PeerCertificate | null): void {
    if (certificate !== null) this.#certificates.set(socket, certificate);
  }

  admit(admission: Admission | null): void {
    this.#admission = admission;
  }

  admits(client: Client): boolean {
    return this.#admission === null || this.#admission(this.certificate(client), client.id);
  }

  certificate(client: Client): PeerCertificate | null {
    return this.#certificates.get(client.conn) ?? null;
  }

  session(client: Client): BrokerSession {
    const { id: clientId, clean } = client;
    return this.#sessions.get(client) ?? { clientId, certificate: this.certificate(client), username: null, clean };
  }

  /** Takes note of who connects; the name is what the client claims. */
  begin(client: Client, username: string | null): void {
    this.#sessions.set(client, { ...this.session(client), username });
  }

  /** Whether that is the user's password. Everybody is let in where no users are declared. */
  knows(client: Client, user: string | undefined, password: string | undefined): boolean {
    if (this.#auth === undefined) return true;
    const { users } = this.#auth;
    if (user === undefined || !Object.hasOwn(users, user) || users[user] !== password) return false;
    this.#users.set(client, user);
    return true;
  }

  may(client: Client, action: 'publish' | 'subscribe', topic: string): boolean {
    if (this.#auth?.allow === undefined) return true;
    const user = this.#users.get(client);
    return user !== undefined && this.#auth.allow(user, action, topic);
  }
}
