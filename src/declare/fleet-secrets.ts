import { findFile } from './files.ts';
import type { OpenedSecret, OpenedSecrets } from '#ports/secrets.ts';
import { at } from './nodes.ts';
import { parseTemplate } from './references.ts';
import type { Scope } from './scope.ts';
import type { RenderSecrets } from './sealed.ts';

/** The ciphertext of the fleet's render key: a part of each release that renders secrets. */
export interface RenderKeyFile {
  readonly path: string;
  readonly oid: string;
}

/** The secrets that rendering may ask for. What is wrong with the identity or the render key is told here, once. */
export function declareSecrets(
  scope: Scope,
  opened: OpenedSecrets | null,
): { secrets: RenderSecrets; renderKeyFile: RenderKeyFile | null } {
  const [document] = scope.documents.Fleet;
  const declared = document?.data.secrets;
  if (document !== undefined && opened !== null && opened.identityProblem !== null) {
    scope.report.error('BAD_IDENTITY', at(document, 'secrets', 'identity'), {
      summary: opened.identityProblem,
      fix: 'give the text that `age-keygen` wrote',
    });
  }
  if (document !== undefined && declared?.identity !== undefined && !/^\$\{(env|file):[^}]+\}$/.test(declared.identity)) {
    scope.report.error('BAD_VALUE', at(document, 'secrets', 'identity'), {
      summary: 'the identity is one reference to what lies outside git',
      fix: 'write `${env:NAME}` or `${file:PATH}`',
    });
  }
  const of = (oid: string): OpenedSecret => opened?.of(oid) ?? NOT_OPENED;
  const renderKeyFile = renderKeyFileOf(scope);
  const renderKey = renderKeyFile === null ? null : of(renderKeyFile.oid);
  if (document !== undefined && renderKey?.kind === 'problem' && renderKey.code !== 'SEALED') {
    scope.report.error(renderKey.code, at(document, 'secrets', 'render'), { summary: renderKey.message });
  }
  return { secrets: { of, identityNamed: declared?.identity !== undefined, renderKey }, renderKeyFile };
}

const NOT_OPENED: OpenedSecret = { kind: 'problem', code: 'SEALED', message: 'needs the age identity, and secrets are not opened here' };

function renderKeyFileOf(scope: Scope): RenderKeyFile | null {
  const [document] = scope.documents.Fleet;
  const text = document?.data.secrets?.render;
  if (document === undefined || text === undefined) return null;
  const { parts } = parseTemplate(text).template;
  const [only] = parts;
  if (parts.length !== 1 || only === undefined || typeof only === 'string' || only.kind !== 'age' || only.path.references.length > 0) {
    scope.report.error('BAD_VALUE', at(document, 'secrets', 'render'), {
      summary: 'the render key is one file of the repo',
      fix: 'write `${age:PATH}`',
    });
    return null;
  }
  // A file that is missing was told where the fleet was read.
  const file = findFile(scope.revision, only.path.source);
  return file.ok ? { path: file.value.path, oid: file.value.oid } : null;
}
