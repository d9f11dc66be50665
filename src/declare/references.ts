/** `${id} ${model} ${serial} ${series} ${label:x} ${value:x} ${env:X} ${file:PATH} ${age:PATH}`. */
const PLAIN = ['id', 'model', 'serial', 'series'] as const;
const NAMED = ['label', 'value', 'env'] as const;
const PATHS = ['file', 'age'] as const;

export type Reference = { readonly source: string; readonly offset: number } & (
  | { readonly kind: (typeof PLAIN)[number] }
  | { readonly kind: (typeof NAMED)[number]; readonly name: string }
  | { readonly kind: 'file'; readonly path: Template }
  | { readonly kind: 'age'; readonly path: Template }
);

/** A text with references in it. `references` lists those that stand in it directly. */
export interface Template {
  readonly source: string;
  readonly parts: readonly (string | Reference)[];
  readonly references: readonly Reference[];
}

export interface TemplateProblem {
  readonly offset: number;
  readonly summary: string;
  readonly fix: string;
}

/** What references may resolve to: facts of one device. */
export interface ReferenceFacts {
  readonly id: string;
  readonly model: string;
  readonly serial: string | null;
  readonly series: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, string>>;
}

export interface Resolved {
  readonly text: string;
  /** References that have no value for this device; their places in `text` are empty. */
  readonly missing: readonly Reference[];
}

/** Takes a text apart. Problems are references that cannot be understood; the text keeps them as they are. */
export function parseTemplate(source: string): { template: Template; problems: readonly TemplateProblem[] } {
  const problems: TemplateProblem[] = [];
  const template = parse(source, { base: 0, nested: false, problems });
  return { template, problems };
}

interface Parsing {
  /** Where `source` begins in the whole text. */
  readonly base: number;
  /** Within the path of another reference, where no further path may stand. */
  readonly nested: boolean;
  readonly problems: TemplateProblem[];
}

function parse(source: string, parsing: Parsing): Template {
  const { base, problems } = parsing;
  const parts: (string | Reference)[] = [];
  let at = 0;
  for (let open = source.indexOf('${'); open >= 0; open = source.indexOf('${', at)) {
    if (open > at) parts.push(source.slice(at, open));
    const close = closing(source, open + 2);
    if (close < 0) {
      problems.push({ offset: base + open, summary: 'a `${` is not closed', fix: 'end it with `}`' });
      parts.push(source.slice(open));
      at = source.length;
      break;
    }
    const inner = source.slice(open + 2, close);
    const reference = readReference({
      inner,
      source: source.slice(open, close + 1),
      offset: base + open,
      nested: parsing.nested,
      problems,
    });
    parts.push(reference ?? source.slice(open, close + 1));
    at = close + 1;
  }
  if (at < source.length) parts.push(source.slice(at));
  return { source, parts, references: parts.filter((part) => typeof part !== 'string') };
}

function closing(source: string, from: number): number {
  let depth = 1;
  for (let at = from; at < source.length; at += 1) {
    if (source.startsWith('${', at)) depth += 1;
    if (source[at] === '}') depth -= 1;
    if (depth === 0) return at;
  }
  return -1;
}

function readReference(read: {
  inner: string;
  source: string;
  offset: number;
  nested: boolean;
  problems: TemplateProblem[];
}): Reference | undefined {
  const { inner, source, offset, nested, problems } = read;
  const plain = PLAIN.find((kind) => kind === inner);
  if (plain !== undefined) return { kind: plain, source, offset };
  const colon = inner.indexOf(':');
  const [word, rest] = colon < 0 ? [inner, ''] : [inner.slice(0, colon), inner.slice(colon + 1)];
  const named = NAMED.find((kind) => kind === word);
  if (named !== undefined && /^[^${}\s]+$/.test(rest)) return { kind: named, name: rest, source, offset };
  const path = PATHS.find((kind) => kind === word);
  // Paths nest one level: `${age:secrets/${id}.age}`; deeper ones mean nothing.
  if (path !== undefined && rest !== '' && !nested) {
    const template = parse(rest, { base: offset + 2 + colon + 1, nested: true, problems });
    if (!template.references.some((reference) => reference.kind === 'env')) {
      return { kind: path, path: template, source, offset };
    }
  }
  problems.push({
    offset,
    summary: `\`${source}\` is no reference`,
    fix: 'write ${id}, ${model}, ${serial}, ${series}, ${label:NAME}, ${value:NAME}, ${env:NAME}, ${file:PATH} or ${age:PATH}',
  });
  return undefined;
}

/** The text for one device. `env`, `file` and `age` have no value here: where they may stand they are not resolved. */
export function resolve(template: Template, facts: ReferenceFacts): Resolved {
  const only = template.parts[0];
  if (template.references.length === 0) return { text: typeof only === 'string' ? only : '', missing: [] };
  const missing: Reference[] = [];
  let text = '';
  for (const part of template.parts) {
    const value = typeof part === 'string' ? part : valueOf(part, facts);
    if (value !== null) text += value;
    else if (typeof part !== 'string') missing.push(part);
  }
  return { text, missing };
}

function valueOf(reference: Reference, facts: ReferenceFacts): string | null {
  switch (reference.kind) {
    case 'id':
      return facts.id;
    case 'model':
      return facts.model;
    case 'serial':
      return facts.serial;
    case 'series':
      return facts.series;
    case 'label':
      return own(facts.labels, reference.name);
    case 'value':
      return own(facts.values, reference.name);
    case 'env':
    case 'file':
    case 'age':
      return null;
  }
}

function own(map: Readonly<Record<string, string>>, name: string): string | null {
  return Object.hasOwn(map, name) ? (map[name] ?? null) : null;
}

/** Whether the text differs between devices that carry the same firmware on the same model: it then is no part of a release. */
export function isPersonal(template: Template): boolean {
  return template.references.some((reference) => {
    if (reference.kind === 'age' || reference.kind === 'file') return isPersonal(reference.path);
    return reference.kind !== 'model' && reference.kind !== 'series' && reference.kind !== 'env';
  });
}
