import type { Revision } from '#model/revision.ts';
import type { DocumentsByKind } from './documents.ts';
import { eachText, placeWithin, type Path, type SourceDocument, type TextNode } from './nodes.ts';
import { parseTemplate, type Reference } from './references.ts';
import type { Report } from './report.ts';
import type { Kind } from './schemas.ts';
import { decodeText, lineAndColumn } from './text.ts';

/** Marks of secrets that are never right in a repo, wherever they stand. The text itself is never repeated. */
const MARKS: readonly { readonly pattern: RegExp; readonly what: string }[] = [
  { pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----/, what: 'a private key' },
  { pattern: /\b(AKIA|ASIA)[0-9A-Z]{16}\b/, what: 'an AWS access key' },
  { pattern: /AGE-SECRET-KEY-1[0-9A-Z]{20,}/, what: 'an age identity' },
];

const SECRET_NAME = /password|passwd|passphrase|secret|token|api_?key|private_?key|(^|[._-])(pwd|psk)$/i;

type Allowed = 'sources' | 'secrets' | 'device' | 'values' | 'nothing';

/** Checks every scalar of every document: references that may not stand there, and secrets in the clear. */
export function checkTexts(documents: DocumentsByKind, report: Report): void {
  for (const [kind, list] of Object.entries(documents) as [Kind, readonly SourceDocument<unknown>[]][]) {
    for (const document of list) {
      eachText(document.node, (text, path) => {
        const given = { document, kind, path, text };
        if (text.text.includes('${')) checkReferences(given, report);
        checkSecret(given, report);
      });
    }
  }
}

interface Given {
  readonly document: SourceDocument<unknown>;
  readonly kind: Kind;
  readonly path: Path;
  readonly text: TextNode;
}

function checkReferences(given: Given, report: Report): void {
  const { document, path, text } = given;
  const allowed = allowedAt(given.kind, path);
  const { template, problems } = parseTemplate(text.text);
  for (const problem of problems) {
    report.error('BAD_REFERENCE', placeWithin(document, path, problem.offset), { summary: problem.summary, fix: problem.fix });
  }
  for (const reference of template.references) {
    const place = placeWithin(document, path, reference.offset);
    const outside = reference.kind === 'env' || reference.kind === 'file';
    if (outside && allowed !== 'sources' && allowed !== 'secrets') {
      report.error('ENV_MISPLACED', place, {
        summary: `\`${reference.source}\` may stand only in connections, ledger, secrets and daemon of fleet.yaml`,
        fix:
          reference.kind === 'env'
            ? 'what a device is told must be in git: a value, or ${age:PATH} for a secret'
            : 'name the file by its path',
      });
    } else if (!outside && !isAllowed(reference, allowed)) {
      report.error('REFERENCE_MISPLACED', place, { summary: `\`${reference.source}\` has no meaning here`, fix: 'write the text itself' });
    }
  }
}

/** Which references a place may hold: FLEET-REPO's rule that only connections and secrets come from outside git. */
function allowedAt(kind: Kind, path: Path): Allowed {
  const [first, , third] = path;
  switch (kind) {
    case 'Fleet':
      if (first === 'secrets') return 'secrets';
      return ['connections', 'ledger', 'daemon'].includes(String(first)) ? 'sources' : 'nothing';
    case 'Group':
    case 'Set':
    case 'Override':
      if (first === 'values') return 'values';
      return first === 'pins' || first === 'settings' ? 'device' : 'nothing';
    case 'Artifact':
      return first === 'versions' && ['cert', 'key', 'certs'].includes(String(third)) ? 'device' : 'nothing';
    case 'Devices':
      return (first === 'defaults' && path[1] === 'values') || (first === 'devices' && third === 'values') ? 'values' : 'nothing';
    case 'Rollout':
    case 'Window':
    case 'Approval':
      return 'nothing';
  }
}

function isAllowed(reference: Reference, allowed: Allowed): boolean {
  if (allowed === 'sources') return false;
  // The render key is one of the repo's own files: no device is looked at where it stands.
  if (allowed === 'secrets') return reference.kind === 'age';
  if (allowed === 'device') return true;
  // A value may be made of what names the device, not of other values: there is no order among them.
  return allowed === 'values' && ['id', 'model', 'serial', 'label'].includes(reference.kind);
}

function checkSecret(given: Given, report: Report): void {
  const { document, path, text } = given;
  const mark = MARKS.find(({ pattern }) => pattern.test(text.text));
  const what = mark?.what ?? namedSecret(given);
  if (what === undefined) return;
  report.error('SECRET_IN_CLEAR', placeWithin(document, path, 0), {
    summary: `${what} stands here in the clear`,
    fix:
      given.kind === 'Fleet'
        ? 'write a reference such as ${env:NAME}, and change the secret: git remembers it'
        : 'keep it encrypted: ${age:PATH}, and change the secret: git remembers it',
  });
}

function namedSecret(given: Given): string | undefined {
  const { kind, path, text } = given;
  const name = String(path.at(-1) ?? '');
  if (text.text === '' || text.text.includes('${')) return undefined;
  if (kind === 'Fleet') {
    if (path[0] === 'connections' && ['password', 'rpcPassword', 'secretAccessKey', 'key'].includes(name))
      return `the ${name} of a connection`;
    if (/^[a-z0-9+.-]+:\/\/[^/@:]*:[^/@]+@/i.test(text.text.replace(/^postgres:(?=postgres)/, ''))) return 'the password in a URL';
    return (path[0] === 'secrets' && name === 'identity') || (path[0] === 'daemon' && name === 'webhook') ? `the ${name}` : undefined;
  }
  const told = path[0] === 'settings' || path.includes('values');
  return told && (kind === 'Group' || kind === 'Override' || kind === 'Devices') && SECRET_NAME.test(name)
    ? `what is called \`${name}\``
    : undefined;
}

/** Key files are small; larger files with these endings are something else. */
const LARGEST_KEY = 64 * 1024;

/** Private keys that lie in the repo as files. */
export function checkKeyFiles(revision: Revision, report: Report): void {
  for (const file of revision.files.values()) {
    if (file.mode !== 'file' || file.size > LARGEST_KEY || !/\.(pem|key|p8|crt|cer|txt|env|age|json)$/i.test(file.path)) continue;
    const bytes = revision.read(file.path);
    if (bytes === undefined || bytes === 'tooLarge') continue;
    const decoded = decodeText(bytes);
    if (decoded.kind !== 'text') continue;
    for (const { pattern, what } of MARKS) {
      const found = pattern.exec(decoded.text);
      if (found === null) continue;
      report.error(
        'SECRET_IN_CLEAR',
        { file: file.path, ...lineAndColumn(decoded.text, found.index) },
        {
          summary: `${what} lies in the repo in the clear`,
          fix: 'take it out of the repo, and change it: git remembers it',
        },
      );
      break;
    }
  }
}
