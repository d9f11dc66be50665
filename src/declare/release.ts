import { compareText } from '#kit/diagnostics.ts';
import { digestOf } from '#kit/digest.ts';
import type { Release, ReleasePart } from '#model/declared.ts';
import { digest, releaseId } from '#model/ids.ts';
import type { Revision } from '#model/revision.ts';
import type { Family } from '#ports/family.ts';
import type { ArtifactVersion } from './artifacts.ts';
import { findFile } from './files.ts';
import type { CompiledGroup } from './groups.ts';
import type { Pin, PlacedTemplate } from './pins.ts';
import { isPersonal, resolve } from './references.ts';
import { partOfVersion } from './render.ts';

/**
 * All that a group's devices are told, apart from what tells them apart. It depends on the group and the files alone,
 * never on which devices there are: a new device must not make a new release (and with it resume a halted rollout).
 */
export function releaseOf(group: CompiledGroup, revision: Revision, families: ReadonlyMap<string, Family>): Release {
  const parts = new Map<string, string>();
  for (const pin of group.pins.values()) addPin(pin, parts, { group, revision, families });
  for (const [key, tree] of Object.entries(group.settings?.tree ?? {})) parts.set(`settings ${key}`, digestOf(tree));
  for (const [name, value] of Object.entries(group.values)) parts.set(`value ${name}`, digestOf(value));
  const sorted: ReleasePart[] = [...parts].toSorted(([a], [b]) => compareText(a, b)).map(([id, text]) => ({ id, digest: digest(text) }));
  return { id: releaseId(digestOf(sorted)), parts: sorted };
}

interface Context {
  readonly group: CompiledGroup;
  readonly revision: Revision;
  readonly families: ReadonlyMap<string, Family>;
}

function addPin(pin: Pin, parts: Map<string, string>, context: Context): void {
  switch (pin.kind) {
    case 'choices':
      for (const choice of pin.choices) if (choice.kind === 'artifact') addVersion(pin, choice.version, parts);
      return;
    case 'certificates':
      addVersion(pin, pin.use, parts);
      for (const version of pin.keep) parts.set(`${pin.item} keep ${version.artifact}@${version.version}`, version.digest);
      return;
    case 'file':
      addFile(pin, pin.path, { parts, context });
      return;
    case 'layers':
      // The order of layers is told too, and it is no property of any one of them.
      parts.set(`${pin.item} layers`, digestOf(pin.layers.map((layer) => [layer.path.template.source, layer.optional])));
      for (const layer of pin.layers) addFile(pin, layer.path, { parts, context });
      return;
    case 'unsupported':
  }
}

function addVersion(pin: Pin, version: ArtifactVersion, parts: Map<string, string>): void {
  parts.set(partOfVersion(pin.item, version), version.digest);
}

/** A file that all share is a part by its bytes; where devices differ, the template is what they are all told. */
function addFile(pin: Pin, path: PlacedTemplate, into: { parts: Map<string, string>; context: Context }): void {
  const { parts, context } = into;
  const { template } = path;
  if (isPersonal(template)) {
    parts.set(`${pin.item} ${template.source}`, digestOf(template.source));
    return;
  }
  for (const resolved of sharedPaths(path, context)) {
    const file = findFile(context.revision, resolved);
    if (file.ok) parts.set(`${pin.item} ${file.value.path}`, digestOf(file.value.oid));
  }
}

/** The paths that a template of model and series can mean in this group, whichever of them devices have today. */
function sharedPaths(path: PlacedTemplate, context: Context): readonly string[] {
  const { template } = path;
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
