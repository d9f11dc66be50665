import type { Place } from '#kit/diagnostics.ts';
import type { Layer as LayerData, Pin as PinData, PinBody } from '#model/generated/fleet-repo.ts';
import { itemKind, type ItemName } from '#model/item.ts';
import type { ArtifactVersion, Catalog } from './artifacts.ts';
import { didYouMean } from './nearest.ts';
import { at, keyAt, placeWithin, type Path, type SourceDocument } from './nodes.ts';
import { parseTemplate, type Template } from './references.ts';
import { reportUnknown, type Scope } from './scope.ts';
import { flag } from './units.ts';

/** A text with references, and where each of its characters stands. */
export interface PlacedTemplate {
  readonly template: Template;
  readonly place: Place;
  /** It holds a reference that cannot be understood, which was reported. */
  readonly broken: boolean;
  placeAt(offset: number): Place;
}

export type Choice =
  | {
      readonly kind: 'artifact';
      readonly version: ArtifactVersion;
      readonly place: Place;
      /** The other versions of that artifact. */
      readonly others: readonly ArtifactVersion[];
    }
  | { readonly kind: 'leave'; readonly models: readonly string[]; readonly place: Place };

export interface PinnedLayer {
  readonly path: PlacedTemplate;
  readonly optional: boolean;
}

/** What a group, set or override says of one item. */
export type Pin = { readonly item: ItemName; readonly place: Place } & (
  | { readonly kind: 'choices'; readonly choices: readonly Choice[] }
  | { readonly kind: 'file'; readonly path: PlacedTemplate }
  | { readonly kind: 'layers'; readonly layers: readonly PinnedLayer[] }
  | {
      readonly kind: 'certificates';
      readonly use: ArtifactVersion;
      readonly usePlace: Place;
      readonly keep: readonly ArtifactVersion[];
      /** All other versions of the artifacts of `use` and `keep`. */
      readonly others: readonly ArtifactVersion[];
    }
  /** files with `exact`: what is not named is deleted. */
  | { readonly kind: 'exact'; readonly path: PlacedTemplate | null; readonly keep: readonly ArtifactVersion[] }
);

export type Pins = ReadonlyMap<ItemName, Pin>;

export interface PinSource {
  readonly document: SourceDocument<unknown>;
  /** Usually `pins`. */
  readonly path: Path;
  readonly data: Readonly<Record<string, PinData | undefined>>;
}

interface PinContext extends PinSource {
  readonly scope: Scope;
  readonly catalog: Catalog;
  readonly item: ItemName;
}

/** As in schemas/defs.json. */
const ITEM = /^(firmware|program|config|files|trust|identity)(\.[a-z][a-z0-9-]*)?$/;

/** The pins of a document; those with a mistake are reported and left out. */
export function compilePins(source: PinSource, scope: Scope, catalog: Catalog): Pins {
  const pins = new Map<ItemName, Pin>();
  for (const [name, data] of Object.entries(source.data)) {
    // A key that is no item was told where the schema was checked, and what stands under it was not looked at.
    if (data === undefined || !ITEM.test(name)) continue;
    const item = name as ItemName;
    const pin = compilePin(data, { ...source, path: [...source.path, name], scope, catalog, item });
    if (pin !== null) pins.set(item, pin);
  }
  return pins;
}

function compilePin(data: PinData, context: PinContext): Pin | null {
  const { item, document, path } = context;
  const place = keyAt(document, ...path);
  if (typeof data === 'string') {
    const choice = artifactChoice(data, path, context);
    return choice === null ? null : simple(choice, { item, place });
  }
  if (!Array.isArray(data)) return compileBody(data, place, context);
  const choices: Choice[] = [];
  for (const [index, one] of data.entries()) {
    const own = [...path, index];
    if (typeof one !== 'string') {
      reportLeave(one.leave, own, context);
      choices.push({ kind: 'leave', models: one.leave, place: at(document, ...own, 'leave') });
      continue;
    }
    const choice = artifactChoice(one, own, context);
    if (choice === null) return null;
    choices.push(choice);
  }
  return { item, place, kind: 'choices', choices };
}

