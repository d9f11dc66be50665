import type { Diagnostic } from '#kit/diagnostics.ts';
import type { Revision, RevisionFile } from '#model/revision.ts';
import { kept, type DeclareCache } from './cache.ts';
import { findFile } from './files.ts';
import { didYouMean, nearest } from './nearest.ts';
import { placeIn, plain, type MapNode, type SourceDocument } from './nodes.ts';
import { makeReport, type Report } from './report.ts';
import { reportSchemaErrors } from './schema-errors.ts';
import { KINDS, schemaErrors, type DocumentTypes, type Kind } from './schemas.ts';
import { decodeText } from './text.ts';
import { readYaml } from './yaml.ts';

/** A YAML file larger than this is refused: inventories of that size belong in CSV, which reads a hundred times faster. */
const LARGEST_YAML = 1024 * 1024;

const KIND_OF_FOLDER: Readonly<Record<string, Kind>> = {
  devices: 'Devices',
  artifacts: 'Artifact',
  groups: 'Group',
  sets: 'Set',
  rollouts: 'Rollout',
  windows: 'Window',
  overrides: 'Override',
  approvals: 'Approval',
};
const FOLDERS = Object.keys(KIND_OF_FOLDER);
/** Kinds of which the rest still means what it says when a key is not understood. */
const READ_ON: readonly Kind[] = ['Fleet', 'Devices', 'Artifact', 'Group', 'Set'];
/** Folders with other contents, which a misspelt one must not be taken for. */
const OTHER_FOLDERS = ['files', 'keys', 'secrets', 'docs', 'scripts'];

/** The documents of a revision that passed their schemas, by kind, in order of file and line. */
export type DocumentsByKind = { readonly [K in Kind]: readonly SourceDocument<DocumentTypes[K]>[] };

/**
 * What could not be read. A reference to something in it is no second mistake: with a name, whether that one may be
 * there; without, whether anything of the kind is missing.
 */
export interface Broken {
  has(kind: Kind, name?: string): boolean;
  /** Something of that kind and name has a mistake that its references would repeat. */
  add(kind: Kind, name: string | null): void;
}

export interface Documents {
  readonly byKind: DocumentsByKind;
  readonly broken: Broken;
}

interface BrokenPart {
  readonly kind: Kind;
  /** Null when not even the name could be read. */
  readonly name: string | null;
}

