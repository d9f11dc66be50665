import type { Json } from '#kit/canonical.ts';
import type { Diagnostic, Place, Severity } from '#kit/diagnostics.ts';
import { digestOf, sha256 } from '#kit/digest.ts';
import { ok, type Result } from '#kit/result.ts';
import type { Secret } from '#kit/secret.ts';
import type { Content, DeclaredItem, DriftPolicy, FleetDeclaration, Needs } from '#model/declared.ts';
import { digest } from '#model/ids.ts';
import { itemKind, type ItemName } from '#model/item.ts';
import type { Revision } from '#model/revision.ts';
import type { DeviceFacts, ExpectedItem, Family, FamilyProblem, PinnedItem } from '#ports/family.ts';
import type { ArtifactVersion } from './artifacts.ts';
import type { DeclareCache } from './cache.ts';
import { findFile, type FileProblem, type FoundFile } from './files.ts';
import { versionHolds } from './ranges.ts';
import { isPersonal, resolve, type Reference, type ReferenceFacts } from './references.ts';
import type { RenderSecrets } from './sealed.ts';
import type { Choice, Pin, PlacedTemplate } from './pins.ts';
import type { Words } from './report.ts';

/** A mistake that shows on one device. */
export interface DeviceMistake {
  readonly code: string;
  readonly place: Place;
  readonly words: Words;
  readonly severity?: Severity | undefined;
}

/** Where rendering reads from and what it tells. */
export interface RenderWorld {
  /** The files of the revision that the pins stand in. */
  readonly files: Revision;
  /** The files of the revision that the device stands in: what is the device's own is read here first. */
  readonly ownFiles: Revision;
  readonly cache: DeclareCache;
  readonly memo: RenderMemo;
  readonly secrets: RenderSecrets;
  /** Those of fleet.yaml; null where it cannot be read. */
  readonly connections: FleetDeclaration['connections'] | null;
  mistake(device: string, mistake: DeviceMistake): void;
  /** A mistake in a file, the same for every device that uses it. */
  found(diagnostic: Diagnostic): void;
}

/** Equal things made once: merged configs, contents, digests of blobs. */
export interface RenderMemo {
  readonly merged: Map<string, Json>;
  readonly contents: Map<string, Content>;
  /** Those of `contents`: most devices are given the very same object. */
  readonly known: Set<Content>;
  readonly digests: Map<string, string>;
  /** Blobs of identity certificates → the device that they are of. */
  readonly identities: Map<string, string>;
}

export function makeRenderMemo(): RenderMemo {
  return { merged: new Map(), contents: new Map(), known: new Set(), digests: new Map(), identities: new Map() };
}

export interface RenderRequest {
  readonly family: Family;
  readonly device: DeviceFacts;
  readonly world: RenderWorld;
  driftOf(item: ItemName): DriftPolicy;
}

/** One device while it is rendered. `told` gathers what tells it apart: label, value and file → text or digest. */
export interface Rendering extends RenderRequest {
  /** The firmware version declared for it, once that is known. */
  readonly firmware: string | null;
  readonly series: string | null;
  /** A firmware is pinned and has a mistake of its own, which is why the series is not known. */
  readonly firmwareBroken: boolean;
  /** The pin is an override's: no part of the group's release speaks of what stands in it. */
  readonly ownPin: boolean;
  readonly told: Map<string, string>;
  /** Blobs of the ciphertexts that the item under way takes secrets from. */
  readonly used: Set<string>;
}

const NO_NEEDS: Needs = { firmware: null, neverBelow: null };

