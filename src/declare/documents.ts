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

const FOLDERS = ['devices', 'artifacts', 'groups', 'sets', 'rollouts', 'windows', 'overrides', 'approvals'];
/** Folders with other contents, which a misspelt one must not be taken for. */
const OTHER_FOLDERS = ['files', 'keys', 'secrets', 'docs', 'scripts'];

/** The documents of a revision that passed their schemas, by kind, in order of file and line. */
export type Documents = { readonly [K in Kind]: readonly SourceDocument<DocumentTypes[K]>[] };

interface ReadFile {
  readonly documents: readonly { readonly kind: Kind; readonly document: SourceDocument<unknown> }[];
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
  for (const file of revision.files.values()) {
    if (!isDeclaration(file.path, report)) continue;
    const read = kept(cache, `yaml ${file.oid} ${file.path}`, () => readDocumentsOf(revision, file));
    report.add(read.diagnostics);
    for (const { kind, document } of read.documents) found[kind].push(document);
  }
  // Each list was filled with documents that passed the schema of its kind, from which the types are generated.
  return found as unknown as Documents;
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
  const text = readText(revision, file, report);
  const documents = text === null ? [] : readYaml(file.path, text, report).flatMap((node) => checkDocument(file.path, node, report) ?? []);
  return { documents, diagnostics: report.list() };
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

function checkDocument(file: string, node: MapNode, report: Report): { kind: Kind; document: SourceDocument<unknown> } | null {
  const kindNode = node.entries.get('kind')?.node;
  const start = { file, line: node.line, column: node.column };
  if (kindNode === undefined) {
    // A YAML file of some other tool may lie beside fleet.yaml.
    if (!file.includes('/') && file !== 'fleet.yaml') return null;
    report.error('MISSING_KEY', start, { summary: 'the document has no `kind`', fix: `write one of: ${KINDS.join(', ')}` });
    return null;
  }
  const kind = kindNode.kind === 'text' ? KINDS.find((one) => one === kindNode.text) : undefined;
  if (kind === undefined) {
    const given = kindNode.kind === 'text' ? kindNode.text : '';
    report.error('UNKNOWN_KIND', placeIn(file, node, ['kind']), {
      summary: `\`${given}\` is no kind`,
      fix: didYouMean(given, KINDS) ?? `write one of: ${KINDS.join(', ')}`,
    });
    return null;
  }
  const data = plain(node);
  const errors = schemaErrors(kind, data);
  if (errors.length === 0) return { kind, document: { file, node, data } };
  reportSchemaErrors(errors, { file, root: node, base: [] }, report);
  return null;
}
