import type { Json } from '#kit/canonical.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';

/** What a logger answered of one setting or constant. Of a secret its keyed digest, never the text. */
export interface Reading {
  /** Null: the logger answered that it has no such setting. */
  readonly value: string | null;
  readonly at: Instant;
}

/** The files of CPU: as a logger listed them. */
export interface FileList {
  readonly names: readonly string[];
  /** False where the list was, or may have been, cut (docs/protocols/campbell-mqtt.md §5.5): absence says nothing then. */
  readonly complete: boolean;
  readonly at: Instant;
}

/** SHA-256 of a file on CPU: as the logger computed it; null when it answered that it cannot. */
export interface Checksum {
  readonly sha256: string | null;
  readonly at: Instant;
}

/** All that a logger was asked for, kept in its report from pass to pass. */
export interface Answers {
  readonly settings: Readonly<Record<string, Reading>>;
  readonly constants: { readonly values: Readonly<Record<string, string>>; readonly at: Instant } | null;
  readonly files: FileList | null;
  readonly checksums: Readonly<Record<string, Checksum>>;
  /** What the probe found, and when; null before it. */
  readonly dialect: { readonly v2: boolean; readonly at: Instant } | null;
  /** Questions that were met with silence, and when last. */
  readonly silent: Readonly<Record<string, Instant>>;
}

/** Names the question for the checksum of a file, in what is kept of silence. */
export function checksumKey(fileName: string): string {
  return `checksum ${fileName}`;
}

const NO_ANSWERS: Answers = { settings: {}, constants: null, files: null, checksums: {}, dialect: null, silent: {} };

type Fields = Readonly<Record<string, Json | undefined>>;

function fieldsOf(value: Json | undefined): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

function recordOf<T>(value: Json | undefined, read: (member: Json | undefined) => T | null): Readonly<Record<string, T>> {
  const entries = Object.entries(fieldsOf(value) ?? {}).flatMap(([name, member]): [string, T][] => {
    const one = read(member);
    return one === null ? [] : [[name, one]];
  });
  return Object.fromEntries(entries);
}

function readReading(value: Json | undefined): Reading | null {
  const fields = fieldsOf(value);
  const said = fields?.['value'];
  const at = fields?.['at'];
  return (typeof said === 'string' || said === null) && typeof at === 'number' ? { value: said, at } : null;
}

function readChecksum(value: Json | undefined): Checksum | null {
  const fields = fieldsOf(value);
  const sha256 = fields?.['sha256'];
  const at = fields?.['at'];
  return (typeof sha256 === 'string' || sha256 === null) && typeof at === 'number' ? { sha256, at } : null;
}

function readText(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function readInstant(value: Json | undefined): Instant | null {
  return typeof value === 'number' ? value : null;
}

function readFiles(value: Json | undefined): FileList | null {
  const fields = fieldsOf(value);
  const names = fields?.['names'];
  const at = fields?.['at'];
  if (!Array.isArray(names) || typeof at !== 'number') return null;
  return { names: names.filter((name): name is string => typeof name === 'string'), complete: fields?.['complete'] === true, at };
}

/** Reads back what was stored; anything else counts as never asked. */
export function answersOf(report: ReportedDevice): Answers {
  const stored = fieldsOf(report.memo['answers']);
  if (stored === null) return NO_ANSWERS;
  const constants = fieldsOf(stored['constants']);
  const constantsAt = readInstant(constants?.['at']);
  const dialect = fieldsOf(stored['dialect']);
  const dialectAt = readInstant(dialect?.['at']);
  return {
    settings: recordOf(stored['settings'], readReading),
    constants: constantsAt === null ? null : { values: recordOf(constants?.['values'], readText), at: constantsAt },
    files: readFiles(stored['files']),
    checksums: recordOf(stored['checksums'], readChecksum),
    dialect: dialectAt === null ? null : { v2: dialect?.['v2'] === true, at: dialectAt },
    silent: recordOf(stored['silent'], readInstant),
  };
}

/** The report with these answers in place of those before. */
export function withAnswers(report: ReportedDevice, change: Partial<Answers>): ReportedDevice {
  const answers = { ...answersOf(report), ...change };
  const stored: Json = {
    settings: recordJson(answers.settings, ({ value, at }) => ({ value, at })),
    constants: answers.constants === null ? null : { values: { ...answers.constants.values }, at: answers.constants.at },
    files: answers.files === null ? null : { ...answers.files },
    checksums: recordJson(answers.checksums, ({ sha256, at }) => ({ sha256, at })),
    dialect: answers.dialect === null ? null : { ...answers.dialect },
    silent: { ...answers.silent },
  };
  return { ...report, memo: { ...report.memo, answers: stored } };
}

function recordJson<T>(record: Readonly<Record<string, T>>, write: (member: T) => Json): Json {
  return Object.fromEntries(Object.entries(record).map(([name, member]): [string, Json] => [name, write(member)]));
}
