import { err, ok, type Result } from '#kit/result.ts';
import type { Json } from '#kit/canonical.ts';
import { at, listAt, numberAt, objectOf, textAt } from './json.ts';

/** The configuration file: docs/protocols/canedge-s3.md §4. */

/** The device's own limit is not known (§15.9); the largest published config has about 20 KB. */
export const MAX_CONFIG_BYTES = 512 * 1024;
const MAX_DEPTH = 64;
const MAX_TEXT = 4096;

export interface ConfigProblem {
  readonly code: 'CONFIG_NOT_AN_OBJECT' | 'CONFIG_NOT_ASCII' | 'CONFIG_NUMBER' | 'CONFIG_TOO_LARGE' | 'CONFIG_TOO_DEEP';
  readonly message: string;
}

/**
 * The exact bytes of a config, as vendor-written files have them (§4): ASCII, two spaces, LF, no newline at the end,
 * keys in the order of the document. The CRC is over these bytes (§5.2), so the same document always gives the same.
 * Text above U+007F is refused: whether the device reads `\uXXXX` is not known.
 */
export function renderConfig(document: Json): Result<Uint8Array, ConfigProblem> {
  if (objectOf(document) === undefined) return err({ code: 'CONFIG_NOT_AN_OBJECT', message: 'a config is a JSON object' });
  const problem = firstProblem(document, '', 0);
  if (problem !== null) return err(problem);
  const bytes = new TextEncoder().encode(JSON.stringify(document, null, 2));
  if (bytes.length <= MAX_CONFIG_BYTES) return ok(bytes);
  return err({ code: 'CONFIG_TOO_LARGE', message: `the config has ${bytes.length} bytes, the limit is ${MAX_CONFIG_BYTES}` });
}

function firstProblem(value: Json | undefined, path: string, depth: number): ConfigProblem | null {
  if (depth > MAX_DEPTH) return { code: 'CONFIG_TOO_DEEP', message: `the config is nested deeper than ${MAX_DEPTH} levels` };
  if (typeof value === 'string') return textProblem(value, path);
  if (typeof value === 'number') {
    const exact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
    return exact ? null : { code: 'CONFIG_NUMBER', message: `${path || '/'} is a number that JSON cannot carry exactly` };
  }
  if (typeof value !== 'object' || value === null) return null;
  for (const [name, member] of Object.entries(value)) {
    const inner = `${path}/${name}`;
    const problem = textProblem(name, path) ?? firstProblem(member, inner, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

function textProblem(text: string, path: string): ConfigProblem | null {
  if (text.length > MAX_TEXT) return { code: 'CONFIG_TOO_LARGE', message: `${path || '/'} holds a text of ${text.length} characters` };
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (point > 0x7f) {
      const name = `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
      return { code: 'CONFIG_NOT_ASCII', message: `${path || '/'} holds ${name}; a config is plain ASCII` };
    }
  }
  return null;
}

/**
 * What the Rule Schema does not say and the device rejects all the same (§4.2): periods and delays of the transmit
 * list, its size, the number of filters, the split offset, and names under `connect` that an unanchored pattern of the
 * schema lets through. Each as a line with its place; empty when nothing is wrong.
 */
export function limitProblems(document: Json): readonly string[] {
  return [...transmitProblems(document), ...filterProblems(document), ...splitProblems(document), ...connectNames(document)];
}

const CHANNELS = ['can_1', 'can_2'] as const;
const MAX_TRANSMIT_MESSAGES = 224;
const MAX_TRANSMIT_BYTES = 4096;

function transmitProblems(document: Json): readonly string[] {
  const problems: string[] = [];
  let messages = 0;
  let bytes = 0;
  for (const channel of CHANNELS) {
    for (const [index, entry] of listAt(document, channel, 'transmit').entries()) {
      const period = numberAt(entry, 'period') ?? 0;
      const delay = numberAt(entry, 'delay') ?? 0;
      messages += 1;
      bytes += Math.floor((textAt(entry, 'data')?.length ?? 0) / 2);
      if (period > 0 && period <= delay)
        problems.push(`/${channel}/transmit/${index}: period ${period} must be greater than delay ${delay}`);
    }
  }
  if (messages > MAX_TRANSMIT_MESSAGES) problems.push(`/can_1, /can_2: ${messages} transmit messages, at most ${MAX_TRANSMIT_MESSAGES}`);
  if (bytes > MAX_TRANSMIT_BYTES) problems.push(`/can_1, /can_2: ${bytes} bytes in transmit messages, at most ${MAX_TRANSMIT_BYTES}`);
  return problems;
}

function filterProblems(document: Json): readonly string[] {
  return CHANNELS.flatMap((channel) => {
    const filters = listAt(document, channel, 'filter', 'id');
    const extended = filters.filter((filter) => numberAt(filter, 'id_format') === 1).length;
    const standard = filters.length - extended;
    return [
      ...(standard > 128 ? [`/${channel}/filter/id: ${standard} filters of 11 bits, at most 128`] : []),
      ...(extended > 64 ? [`/${channel}/filter/id: ${extended} filters of 29 bits, at most 64`] : []),
    ];
  });
}

function splitProblems(document: Json): readonly string[] {
  const period = numberAt(document, 'log', 'file', 'split_time_period') ?? 0;
  const offset = numberAt(document, 'log', 'file', 'split_time_offset') ?? 0;
  return offset > period ? [`/log/file/split_time_offset: ${offset} is larger than split_time_period ${period}`] : [];
}

const CONNECT_NAMES: ReadonlySet<string> = new Set(['wifi', 'cellular', 'protocol', 's3', 'webserver']);

function connectNames(document: Json): readonly string[] {
  return Object.keys(objectOf(at(document, 'connect')) ?? {})
    .filter((name) => !CONNECT_NAMES.has(name))
    .toSorted()
    .map((name) => `/connect/${name}: the device knows no such section`);
}
