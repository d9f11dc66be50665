import { digestOf, sha256 } from '#kit/digest.ts';
import type { Place } from '#kit/diagnostics.ts';
import type { Content, FleetDeclaration, Needs } from '#model/declared.ts';
import type { ArtifactDocument, Version } from '#model/generated/fleet-repo.ts';
import { digest, type Digest, type Instant } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import { findFile } from './files.ts';
import { didYouMean } from './nearest.ts';
import { at, keyAt, placeWithin, type SourceDocument } from './nodes.ts';
import type { PlacedTemplate } from './pins.ts';
import { parseTemplate, type Reference } from './references.ts';
import { byName, reportUnknown, type Scope } from './scope.ts';

/** A version of an artifact that a group may pin. */
export interface ArtifactVersion {
  readonly artifact: string;
  readonly version: string;
  readonly place: Place;
  readonly item: ItemName;
  readonly family: string;
  /** Null: every model of the family. */
  readonly models: readonly string[] | null;
  /** Null for trust and identity, and for what could not be read (which was reported). */
  readonly content: Content | null;
  /** Where the content lies in the repo, null when it comes from elsewhere. */
  readonly path: string | null;
  /** The CA certificates of trust. */
  readonly certificates: readonly Uint8Array[];
  /** Of an identity: where each device's own certificate and key lie; null for all else. */
  readonly identity: IdentityFiles | null;
  /** Of an identity that devices provision by themselves: certificates issued since then; null for all else. */
  readonly issuedAfter: Instant | null;
  readonly reportsAs: string | null;
  readonly needs: Needs;
  readonly withdrawn: string | null;
  /** What its part of a release is fixed by. */
  readonly digest: Digest;
}

/** `files/certs/${id}.pem` and `${age:secrets/keys/${id}.age}`, before a device fills them in. */
export interface IdentityFiles {
  readonly cert: PlacedTemplate;
  readonly key: { readonly reference: Extract<Reference, { kind: 'age' }>; readonly place: Place };
}

export interface Artifact {
  readonly name: string;
  readonly place: Place;
  readonly item: ItemName;
  readonly versions: ReadonlyMap<string, ArtifactVersion>;
}

export type Catalog = ReadonlyMap<string, Artifact>;

type ArtifactSource = SourceDocument<ArtifactDocument>;

/** All artifacts, each version fixed by its digest. */
export function declareArtifacts(scope: Scope, fleet: FleetDeclaration | null): Catalog {
  const catalog = new Map<string, Artifact>();
  for (const [name, document] of byName('Artifact', scope.documents.Artifact, scope)) {
    checkFits(document, scope);
    const item = document.data.item as ItemName;
    const versions = Object.keys(document.data.versions).map((version) => readVersion(document, version, { scope, fleet }));
    catalog.set(name, { name, place: at(document, 'name'), item, versions: new Map(versions.map((one) => [one.version, one])) });
  }
  reportReportsAsTwice(catalog, scope);
  return catalog;
}

function checkFits(document: ArtifactSource, scope: Scope): void {
  const { family: name, models } = document.data.fits;
  const family = scope.families.get(name);
  if (family === undefined) {
    reportUnknown(scope, at(document, 'fits', 'family'), { what: 'device family', kind: null, name, known: scope.families.keys() });
    return;
  }
  for (const [index, model] of (models ?? []).entries()) {
    if (family.models.length === 0 || family.models.includes(model)) continue;
    scope.report.error('UNKNOWN_MODEL', at(document, 'fits', 'models', index), {
      summary: `the family ${name} has no model \`${model}\``,
      fix: didYouMean(model, family.models) ?? `its models are: ${family.models.join(', ')}`,
    });
  }
}

function readVersion(
  document: ArtifactSource,
  version: string,
  context: { scope: Scope; fleet: FleetDeclaration | null },
): ArtifactVersion {
  const { data } = document;
  const declared = data.versions[version] ?? {};
  const kind = data.item.split('.')[0];
  const given = { document, version, declared, ...context };
  const content = kind === 'trust' ? readTrust(given) : kind === 'identity' ? readIdentity(given) : readSource(given);
  checkNeverBelow(given);
  const needs = { firmware: declared.needs?.firmware ?? null, neverBelow: declared.neverBelow ?? null };
  return {
    artifact: data.name,
    version,
    place: keyAt(document, 'versions', version),
    item: data.item as ItemName,
    family: data.fits.family,
    models: data.fits.models ?? null,
    reportsAs: declared.reportsAs ?? null,
    needs,
    withdrawn: declared.withdrawn ?? null,
    ...content,
  };
}

