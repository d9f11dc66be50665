import type { Json } from '#kit/canonical.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { PinnedItem } from '#ports/family.ts';
import type { FoundFile } from './files.ts';
import type { TextTree } from './row.ts';
import { mapStrings, mergeLayers, readLayer, type Layer } from './layers.ts';
import { placeWithin } from './nodes.ts';
import type { Pin } from './pins.ts';
import { parseTemplate, resolve } from './references.ts';
import { contentOf, fileFor, finish, noteTold, referenceFacts, reportMissing, type Rendering } from './render.ts';
import { reportSchemaErrors } from './schema-errors.ts';
import { makeReport } from './report.ts';
import { typedSettings } from './typed.ts';
import type { SettingsSource } from './groups.ts';

/** A config made of JSON layers, merged and with its references resolved for this device. */
export function renderLayers(pin: Extract<Pin, { kind: 'layers' }>, rendering: Rendering): DeclaredItem | null {
  const files: FoundFile[] = [];
  let complete = true;
  for (const layer of pin.layers) {
    const file = fileFor(layer.path, rendering, layer.optional);
    if (file !== null) files.push(file);
    else complete &&= layer.optional;
  }
  const layers = files.map((file) => layerOf(file, rendering));
  if (!complete || layers.includes(null)) return null;
  const read = layers.flatMap((layer) => (layer === null ? [] : [layer]));
  const [first] = files;
  if (first === undefined) return null;
  const document = resolveReferences(mergedOf(files, read, rendering), read, rendering);
  if (document === null) return null;
  const others = files.length - 1;
  const pinned: PinnedItem = {
    item: pin.item,
    artifact: null,
    content: contentOf(first, rendering.world),
    document,
    firmware: rendering.firmware,
    certificates: [],
  };
  const name = first.path.split('/').at(-1) ?? first.path;
  const version = others === 0 ? name : `${name} + ${others} layer${others === 1 ? '' : 's'}`;
  return finish(pinned, { place: pin.layers[0]?.path.place ?? pin.place, part: `${pin.item} layers`, version }, rendering);
}

/** A config pinned as an artifact: its JSON is one layer. */
export function renderDocument(file: FoundFile, rendering: Rendering): Json | null {
  const layer = layerOf(file, rendering);
  return layer === null ? null : resolveReferences(layer.value, [layer], rendering);
}

function layerOf(file: FoundFile, rendering: Rendering): Layer | null {
  const { world } = rendering;
  const { layer, problems } = readLayer(file, world.cache);
  for (const { code, place, summary, fix } of problems) {
    world.found({ severity: 'error', code, place, summary, ...(fix === undefined ? {} : { fix }) });
  }
  for (const { name, place } of layer?.clear ?? []) {
    world.found({
      severity: 'warning',
      code: 'SECRET_IN_CLEAR',
      place,
      summary: `what is called \`${name}\` stands here in the clear`,
      fix: 'keep it encrypted',
    });
  }
  return problems.length > 0 ? null : layer;
}

function mergedOf(files: readonly FoundFile[], layers: readonly Layer[], rendering: Rendering): Json {
  const { merged } = rendering.world.memo;
  const key = files.map((file) => file.oid).join(' ');
  const known = merged.get(key);
  if (known !== undefined) return known;
  const document = mergeLayers(layers.map((layer) => layer.value));
  merged.set(key, document);
  return document;
}

function resolveReferences(document: Json, layers: readonly Layer[], rendering: Rendering): Json | null {
  const references = layers.flatMap((layer) => layer.references);
  if (references.length === 0) return document;
  let complete = true;
  const resolved = mapStrings(document, (text) => {
    const { template } = parseTemplate(text);
    const made = resolve(template, referenceFacts(rendering));
    noteTold(template.references, rendering);
    for (const missing of made.missing) {
      complete = false;
      const place = references.find(({ reference }) => reference.source === missing.source)?.place;
      if (place !== undefined) reportMissing(missing, place, rendering);
    }
    return made.text;
  });
  return complete ? resolved : null;
}

/** Settings of group and override together, typed by the family's schema. `sources` in order; later ones win. */
export function renderSettings(sources: readonly SettingsSource[], rendering: Rendering): DeclaredItem | null {
  const last = sources.at(-1);
  if (last === undefined) return null;
  const { world, family, device } = rendering;
  let complete = true;
  const trees = sources.map((source) =>
    mapTree(source.tree, [], (text, path) => {
      const { template } = parseTemplate(text);
      const made = resolve(template, referenceFacts(rendering));
      noteTold(template.references, rendering);
      for (const missing of made.missing) {
        complete = false;
        reportMissing(missing, placeWithin(source.document, [...source.path, ...path], missing.offset), rendering);
      }
      return made.text;
    }),
  );
  if (!complete) return null;
  const { value, errors } = typedSettings(family, mergeLayers(trees));
  if (errors.length > 0) {
    const report = makeReport();
    reportSchemaErrors(errors, { file: last.document.file, root: last.document.node, base: last.path }, report);
    for (const one of report.list()) world.mistake(device.id, { code: one.code, place: one.place, words: one });
    return null;
  }
  const keys = Object.keys(sources[0]?.tree ?? {});
  const pinned: PinnedItem = {
    item: 'settings',
    artifact: null,
    content: null,
    document: value as Json,
    firmware: rendering.firmware,
    certificates: [],
  };
  return finish(pinned, { place: last.place, part: `settings ${keys.toSorted()[0] ?? ''}` }, rendering);
}

function mapTree(
  tree: TextTree,
  path: readonly (string | number)[],
  change: (text: string, path: readonly (string | number)[]) => string,
): TextTree {
  if (typeof tree === 'string') return change(tree, path);
  if (isList(tree)) return tree.map((item, index) => mapTree(item, [...path, index], change));
  return Object.fromEntries(Object.entries(tree).map(([key, member]) => [key, mapTree(member, [...path, key], change)]));
}

function isList(tree: TextTree): tree is readonly TextTree[] {
  return Array.isArray(tree);
}
