import type { Json } from '#kit/canonical.ts';
import { digestOf } from '#kit/digest.ts';
import { SECRET_TEXT, type Secret } from '#kit/secret.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { PinnedItem } from '#ports/family.ts';
import type { FoundFile } from './files.ts';
import { mapStrings, mergeLayers, readLayer, type Layer } from './layers.ts';
import type { Pin } from './pins.ts';
import { isPersonal, parseTemplate } from './references.ts';
import { contentOf, fileFor, finish, secretsOf, type RenderedDocument, type Rendering } from './render.ts';
import { makeText } from './sealed.ts';

interface FoundLayer {
  readonly file: FoundFile;
  readonly layer: Layer;
  /** Its file is a part of the group's release, and so are the secrets that stand in it. */
  readonly released: boolean;
}

/** A config made of JSON layers, merged and with its references resolved for this device. */
export function renderLayers(pin: Extract<Pin, { kind: 'layers' }>, rendering: Rendering): DeclaredItem | null {
  const layers: FoundLayer[] = [];
  let complete = true;
  for (const { path, optional } of pin.layers) {
    const file = fileFor(path, rendering, optional);
    const layer = file === null ? null : layerOf(file, rendering);
    complete &&= layer !== null || (file === null && optional);
    if (file !== null && layer !== null) layers.push({ file, layer, released: !rendering.ownPin && !isPersonal(path.template) });
  }
  const first = layers[0]?.file;
  if (!complete || first === undefined) return null;
  const rendered = resolveReferences(mergedOf(layers, rendering), { layers, item: pin.item }, rendering);
  if (rendered === null) return null;
  const others = layers.length - 1;
  const pinned: PinnedItem = {
    item: pin.item,
    artifact: null,
    content: contentOf(first, rendering.world),
    document: rendered.document,
    firmware: rendering.firmware,
    certificates: [],
    ...secretsOf(rendered),
  };
  const name = first.path.split('/').at(-1) ?? first.path;
  const version = others === 0 ? name : `${name} + ${others} layer${others === 1 ? '' : 's'}`;
  const place = pin.layers[0]?.path.place ?? pin.place;
  return finish(pinned, { place, part: `${pin.item} layers`, version, sealed: rendered.sealed }, rendering);
}

/** A config pinned as an artifact: its JSON is one layer. */
export function renderDocument(file: FoundFile, item: ItemName, rendering: Rendering): RenderedDocument | null {
  const layer = layerOf(file, rendering);
  if (layer === null) return null;
  return resolveReferences(layer.value, { layers: [{ file, layer, released: !rendering.ownPin }], item }, rendering);
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

function mergedOf(layers: readonly FoundLayer[], rendering: Rendering): Json {
  const { merged } = rendering.world.memo;
  const key = layers.map(({ file }) => file.oid).join(' ');
  const known = merged.get(key);
  if (known !== undefined) return known;
  const document = mergeLayers(layers.map(({ layer }) => layer.value));
  merged.set(key, document);
  return document;
}

/** Null: a mistake was reported. All references are looked at, so that each mistake is told. */
function resolveReferences(
  document: Json,
  from: { readonly layers: readonly FoundLayer[]; readonly item: ItemName },
  rendering: Rendering,
): RenderedDocument | null {
  const secrets = new Map<string, Secret>();
  const references = from.layers.flatMap(({ layer }) => layer.references);
  if (references.length === 0) return { document, secrets };
  const released = new Set(
    from.layers.flatMap(({ layer, released: one }) => (one ? layer.references.map(({ reference }) => reference.source) : [])),
  );
  const state = { complete: true, sealed: undefined as string | undefined };
  const resolved = mapStrings(document, (text, pointer) => {
    const { template } = parseTemplate(text);
    const placeOf = (source: string) => references.find(({ reference }) => reference.source === source)?.place;
    const told = template.references.some(({ source }) => !released.has(source));
    const made = makeText(template, { told, placeOf: ({ source }) => placeOf(source) }, rendering);
    if (made.kind === 'text') return made.text;
    if (made.kind === 'mistake') state.complete = false;
    else if (made.kind === 'sealed') state.sealed ??= made.why;
    else secrets.set(pointer, made.secret);
    return SECRET_TEXT;
  });
  if (!state.complete) return null;
  const holdsSecrets = secrets.size > 0 || state.sealed !== undefined;
  if (holdsSecrets && rendering.ownPin) rendering.told.set(`document ${from.item}`, digestOf(resolved));
  return { document: resolved, secrets, sealed: state.sealed };
}