interface VersionContext {
  readonly document: ArtifactSource;
  readonly version: string;
  readonly declared: Version;
  readonly scope: Scope;
  readonly fleet: FleetDeclaration | null;
}

type Found = Pick<ArtifactVersion, 'content' | 'path' | 'certificates' | 'identity' | 'issuedAfter' | 'digest'>;

const NO_DIGEST = digest('');

function found(part: Partial<Found>): Found {
  return { content: null, path: null, certificates: [], identity: null, issuedAfter: null, digest: NO_DIGEST, ...part };
}

function readTrust(context: VersionContext): Found {
  const { document, version, declared, scope } = context;
  if (declared.certs === undefined) return missing(context, 'certs', 'a version of trust names the CA certificates in `certs:`');
  const certificates: Uint8Array[] = [];
  for (const [index, path] of declared.certs.entries()) {
    const file = findFile(scope.revision, path);
    if (file.ok) certificates.push(file.value.bytes);
    else scope.report.error(file.error.code, at(document, 'versions', version, 'certs', index), file.error);
  }
  return found({ certificates, digest: digest(digestOf(certificates.map(sha256))) });
}

function readIdentity(context: VersionContext): Found {
  const { declared } = context;
  if (declared.issuedAfter !== undefined) return readIssued(context, declared.issuedAfter);
  if (declared.cert === undefined)
    return missing(
      context,
      'cert',
      'a version of identity names the certificate in `cert:`, or says `issuedAfter:` where the device makes its key',
    );
  if (declared.key === undefined) return missing(context, 'key', 'a version of identity names the key in `key:`, as ${age:PATH}');
  // Which bytes they are differs from device to device: a release is told the templates, each device its own files.
  return found({ identity: identityFiles(context, declared.cert, declared.key), digest: digest(digestOf([declared.cert, declared.key])) });
}

/** One form of the two: what the device is given, or what it provisions by itself. */
function readIssued({ document, version, declared, scope }: VersionContext, text: string): Found {
  const other = (['cert', 'key'] as const).find((key) => declared[key] !== undefined);
  if (other !== undefined) {
    scope.report.error('IDENTITY_FORM', at(document, 'versions', version, other), {
      summary: `\`${other}\` and \`issuedAfter\` cannot stand together`,
      fix: 'a device is given its key (`cert`, `key`), or makes it by its own provisioning (`issuedAfter`)',
    });
    return found({});
  }
  const issuedAfter = Date.parse(text);
  if (Number.isNaN(issuedAfter)) {
    const fix = 'write an instant, for example 2026-11-01T00:00:00Z';
    scope.report.error('BAD_DATE', at(document, 'versions', version, 'issuedAfter'), { summary: `\`${text}\` is no instant`, fix });
    return found({});
  }
  return found({ issuedAfter, digest: digest(digestOf(['issued after', issuedAfter])) });
}

function identityFiles({ document, version, scope }: VersionContext, cert: string, key: string): IdentityFiles | null {
  const placeOf = (name: string): Place => at(document, 'versions', version, name);
  const certificate = parseTemplate(cert);
  const { parts } = parseTemplate(key).template;
  const [reference] = parts;
  if (parts.length !== 1 || reference === undefined || typeof reference === 'string' || reference.kind !== 'age') {
    scope.report.error('KEY_NOT_SEALED', placeOf('key'), {
      summary: 'the key of an identity is one sealed file',
      fix: 'write `${age:PATH}`, for example "${age:secrets/keys/${id}.age}"',
    });
    return null;
  }
  const placeAt = (offset: number): Place => placeWithin(document, ['versions', version, 'cert'], offset);
  const broken = certificate.problems.length > 0;
  return { cert: { template: certificate.template, place: placeOf('cert'), broken, placeAt }, key: { reference, place: placeOf('key') } };
}

