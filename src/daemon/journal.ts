import {
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { deviceId } from '#model/ids.ts';
import type { Journal, JournalEntry } from '#ports/responder.ts';

const FILE = 'journal.ndjson';
const LOCK = 'journal.lock';
/** Rewritten when it is longer than this and four times what is still of use. */
const LONGEST_BYTES = 64 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

const sync = promisify(fdatasync);

export interface JournalOptions {
  /** A folder of this process's machine; made when it is not there. */
  readonly dir: string;
  /** `writer`: the responder's own, one process at a time. `reader`: passes beside a responder of another process. */
  readonly role: 'writer' | 'reader';
  /** When a writer rewrites it, in bytes; 64 MiB when left out. */
  readonly longestBytes?: number;
}

export interface OpenedJournal extends Journal {
  close(): Promise<void>;
}

interface Known {
  readonly number: number;
  readonly bytes: number;
  readonly entry: JournalEntry;
}

/**
 * What responders told devices, as lines of JSON in one file: appended with one write, so that a killed process has lost
 * nothing, and synced where a power cut must not lose it either. Answers IN_USE when another process writes there, and
 * UNUSABLE with the cause when the folder cannot be written.
 */
export function openJournal(
  options: JournalOptions,
): Result<OpenedJournal, { readonly code: 'IN_USE' | 'UNUSABLE'; readonly message: string }> {
  const { dir, role } = options;
  let lock: DatabaseSync | null = null;
  try {
    mkdirSync(dir, { recursive: true });
    if (role === 'reader') return ok(new TailingJournal(join(dir, FILE)));
    lock = takeLock(join(dir, LOCK));
    if (lock === null)
      return err({ code: 'IN_USE', message: `another process writes the journal in ${dir}; give this one a --state of its own` });
    return ok(new WritingJournal(join(dir, FILE), lock, options.longestBytes ?? LONGEST_BYTES));
  } catch (error) {
    lock?.close();
    if (!(error instanceof Error)) throw error;
    return err({ code: 'UNUSABLE', message: `no journal can be kept in ${dir}: ${error.message}` });
  }
}

/** The system gives the lock back when the process ends, however it ends. Null while another one has it. */
function takeLock(path: string): DatabaseSync | null {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return null;
    throw error;
  }
}

/** The newest entry of each device, in order of writing. */
class Newest {
  readonly #known = new Map<string, Known>();
  last = 0;
  bytes = 0;

