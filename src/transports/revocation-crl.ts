import { X509Certificate } from 'node:crypto';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { sha256 } from '#kit/digest.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import type { Revocation } from '#ports/presence.ts';
import { WireError } from '#ports/wire-error.ts';
import { readCrl, serialOf, withRevoked, type RevokingCa } from './crl.ts';

/** How long a broker gets to read its list again after SIGHUP. */
const RELOAD_MS = SECOND_MS;

export interface CrlRevocationOptions {
  /** The connection, for messages. */
  readonly connection: string;
  /** `crlfile` of the broker. */
  readonly path: string;
  /** Files of the CA that signed the devices' certificates, and of the broker's process id; null where not given. */
  readonly caFile: string | null;
  readonly keyFile: string | null;
  readonly pidFile: string | null;
  readonly clock: Clock;
}

/**
 * Withdraws by a certificate revocation list that the broker of this machine reads: `crlfile` of mosquitto, read again
 * at SIGHUP. Asking needs the list alone; withdrawing needs the CA, its key and the process id. A client that is connected
 * stays so: the list keeps it from coming back.
 */
export function openCrlRevocation(options: CrlRevocationOptions): Revocation {
  return new CrlRevocation(options);
}

class CrlRevocation implements Revocation {
  readonly #options: CrlRevocationOptions;
  #read: { readonly stamp: string; readonly serials: ReadonlySet<string>; readonly issuer: string } | null = null;
  #writing: Promise<void> = Promise.resolve();
  /** By digest of a certificate: its serial number, null for one of another CA. Asked for each device in each pass. */
  readonly #serials = new Map<string, string | null>();

  constructor(options: CrlRevocationOptions) {
    this.#options = options;
  }

  async state(certificate: Uint8Array): Promise<'accepted' | 'withdrawn' | 'unknown'> {
    const list = await this.#list();
    const serial = list === null ? null : await this.#serialOf(certificate);
    if (list === null || serial === null) return 'unknown';
    return list.serials.has(serial) ? 'withdrawn' : 'accepted';
  }

  withdraw(certificate: Uint8Array, signal: AbortSignal): Promise<void> {
    const writing = this.#writing.then(() => this.#withdraw(certificate, signal));
    this.#writing = writing.catch(() => undefined);
    return writing;
  }

  close(): Promise<void> {
    return this.#writing;
  }

  async #withdraw(certificate: Uint8Array, signal: AbortSignal): Promise<void> {
    const { path, clock, pidFile } = this.#options;
    const ca: RevokingCa = { certificate: await this.#needed('caFile', 'CA'), key: await this.#needed('keyFile', 'KEY') };
    const pid = await this.#pid(pidFile);
    signal.throwIfAborted();
    const list = await withRevoked(await readIfThere(path), { certificate, ca, at: clock.now() });
    if (list !== null) await replace(path, list);
    // Also where it was in the list already: nobody knows whether the broker has read that one.
    try {
      process.kill(pid, 'SIGHUP');
    } catch {
      throw new WireError(
        'BROKER_GONE',
        'later',
        `${this.#options.connection}: no process ${pid} could be told to read its revocation list`,
      );
    }
    await clock.sleep(RELOAD_MS, signal);
  }

  async #list(): Promise<{ readonly serials: ReadonlySet<string> } | null> {
    const { path } = this.#options;
    const stamp = await stat(path, { bigint: true }).then(
      ({ mtimeNs, size, ino }) => `${mtimeNs} ${size} ${ino}`,
      () => null,
    );
    if (stamp === null) return null;
    if (this.#read?.stamp !== stamp) this.#read = { stamp, ...(await readCrl(await readFile(path))) };
    return this.#read;
  }

  /** Serial numbers are unique within one CA only. */
  async #serialOf(certificate: Uint8Array): Promise<string | null> {
    const key = sha256(certificate);
    const known = this.#serials.get(key);
    if (known !== undefined) return known;
    const ca = await this.#ca();
    if (ca === null) return null;
    const asked = new X509Certificate(certificate);
    const serial = asked.verify(ca.publicKey) ? serialOf(asked) : null;
    this.#serials.set(key, serial);
    return serial;
  }

  async #ca(): Promise<X509Certificate | null> {
    const { caFile } = this.#options;
    const bytes = caFile === null ? null : await readIfThere(caFile);
    try {
      return bytes === null ? null : new X509Certificate(bytes);
    } catch {
      throw new WireError('BAD_CRL_CA', 'never', `${this.#options.connection}: HEADGATE_CRL_CA names no certificate`);
    }
  }

  async #needed(name: 'caFile' | 'keyFile', variable: string): Promise<Uint8Array> {
    const { [name]: file, connection } = this.#options;
    const bytes = file === null ? null : await readIfThere(file);
    if (bytes !== null) return bytes;
    const why = file === null ? 'is not set' : 'names a file that cannot be read';
    throw new WireError('MISSING_ENV', 'never', `${connection}: the environment variable HEADGATE_CRL_${variable} ${why}`);
  }

  async #pid(file: string | null): Promise<number> {
    const { connection } = this.#options;
    const text = file === null ? null : await readIfThere(file);
    const pid = Number(
      Buffer.from(text ?? '')
        .toString('latin1')
        .trim(),
    );
    if (Number.isInteger(pid) && pid > 1) return pid;
    const why = file === null ? 'is not set' : 'names a file without a process id';
    throw new WireError('MISSING_ENV', 'never', `${connection}: the environment variable HEADGATE_BROKER_PID ${why}`);
  }
}

async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path);
  } catch {
    return null;
  }
}

/** At once and for good: a broker never reads half a list, and a power cut leaves the old one or the new one. */
async function replace(path: string, text: string): Promise<void> {
  const next = `${path}.next`;
  try {
    const file = await open(next, 'w', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNWRITABLE';
    throw new WireError(code, 'never', `the revocation list cannot be written: ${code} ${path}`);
  }
}
