import type { ErrorObject } from 'ajv/dist/2020.js';
import { didYouMean, nearest } from './nearest.ts';
import { keyPlaceIn, nodeAt, placeIn, type Node, type Path } from './nodes.ts';
import type { Report } from './report.ts';

interface Checked {
  readonly file: string;
  readonly root: Node;
  /** Where in the file the checked data begins: errors of an `options:` block are counted from there. */
  readonly base: Path;
}

interface Described {
  readonly title?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, unknown>>;
}

/** Turns ajv's errors into one diagnostic per mistake, each at the token that is wrong. */
export function reportSchemaErrors(errors: readonly ErrorObject[], checked: Checked, report: Report): void {
  for (const error of withoutEchoes(settleUnions(errors))) reportOne(error, checked, report);
}

/**
 * ajv tells, for a value that fits no member of a union, what each member disliked. Only the members that are of the
 * value's own kind (text, list, mapping) say something useful; what the others said is dropped.
 */
function settleUnions(errors: readonly ErrorObject[]): ErrorObject[] {
  const settled: ErrorObject[] = [];
  for (const error of errors) {
    if (error.keyword !== 'anyOf') {
      settled.push(error);
      continue;
    }
    const members: ErrorObject[] = [];
    for (let last = settled.at(-1); last !== undefined && isWithin(last, error); last = settled.at(-1)) {
      members.unshift(last);
      settled.pop();
    }
    const useful = members.filter((member) => member.instancePath !== error.instancePath || fitsKind(member));
    settled.push(...(useful.length === 0 ? [error] : useful));
  }
  return settled;
}

function isWithin(error: ErrorObject, union: ErrorObject): boolean {
  return error.instancePath === union.instancePath || error.instancePath.startsWith(`${union.instancePath}/`);
}

function fitsKind(member: ErrorObject): boolean {
  if (member.keyword === 'type') return false;
  return member.keyword !== 'enum' || typeof member.data === 'string';
}

/** Leaves out what only repeats another error: conditions, names checked twice, a missing key that is there misspelt. */
function withoutEchoes(errors: readonly ErrorObject[]): ErrorObject[] {
  const misspelt = new Set<string>();
  const missing = new Set<string>();
  for (const error of errors) {
    if (error.keyword === 'additionalProperties') {
      const meant = nearest(unknownKey(error), knownKeys(error));
      if (meant !== undefined) misspelt.add(`${error.instancePath} ${meant}`);
    }
    if (error.keyword === 'required') missing.add(error.instancePath);
  }
  return errors.filter((error) => {
    if (error.keyword === 'if' || error.propertyName !== undefined) return false;
    if (error.keyword === 'required') return !misspelt.has(`${error.instancePath} ${String(error.params['missingProperty'])}`);
    return error.keyword !== 'discriminator' || !missing.has(error.instancePath);
  });
}

function reportOne(error: ErrorObject, checked: Checked, report: Report): void {
  const path = [...checked.base, ...pathOf(error.instancePath)];
  const value = placeIn(checked.file, checked.root, path);
  const name = nameOf(checked.root, path);
  const schema = (error.parentSchema ?? {}) as Described;
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = unknownKey(error);
      const known = knownKeys(error);
      report.error('UNKNOWN_KEY', keyPlaceIn(checked.file, checked.root, [...path, key]), {
        summary: `\`${key}\` is no key of ${path.length === 0 ? 'this kind' : name}`,
        fix: didYouMean(key, known) ?? (known.length === 0 ? undefined : `known keys: ${known.join(', ')}`),
      });
      return;
    }
    case 'required': {
      const key = String(error.params['missingProperty']);
      report.error('MISSING_KEY', keyPlaceIn(checked.file, checked.root, path), {
        summary: `${name} has no \`${key}\``,
        fix: `add \`${key}:\``,
      });
      return;
    }
    case 'propertyNames': {
      const key = String(error.params['propertyName']);
      report.error('BAD_NAME', keyPlaceIn(checked.file, checked.root, [...path, key]), {
        summary: `\`${key}\` cannot be a name`,
        fix: 'use letters, digits, dots, dashes and underscores, and begin with a letter or digit',
      });
      return;
    }
    case 'enum':
    case 'const':
    case 'discriminator':
      reportChoice(error, { value: choicePlace(error, path, checked), name }, report);
      return;
    case 'minItems':
    case 'minProperties':
      report.error('EMPTY', keyPlaceIn(checked.file, checked.root, path), { summary: `${name} is empty`, fix: exampleOf(schema) });
      return;
    default: {
      const given = nodeAt(checked.root, path);
      if (given?.kind === 'text' && given.text === '') {
        report.error('EMPTY', value, { summary: `${name} is empty`, fix: exampleOf(schema) });
        return;
      }
      const isName = error.keyword === 'pattern' && schema.title === 'Name';
      report.error(isName ? 'BAD_NAME' : 'WRONG_TYPE', value, {
        summary: `${name} is ${givenText(given)}, ${expectedText(schema, error)}`,
        fix: isName ? 'use letters, digits, dots, dashes and underscores, and begin with a letter or digit' : exampleOf(schema),
      });
    }
  }
}