/** One version for all devices. Certificates are a kind of their own, because what is kept beside them matters. */
function simple(choice: Extract<Choice, { kind: 'artifact' }>, pin: { item: ItemName; place: Place }): Pin {
  const kind = itemKind(pin.item);
  if (kind !== 'trust' && kind !== 'identity') return { ...pin, kind: 'choices', choices: [choice] };
  return { ...pin, kind: 'certificates', use: choice.version, usePlace: choice.place, keep: [], others: choice.others };
}

function compileBody(body: PinBody, place: Place, context: PinContext): Pin | null {
  const { item, document, path, scope } = context;
  if (itemKind(item) === 'files' && flag(body.exact, false)) return exactForm(body, place, context);
  const forms = (['file', 'layers', 'use', 'exact'] as const).filter((form) => body[form] !== undefined && !isOff(form, body));
  const [form] = forms;
  if (form === undefined || forms.length > 1) {
    scope.report.error('PIN_UNCLEAR', place, {
      summary: forms.length === 0 ? '`keep` needs a `use` beside it' : `\`${forms.join('` and `')}\` cannot stand together`,
      fix: 'write one of `file`, `layers`, `use`',
    });
    return null;
  }
  if (!takes(itemKind(item), form)) {
    scope.report.error('PIN_UNCLEAR', keyAt(document, ...path, form), {
      summary: `\`${form}\` says nothing of ${item}`,
      fix: formsOf(item),
    });
    return null;
  }
  if (body.keep !== undefined && form !== 'use') {
    scope.report.error('PIN_UNCLEAR', keyAt(document, ...path, 'keep'), { summary: '`keep` stands only beside `use`' });
    return null;
  }
  switch (form) {
    case 'file':
      return fileForm(body.file ?? '', place, context);
    case 'layers':
      return { item, place, kind: 'layers', layers: (body.layers ?? []).map((layer, index) => layerOf(layer, index, context)) };
    case 'use':
      return certificatesForm(body, place, context);
    case 'exact':
      // Files with `exact` were taken up before, and nothing else takes it.
      return null;
  }
}

/** `exact: false` says what is so anyway. */
function isOff(form: string, body: PinBody): boolean {
  return form === 'exact' && !flag(body.exact, false);
}

/** `{ exact: true }` with the files that stay: one by `file`, artifacts by `keep`. */
function exactForm(body: PinBody, place: Place, context: PinContext): Pin | null {
  const { item, path, document, scope } = context;
  const other = (['layers', 'use'] as const).find((form) => body[form] !== undefined);
  if (other !== undefined) {
    scope.report.error('PIN_UNCLEAR', keyAt(document, ...path, other), {
      summary: `\`${other}\` says nothing of ${item}`,
      fix: 'name the files that stay by `file: PATH` and `keep: [ARTIFACT@VERSION]`',
    });
    return null;
  }
  const keep = (body.keep ?? []).map((reference, index) => artifactChoice(reference, [...path, 'keep', index], context));
  if (keep.includes(null)) return null;
  return {
    item,
    place,
    kind: 'exact',
    path: body.file === undefined ? null : placedTemplate(body.file, [...path, 'file'], context),
    keep: keep.flatMap((one) => (one === null ? [] : [one.version])),
  };
}

function takes(kind: string, form: 'file' | 'layers' | 'use' | 'exact'): boolean {
  if (form === 'use') return kind === 'trust' || kind === 'identity';
  if (form === 'exact') return kind === 'files';
  return form === 'layers' ? kind === 'config' : kind === 'program' || kind === 'config' || kind === 'files' || kind === 'firmware';
}

function formsOf(item: ItemName): string {
  const kind = itemKind(item);
  if (kind === 'trust' || kind === 'identity') return 'write `{ use: ARTIFACT@VERSION, keep: [ARTIFACT@VERSION] }`';
  if (kind === 'files') return 'write `{ exact: true, file: PATH, keep: [ARTIFACT@VERSION] }`, `{ file: PATH }` or ARTIFACT@VERSION';
  if (kind === 'config') return 'write `{ layers: [PATH, …] }`, `{ file: PATH }` or ARTIFACT@VERSION';
  return 'write ARTIFACT@VERSION or `{ file: PATH }`';
}

/** A config in JSON is read, so that a family can look into it: a file is then a single layer. */
function fileForm(path: string, place: Place, context: PinContext): Pin {
  const placed = placedTemplate(path, [...context.path, 'file'], context);
  const { item } = context;
  if (itemKind(item) === 'config' && path.endsWith('.json'))
    return { item, place, kind: 'layers', layers: [{ path: placed, optional: false }] };
  return { item, place, kind: 'file', path: placed };
}

