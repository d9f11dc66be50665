import type { Instant } from '#model/ids.ts';

/** A connection that a broker accepted, as its own record tells: the only proof of which certificate a device uses. */
export interface SeenConnection {
  readonly clientId: string;
  /** SHA-256 of the DER client certificate in lower-case hex; null where the record does not tell. */
  readonly fingerprint: string | null;
  /** Subject of the client certificate as RFC 4514 or the broker's own text; null where the record does not tell. */
  readonly subject: string | null;
  /** When it was accepted, in the broker's clock. */
  readonly at: Instant;
}

/** `presence:` of an mqtt connection: who the broker saw. Throws WireError. */
export interface Presence {
  /** The newest accepted connection of each of these client ids, as far back as the record goes. */
  newest(clientIds: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, SeenConnection>>;
  close(): Promise<void>;
}

/** `withdraw:` of an mqtt connection: how a certificate is made worthless at the broker. Throws WireError. */
export interface Revocation {
  /** Whether the broker would still accept this certificate (DER); `unknown` where it cannot tell. */
  state(certificate: Uint8Array, signal: AbortSignal): Promise<'accepted' | 'withdrawn' | 'unknown'>;
  /** Repeating it changes nothing. Durable, and in force at the broker, when it resolves. */
  withdraw(certificate: Uint8Array, signal: AbortSignal): Promise<void>;
  /** The same where a service knows certificates by their fingerprints: for those whose bytes nobody has here. Else left out. */
  readonly byFingerprint?: FingerprintRevocation;
  close(): Promise<void>;
}

/** What a service says of a certificate that it knows; one that it does not know lets nobody in. */
export interface CertificateStanding {
  readonly state: 'accepted' | 'withdrawn' | 'unknown';
  /** When the service issued or registered it, in its own clock; null where it does not say. */
  readonly issuedAt: Instant | null;
}

/** Fingerprints are SHA-256 of the DER, 64 digits of lower-case hex. Throws WireError. */
export interface FingerprintRevocation {
  standing(fingerprint: string, signal: AbortSignal): Promise<CertificateStanding>;
  /** Things that connect by it, as far as the service knows; in no order, and not all where there are hundreds. */
  holders(fingerprint: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Repeating it changes nothing. Can be undone by a person. */
  withdraw(fingerprint: string, signal: AbortSignal): Promise<void>;
}