/** The choice of a list that is for this device: exactly one must be. */
export function chosenVersion(
  pin: Extract<Pin, { kind: 'choices' }>,
  rendering: RenderRequest,
): Extract<Choice, { kind: 'artifact' }> | 'leave' | null {
  const { family, device, world } = rendering;
  const fitting = pin.choices.filter((choice) => {
    if (choice.kind === 'leave') return choice.models.includes(device.model);
    return choice.version.family === family.name && (choice.version.models === null || choice.version.models.includes(device.model));
  });
  const [first, second] = fitting;
  if (first === undefined) {
    world.mistake(device.id, {
      code: 'NO_PIN_FITS',
      place: pin.place,
      words: {
        summary: `no ${pin.item} here fits ${device.id}, which is a ${device.model}`,
        fix: `pin an artifact that fits ${device.model}, or add \`{ leave: [${device.model}] }\``,
      },
    });
    return null;
  }
  if (second !== undefined) {
    world.mistake(device.id, {
      code: 'TWO_PINS_FIT',
      place: second.place,
      words: { summary: `two of these fit ${device.id}, which is a ${device.model}`, fix: 'take one of them out', also: [first.place] },
    });
    return null;
  }
  return first.kind === 'leave' ? 'leave' : first;
}

/** The version text by which other items know the firmware: the artifact's own where the family can read it. */
export function firmwareText(version: ArtifactVersion, family: Family): string {
  if (family.compareVersions(version.version, version.version) !== null) return version.version;
  return version.reportsAs ?? version.version;
}

/** A document with `[secret]` where secrets belong; `sealed` says why they could not be opened. */
export interface RenderedDocument {
  readonly document: Json;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly sealed?: string | undefined;
}

/** What is told apart from the document itself: nothing where there are no secrets. */
export function secretsOf(rendered: RenderedDocument): Pick<PinnedItem, 'secrets'> {
  return rendered.secrets.size === 0 ? {} : { secrets: rendered.secrets };
}

/** `document` is the content of a config as JSON, null where there is none. */
export function renderVersion(
  chosen: { readonly version: ArtifactVersion; readonly place: Place; readonly document: RenderedDocument },
  pin: Pin,
  rendering: Rendering,
): DeclaredItem | null {
  const { version, place, document } = chosen;
  const { world, device, family, firmware } = rendering;
  // Bytes that could not be found were reported where the artifact stands.
  if (version.content === null) return null;
  const wanted = version.needs.firmware;
  if (itemKind(pin.item) !== 'firmware' && wanted !== null && firmware !== null && versionHolds(family, firmware, wanted) === false) {
    world.mistake(device.id, {
      code: 'NEEDS_NOT_MET',
      place,
      words: {
        summary: `${version.artifact}@${version.version} needs firmware ${wanted}, and ${device.id} is to run ${firmware}`,
        also: [version.place],
      },
    });
    return null;
  }
  const artifact = { name: version.artifact, version: version.version, reportsAs: version.reportsAs };
  const pinned: PinnedItem = {
    item: pin.item,
    artifact,
    content: version.content,
    document: document.document,
    firmware,
    certificates: [],
    ...secretsOf(document),
  };
  return finish(pinned, { place, part: partOfVersion(pin.item, version), needs: version.needs, sealed: document.sealed }, rendering);
}

export function partOfVersion(item: ItemName, version: ArtifactVersion): string {
  return `${item} ${version.artifact}@${version.version}`;
}

export function renderFile(pin: Extract<Pin, { kind: 'file' }>, rendering: Rendering): DeclaredItem | null {
  const found = fileFor(pin.path, rendering);
  if (found === null) return null;
  const pinned: PinnedItem = {
    item: pin.item,
    artifact: null,
    content: contentOf(found, rendering.world),
    document: null,
    firmware: rendering.firmware,
    certificates: [],
  };
  return finish(pinned, { place: pin.path.place, part: partOfFile(pin.item, pin.path, found), needs: NO_NEEDS }, rendering);
}

/** What is personal is one part, the template; what is shared is named by its file. */
function partOfFile(item: ItemName, path: PlacedTemplate, found: FoundFile): string {
  return `${item} ${isPersonal(path.template) ? path.template.source : found.path}`;
}

