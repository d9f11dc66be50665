import { SECOND_MS } from '#kit/duration.ts';
import { isSignedBy, readSas, type Sas } from '#kit/sas.ts';
import type { BrokerSession } from '#sim/broker-rules.ts';
import { HubError } from './errors.ts';
import type { TwinStore } from './twin-store.ts';
import { userName } from './topics.ts';

/** A shared access policy of the hub (docs/protocols/shadow-devices.md §8.4). */
export interface HubPolicy {
  /** Base64. */
  readonly keys: readonly string[];
  readonly permissions: readonly ('ServiceConnect' | 'DeviceConnect')[];
}

export interface AccessOptions {
  readonly host: string;
  /** By name; nobody is asked for anything when there is none. */
  readonly policies: ReadonlyMap<string, HubPolicy>;
  readonly twins: TwinStore;
  now(): number;
}

/** Until when a device may stay connected, in ms; null for as long as it likes, undefined where it may not connect. */
export type Stay = number | null | undefined;

/** Who may connect to a hub, and who may call it. */
export class HubAccess {
  readonly #options: AccessOptions;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Client id, user name and token must name one device; with a certificate there is no token (§8.1). */
  stay(session: BrokerSession, password: Uint8Array | null): Stay {
    const { host, policies, twins } = this.#options;
    if (policies.size === 0) return null;
    const named = userName(session.username ?? '');
    const identity = twins.identityOf(session.clientId);
    if (named === null || named.device !== session.clientId || named.host.toLowerCase() !== host || identity === undefined)
      return undefined;
    const text = password === null ? '' : Buffer.from(password).toString();
    if (text === '') return this.#isKnownBy(session) ? null : undefined;
    const sas = readSas(text);
    if (sas === null || !this.#opens(sas, `${host}/devices/${session.clientId}`)) return undefined;
    const signed = sas.policy === null ? (identity.keys ?? []) : this.#keysOf(sas.policy, 'DeviceConnect');
    return signed.some((key) => isSignedBy(sas, key)) ? sas.expiry * SECOND_MS : undefined;
  }

  #isKnownBy({ clientId, certificate }: BrokerSession): boolean {
    const identity = this.#options.twins.identityOf(clientId);
    if (certificate === null || identity === undefined) return false;
    if (identity.thumbprint !== undefined) return identity.thumbprint === certificate.fingerprint;
    return identity.certificateAuthority === true && certificate.subject.split(',').includes(`CN=${clientId}`);
  }

  /** Throws HubError IotHubUnauthorizedAccess for a call over HTTP without a good token. */
  checkCall(authorization: string | undefined): void {
    const { policies, host } = this.#options;
    if (policies.size === 0) return;
    const sas = readSas(authorization ?? '');
    const keys = sas?.policy == null ? [] : this.#keysOf(sas.policy, 'ServiceConnect');
    if (sas === null || !this.#opens(sas, host) || !keys.some((key) => isSignedBy(sas, key)))
      throw new HubError('IotHubUnauthorizedAccess', 'Unauthorized');
  }

  #keysOf(policy: string, permission: HubPolicy['permissions'][number]): readonly string[] {
    const found = this.#options.policies.get(policy);
    return found?.permissions.includes(permission) === true ? found.keys : [];
  }

  /** Its resource is what is asked for or lies above it, segment by segment, and it has not expired. */
  #opens({ resource, expiry }: Sas, wanted: string): boolean {
    if (expiry * SECOND_MS <= this.#options.now()) return false;
    // Older tools write the version of the API behind it (§8).
    const given = resource
      .toLowerCase()
      .replace(/\/api-version=[^/]*$/, '')
      .replace(/\/$/, '');
    return `${wanted.toLowerCase()}/`.startsWith(`${given}/`);
  }
}
