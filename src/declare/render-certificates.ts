import type { Place } from '#kit/diagnostics.ts';
import { certificateFacts, type CertificateFacts } from '#kit/certificate.ts';
import { identityProblem } from '#kit/identity.ts';
import type { Secret } from '#kit/secret.ts';
import type { DeclaredItem } from '#model/declared.ts';
import { allVersions, type IdentityVersion } from '#model/identity.ts';
import { itemKind } from '#model/item.ts';
import type { PinnedItem } from '#ports/family.ts';
import type { ArtifactVersion, IdentityFiles } from './artifacts.ts';
import { kept } from './cache.ts';
import type { FoundFile } from './files.ts';
import type { Pin } from './pins.ts';
import { fileFor, finish, partOfVersion, type ItemSource, type Rendering } from './render.ts';
import { openFor } from './sealed.ts';

type CertificatesPin = Pick<Extract<Pin, { kind: 'certificates' }>, 'item' | 'use' | 'keep' | 'usePlace' | 'others'>;

/** Trust and identity: the certificates of `use` and then those of `keep`; of an identity the private key of `use` too. */
export function renderCertificates(pin: CertificatesPin, rendering: Rendering): DeclaredItem | null {
  const { use, keep, usePlace, others } = pin;
  const { world, device } = rendering;
  const twice = keep.find((version) => version.artifact === use.artifact && version.version === use.version);
  if (twice !== undefined) {
    const summary = `${use.artifact}@${use.version} is used and kept at once`;
    world.mistake(device.id, { code: 'KEPT_TWICE', place: usePlace, words: { summary, fix: 'take it out of `keep`' } });
    return null;
  }
  const artifact = { name: use.artifact, version: use.version, reportsAs: use.reportsAs };
  const at = { place: usePlace, part: partOfVersion(pin.item, use), needs: use.needs };
  const common = { item: pin.item, artifact, content: null, document: null, firmware: rendering.firmware };
  if (itemKind(pin.item) !== 'identity') {
    return finish({ ...common, certificates: [use, ...keep].flatMap((version) => version.certificates) }, at, rendering);
  }
  if ([use, ...keep].some(({ issuedAfter }) => issuedAfter !== null)) return renderIssued(pin, { common, at }, rendering);
  const own = identityOf(use, rendering);
  const former = keep.map((version) => (version.identity === null ? null : fileFor(version.identity.cert, rendering)));
  if (own === null || former.includes(null)) return null;
  const files = former.filter((file) => file !== null);
  const certificates = [own.certificate, ...files.map((file) => file.bytes)];
  const versions = versionsOf({ use, keep, others, certificates }, rendering);
  if (versions === null || !areDistinct(versions, usePlace, rendering)) return null;
  if (own.kind === 'sealed') return finish({ ...common, certificates, versions }, { ...at, sealed: own.why }, rendering);
  const pinned: PinnedItem = { ...common, certificates, versions, identity: { certificate: own.certificate, key: own.key } };
  return finish(pinned, at, rendering);
}

/** An identity of which nothing lies in the repo: the device provisions it by itself. */
function renderIssued(
  { use, keep, usePlace }: CertificatesPin,
  known: { readonly common: Omit<PinnedItem, 'certificates'>; readonly at: ItemSource },
  rendering: Rendering,
): DeclaredItem | null {
  const versions = [use, ...keep].flatMap(({ artifact, version, issuedAfter }) =>
    issuedAfter === null ? [] : [{ name: `${artifact}@${version}`, issuedAfter }],
  );
  const mistake = (code: string, summary: string, fix: string): null => {
    rendering.world.mistake(rendering.device.id, { code, place: usePlace, words: { summary, fix } });
    return null;
  };
  const other = [use, ...keep].find(({ issuedAfter }) => issuedAfter === null);
  // What is wrong with the artifact itself was reported where it stands.
  if (other !== undefined && other.identity === null) return null;
  if (other !== undefined) {
    const summary = `${other.artifact}@${other.version} is given to a device, and others here are what it provisions by itself`;
    return mistake('IDENTITY_FORM', summary, 'use and keep versions of one form');
  }
  const [first, ...rest] = versions;
  if (first === undefined) return null;
  const twin = rest.find(({ issuedAfter }) => issuedAfter === first.issuedAfter);
  if (twin !== undefined)
    return mistake('ISSUED_TWICE', `${first.name} and ${twin.name} begin at the same instant`, 'keep an older version');
  return finish({ ...known.common, certificates: [], issued: { use: first, keep: rest } }, known.at, rendering);
}