  put(entry: JournalEntry, number: number, bytes: number): void {
    const key = `${entry.family} ${entry.device}`;
    this.bytes += bytes - (this.#known.get(key)?.bytes ?? 0);
    // Deleted first, so that it comes behind all the others.
    this.#known.delete(key);
    this.#known.set(key, { number, bytes, entry });
    this.last = Math.max(this.last, number);
  }

  after(position: number): readonly JournalEntry[] {
    const entries: JournalEntry[] = [];
    for (const { number, entry } of this.#known.values()) if (number > position) entries.push(entry);
    return entries;
  }

  lines(): string {
    return [...this.#known.values()].map(({ number, entry }) => lineOf(number, entry)).join('');
  }

  takeLine(line: Buffer): void {
    const read = entryOf(line);
    if (read !== null) this.put(read.entry, read.number, line.length + 1);
  }
}

class WritingJournal implements OpenedJournal {
  readonly #path: string;
  readonly #lock: DatabaseSync;
  readonly #longest: number;
  readonly #newest = new Newest();
  #file: number;
  #length: number;
  #scratch = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** The end of the file is no whole line: the next one must not be glued to it. */
  #torn: boolean;

  constructor(path: string, lock: DatabaseSync, longest: number) {
    this.#path = path;
    this.#lock = lock;
    this.#longest = longest;
    this.#file = openSync(path, 'a+', 0o600);
    const { end, rest } = readLines(this.#file, 0, (line) => this.#newest.takeLine(line));
    this.#length = end + rest;
    this.#torn = rest > 0;
    this.#shorten();
  }

  async append(entries: readonly JournalEntry[], durability: 'process' | 'disk'): Promise<void> {
    let number = this.#newest.last;
    let text = '';
    const lengths: number[] = [];
    for (const entry of entries) {
      const line = lineOf((number += 1), entry);
      lengths.push(line.length);
      text += line;
    }
    this.#write(text);
    number = this.#newest.last;
    for (const [index, entry] of entries.entries()) this.#newest.put(entry, (number += 1), lengths[index] ?? 0);
    if (durability === 'disk') await sync(this.#file);
    this.#shorten();
  }

  async read(after: number) {
    return { entries: this.#newest.after(after), position: this.#newest.last };
  }

  async close(): Promise<void> {
    fsyncSync(this.#file);
    closeSync(this.#file);
    this.#lock.close();
  }

  #write(text: string): void {
    const whole = this.#torn ? `\n${text}` : text;
    // At most three bytes for each unit of the text: no buffer of its own for each write.
    if (this.#scratch.length < 3 * whole.length) this.#scratch = Buffer.allocUnsafeSlow(6 * whole.length);
    const length = this.#scratch.write(whole, 0, 'utf8');
    this.#torn = true;
    for (let from = 0; from < length;) from += writeSync(this.#file, this.#scratch, from, length - from);
    this.#torn = false;
    this.#length += length;
  }

  #shorten(): void {
    if (this.#length < this.#longest || this.#length < 4 * this.#newest.bytes) return;
    const bytes = Buffer.from(this.#newest.lines());
    const fresh = openSync(`${this.#path}.new`, 'w+', 0o600);
    for (let from = 0; from < bytes.length;) from += writeSync(fresh, bytes, from);
    fsyncSync(fresh);
    closeSync(fresh);
    renameSync(`${this.#path}.new`, this.#path);
    const file = openSync(this.#path, 'a+', 0o600);
    // A sync that is under way on the old one keeps its number until it has ended.
    const old = this.#file;
    void sync(old)
      .catch(() => undefined)
      .finally(() => closeSync(old));
    this.#file = file;
    this.#length = bytes.length;
    this.#torn = false;
  }
}

/** Follows the file of another process. A file that was rewritten is read from its beginning; numbers stay what they were. */
class TailingJournal implements OpenedJournal {
  readonly #path: string;
  #newest = new Newest();
  #file: number | null = null;
  #inode = 0;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  append(): Promise<void> {
    return Promise.reject(new Error('this journal belongs to another process'));
  }

  async read(after: number) {
    this.#open();
    if (this.#file !== null) this.#offset = readLines(this.#file, this.#offset, (line) => this.#newest.takeLine(line)).end;
    return { entries: this.#newest.after(after), position: this.#newest.last };
  }

  async close(): Promise<void> {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #open(): void {
    if (!existsSync(this.#path)) return;
    if (this.#file !== null && statSync(this.#path).ino === this.#inode) return;
    if (this.#file !== null) closeSync(this.#file);
    this.#file = openSync(this.#path, 'r');
    this.#inode = fstatSync(this.#file).ino;
    this.#offset = 0;
  }
}

/** Gives each whole line from there on; answers where the last one ended, and how many bytes of an unfinished one follow. */
function readLines(file: number, from: number, take: (line: Buffer) => void): { readonly end: number; readonly rest: number } {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let rest = Buffer.alloc(0);
  let at = from;
  for (;;) {
    const count = readSync(file, chunk, 0, chunk.length, at);
    if (count === 0) return { end: at - rest.length, rest: rest.length };
    at += count;
    let bytes = Buffer.concat([rest, chunk.subarray(0, count)]);
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE)) {
      take(bytes.subarray(0, end));
      bytes = bytes.subarray(end + 1);
    }
    rest = Buffer.from(bytes);
  }
}

function lineOf(number: number, { family, device, at, state }: JournalEntry): string {
  return `${JSON.stringify({ n: number, family, device, at, state })}\n`;
}

/** A line that was torn by a power cut, or is not ours, counts as not written. */
function entryOf(line: Buffer): { readonly number: number; readonly entry: JournalEntry } | null {
  try {
    const { n, family, device, at, state } = JSON.parse(line.toString('utf8')) as Readonly<Record<string, unknown>>;
    if (typeof n !== 'number' || typeof family !== 'string' || typeof device !== 'string' || typeof at !== 'number') return null;
    return { number: n, entry: { family, device: deviceId(device), at, state: (state ?? null) as Json } };
  } catch {
    return null;
  }
}
