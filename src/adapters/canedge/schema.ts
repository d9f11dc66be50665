import { Ajv, type ValidateFunction } from 'ajv';
import addFormatsModule from 'ajv-formats';
import type { Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { limitProblems } from './config.ts';
import { objectOf, parseJson } from './json.ts';

/**
 * Rule Schemas: docs/protocols/canedge-s3.md §4.2. They carry no `$schema` and mean draft-07. One comes from the
 * device's folder, which anyone with a device's key can write, and ajv makes code of it: so its size, depth, keywords,
 * references and patterns are limited before ajv sees it.
 */
export const MAX_SCHEMA_BYTES = 1024 * 1024;
const MAX_DEPTH = 48;
/** The largest published schema has about 2,500 members, and 9 references to its own definitions. */
const MAX_MEMBERS = 20_000;
/** Members after every reference is followed: against definitions that double at each step. */
const MAX_EXPANDED = 200_000;
const MAX_PATTERN = 256;
const MAX_PROBLEMS = 5;
const CACHE_SIZE = 32;

export interface RuleSchema {
  /** What is wrong with a config, in places and words, at most five lines; empty when the device will take it. */
  check(config: Json): readonly string[];
}

export interface SchemaProblem {
  readonly code: 'SCHEMA_TOO_LARGE' | 'SCHEMA_NOT_JSON' | 'SCHEMA_HOSTILE' | 'SCHEMA_INVALID';
  readonly message: string;
}

const compiled = new Map<string, Result<RuleSchema, SchemaProblem>>();

/** Compiles the bytes of a Rule Schema. The same bytes are compiled once; the last 32 are kept. Never throws. */
export function compileRuleSchema(bytes: Uint8Array): Result<RuleSchema, SchemaProblem> {
  if (bytes.length > MAX_SCHEMA_BYTES) return err({ code: 'SCHEMA_TOO_LARGE', message: `the Rule Schema has ${bytes.length} bytes` });
  const digest = sha256(bytes);
  const known = compiled.get(digest);
  if (known !== undefined) return known;
  const answer = compile(bytes);
  const oldest = compiled.keys().next();
  if (compiled.size >= CACHE_SIZE && oldest.done !== true) compiled.delete(oldest.value);
  compiled.set(digest, answer);
  return answer;
}

function compile(bytes: Uint8Array): Result<RuleSchema, SchemaProblem> {
  const document = parseJson(bytes);
  if (document === undefined || objectOf(document) === undefined) {
    return err({ code: 'SCHEMA_NOT_JSON', message: 'the Rule Schema is not a JSON object' });
  }
  const hostile = hostility(document);
  if (hostile !== null) return err({ code: 'SCHEMA_HOSTILE', message: hostile });
  try {
    const ajv = new Ajv({ strict: false, allErrors: true, inlineRefs: false, logger: false, validateFormats: true });
    // The package is CommonJS: its function is the module, or a member of it, depending on who loads it.
    const addFormats = addFormatsModule as unknown as ((ajv: Ajv, formats: string[]) => void) & {
      default?: (ajv: Ajv, formats: string[]) => void;
    };
    (addFormats.default ?? addFormats)(ajv, ['date-time']);
    return ok(ruleSchema(ajv.compile(withExactNames(document, false) as object)));
  } catch (error) {
    return err({ code: 'SCHEMA_INVALID', message: `the Rule Schema does not compile: ${messageOf(error)}` });
  }
}

/**
 * The schema with the bare names among its `patternProperties` anchored: the published ones let `s3` through by the
 * pattern `s3`, and with it `xs3y`, which no device knows (§4.2).
 */
function withExactNames(value: Json, names: boolean): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((member) => withExactNames(member, false));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value as Record<string, Json>);
  return Object.fromEntries(
    members.map(([key, member]): [string, Json] => {
      if (!names && PLAIN_DATA.has(key)) return [key, member];
      if (!names && key === 'patternProperties') return [key, anchored(member)];
      return [key, withExactNames(member, !names && MAPS_OF_NAMES.has(key))];
    }),
  );
}

function anchored(patterns: Json): Json {
  const members = Object.entries(objectOf(patterns) ?? {});
  return Object.fromEntries(
    members.map(([name, member]) => [/^\w+$/.test(name) ? `^${name}$` : name, withExactNames(member ?? null, false)]),
  );
}

function ruleSchema(validate: ValidateFunction): RuleSchema {
  return {
    check(config) {
      const limits = limitProblems(config);
      if (validate(config)) return limits.slice(0, MAX_PROBLEMS);
      const broken = (validate.errors ?? []).map(
        (one) => `${one.instancePath || '/'}: ${one.message ?? one.keyword}${detailOf(one.params)}`,
      );
      return [...new Set([...broken, ...limits])].slice(0, MAX_PROBLEMS);
    },
  };
}

/** Names and allowed values out of the schema; never a value out of the config, which may be a secret. */
function detailOf(params: Readonly<Record<string, unknown>>): string {
  const name = params['additionalProperty'] ?? params['missingProperty'];
  return typeof name === 'string' && params['additionalProperty'] !== undefined ? ` (${JSON.stringify(name.slice(0, 64))})` : '';
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 200);
}