function readSource(context: VersionContext): Found {
  const { declared } = context;
  if (declared.from === undefined) return missing(context, 'from', 'a version names where its bytes come from in `from:`');
  const colon = declared.from.indexOf(':');
  if (colon < 0) return readFromRepo(context, declared.from);
  const [scheme, rest] = [declared.from.slice(0, colon), declared.from.slice(colon + 1)];
  const pinned = declared.sha256?.toLowerCase();
  if (pinned === undefined) {
    context.scope.report.error('DIGEST_MISSING', at(context.document, 'versions', context.version, 'from'), {
      summary: `${context.document.data.name} ${context.version} is not fixed by a digest`,
      fix: 'add `sha256:`; `sha256sum` prints it of the file',
    });
    return found({});
  }
  const common = { name: fileName(rest), digest: digest(pinned), size: declared.size === undefined ? null : Number(declared.size) };
  const fixed = digest(digestOf([pinned, declared.reportsAs ?? null]));
  if (scheme === 'https' || scheme === 'http') return readFromUrl(context, { common, fixed });
  if (scheme === 'oci') return readFromRegistry(context, { common, fixed, reference: rest });
  checkConnection(context, scheme);
  return found({ content: { ...common, kind: 'object', connection: scheme, key: rest }, digest: fixed });
}

function readFromUrl(context: VersionContext, known: { common: Pick<Content, 'name' | 'digest' | 'size'>; fixed: Digest }): Found {
  const url = context.declared.from ?? '';
  if (url.startsWith('http:') && !/^http:\/\/(127\.|localhost[:/]|\[::1\])/.test(url)) {
    context.scope.report.warning('PLAIN_HTTP', at(context.document, 'versions', context.version, 'from'), {
      summary: 'this is fetched without encryption',
      detail: 'the digest still protects the bytes, but not who sees them',
      fix: 'write https:',
    });
  }
  return found({ content: { ...known.common, kind: 'url', url }, digest: known.fixed });
}

const OCI_REFERENCE = /^(?:\/\/)?([a-z0-9.-]+(?::\d{1,5})?)\/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::([\w][\w.-]{0,127}))?$/i;

/** `oci:HOST/NAME:TAG`, whose tag is the version (docs/protocols/drogue-dfu.md §8.3). */
function readFromRegistry(
  context: VersionContext,
  known: { common: Pick<Content, 'name' | 'digest' | 'size'>; fixed: Digest; reference: string },
): Found {
  const { document, version, declared, scope } = context;
  const place = at(document, 'versions', version, 'from');
  const [, registry, repository, tag = version] = OCI_REFERENCE.exec(known.reference) ?? [];
  if (registry === undefined || repository === undefined || !/[.:]|^localhost$/.test(registry)) {
    const summary = `\`oci:${known.reference}\` names no image of a registry`;
    scope.report.error('OCI_REFERENCE', place, { summary, fix: 'write oci:registry.example.org/NAME:TAG' });
    return found({});
  }
  if (tag !== version && tag !== declared.reportsAs) {
    const summary = `the tag \`${tag}\` is not the version \`${version}\``;
    scope.report.error('OCI_TAG', place, { summary, fix: 'the tag of an image is its version, or what the device reports it as' });
    return found({});
  }
  return found({
    content: { ...known.common, name: `${fileName(repository)}:${tag}`, kind: 'oci', registry, repository, tag },
    digest: known.fixed,
  });
}

function readFromRepo(context: VersionContext, path: string): Found {
  const { document, version, declared, scope } = context;
  const place = at(document, 'versions', version, 'from');
  const file = findFile(scope.revision, path);
  if (!file.ok) {
    scope.report.error(file.error.code, place, file.error);
    return found({});
  }
  const { bytes } = file.value;
  const actual = digest(sha256(bytes));
  if (declared.sha256 !== undefined && declared.sha256.toLowerCase() !== actual) {
    scope.report.error('DIGEST_MISMATCH', at(document, 'versions', version, 'sha256'), {
      summary: `\`${path}\` has another SHA-256`,
      fix: `the file in the repo has ${actual}`,
    });
  }
  if (declared.size !== undefined && Number(declared.size) !== bytes.length) {
    scope.report.error('SIZE_MISMATCH', at(document, 'versions', version, 'size'), { summary: `\`${path}\` has ${bytes.length} bytes` });
  }
  const content: Content = { kind: 'bytes', name: fileName(path), digest: actual, size: bytes.length, bytes };
  return found({ content, path: file.value.path, digest: digest(digestOf([actual, declared.reportsAs ?? null])) });
}

function missing(context: VersionContext, key: string, fix: string): Found {
  const { document, version, scope } = context;
  scope.report.error('MISSING_KEY', keyAt(document, 'versions', version), { summary: `\`${version}\` has no \`${key}\``, fix });
  return found({});
}

