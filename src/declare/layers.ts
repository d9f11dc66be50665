import type { Json } from '#kit/canonical.ts';
import type { Place } from '#kit/diagnostics.ts';
import { kept, type DeclareCache } from './cache.ts';
import type { FoundFile } from './files.ts';
import { readJson } from './json.ts';
import { parseTemplate, type Reference } from './references.ts';
import { decodeText, lineAndColumn } from './text.ts';

/** A JSON file that is a layer of a config. */
export interface Layer {
  readonly path: string;
  readonly value: Json;
  /** Each with the first place where it stands. */
  readonly references: readonly { readonly reference: Reference; readonly place: Place }[];
  /** Secrets that stand in it as plain text. */
  readonly clear: readonly { readonly name: string; readonly place: Place }[];
}

export interface LayerProblem {
  readonly code: 'NOT_UTF8' | 'BAD_JSON' | 'BAD_REFERENCE' | 'ENV_MISPLACED';
  readonly place: Place;
  readonly summary: string;
  readonly fix?: string | undefined;
}

export type ReadLayer = { readonly layer: Layer | null; readonly problems: readonly LayerProblem[] };

/** Reads a layer once per blob. */
export function readLayer(file: FoundFile, cache: DeclareCache): ReadLayer {
  return kept(cache, `layer ${file.oid} ${file.path}`, () => parseLayer(file));
}

function parseLayer(file: FoundFile): ReadLayer {
  const decoded = decodeText(file.bytes);
  if (decoded.kind === 'not-text') {
    const place = { file: file.path, line: decoded.line, column: decoded.column };
    return { layer: null, problems: [{ code: 'NOT_UTF8', place, summary: 'this is not UTF-8', fix: 'save the file as UTF-8' }] };
  }
  const { text } = decoded;
  const placeOf = (offset: number): Place => ({ file: file.path, ...lineAndColumn(text, offset) });
  const read = readJson(text);
  if (!read.ok)
    return { layer: null, problems: [{ code: 'BAD_JSON', place: placeOf(read.offset), summary: `this is not JSON: ${read.summary}` }] };
  const references: { reference: Reference; place: Place }[] = [];
  const problems: LayerProblem[] = [];
  eachString(read.value, (string) => {
    if (!string.includes('${')) return;
    const parsed = parseTemplate(string);
    for (const problem of parsed.problems) {
      const place = placeOf(Math.max(0, text.indexOf(string.slice(problem.offset, problem.offset + 8))));
      problems.push({ code: 'BAD_REFERENCE', place, summary: problem.summary, fix: problem.fix });
    }
    for (const reference of parsed.template.references) {
      const place = placeOf(Math.max(0, text.indexOf(reference.source)));
      if (reference.kind !== 'env' && reference.kind !== 'file') references.push({ reference, place });
      else
        problems.push({
          code: 'ENV_MISPLACED',
          place,
          summary: `\`${reference.source}\` may stand only in fleet.yaml`,
          fix: 'what a device is told must be in git',
        });
    }
  });
  const clear = clearSecrets(read.value).map(({ name, value }) => ({
    name,
    place: placeOf(Math.max(0, text.indexOf(JSON.stringify(value)))),
  }));
  return { layer: { path: file.path, value: read.value, references, clear }, problems };
}

function eachString(value: Json | undefined, visit: (text: string) => void): void {
  if (typeof value === 'string') visit(value);
  else if (Array.isArray(value)) for (const item of value) eachString(item as Json, visit);
  else if (value !== null && typeof value === 'object') for (const member of Object.values(value)) eachString(member, visit);
}

/** Passwords and secret keys as plain text; an object that says `keyformat: 1` holds them encrypted for the device. */
function clearSecrets(value: Json, encrypted = false): { name: string; value: string }[] {
  if (Array.isArray(value)) return value.flatMap((item) => clearSecrets(item as Json, encrypted));
  if (value === null || typeof value !== 'object') return [];
  const members = value as { readonly [key: string]: Json | undefined };
  // One flag may stand above a list of access points and hold for all of them.
  const sealed = members['keyformat'] === undefined ? encrypted : members['keyformat'] === 1;
  return Object.entries(members).flatMap(([name, member]) => {
    if (typeof member !== 'string') return member === undefined ? [] : clearSecrets(member, sealed);
    const secret = /^(pwd|password|secretkey|passphrase)$/i.test(name) && member !== '' && !member.includes('${') && !sealed;
    return secret ? [{ name, value: member }] : [];
  });
}

/** Objects merge, arrays are replaced, null removes, the later wins. */
export function mergeLayers(layers: readonly Json[]): Json {
  return layers.reduce<Json>((below, above) => merge(below, above), {});
}

function merge(below: Json | undefined, above: Json): Json {
  if (above === null || typeof above !== 'object' || Array.isArray(above)) return above;
  const under =
    below !== null && below !== undefined && typeof below === 'object' && !Array.isArray(below)
      ? (below as { readonly [key: string]: Json | undefined })
      : {};
  const merged = new Map<string, Json>(Object.entries(under).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
  for (const [key, value] of Object.entries(above as { readonly [key: string]: Json | undefined })) {
    if (value === undefined) continue;
    if (value === null) merged.delete(key);
    else merged.set(key, merge(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

/** The same tree with each text that holds a reference replaced by what `change` makes of it; `pointer` as in RFC 6901. */
export function mapStrings(value: Json, change: (text: string, pointer: string) => string, pointer = ''): Json {
  if (typeof value === 'string') return value.includes('${') ? change(value, pointer) : value;
  if (Array.isArray(value)) return value.map((item, index) => mapStrings(item as Json, change, `${pointer}/${index}`));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      member === undefined ? undefined : mapStrings(member, change, `${pointer}/${pointerToken(key)}`),
    ]),
  );
}

/** A key as it stands in a JSON pointer. */
export function pointerToken(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