function layerOf(layer: LayerData, index: number, context: PinContext): PinnedLayer {
  const path = [...context.path, 'layers', index];
  if (typeof layer === 'string') return { path: placedTemplate(layer, path, context), optional: false };
  return { path: placedTemplate(layer.file, [...path, 'file'], context), optional: flag(layer.optional, false) };
}

function certificatesForm(body: PinBody, place: Place, context: PinContext): Pin | null {
  const { item, path } = context;
  const use = artifactChoice(body.use ?? '', [...path, 'use'], context);
  const keep = (body.keep ?? []).map((reference, index) => artifactChoice(reference, [...path, 'keep', index], context));
  if (use === null || keep.includes(null)) return null;
  const kept = keep.filter((one) => one !== null);
  const named = new Set([use, ...kept].map(({ version }) => version));
  return {
    item,
    place,
    kind: 'certificates',
    use: use.version,
    usePlace: use.place,
    keep: kept.map(({ version }) => version),
    others: [...new Set([use, ...kept].flatMap(({ others }) => others))].filter((version) => !named.has(version)),
  };
}

function placedTemplate(text: string, path: Path, context: PinContext): PlacedTemplate {
  const { document } = context;
  const { template, problems } = parseTemplate(text);
  return { template, place: at(document, ...path), broken: problems.length > 0, placeAt: (offset) => placeWithin(document, path, offset) };
}

/** `NAME@VERSION` → the version, or null with a report: without a version, unknown, withdrawn, of another item. */
function artifactChoice(reference: string, path: Path, context: PinContext): Extract<Choice, { kind: 'artifact' }> | null {
  const { scope, catalog, document, item } = context;
  const place = at(document, ...path);
  const split = reference.lastIndexOf('@');
  const name = split < 0 ? reference : reference.slice(0, split);
  const wanted = split < 0 ? '' : reference.slice(split + 1);
  const artifact = catalog.get(name);
  if (artifact === undefined) {
    if (name.includes('${')) scope.report.error('PIN_UNCLEAR', place, { summary: 'a pin names one version', fix: formsOf(item) });
    else reportUnknown(scope, place, { what: 'artifact', kind: 'Artifact', name, known: catalog.keys() });
    return null;
  }
  const known = [...artifact.versions.keys()];
  if (wanted === '') {
    scope.report.error('VERSION_MISSING', place, {
      summary: `the pin names no version of \`${name}\``,
      fix: `write \`${name}@${known.at(-1) ?? 'VERSION'}\``,
    });
    return null;
  }
  const version = artifact.versions.get(wanted);
  const behind = placeWithin(document, path, split + 1);
  if (version === undefined) {
    if (scope.broken.has('Artifact', name)) return null;
    const fix = didYouMean(wanted, known) ?? `its versions are: ${known.join(', ')}`;
    scope.report.error('UNKNOWN_VERSION', behind, { summary: `\`${name}\` has no version \`${wanted}\``, fix });
    return null;
  }
  if (version.item !== item) {
    scope.report.error('WRONG_ITEM', place, { summary: `\`${name}\` is a ${version.item}, not a ${item}`, also: [artifact.place] });
    return null;
  }
  if (version.withdrawn !== null) {
    scope.report.error('VERSION_WITHDRAWN', behind, {
      summary: `${name}@${wanted} is withdrawn: ${version.withdrawn}`,
      fix: 'pin another version',
      also: [version.place],
    });
    return null;
  }
  return { kind: 'artifact', version, place, others: [...artifact.versions.values()].filter((other) => other !== version) };
}

function reportLeave(models: readonly string[], path: Path, context: PinContext): void {
  const known = [...context.scope.families.values()].flatMap((family) => family.models);
  const open = [...context.scope.families.values()].some((family) => family.models.length === 0);
  for (const [index, model] of models.entries()) {
    if (open || known.includes(model)) continue;
    context.scope.report.error('UNKNOWN_MODEL', at(context.document, ...path, 'leave', index), {
      summary: `no family has a model \`${model}\``,
      fix: didYouMean(model, known),
    });
  }
}
