import type { Place } from '#kit/diagnostics.ts';
import { identityProblem } from '#kit/identity.ts';
import type { Secret } from '#kit/secret.ts';
import type { DeclaredItem } from '#model/declared.ts';
import { itemKind } from '#model/item.ts';
import type { PinnedItem } from '#ports/family.ts';
import type { ArtifactVersion, IdentityFiles } from './artifacts.ts';
import { kept } from './cache.ts';
import type { FoundFile } from './files.ts';
import type { Pin } from './pins.ts';
import { fileFor, finish, partOfVersion, type Rendering } from './render.ts';
import { openFor } from './sealed.ts';

type CertificatesPin = Pick<Extract<Pin, { kind: 'certificates' }>, 'item' | 'use' | 'keep' | 'usePlace'>;

/** Trust and identity: the certificates of `use` and then those of `keep`; of an identity the private key of `use` too. */
export function renderCertificates(pin: CertificatesPin, rendering: Rendering): DeclaredItem | null {
  const { use, keep, usePlace } = pin;
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
  const own = identityOf(use, rendering);
  const others = keep.map((version) => (version.identity === null ? null : fileFor(version.identity.cert, rendering)));
  if (own === null || others.includes(null)) return null;
  const certificates = [own.certificate, ...others.flatMap((file) => (file === null ? [] : [file.bytes]))];
  if (own.kind === 'sealed') return finish({ ...common, certificates }, { ...at, sealed: own.why }, rendering);
  const pinned: PinnedItem = { ...common, certificates, identity: { certificate: own.certificate, key: own.key } };
  return finish(pinned, at, rendering);
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