/** Null: a certificate that is kept cannot be read, which is reported. */
function versionsOf(
  from: Pick<CertificatesPin, 'use' | 'keep' | 'others'> & { readonly certificates: readonly Uint8Array[] },
  rendering: Rendering,
): NonNullable<PinnedItem['versions']> | null {
  const { world, device } = rendering;
  const [use, ...keep] = [from.use, ...from.keep].map((version, index) => {
    const facts = certificateFacts(from.certificates[index] ?? new Uint8Array());
    if (facts === null) {
      const summary = `what ${version.artifact}@${version.version} has for ${device.id} is no X.509 certificate`;
      world.mistake(device.id, { code: 'BAD_CERTIFICATE', place: version.identity?.cert.place ?? version.place, words: { summary } });
    }
    return facts === null ? null : namedVersion(version, facts);
  });
  if (use === undefined || use === null || keep.includes(null)) return null;
  // What other versions have for this device is no part of what it is told, and theirs to be right.
  const aside: Rendering = { ...rendering, told: new Map(), world: { ...world, mistake: () => undefined } };
  const others = from.others.flatMap((version) => {
    const file = version.identity === null ? null : fileFor(version.identity.cert, aside, true);
    const facts = file === null ? null : certificateFacts(file.bytes);
    return facts === null ? [] : [namedVersion(version, facts)];
  });
  return { use, keep: keep.filter((one) => one !== null), others };
}

function namedVersion(version: ArtifactVersion, facts: CertificateFacts): IdentityVersion {
  return { ...facts, name: `${version.artifact}@${version.version}`, withdrawn: version.withdrawn !== null };
}

/** Two versions with one certificate: nothing could show which of them the device has, and withdrawing one ends both. */
function areDistinct(versions: NonNullable<PinnedItem['versions']>, place: Place, rendering: Rendering): boolean {
  const seen = new Map<string, IdentityVersion>();
  for (const version of allVersions(versions)) {
    const twin = seen.get(version.fingerprint);
    seen.set(version.fingerprint, version);
    if (twin === undefined) continue;
    const summary = `${twin.name} and ${version.name} have the same certificate for ${rendering.device.id}`;
    rendering.world.mistake(rendering.device.id, { code: 'CERTIFICATE_TWICE', place, words: { summary, fix: 'issue a new one' } });
    return false;
  }
  return true;
}

type Identity =
  | { readonly kind: 'opened'; readonly certificate: Uint8Array; readonly key: Secret }
  | { readonly kind: 'sealed'; readonly certificate: Uint8Array; readonly why: string };

/** The device's own certificate and key, which must belong together and to nobody else. Null: a mistake was reported. */
function identityOf(version: ArtifactVersion, rendering: Rendering): Identity | null {
  const { identity } = version;
  // What is wrong with the artifact itself was reported where it stands.
  if (identity === null) return null;
  const file = fileFor(identity.cert, rendering);
  const { key } = identity;
  const opened = openFor(key.reference, { place: key.place, told: false }, rendering);
  if (file === null || opened.kind === 'mistake' || isShared(file, identity, rendering)) return null;
  if (opened.kind === 'sealed') return { kind: 'sealed', certificate: file.bytes, why: opened.why };
  const { secret, oid } = opened;
  const problem = kept(rendering.world.cache, `identity ${file.oid} ${oid}`, () => ({
    problem: identityProblem(file.bytes, secret),
  })).problem;
  if (problem === null) return { kind: 'opened', certificate: file.bytes, key: secret };
  const place = problem.code === 'BAD_CERTIFICATE' ? identity.cert.place : key.place;
  rendering.world.mistake(rendering.device.id, {
    code: problem.code,
    place,
    words: { summary: `${problem.text}: ${file.path}, for ${rendering.device.id}` },
  });
  return null;
}

/** One certificate for two devices proves neither: whoever holds one of them is both. */
function isShared(file: FoundFile, identity: IdentityFiles, rendering: Rendering): boolean {
  const { world, device } = rendering;
  const owner = world.memo.identities.get(file.oid) ?? device.id;
  world.memo.identities.set(file.oid, owner);
  if (owner === device.id) return false;
  tellShared(identity.cert.place, { file, owner }, rendering);
  return true;
}

function tellShared(place: Place, shared: { readonly file: FoundFile; readonly owner: string }, rendering: Rendering): void {
  const { world, device } = rendering;
  const summary = `${shared.owner} and ${device.id} have the same certificate, ${shared.file.path}`;
  world.mistake(device.id, { code: 'IDENTITY_TWICE', place, words: { summary, fix: 'give each device its own: "files/certs/${id}.pem"' } });
}