function checkConnection(context: VersionContext, name: string): void {
  const { document, version, scope, fleet } = context;
  if (fleet === null) return;
  const place = placeWithin(document, ['versions', version, 'from'], 0);
  const connection = fleet.connections.get(name);
  const buckets = [...fleet.connections.values()].filter((one) => one.type === 's3').map((one) => one.name);
  if (connection === undefined) reportUnknown(scope, place, { what: 'connection', kind: null, name, known: buckets });
  else if (connection.type !== 's3') scope.report.error('WRONG_CONNECTION', place, { summary: `\`${name}\` is no s3 connection` });
}

/** A bound that the family cannot read would never hold anyone back. */
function checkNeverBelow(context: VersionContext): void {
  const { document, version, declared, scope } = context;
  const family = scope.families.get(document.data.fits.family);
  if (family === undefined) return;
  for (const [key, text] of [
    ['neverBelow', declared.neverBelow],
    ['needs', declared.needs?.firmware],
  ] as const) {
    const bad = text === undefined ? undefined : versionsIn(text).find((one) => family.compareVersions(one, one) === null);
    if (bad === undefined) continue;
    scope.report.error('BAD_VERSION', at(document, 'versions', version, key, ...(key === 'needs' ? ['firmware'] : [])), {
      summary: `\`${bad}\` is no version that the family ${family.name} can compare`,
    });
  }
}

/** The versions named in a range such as `>= 8.0, < 9`. */
function versionsIn(range: string): string[] {
  return range.split(/[\s,<>=]+/).filter((one) => one !== '');
}

function fileName(path: string): string {
  return path.split(/[?#]/)[0]?.split('/').at(-1) ?? path;
}

/** What reports the same cannot be told apart afterwards: nobody could prove which of the two is on a device. */
function reportReportsAsTwice(catalog: Catalog, scope: Scope): void {
  const seen: ArtifactVersion[] = [];
  for (const artifact of catalog.values()) {
    for (const one of artifact.versions.values()) {
      if (one.reportsAs === null) continue;
      const twin = seen.find((other) => other.reportsAs === one.reportsAs && other.item === one.item && overlap(other, one));
      seen.push(one);
      if (twin === undefined) continue;
      const place = placeOfReportsAs(scope, one);
      scope.report.error('REPORTS_AS_TWICE', place, {
        summary: `${twin.artifact}@${twin.version} and ${one.artifact}@${one.version} report the same, \`${one.reportsAs}\``,
        fix: 'no report could tell them apart: keep one of them',
        also: [placeOfReportsAs(scope, twin)],
      });
    }
  }
}

function placeOfReportsAs(scope: Scope, version: ArtifactVersion): Place {
  const document = scope.documents.Artifact.find((one) => one.data.name === version.artifact);
  return document === undefined ? version.place : at(document, 'versions', version.version, 'reportsAs');
}

function overlap(a: ArtifactVersion, b: ArtifactVersion): boolean {
  if (a.family !== b.family) return false;
  return a.models === null || b.models === null || a.models.some((model) => b.models?.includes(model) === true);
}

/** A published version whose bytes differ from those of the base: devices that have it already would never be changed. */
export function reportChangedDigests(catalog: Catalog, base: Catalog, scope: Scope): void {
  for (const [name, artifact] of catalog) {
    for (const [version, now] of artifact.versions) {
      const before = base.get(name)?.versions.get(version);
      if (before === undefined || identityOf(before) === '' || identityOf(now) === '' || identityOf(before) === identityOf(now)) continue;
      const document = scope.documents.Artifact.find((one) => one.data.name === name);
      const declared = document?.data.versions[version];
      const key =
        declared?.sha256 !== undefined
          ? 'sha256'
          : declared?.certs !== undefined
            ? 'certs'
            : declared?.issuedAfter !== undefined
              ? 'issuedAfter'
              : 'from';
      scope.report.error('DIGEST_CHANGED', document === undefined ? now.place : at(document, 'versions', version, key), {
        summary: `${name}@${version} was published with other bytes`,
        detail: `it had ${identityOf(before)}`,
        fix: 'give the new bytes a new version',
      });
    }
  }
}

function identityOf(version: ArtifactVersion): string {
  return version.content?.digest ?? version.digest;
}