/** The file that a template names for this device; a missing one is a mistake, unless `optional`. */
export function fileFor(path: PlacedTemplate, rendering: Rendering, optional = false): FoundFile | null {
  const { world, device } = rendering;
  if (path.broken) return null;
  const resolved = resolve(path.template, referenceFacts(rendering));
  if (resolved.missing.length > 0) {
    for (const reference of resolved.missing) reportMissing(reference, path.placeAt(reference.offset), rendering);
    return null;
  }
  noteTold(path.template.references, rendering);
  const personal = isPersonal(path.template);
  const found = readFor(resolved.text, { world, personal });
  if (found.ok) {
    if (personal) rendering.told.set(`file ${path.template.source}`, found.value.oid);
    return found.value;
  }
  if (optional && found.error.code === 'FILE_MISSING') return null;
  const named = path.template.references.length === 0 ? found.error.summary : `${found.error.summary}, which ${device.id} needs`;
  world.mistake(device.id, { code: found.error.code, place: path.place, words: { summary: named, fix: found.error.fix } });
  return null;
}

export function readFor(path: string, from: { world: RenderWorld; personal: boolean }): Result<FoundFile, FileProblem> {
  const { world, personal } = from;
  if (!personal) return findFile(world.files, path);
  const own = findFile(world.ownFiles, path);
  // A personal change brings its file with it; an older template may name a folder that has moved since.
  return own.ok || world.files === world.ownFiles ? own : findFile(world.files, path);
}

export function referenceFacts(rendering: Pick<Rendering, 'device' | 'series'>): ReferenceFacts {
  const { id, model, serial, labels, values } = rendering.device;
  return { id, model, serial, series: rendering.series, labels, values };
}

/** Remembers what a text took from the device. Id and model are the device itself and its hardware. */
export function noteTold(references: readonly Reference[], rendering: Rendering): void {
  const { labels, values, serial } = rendering.device;
  for (const reference of references) {
    if (reference.kind === 'label') rendering.told.set(`label ${reference.name}`, labels[reference.name] ?? '');
    else if (reference.kind === 'value') rendering.told.set(`value ${reference.name}`, values[reference.name] ?? '');
    else if (reference.kind === 'serial') rendering.told.set('serial', serial ?? '');
  }
}

export function reportMissing(reference: Reference, place: Place, rendering: Rendering): void {
  const { world, device } = rendering;
  // Where these may not stand was told where they were read; secrets tell their own mistakes.
  if (reference.kind === 'env' || reference.kind === 'file' || reference.kind === 'age') return;
  if (reference.kind === 'series' && rendering.firmwareBroken) return;
  world.mistake(device.id, {
    code: 'UNDEFINED_REFERENCE',
    place,
    words: { summary: `\`${reference.source}\` has no value for ${device.id}`, fix: fixOf(reference, device.id) },
  });
}

function fixOf(reference: Reference, device: string): string {
  if (reference.kind === 'label') return `give ${device} the label \`${reference.name}\``;
  if (reference.kind === 'value') return `give ${device} or its group the value \`${reference.name}\``;
  if (reference.kind === 'series') return 'pin a firmware for it: the series is that of the declared firmware';
  return `give ${device} its ${reference.kind}`;
}

/** The bytes of a file of the repo as content; equal bytes under one name are one object. */
export function contentOf(found: FoundFile, world: RenderWorld): Content {
  const { memo } = world;
  let known = memo.digests.get(found.oid);
  if (known === undefined) memo.digests.set(found.oid, (known = sha256(found.bytes)));
  const name = found.path.split('/').at(-1) ?? found.path;
  return interned({ kind: 'bytes', name, digest: digest(known), size: found.bytes.length, bytes: found.bytes }, memo);
}

function interned(content: Content, memo: RenderMemo): Content {
  if (memo.known.has(content)) return content;
  const key = `${content.kind} ${content.digest} ${content.name}`;
  const known = memo.contents.get(key);
  if (known !== undefined) return known;
  memo.contents.set(key, content);
  memo.known.add(content);
  return content;
}

/** Where an item stands. `sealed` says why its secrets cannot be opened here: its family is not asked then. */
export interface ItemSource {
  readonly place: Place;
  readonly part: string;
  readonly needs?: Needs;
  readonly version?: string;
  readonly sealed?: string | undefined;
}

