import { canonicalJson, type Json } from '#kit/canonical.ts';
import { isJsonObject, sameJson, type JsonObject } from '#model/shadow.ts';
import type { FamilyProblem } from '#ports/family.ts';
import type { ChariotOptions, Format } from './options.ts';
import { readShell, writeShell } from './shell.ts';
import { DELETE } from './wire.ts';

/** The least that services allow below a section (docs/protocols/aws-iot.md §5.8). */
const MAX_LEVELS = 4;

interface ValueRules {
  readonly format: Format;
  /** Whether the file may hold arrays: `sh` cannot read them (docs/protocols/shadow-devices.md §2.6). */
  readonly arrays: boolean;
  readonly emptyArrayDeletes: boolean;
}

/** What chariotd, its file format or the shadow would change about a value (§2.5, §2.6); null when nothing. `what` names it. */
export function valueProblem(what: string, value: Json, rules: ValueRules): FamilyProblem | null {
  if (rules.format === 'PLAINTEXT')
    return typeof value === 'string' && value !== DELETE
      ? null
      : flaw(what, {
          code: 'PLAINTEXT_VALUE',
          text: 'is no text that a PLAINTEXT service can hold',
          fix: 'pin a text file; DELETE alone removes',
        });
  if (!isJsonObject(value) || Object.keys(value).length === 0)
    return flaw(what, { code: 'NOT_A_DOCUMENT', text: 'is no JSON object with members', fix: 'write it as one' });
  const found = flawIn(value, '', { ...rules, levels: MAX_LEVELS });
  if (found !== null) return flaw(what, found);
  if (rules.format !== 'SHELL') return null;
  const changed = changedBy(value);
  if (changed === null) return null;
  const text = `would come back from its SHELL file as ${changed}`;
  return flaw(what, { code: 'SHELL_CHANGES', text, fix: 'a text that looks like a number or a boolean needs a letter in front: v1.10' });
}

interface Flaw {
  readonly code: string;
  readonly text: string;
  readonly fix: string;
}

function flaw(what: string, { code, text, fix }: Flaw): FamilyProblem {
  return { code, summary: `${what} ${text}`, fix };
}

interface Walk extends ValueRules {
  readonly levels: number;
}

function flawIn(value: Json | undefined, at: string, walk: Walk): Flaw | null {
  if (value === undefined || value === null)
    return { code: 'UNFIT_DOCUMENT', text: `has null at ${at}`, fix: 'leave the key out: in a shadow null removes' };
  if (value === DELETE)
    return {
      code: 'DELETE_LITERAL',
      text: `has the text DELETE at ${at}`,
      fix: 'chariotd takes it for an order to remove the key: write another text',
    };
  if (typeof value === 'number' && (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))))
    return { code: 'UNFIT_DOCUMENT', text: `has a number at ${at} that JSON readers round`, fix: 'write it as a text' };
  if (typeof value === 'string') return textFlaw(value, at, walk);
  if (typeof value !== 'object') return null;
  return Array.isArray(value) ? arrayFlaw(value, at, walk) : membersFlaw(value as JsonObject, at, walk);
}

function textFlaw(text: string, at: string, { format }: Walk): Flaw | null {
  if (format !== 'SHELL' || !/['\p{Cc}]/u.test(text)) return null;
  const why = 'what follows it is run as a command when the file is sourced';
  return { code: 'SHELL_UNSAFE', text: `has a quote or a control character at ${at}`, fix: `take it out: ${why}` };
}

function arrayFlaw(items: readonly Json[], at: string, walk: Walk): Flaw | null {
  if (items.length === 0 && walk.emptyArrayDeletes)
    return { code: 'DELETE_LITERAL', text: `has an empty array at ${at}`, fix: 'with emptyArrayDeletes it removes the key: leave it out' };
  if (walk.format === 'SHELL' && !walk.arrays)
    return {
      code: 'SHELL_ARRAY',
      text: `has an array at ${at}`,
      fix: 'sh cannot read arrays: write shell: bash where bash reads the file',
    };
  if (walk.format === 'SHELL' && items.some((item) => typeof item === 'object'))
    return { code: 'SHELL_ARRAY', text: `has an array of objects or arrays at ${at}`, fix: 'a SHELL file holds arrays of plain values' };
  for (const [index, item] of items.entries()) {
    const found = flawIn(item, `${at}/${index}`, walk);
    if (found !== null) return found;
  }
  return null;
}

function membersFlaw(members: JsonObject, at: string, walk: Walk): Flaw | null {
  if (walk.levels <= 0) return { code: 'UNFIT_DOCUMENT', text: `is nested too deep at ${at}`, fix: `keep it within ${MAX_LEVELS} levels` };
  const entries = Object.entries(members);
  if (entries.length === 0)
    return { code: 'UNFIT_DOCUMENT', text: `has an empty object at ${at}`, fix: 'leave it out: a shadow makes no delta of it' };
  for (const [name, member] of entries) {
    if (name === '__proto__') return { code: 'UNFIT_DOCUMENT', text: `has a key __proto__ at ${at}`, fix: 'call it otherwise' };
    if (walk.format === 'SHELL' && !/^[A-Za-z][A-Za-z0-9]*$/.test(name))
      return {
        code: 'SHELL_NAME',
        text: `has the key ${JSON.stringify(name)} at ${at}/`,
        fix: 'a SHELL file takes letters and digits: it splits names at _',
      };
    const found = flawIn(member, `${at}/${name}`, { ...walk, levels: walk.levels - 1 });
    if (found !== null) return found;
  }
  return null;
}

/** What a SHELL file makes of it, as text; null when it stays the same. */
function changedBy(value: JsonObject): string | null {
  const back = readShell(writeShell(value));
  if (sameJson(back, value)) return null;
  const name = Object.keys(value).find((key) => !sameJson(value[key], back[key])) ?? '';
  return `${name}=${canonicalJson(back[name] ?? null)}`;
}

export function sizeProblem(what: string, value: Json, { documentBytes }: Pick<ChariotOptions, 'documentBytes'>): FamilyProblem | null {
  const bytes = 2 * new TextEncoder().encode(canonicalJson(value)).length;
  if (bytes <= documentBytes) return null;
  const text = `takes ${bytes} bytes of the ${documentBytes} that desired and reported have together`;
  return flaw(what, { code: 'DOCUMENT_TOO_LARGE', text, fix: 'make it smaller, or raise documentBytes where AWS has raised it' });
}
