import type { Revision, RevisionFile } from '#model/revision.ts';
import type { OpenRequest } from '#ports/secrets.ts';
import { kept, makeDeclareCache, type DeclareCache } from './cache.ts';
import { readDocuments } from './documents.ts';
import { findFile } from './files.ts';
import { parseTemplate, type Template } from './references.ts';
import { makeReport } from './report.ts';

/** Files in which references may stand; larger ones are inventories or data. */
const LARGEST_SCANNED = 1024 * 1024;
const SCANNED = /\.(ya?ml|json)$/i;

/**
 * What must be opened before a revision is declared: every file of it that some `${age:…}` can mean, whichever devices
 * there are. `rules` is the revision whose fleet.yaml names the identity: of a pull request its base. A first look at
 * the text alone; mistakes are told by `declare`.
 */
export function secretsNeeded(revision: Revision, rules: Revision, cache: DeclareCache): OpenRequest {
  const templates = new Map<string, Template>();
  for (const file of revision.files.values()) {
    if (file.mode !== 'file' || file.size > LARGEST_SCANNED || !SCANNED.test(file.path)) continue;
    for (const text of kept(cache, `age ${file.oid}`, () => agePaths(revision, file))) templates.set(text, parseTemplate(text).template);
  }
  const paths = new Set([...templates.values()].flatMap((template) => pathsOf(template, revision)));
  const files = [...paths].toSorted().flatMap((path) => {
    const file = revision.files.get(path);
    const bytes = file?.mode === 'file' ? revision.read(path) : undefined;
    return file === undefined || bytes === undefined ? [] : [{ path, oid: file.oid, bytes }];
  });
  return { identity: files.length === 0 ? null : identityOf(rules, cache), files };
}

const AGE_REFERENCE = /\$\{age:((?:[^${}]|\$\{[^${}]*\})+)\}/g;

function agePaths(revision: Revision, file: RevisionFile): readonly string[] {
  const bytes = revision.read(file.path);
  if (!(bytes instanceof Uint8Array)) return [];
  return [...new Set([...Buffer.from(bytes).toString('utf8').matchAll(AGE_REFERENCE)].flatMap(([, path]) => path ?? []))];
}

function pathsOf(template: Template, revision: Revision): readonly string[] {
  if (template.references.length === 0) return [cleanPath(template.source)];
  const literals = template.parts.reduce<string[]>(
    (all, part) => (typeof part === 'string' ? [...all.slice(0, -1), `${all.at(-1) ?? ''}${part}`] : [...all, '']),
    [''],
  );
  return [...revision.files.keys()].filter((path) => fits(path, [cleanPath(literals[0] ?? ''), ...literals.slice(1)]));
}

/** Whether the literals stand in the path in this order, the first at its begin and the last at its end. */
function fits(path: string, literals: readonly string[]): boolean {
  const [first = '', ...others] = literals;
  const last = others.pop() ?? '';
  if (!path.startsWith(first) || !path.endsWith(last)) return false;
  let at = first.length;
  for (const literal of others) {
    const found = path.indexOf(literal, at);
    if (found < 0) return false;
    at = found + literal.length;
  }
  return at <= path.length - last.length;
}

function cleanPath(path: string): string {
  return path.replace(/^(\.\/)+/, '');
}

function identityOf(rules: Revision, cache: DeclareCache): string | null {
  const [fleet] = readDocuments(rules, cache, makeReport()).byKind.Fleet;
  return fleet?.data.secrets?.identity ?? null;
}

export type Recipients =
  | { readonly kind: 'found'; readonly path: string; readonly text: string }
  | { readonly kind: 'problem'; readonly message: string };

/** The file to whose recipients the fleet's secrets are sealed. The rest of the revision need not be valid. */
export function recipientsOf(revision: Revision): Recipients {
  const [fleet] = readDocuments(revision, makeDeclareCache(), makeReport()).byKind.Fleet;
  const path = fleet?.data.secrets?.recipients;
  if (path === undefined) {
    const fix = 'add `secrets: { recipients: keys/age.txt, identity: "${env:AGE_IDENTITY}" }`';
    return { kind: 'problem', message: `fleet.yaml names no recipients: ${fix}` };
  }
  const file = findFile(revision, path);
  if (!file.ok) return { kind: 'problem', message: `secrets.recipients: ${file.error.summary}` };
  return { kind: 'found', path, text: new TextDecoder().decode(file.value.bytes) };
}
