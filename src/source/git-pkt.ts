import { damaged } from './git-format.ts';
import { WireError } from '#ports/wire-error.ts';

/** A line of git's wire; `flush` is the empty one that ends a section. */
type Pkt = Buffer | 'flush';

const FLUSH = '0000';
const HEAD_CHARS = 4;
const NO_OID = '0'.repeat(40);

function pktLine(text: string): string {
  return (Buffer.byteLength(text) + HEAD_CHARS).toString(16).padStart(HEAD_CHARS, '0') + text;
}

/** Throws WireError GIT_DAMAGED for bytes that end in the middle of a line. */
function pktLines(bytes: Buffer): readonly Pkt[] {
  const lines: Pkt[] = [];
  for (let at = 0; at < bytes.length;) {
    const head = bytes.toString('latin1', at, at + HEAD_CHARS);
    if (!/^[0-9a-f]{4}$/i.test(head)) throw damaged('an answer');
    const length = Number.parseInt(head, 16);
    if (length === 0) {
      lines.push('flush');
      at += HEAD_CHARS;
      continue;
    }
    if (length < HEAD_CHARS || at + length > bytes.length) throw damaged('an answer');
    lines.push(bytes.subarray(at + HEAD_CHARS, at + length));
    at += length;
  }
  return lines;
}

/** What the server says of its refs, and what it can do. */
export interface Advertisement {
  readonly refs: ReadonlyMap<string, string>;
  readonly capabilities: ReadonlySet<string>;
}

/** The answer to info/refs. Throws WireError when it is no such thing, or was cut short. */
export function parseAdvertisement(bytes: Buffer, place: string): Advertisement {
  const lines = pktLines(bytes);
  const refs = new Map<string, string>();
  let capabilities: ReadonlySet<string> | null = null;
  let announced = false;
  for (const line of lines) {
    if (line === 'flush') continue;
    refuseError(line, place);
    const text = line.toString('utf8').replace(/\n$/, '');
    if (text.startsWith('# service=')) announced = true;
    if (text.startsWith('# service=') || text === 'version 1') continue;
    const [ref = '', words] = text.split('\0', 2);
    if (capabilities === null) capabilities = new Set((words ?? '').split(' '));
    const [, oid, name] = /^([0-9a-f]{40}) (.+)$/.exec(ref) ?? [];
    if (oid === undefined || name === undefined) {
      if (/^shallow [0-9a-f]{40}$/.test(ref)) continue;
      throw notGit(place);
    }
    if (name !== 'capabilities^{}') refs.set(name, oid);
  }
  // One after the announcement, one after the refs: a list that was cut short must not pass for one without refs.
  const ends = lines.filter((line) => line === 'flush').length;
  if (lines.at(-1) !== 'flush' || ends < 2 || !announced) throw notGit(place);
  return { refs, capabilities: capabilities ?? new Set() };
}

export interface FetchRequest {
  readonly wants: readonly string[];
  /** Commits that are here, of whose history nothing else is. */
  readonly haves: readonly string[];
}

/** Asks for the wanted commits with all they hold and nothing of what came before them. */
export function fetchBody({ wants, haves }: FetchRequest): string {
  const [first = '', ...others] = wants;
  return [
    pktLine(`want ${first} side-band-64k ofs-delta no-progress shallow agent=headgate\n`),
    ...others.map((oid) => pktLine(`want ${oid}\n`)),
    ...haves.map((oid) => pktLine(`shallow ${oid}\n`)),
    pktLine('deepen 1\n'),
    FLUSH,
    ...haves.map((oid) => pktLine(`have ${oid}\n`)),
    pktLine('done\n'),
  ].join('');
}

/** The pack in the answer to fetchBody; `gone` when the server has no such commit. */
export function parseFetch(bytes: Buffer, place: string): Buffer | 'gone' {
  const parts: Buffer[] = [];
  for (const line of pktLines(bytes)) {
    if (line === 'flush') continue;
    const text = line.toString('utf8', 0, 200);
    if (/^ERR .*(?:not our ref|no such|unadvertised)/.test(text)) return 'gone';
    refuseError(line, place);
    if (/^(?:shallow|unshallow|ACK|NAK)\b/.test(text)) continue;
    const band = bandOf(line, place);
    if (band.number === 1) parts.push(band.data);
  }
  return Buffer.concat(parts);
}

export interface PushCommand {
  readonly name: string;
  readonly from: string | null;
  readonly to: string;
}

/** The head of a push, before the pack: the refs with what is expected of each. */
export function pushHead(commands: readonly PushCommand[], words: readonly string[]): string {
  const lines = commands.map(({ name, from, to }) => `${from ?? NO_OID} ${to} ${name}`);
  return `${lines.map((line, index) => pktLine(index === 0 ? `${line}\0 ${words.join(' ')}` : line)).join('')}${FLUSH}`;
}

export interface PushReport {
  /** `ok`, or why nothing could be unpacked. */
  readonly unpack: string;
  /** By name of the ref: null when it was moved, else why not. */
  readonly refs: ReadonlyMap<string, string | null>;
  /** What hooks had to say. */
  readonly words: string;
}

/** The server's report of a push, plain or in a side band. Throws WireError when it was cut short. */
export function parsePushReport(bytes: Buffer, place: string): PushReport {
  let lines = pktLines(bytes);
  const words: Buffer[] = [];
  const inBand = lines.some((line) => line !== 'flush' && (line[0] ?? 9) <= 3);
  if (inBand) {
    const report: Buffer[] = [];
    for (const line of lines) {
      if (line === 'flush') continue;
      const band = bandOf(line, place);
      if (band.number === 1) report.push(band.data);
      else words.push(band.data);
    }
    lines = pktLines(Buffer.concat(report));
  }
  let unpack: string | null = null;
  const refs = new Map<string, string | null>();
  for (const line of lines) {
    if (line === 'flush') continue;
    refuseError(line, place);
    const text = line.toString('utf8').trimEnd();
    const [, kind, name = '', reason] = /^(unpack|ok|ng) (\S+)(?: (.*))?$/s.exec(text) ?? [];
    if (kind === 'unpack') unpack = text.slice('unpack '.length);
    else if (kind === 'ok') refs.set(name, null);
    else if (kind === 'ng') refs.set(name, forPeople(reason ?? 'no reason given'));
  }
  if (unpack === null) throw new WireError('GIT_CUT', 'later', `${place} did not say what became of a push`);
  return { unpack: forPeople(unpack), refs, words: forPeople(Buffer.concat(words).toString('utf8')) };
}

function bandOf(line: Buffer, place: string): { readonly number: number; readonly data: Buffer } {
  const number = line[0] ?? 0;
  const data = line.subarray(1);
  if (number === 1 || number === 2) return { number, data };
  if (number === 3) throw new WireError('GIT_REMOTE', 'later', `${place}: ${forPeople(data.toString('utf8'))}`);
  throw damaged('an answer');
}

function refuseError(line: Buffer, place: string): void {
  const text = line.toString('utf8', 0, 600);
  if (text.startsWith('ERR ')) throw new WireError('GIT_REMOTE', 'later', `${place}: ${forPeople(text.slice(4))}`);
}

function notGit(place: string): WireError {
  return new WireError('GIT_DAMAGED', 'never', `${place} does not answer as a git server does`);
}

const WORDS = 400;

/** One short line: what a server says may hold anything. */
function forPeople(text: string): string {
  const line = text
    .replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ')
    .replaceAll(/\/\/[^/@\s]+@/g, '//')
    .trim();
  return line.length > WORDS ? `${line.slice(0, WORDS)}…` : line;
}