const ORDINALS = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth'];

/** How people write of a place: by its key, and an item of a list by where it stands in it. */
function nameOf(root: Node, path: Path): string {
  const [key, above] = [path.at(-1), path.slice(0, -1)];
  if (key === undefined) return 'the document';
  if (nodeAt(root, above)?.kind !== 'list') return `\`${key}\``;
  const ordinal = ORDINALS[Number(key)];
  return `${ordinal === undefined ? `item ${Number(key) + 1}` : `the ${ordinal} item`} of ${nameOf(root, above)}`;
}

function reportChoice(error: ErrorObject, at: { value: ReturnType<typeof placeIn>; name: string }, report: Report): void {
  const schema = (error.parentSchema ?? {}) as Described;
  const tag = error.keyword === 'discriminator';
  const given = tag ? error.params['tagValue'] : error.data;
  const allowed = tag ? CONNECTION_TYPES : (schema.enum ?? [error.params['allowedValue']]).filter((one) => typeof one === 'string');
  if (error.instancePath === '/format') {
    report.error('FORMAT_UNSUPPORTED', at.value, {
      summary: `format ${String(given)} is not known to this version`,
      fix: 'write `format: 1`',
    });
    return;
  }
  report.error('BAD_VALUE', at.value, {
    summary: `\`${typeof given === 'string' ? given : 'this'}\` cannot stand here`,
    fix: (typeof given === 'string' ? didYouMean(given, allowed) : undefined) ?? `write one of: ${allowed.join(', ')}`,
  });
}

const CONNECTION_TYPES = ['mqtt', 's3', 'aws-iot', 'azure-iot', 'mdash'];

function choicePlace(error: ErrorObject, path: Path, checked: Checked): ReturnType<typeof placeIn> {
  return placeIn(checked.file, checked.root, error.keyword === 'discriminator' ? [...path, String(error.params['tag'])] : path);
}

function unknownKey(error: ErrorObject): string {
  return String(error.params['additionalProperty']);
}

function knownKeys(error: ErrorObject): string[] {
  return Object.keys((error.parentSchema as Described | undefined)?.properties ?? {});
}

function givenText(node: Node | undefined): string {
  if (node === undefined) return 'not there';
  if (node.kind === 'map') return 'a mapping';
  if (node.kind === 'list') return 'a list';
  const shown = node.text.length > 60 ? `${node.text.slice(0, 57)}…` : node.text;
  return `\`${shown}\``;
}

function expectedText(schema: Described, error: ErrorObject): string {
  if (error.keyword === 'anyOf') return 'which cannot stand here';
  if (schema.title !== undefined) return `and must be ${withArticle(lowerFirst(schema.title))}`;
  const type = error.params['type'] as unknown;
  if (error.keyword === 'type') return `and must be a ${type === 'object' ? 'mapping' : type === 'array' ? 'list' : 'text'}`;
  return `which ${error.message ?? 'does not fit'}`;
}

function withArticle(title: string): string {
  if (title.endsWith('s')) return title;
  return `${/^[aeio]/i.test(title) ? 'an' : 'a'} ${title}`;
}

function exampleOf(schema: Described): string | undefined {
  const example = schema.examples?.[0];
  if (example === undefined) return schema.description;
  return `for example ${typeof example === 'string' ? `\`${example}\`` : `\`${JSON.stringify(example).replaceAll('"', '')}\``}`;
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z ]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

function pathOf(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}