interface ReadFile {
  readonly documents: readonly { readonly kind: Kind; readonly document: SourceDocument<unknown> }[];
  readonly broken: readonly BrokenPart[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads fleet.yaml and the YAML files of the known folders. Mistakes go to the report; what has one is left out. */
export function readDocuments(revision: Revision, cache: DeclareCache, report: Report): Documents {
  const found: Record<Kind, SourceDocument<unknown>[]> = {
    Fleet: [],
    Devices: [],
    Artifact: [],
    Group: [],
    Set: [],
    Rollout: [],
    Window: [],
    Override: [],
    Approval: [],
  };
  const broken: BrokenPart[] = [];
  for (const file of revision.files.values()) {
    if (!isDeclaration(file.path, report)) continue;
    const read = kept(cache, `yaml ${file.oid} ${file.path}`, () => readDocumentsOf(revision, file));
    report.add(read.diagnostics);
    for (const { kind, document } of read.documents) found[kind].push(document);
    broken.push(...read.broken);
  }
  // Each list was filled with documents that passed the schema of its kind, from which the types are generated.
  return { byKind: found as unknown as DocumentsByKind, broken: brokenOf(broken) };
}

function brokenOf(parts: BrokenPart[]): Broken {
  return {
    add: (kind, name) => void parts.push({ kind, name }),
    has: (kind, name) => parts.some((part) => part.kind === kind && (name === undefined || part.name === null || part.name === name)),
  };
}

function isDeclaration(path: string, report: Report): boolean {
  if (!/\.ya?ml$/.test(path)) return false;
  const slash = path.indexOf('/');
  if (slash < 0) return !path.startsWith('.');
  const folder = path.slice(0, slash);
  if (FOLDERS.includes(folder)) return true;
  if (OTHER_FOLDERS.includes(folder) || folder.startsWith('.')) return false;
  const meant = nearest(folder, FOLDERS);
  if (meant !== undefined) {
    report.warning(
      'UNKNOWN_FOLDER',
      { file: path, line: 1, column: 1 },
      {
        summary: `nothing is read from the folder \`${folder}\``,
        fix: `did you mean \`${meant}\`?`,
      },
    );
  }
  return false;
}

function readDocumentsOf(revision: Revision, file: RevisionFile): ReadFile {
  const report = makeReport();
  const broken: BrokenPart[] = [];
  const documents: { kind: Kind; document: SourceDocument<unknown> }[] = [];
  const text = readText(revision, file, report);
  const nodes = text === null ? [] : readYaml(file.path, text, report);
  // A document that cannot be parsed has no kind: it is taken for what its folder holds.
  const folderKind = file.path.includes('/') ? KIND_OF_FOLDER[file.path.split('/')[0] ?? ''] : 'Fleet';
  if (report.hasErrors() && folderKind !== undefined) broken.push({ kind: folderKind, name: null });
  for (const node of nodes) {
    const checked = checkDocument(file.path, node, report);
    if (checked.document !== null && checked.kind !== null) documents.push({ kind: checked.kind, document: checked.document });
    const kind = checked.kind ?? folderKind;
    // What refers to a fleet refers to its connections, not to its name.
    if (checked.broken && kind !== undefined) broken.push({ kind, name: kind === 'Fleet' ? null : nameOf(node) });
  }
  return { documents, broken, diagnostics: report.list() };
}

function nameOf(node: MapNode): string | null {
  const name = node.entries.get('name')?.node;
  return name?.kind === 'text' ? name.text : null;
}

function readText(revision: Revision, file: RevisionFile, report: Report): string | null {
  const start = { file: file.path, line: 1, column: 1 };
  const bytes = findFile(revision, file.path);
  if (!bytes.ok) {
    report.error(bytes.error.code, start, bytes.error);
    return null;
  }
  if (bytes.value.bytes.length > LARGEST_YAML) {
    report.error('FILE_TOO_LARGE', start, {
      summary: `the file has ${bytes.value.bytes.length} bytes; YAML files may have ${LARGEST_YAML}`,
      fix: 'keep a large inventory in CSV',
    });
    return null;
  }
  const decoded = decodeText(bytes.value.bytes);
  if (decoded.kind === 'text') return decoded.text;
  report.error(
    'NOT_UTF8',
    { ...start, line: decoded.line, column: decoded.column },
    {
      summary: decoded.utf16 ? 'the file is UTF-16' : 'this is not UTF-8',
      fix: 'save the file as UTF-8',
    },
  );
  return null;
}

interface Checked {
  readonly kind: Kind | null;
  readonly document: SourceDocument<unknown> | null;
  readonly broken: boolean;
}

function checkDocument(file: string, node: MapNode, report: Report): Checked {
  const kindNode = node.entries.get('kind')?.node;
  if (kindNode === undefined) {
    // A YAML file of some other tool may lie beside fleet.yaml.
    if (!file.includes('/') && file !== 'fleet.yaml') return { kind: null, document: null, broken: false };
    const start = { file, line: node.line, column: node.column };
    report.error('MISSING_KEY', start, { summary: 'the document has no `kind`', fix: `write one of: ${KINDS.join(', ')}` });
    return { kind: null, document: null, broken: true };
  }
  const given = kindNode.kind === 'text' ? kindNode.text : '';
  const kind = KINDS.find((one) => one === given);
  if (kind === undefined) {
    report.error('UNKNOWN_KIND', placeIn(file, node, ['kind']), {
      summary: `\`${given}\` is no kind`,
      fix: didYouMean(given, KINDS) ?? `write one of: ${KINDS.join(', ')}`,
    });
    return { kind: null, document: null, broken: true };
  }
  const data = plain(node);
  const errors = schemaErrors(kind, data);
  if (errors.length === 0) return { kind, document: { file, node, data }, broken: false };
  reportSchemaErrors(errors, { file, root: node, base: [] }, report);
  const rest = READ_ON.includes(kind) ? readableRest(kind, data, errors) : null;
  return { kind, document: rest === null ? null : { file, node, data: rest }, broken: true };
}

/** Keys whose members stand for themselves: one with a mistake does not spoil the others. */
const MEMBERS = new Set(['devices', 'connections', 'versions', 'pins']);

/** The document without the members that have a mistake, when the rest still passes the schema: its mistakes are told too. */
function readableRest(kind: Kind, data: unknown, errors: ReturnType<typeof schemaErrors>): unknown {
  const pruned = structuredClone(data) as Record<string, unknown>;
  for (const error of errors) {
    if (error.keyword === 'additionalProperties') continue;
    const [first, second] = error.instancePath
      .slice(1)
      .split('/')
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    if (first === undefined || first === '') return null;
    const members = pruned[first];
    if (second !== undefined && MEMBERS.has(first) && typeof members === 'object' && members !== null)
      Reflect.deleteProperty(members, second);
    else Reflect.deleteProperty(pruned, first);
  }
  return schemaErrors(kind, pruned).every((error) => error.keyword === 'additionalProperties') ? pruned : null;
}
