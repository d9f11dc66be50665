import { canonicalJson, type Json } from '#kit/canonical.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { DeviceFacts, FamilyProblem } from '#ports/family.ts';
import type { IndexTerm } from '#shadows/mapped/match.ts';
import type { ItemMapping } from '#shadows/mapped/options.ts';
import { quoted } from '#shadows/values.ts';

/** The least that services allow (docs/protocols/aws-iot.md §5.8, §20.4). */
const MAX_LEVELS = 5;
/** What AWS allows unless it has raised it (§5.8). */
const DOCUMENT_BYTES = 8192;

/** The named shadow of `options:`, `fleet` without one; null for the classic shadow, which has no name. */
export function shadowName(options: Readonly<Record<string, Json>>): string | null {
  const { shadow, classic } = options;
  if (classic === true) return null;
  return typeof shadow === 'string' ? shadow : 'fleet';
}

/** Terms of fleet indexing (§12), of the shadow of that name. Null for a key that the language would read otherwise. */
export function shadowTerm(shadow: string | null): IndexTerm {
  const section = shadow === null ? 'shadow.reported' : `shadow.name.${shadow}.reported`;
  return (pointer, { text, type }) => {
    if (!/^(\/[A-Za-z0-9_-]+)+$/.test(pointer)) return null;
    return `${section}${pointer.replaceAll('/', '.')}:${type === 'number' ? text : quoted(text)}`;
  };
}

/** What a shadow cannot hold (docs/protocols/aws-iot.md §5.3, §5.8, §19.5). */
export function documentProblem(device: DeviceFacts, document: Json | undefined, mapping: ItemMapping): FamilyProblem | null {
  const bytesAllowed = device.options['documentBytes'];
  const documentBytes = typeof bytesAllowed === 'number' ? bytesAllowed : DOCUMENT_BYTES;
  if (!isJsonObject(document))
    return { code: 'NOT_A_DOCUMENT', summary: `the config of ${device.id} is no JSON object`, fix: 'write it as one' };
  const flaw = flawIn(document, '', MAX_LEVELS - mapping.reported.split('/').length + 1);
  if (flaw !== null) return { code: 'UNFIT_DOCUMENT', summary: `the config of ${device.id} ${flaw.text}`, fix: flaw.fix };
  const copies = mapping.reports === 'document' ? 2 : 1;
  const bytes = copies * new TextEncoder().encode(canonicalJson(document)).length;
  if (bytes <= documentBytes) return null;
  const summary = `the config of ${device.id} takes ${bytes} bytes of the ${documentBytes} that desired and reported have together`;
  return {
    code: 'DOCUMENT_TOO_LARGE',
    summary,
    fix: 'write {url} and {sha256} in the place of {document}, or raise documentBytes where AWS has raised it',
  };
}

interface Flaw {
  readonly text: string;
  readonly fix: string;
}

function flawIn(value: Json | undefined, at: string, levels: number): Flaw | null {
  if (value === null || value === undefined)
    return { text: `has null at ${at === '' ? '/' : at}`, fix: 'leave the key out: in a shadow null removes' };
  if (typeof value === 'number' && (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))))
    return { text: `has a number at ${at} that JSON readers round`, fix: 'write it as a text' };
  if (typeof value !== 'object') return null;
  if (levels <= 0) return { text: `is nested too deep at ${at}`, fix: `keep it within ${MAX_LEVELS} levels below desired` };
  const entries: readonly (readonly [string, Json | undefined])[] = Array.isArray(value)
    ? value.map((item: Json, index) => [String(index), item] as const)
    : Object.entries(value);
  for (const [key, member] of entries) {
    if (key === '__proto__') return { text: `has a key __proto__ at ${at}`, fix: 'call it otherwise' };
    const flaw = flawIn(member, `${at}/${key}`, levels - (Array.isArray(value) ? 0 : 1));
    if (flaw !== null) return flaw;
  }
  return null;
}