/** Asks the family what a report must show. Its problems become mistakes at the pin. */
export function finish(pinned: PinnedItem, at: ItemSource, rendering: Rendering): DeclaredItem | null {
  const { family, device, world } = rendering;
  const asked = at.sealed === undefined ? withRenderKey(pinned, at, rendering) : { kind: 'sealed' as const, why: at.sealed };
  if (asked.kind === 'mistake') return null;
  if (asked.kind === 'sealed') return sealedItem(pinned, { ...at, why: asked.why }, rendering);
  const expected = expect(family, device, asked.pinned);
  if (!expected.ok) {
    const { code, summary, fix, severity } = expected.error;
    world.mistake(device.id, { code, place: at.place, severity, words: { summary, fix } });
    return null;
  }
  const { value, version, facts, content, secret, certificates, warnings } = expected.value;
  for (const { code, summary, fix } of warnings ?? []) {
    world.found({ severity: 'warning', code, place: at.place, summary, ...(fix === undefined ? {} : { fix }) });
  }
  return {
    ...standing(pinned, at, rendering),
    version: at.version ?? version,
    value,
    facts,
    content: content === null ? null : interned(content, world.memo),
    ...(secret === undefined ? {} : { secret }),
    ...(certificates === undefined ? {} : { certificates }),
  };
}

function standing(
  pinned: PinnedItem,
  at: ItemSource,
  rendering: Rendering,
): Pick<DeclaredItem, 'item' | 'place' | 'artifact' | 'part' | 'needs' | 'drift' | 'ciphertext'> {
  const { artifact, item } = pinned;
  const { used } = rendering;
  const name = artifact === null ? null : `${artifact.name}@${artifact.version}`;
  return {
    item,
    place: at.place,
    artifact: name,
    part: at.part,
    needs: at.needs ?? NO_NEEDS,
    drift: rendering.driftOf(item),
    ...(used.size === 0 ? {} : { ciphertext: digest(digestOf([...used].toSorted())) }),
  };
}

type Asked =
  | { readonly kind: 'asked'; readonly pinned: PinnedItem }
  | { readonly kind: 'sealed'; readonly why: string }
  | { readonly kind: 'mistake' };

/** Secrets are handed over with the fleet's render key, to families that know how to keep them. */
function withRenderKey(pinned: PinnedItem, at: ItemSource, rendering: Rendering): Asked {
  if (pinned.secrets === undefined || pinned.secrets.size === 0) return { kind: 'asked', pinned };
  if (!keepsSecrets(pinned, at, rendering)) return { kind: 'mistake' };
  const key = rendering.world.secrets.renderKey;
  if (key === null) return { kind: 'asked', pinned: { ...pinned, renderKey: null } };
  if (key.kind === 'opened') return { kind: 'asked', pinned: { ...pinned, renderKey: key.secret } };
  // What is wrong with the render key was told where fleet.yaml names it.
  return key.code === 'SEALED' ? { kind: 'sealed', why: key.message } : { kind: 'mistake' };
}

function keepsSecrets(pinned: PinnedItem, at: ItemSource, rendering: Rendering): boolean {
  const { family, device, world } = rendering;
  if (itemKind(pinned.item) === 'identity' || family.secretItems?.includes(pinned.item) === true) return true;
  const summary = `the family ${family.name} cannot keep a secret in its ${pinned.item}`;
  world.mistake(device.id, { code: 'SECRET_UNSUPPORTED', place: at.place, words: { summary, fix: 'write the text itself' } });
  return false;
}

/** Known to be declared and not what it is: compared with nothing, sent to nobody. */
function sealedItem(pinned: PinnedItem, at: ItemSource & { readonly why: string }, rendering: Rendering): DeclaredItem | null {
  if (!keepsSecrets(pinned, at, rendering)) return null;
  return {
    ...standing(pinned, at, rendering),
    version: at.version ?? pinned.artifact?.version ?? '',
    value: `sealed ${digestOf(pinned.document).slice(0, 16)}`,
    facts: null,
    content: null,
    impossible: { reason: 'SECRET_SEALED', evidence: at.why },
  };
}

function expect(family: Family, device: DeviceFacts, pinned: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const answer = family.expectation(device, pinned);
  return answer.ok ? ok(answer.value) : answer;
}