/** Keywords that change what a schema means to ajv in ways no Rule Schema needs: `$async` would make every check pass. */
const REFUSED_KEYWORDS: ReadonlySet<string> = new Set([
  '$async',
  '$data',
  '$id',
  'id',
  '$anchor',
  '$dynamicRef',
  '$recursiveRef',
  '$schema',
]);
const MAPS_OF_NAMES: ReadonlySet<string> = new Set(['properties', 'patternProperties', 'definitions', 'dependencies']);
const PLAIN_DATA: ReadonlySet<string> = new Set(['enum', 'const', 'default', 'examples', 'required']);

interface Survey {
  members: number;
  readonly problems: string[];
}

/** Why a schema is not handed to the compiler, or null. */
function hostility(document: Json): string | null {
  const survey: Survey = { members: 0, problems: [] };
  surveySchema(document, { depth: 0, names: false }, survey);
  const first = survey.problems[0];
  if (first !== undefined) return first;
  const definitions = objectOf((document as { readonly definitions?: Json }).definitions) ?? {};
  return expansionProblem(document, definitions);
}

function surveySchema(value: Json | undefined, where: { readonly depth: number; readonly names: boolean }, survey: Survey): void {
  survey.members += 1;
  if (survey.members > MAX_MEMBERS || where.depth > MAX_DEPTH) {
    if (survey.problems.length === 0) survey.problems.push('the Rule Schema is too large or too deep');
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, member] of Object.entries(value as Record<string, Json>)) {
    if (survey.problems.length > 0) return;
    if (!where.names) checkKeyword(key, member, survey);
    if (where.names && key === '__proto__') survey.problems.push('the Rule Schema names a member __proto__');
    if (!where.names && PLAIN_DATA.has(key)) continue;
    const names = !where.names && MAPS_OF_NAMES.has(key) && !Array.isArray(value);
    if (names && key === 'patternProperties') for (const pattern of Object.keys(objectOf(member) ?? {})) checkPattern(pattern, survey);
    surveySchema(member, { depth: where.depth + 1, names }, survey);
  }
}

function checkKeyword(key: string, member: Json, survey: Survey): void {
  if (REFUSED_KEYWORDS.has(key)) survey.problems.push(`the Rule Schema uses ${key}`);
  if (key === '$ref' && (typeof member !== 'string' || !/^#\/definitions\/[\w-]{1,64}$/.test(member))) {
    survey.problems.push('the Rule Schema refers to something else than its own definitions');
  }
  if (key === 'pattern' && typeof member === 'string') checkPattern(member, survey);
}

function checkPattern(pattern: string, survey: Survey): void {
  if (!isTamePattern(pattern)) survey.problems.push('the Rule Schema has a pattern that could take for ever to match');
}

/**
 * Whether a regular expression cannot backtrack without end on the short texts of a config: no repeated group that
 * holds a choice or another variable repetition, at most three open-ended repetitions, no back-reference.
 */
export function isTamePattern(pattern: string): boolean {
  if (pattern.length > MAX_PATTERN || /\\[1-9k]/.test(pattern)) return false;
  // Classes and escapes become one letter, so that what is left shows groups, choices and repetitions only.
  const bare = pattern
    .replace(/\\./g, 'x')
    .replace(/\[(?:\\.|[^\]\\])*\]/g, 'x')
    .replace(/\(\?(?:<?[=!]|:|<\w+>)/g, '(');
  if ((bare.match(/[*+]|\{\d+,\}/g) ?? []).length > 3) return false;
  let rest = bare;
  for (;;) {
    const group = /\(([^()]*)\)([*+?]|\{\d+(?:,\d*)?\})?/.exec(rest);
    if (group === null) return true;
    const inner = group[1] ?? '';
    const repeated = group[2] !== undefined && group[2] !== '?';
    const varies = /[*+?|]|\{\d+,\d*\}|v/.test(inner);
    if (repeated && varies) return false;
    // A group that varies inside marks the one around it.
    rest = rest.slice(0, group.index) + (varies ? 'v' : 'x') + rest.slice(group.index + group[0].length);
  }
}

/** Follows references as ajv's code will: circles, missing definitions and definitions that multiply are refused. */
function expansionProblem(document: Json, definitions: Readonly<Record<string, Json | undefined>>): string | null {
  const sizes = new Map<string, number>();
  const sizeOf = (value: Json | undefined, trail: readonly string[]): number => {
    if (typeof value !== 'object' || value === null) return 1;
    let size = 1;
    for (const [key, member] of Object.entries(value as Record<string, Json>)) {
      if (key === 'definitions' && value === document) continue;
      if (key !== '$ref' || typeof member !== 'string') size += sizeOf(member, trail);
      else size += definitionSize(member.slice('#/definitions/'.length), trail);
      if (size > MAX_EXPANDED) return size;
    }
    return size;
  };
  const definitionSize = (name: string, trail: readonly string[]): number => {
    const known = sizes.get(name);
    if (known !== undefined) return known;
    if (trail.includes(name) || !Object.hasOwn(definitions, name)) return Number.POSITIVE_INFINITY;
    const size = sizeOf(definitions[name], [...trail, name]);
    sizes.set(name, size);
    return size;
  };
  return sizeOf(document, []) > MAX_EXPANDED ? 'the references of the Rule Schema are circular, broken, or multiply without bound' : null;
}
