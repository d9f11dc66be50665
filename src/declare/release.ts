import { compareText } from '#kit/diagnostics.ts';
import { digestOf } from '#kit/digest.ts';
import type { Release, ReleasePart } from '#model/declared.ts';
import { digest, releaseId } from '#model/ids.ts';
import type { Revision } from '#model/revision.ts';
import type { Family } from '#ports/family.ts';
import type { ArtifactVersion } from './artifacts.ts';
import type { DeclareCache } from './cache.ts';
import { findFile } from './files.ts';
import type { RenderKeyFile } from './fleet-secrets.ts';
import type { CompiledGroup } from './groups.ts';
import { readLayer } from './layers.ts';
import type { Pin, PlacedTemplate } from './pins.ts';
import { isPersonal, parseTemplate, resolve, type Reference, type Template } from './references.ts';
import { partOfVersion } from './render.ts';
import type { TextTree } from './row.ts';

/**
 * All that a group's devices are told, apart from what tells them apart. It depends on the group and the files alone,
 * never on which devices there are: a new device must not make a new release (and with it resume a halted rollout).
 */
export function releaseOf(group: CompiledGroup, from: ReleaseContext): Release {
  const parts = new Map<string, string>();
  const context = { ...from, group };
  for (const pin of group.pins.values()) addPin(pin, parts, context);
  eachReference(group.settings?.tree ?? {}, (reference) => addSecret(reference, { parts, context }));
  for (const [key, tree] of Object.entries(group.settings?.tree ?? {})) parts.set(`settings ${key}`, digestOf(tree));
  for (const [name, value] of Object.entries(group.values)) parts.set(`value ${name}`, digestOf(value));
  const sorted: ReleasePart[] = [...parts].toSorted(([a], [b]) => compareText(a, b)).map(([id, text]) => ({ id, digest: digest(text) }));
  return { id: releaseId(digestOf(sorted)), parts: sorted };
}

export interface ReleaseContext {
  readonly revision: Revision;
  readonly families: ReadonlyMap<string, Family>;
  readonly cache: DeclareCache;
  readonly renderKeyFile: RenderKeyFile | null;
}

interface Context extends ReleaseContext {
  readonly group: CompiledGroup;
}

interface Into {
  readonly parts: Map<string, string>;
  readonly context: Context;
}

function addPin(pin: Pin, parts: Map<string, string>, context: Context): void {
  const into = { parts, context };
  switch (pin.kind) {
    case 'choices':
      for (const choice of pin.choices) if (choice.kind === 'artifact') addVersion(pin, choice.version, into);
      return;
    case 'certificates':
      addVersion(pin, pin.use, into);
      for (const version of pin.keep) {
        parts.set(`${pin.item} keep ${version.artifact}@${version.version}`, version.digest);
        if (version.identity !== null) addShared(pin.item, version.identity.cert.template, into);
      }
      return;
    case 'file':
      addFile(pin, pin.path, into);
      return;
    case 'layers':
      // The order of layers is told too, and it is no property of any one of them.
      parts.set(`${pin.item} layers`, digestOf(pin.layers.map((layer) => [layer.path.template.source, layer.optional])));
      for (const layer of pin.layers) addFile(pin, layer.path, into);
      return;
    case 'exact':
      parts.set(`${pin.item} exact`, digestOf(true));
      if (pin.path !== null) addFile(pin, pin.path, into);
      for (const version of pin.keep) addVersion(pin, version, into);
  }
}

function addVersion(pin: Pin, version: ArtifactVersion, into: Into): void {
  into.parts.set(partOfVersion(pin.item, version), version.digest);
  if (version.identity !== null) {
    addShared(pin.item, version.identity.cert.template, into);
    addSecret(version.identity.key.reference, into);
  }
  if (pin.item.startsWith('config') && version.path !== null) addSecretsOf(version.path, into);
}

/** A file that all share is a part by its bytes; where devices differ, the template is what they are all told. */
function addFile(pin: Pin, path: PlacedTemplate, into: Into): void {
  const { template } = path;
  if (isPersonal(template)) {
    into.parts.set(`${pin.item} ${template.source}`, digestOf(template.source));
    // Whether secrets stand in the files of single devices is theirs to say; the key that hides them is for all.
    if (pin.kind === 'layers') addRenderKey(into);
    return;
  }
  addShared(pin.item, template, into);
  if (pin.kind === 'layers') for (const resolved of sharedPaths(template, into.context)) addSecretsOf(resolved, into);
}

function addShared(name: string, template: Template, { parts, context }: Into): void {
  if (isPersonal(template)) return;
  for (const resolved of sharedPaths(template, context)) {
    const file = findFile(context.revision, resolved);
    if (file.ok) parts.set(`${name} ${file.value.path}`, digestOf(file.value.oid));
  }
}

/** The secrets that stand in a layer, and with them the key under which they are rendered. */
function addSecretsOf(path: string, into: Into): void {
  const file = path.endsWith('.json') ? findFile(into.context.revision, path) : null;
  const layer = file?.ok === true ? readLayer(file.value, into.context.cache).layer : null;
  const ages = (layer?.references ?? []).filter(({ reference }) => reference.kind === 'age');
  for (const { reference } of ages) addSecret(reference, into);
  if (ages.length > 0) addRenderKey(into);
}

/** By its ciphertext: a new one is a change, though nobody can see here whether the plain text is another. */
function addSecret(reference: Reference, into: Into): void {
  if (reference.kind === 'age') addShared('secret', reference.path, into);
}

function addRenderKey({ parts, context }: Into): void {
  const key = context.renderKeyFile;
  if (key !== null) parts.set(`secret ${key.path}`, digestOf(key.oid));
}

function eachReference(tree: TextTree, visit: (reference: Reference) => void): void {
  if (typeof tree === 'string') {
    if (tree.includes('${')) parseTemplate(tree).template.references.forEach(visit);
  } else for (const member of Object.values(tree)) eachReference(member, visit);
}

/** The paths that a template of model and series can mean in this group, whichever of them devices have today. */
function sharedPaths(template: Template, context: Context): readonly string[] {
  const uses = new Set(template.references.map((reference) => reference.kind));
  const models = uses.has('model') ? modelsOf(context) : [''];
  const series = uses.has('series') ? seriesOf(context) : [''];
  const facts = { id: '', serial: null, labels: {}, values: {} };
  return models.flatMap((model) => series.map((one) => resolve(template, { ...facts, model, series: one }).text));
}

function pinnedVersions(group: CompiledGroup): readonly ArtifactVersion[] {
  return [...group.pins.values()].flatMap((pin) => {
    if (pin.kind !== 'choices') return [];
    return pin.choices.flatMap((choice) => (choice.kind === 'artifact' ? [choice.version] : []));
  });
}

function modelsOf({ group, families }: Context): readonly string[] {
  const versions = pinnedVersions(group);
  const named = new Set([...versions.flatMap((version) => version.models ?? []), ...(group.selector?.model ?? [])]);
  const open = versions.length === 0 || versions.some((version) => version.models === null);
  if (open) for (const family of families.values()) for (const model of family.models) named.add(model);
  return [...named].toSorted(compareText);
}

function seriesOf({ group, families }: Context): readonly string[] {
  const found = new Set<string>();
  for (const version of pinnedVersions(group)) {
    if (version.item !== 'firmware') continue;
    const family = families.get(version.family);
    const series = family?.series(version.version) ?? family?.series(version.reportsAs ?? '') ?? null;
    if (series !== null) found.add(series);
  }
  return [...found].toSorted(compareText);
}
