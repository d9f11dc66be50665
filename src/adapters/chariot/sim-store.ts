import { compareText } from '#kit/diagnostics.ts';

/** A certificate with its key, both PEM: a directory of the store. */
export interface StoredCertificate {
  /** SHA-256 of the DER in lower-case hex: the certificate id, and the name of the directory. */
  readonly id: string;
  readonly certificate: string;
  readonly key: string;
  /** When it was issued, as the agent notes it. */
  readonly issuedAt: number;
}

/**
 * The certificate store of chariotd (docs/protocols/shadow-devices.md §2.9): a directory for each certificate, and
 * `preferred`, which points to the one in use and is set once only, to the alphabetically first.
 */
export class CertificateStore {
  readonly #directories = new Map<string, StoredCertificate>();
  #preferred: string | null = null;

  constructor(certificates: readonly StoredCertificate[]) {
    for (const one of certificates) this.add(one);
  }

  /** Oldest first. */
  get all(): readonly StoredCertificate[] {
    return [...this.#directories.values()].toSorted((a, b) => a.issuedAt - b.issuedAt || compareText(a.id, b.id));
  }

  /** What a daemon that starts takes; null for an empty store. */
  choose(): StoredCertificate | null {
    this.#preferred ??= [...this.#directories.keys()].toSorted(compareText)[0] ?? null;
    return this.#directories.get(this.#preferred ?? '') ?? null;
  }

  /** `preferred` stays where it points. */
  add(certificate: StoredCertificate): void {
    this.#directories.set(certificate.id, certificate);
  }

  /** What an agent does that knows better than chariotd. */
  preferNewest(): void {
    this.#preferred = this.all.at(-1)?.id ?? null;
  }

  /** What rotation after too many errors means to do: the one after the preferred, in the order of the directories. */
  preferNext(): void {
    const ids = [...this.#directories.keys()].toSorted(compareText);
    this.#preferred = ids[(ids.indexOf(this.#preferred ?? '') + 1) % ids.length] ?? null;
  }
}
