import { open, type FileHandle } from 'node:fs/promises';
import type { Presence, SeenConnection } from '#ports/presence.ts';
import { WireError } from '#ports/wire-error.ts';

/** One look reads no more than this; a log that grew by more is read on at the next look. */
const MOST_BYTES_AT_ONCE = 64 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
/** Of the beginning of a log: a stamp, and what follows on it. */
const HEAD_BYTES = 256;
/** Longer than any line that mosquitto writes of a connection: the rest of a longer one is passed over. */
const LONGEST_LINE = 4096;
/** Client ids that are remembered: a broker that is scanned must not fill our memory. */
const MOST_CLIENTS = 200_000;

/**
 * A connection as mosquitto logs it, null for any other line:
 * `1763971200: New client connected from 10.0.0.7:49152 as CR1000X_70681 (p2, c0, k60, u'CN=moor-house').`
 * With `use_subject_as_username` the user is the subject of the certificate; a client chooses its id, so that the last
 * bracket of the line counts, whatever stands in the id.
 */
export function connectionLine(line: string): SeenConnection | null {
  const [, stamp, clientId, user] = /^(\S+): New client connected from \S+ as (.*) \(p\d+, c\d+, k\d+(?:, u'(.*)')?\)\.$/.exec(line) ?? [];
  const at = stamp === undefined ? null : instantOf(stamp);
  if (at === null || clientId === undefined) return null;
  return { clientId, fingerprint: null, subject: user === undefined || user === '' ? null : user, at };
}

/** Seconds since 1970, or what `log_timestamp_format %Y-%m-%dT%H:%M:%S%z` writes; without a zone in that of this machine. */
function instantOf(stamp: string): number | null {
  if (/^\d{9,11}$/.test(stamp)) return Number(stamp) * 1000;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/.test(stamp)) return null;
  const at = Date.parse(stamp.replace(/([+-]\d\d)(\d\d)$/, '$1:$2'));
  return Number.isNaN(at) ? null : at;
}

/**
 * Reads the log as it grows, from its beginning on: the connections of a file that was rotated away meanwhile stay
 * remembered for as long as we run. Throws WireError where it cannot be read.
 */
export function openLogPresence(path: string): Presence {
  return new LogPresence(path);
}

class LogPresence implements Presence {
  readonly #path: string;
  readonly #newest = new Map<string, SeenConnection>();
  #inode: bigint | null = null;
  /** How the file begins: one that was cut and has grown again is told by it. */
  #head = '';
  #offset = 0;
  #rest = '';
  /** The beginning of a line that is too long was dropped: its end is no line. */
  #skipping = false;
  #reading: Promise<void> | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  async newest(clientIds: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, SeenConnection>> {
    this.#reading ??= this.#readOn(signal).finally(() => (this.#reading = null));
    await this.#reading;
    return new Map(
      clientIds.flatMap((id) => {
        const seen = this.#newest.get(id);
        return seen === undefined ? [] : [[id, seen] as const];
      }),
    );
  }

  close(): Promise<void> {
    this.#newest.clear();
    return Promise.resolve();
  }

  async #readOn(signal: AbortSignal): Promise<void> {
    let file: FileHandle | null = null;
    try {
      file = await open(this.#path, 'r');
      const { ino, size } = await file.stat({ bigint: true });
      const head = await headOf(file);
      // Another file under the same name, or the same one cut: it begins anew.
      if (ino !== this.#inode || size < BigInt(this.#offset) || !head.startsWith(this.#head)) this.#begin(ino);
      this.#head = head;
      await this.#take(file, Math.min(Number(size), this.#offset + MOST_BYTES_AT_ONCE), signal);
    } catch (error) {
      if (signal.aborted) throw new WireError('ABORTED', 'later', 'reading the log of the broker was called off');
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNREADABLE';
      throw new WireError(code, 'later', `the log of the broker cannot be read: ${code} ${this.#path}`);
    } finally {
      await file?.close();
    }
  }

  #begin(inode: bigint): void {
    this.#inode = inode;
    this.#offset = 0;
    this.#rest = '';
    this.#skipping = false;
  }

  async #take(file: FileHandle, end: number, signal: AbortSignal): Promise<void> {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    while (this.#offset < end) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - this.#offset), this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      this.#lines(buffer.toString('latin1', 0, bytesRead));
    }
  }

  #lines(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const whole = !this.#skipping;
      this.#skipping = false;
      const seen = whole && line.length <= LONGEST_LINE ? connectionLine(Buffer.from(line, 'latin1').toString('utf8').trimEnd()) : null;
      if (seen !== null) this.#remember(seen);
    }
    if (this.#rest.length <= LONGEST_LINE) return;
    this.#rest = '';
    this.#skipping = true;
  }

  #remember(seen: SeenConnection): void {
    this.#newest.delete(seen.clientId);
    this.#newest.set(seen.clientId, seen);
    if (this.#newest.size <= MOST_CLIENTS) return;
    const oldest = this.#newest.keys().next();
    if (oldest.done !== true) this.#newest.delete(oldest.value);
  }
}

async function headOf(file: FileHandle): Promise<string> {
  const buffer = Buffer.allocUnsafe(HEAD_BYTES);
  const { bytesRead } = await file.read(buffer, 0, HEAD_BYTES, 0);
  return buffer.toString('latin1', 0, bytesRead);
}
