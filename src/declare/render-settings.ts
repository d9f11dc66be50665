import type { Json } from '#kit/canonical.ts';
import { digestOf } from '#kit/digest.ts';
import { SECRET_TEXT, type Secret } from '#kit/secret.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { PinnedItem } from '#ports/family.ts';
import type { SettingsSource } from './groups.ts';
import { mergeLayers, pointerToken } from './layers.ts';
import { placeWithin } from './nodes.ts';
import { parseTemplate } from './references.ts';
import { finish, secretsOf, type Rendering } from './render.ts';
import { makeReport } from './report.ts';
import type { TextTree } from './row.ts';
import { reportSchemaErrors } from './schema-errors.ts';
import { makeText } from './sealed.ts';
import { typedSettings } from './typed.ts';

/** Stands in a merged tree in the place of a secret: no text that a file can hold, as YAML has no NUL. */
const MARK = '\u0000secret ';

interface Gathered {
  readonly secrets: Map<string, Secret>;
  sealed: string | undefined;
  complete: boolean;
}

/** Settings of group and override together, typed by the family's schema. `sources` in order; later ones win. */
export function renderSettings(sources: readonly SettingsSource[], rendering: Rendering): DeclaredItem | null {
  const last = sources.at(-1);
  if (last === undefined) return null;
  const gathered: Gathered = { secrets: new Map(), sealed: undefined, complete: true };
  // The first source is the group's, a part of its release; what an override sets is the device's own.
  const merged = mergeLayers(sources.map((source, index) => textsOf(source, { gathered, told: index > 0 }, rendering)));
  if (!gathered.complete) return null;
  const pointers = marksIn(merged);
  const at = { place: last.place, part: `settings ${Object.keys(sources[0]?.tree ?? {}).toSorted()[0] ?? ''}`, sealed: gathered.sealed };
  const common = { item: 'settings', artifact: null, content: null, firmware: rendering.firmware, certificates: [] } as const;
  if (pointers.size > 0 && sources.length > 1) rendering.told.set('document settings', digestOf(redacted(merged)));
  if (gathered.sealed !== undefined) return finish({ ...common, document: redacted(merged) }, at, rendering);
  const typed = typedOf(merged, { last, gathered, pointers }, rendering);
  if (typed === null) return null;
  const secrets = new Map([...pointers].flatMap(([pointer, mark]) => secretAt(pointer, gathered.secrets.get(mark))));
  const pinned: PinnedItem = { ...common, document: typed, ...secretsOf({ document: typed, secrets }) };
  return finish(pinned, at, rendering);
}

function secretAt(pointer: string, secret: Secret | undefined): readonly (readonly [string, Secret])[] {
  return secret === undefined ? [] : [[pointer, secret]];
}

function textsOf(source: SettingsSource, from: { readonly gathered: Gathered; readonly told: boolean }, rendering: Rendering): TextTree {
  const { gathered, told } = from;
  return mapTree(source.tree, [], (text, path) => {
    const placeOf = (reference: { readonly offset: number }) => placeWithin(source.document, [...source.path, ...path], reference.offset);
    const made = makeText(parseTemplate(text).template, { told, placeOf }, rendering);
    if (made.kind === 'text') return made.text;
    if (made.kind === 'mistake') gathered.complete = false;
    const mark = `${MARK}${gathered.secrets.size}`;
    if (made.kind === 'sealed') gathered.sealed ??= made.why;
    if (made.kind === 'opened') gathered.secrets.set(mark, made.secret);
    return mark;
  });
}

/** JSON pointers of the secrets that the merge has left, with their marks. */
function marksIn(tree: Json, pointer = ''): ReadonlyMap<string, string> {
  if (typeof tree === 'string') return new Map(tree.startsWith(MARK) ? [[pointer, tree]] : []);
  if (tree === null || typeof tree !== 'object') return new Map();
  return new Map(Object.entries(tree).flatMap(([key, member]) => [...marksIn(member as Json, `${pointer}/${pointerToken(key)}`)]));
}

function redacted(tree: Json): Json {
  return mapMarks(tree, () => SECRET_TEXT);
}

function mapMarks(tree: Json, change: (mark: string) => string): Json {
  if (typeof tree === 'string') return tree.startsWith(MARK) ? change(tree) : tree;
  if (Array.isArray(tree)) return tree.map((item) => mapMarks(item as Json, change));
  if (tree === null || typeof tree !== 'object') return tree;
  return Object.fromEntries(
    Object.entries(tree).map(([key, member]) => [key, member === undefined ? undefined : mapMarks(member, change)]),
  );
}

/** The schema sees the plain texts, and what it says of a secret names its place only. Null: a mistake was reported. */
function typedOf(
  merged: Json,
  from: { readonly last: SettingsSource; readonly gathered: Gathered; readonly pointers: ReadonlyMap<string, string> },
  rendering: Rendering,
): Json | null {
  const { last, gathered, pointers } = from;
  const { world, family, device } = rendering;
  const plain = mapMarks(merged, (mark) => new TextDecoder().decode(gathered.secrets.get(mark)?.reveal()));
  const { value, errors } = typedSettings(family, plain);
  const ofSecrets = errors.filter((error) => pointers.has(error.instancePath));
  const others = errors.filter((error) => !ofSecrets.includes(error));
  for (const pointer of new Set(ofSecrets.map((error) => error.instancePath))) {
    const path = pointer.slice(1).split('/');
    const place = placeWithin(last.document, [...last.path, ...path], 0);
    world.mistake(device.id, {
      code: 'SECRET_UNFIT',
      place,
      words: { summary: `the secret of \`${path.join('.')}\` is no value that fits there` },
    });
  }
  const report = makeReport();
  reportSchemaErrors(others, { file: last.document.file, root: last.document.node, base: last.path }, report);
  for (const one of report.list()) world.mistake(device.id, { code: one.code, place: one.place, words: one });
  return errors.length > 0 ? null : hidden(value as Json, pointers);
}

function hidden(value: Json, pointers: ReadonlyMap<string, string>, pointer = ''): Json {
  if (pointers.has(pointer)) return SECRET_TEXT;
  if (Array.isArray(value)) return value.map((item, index) => hidden(item as Json, pointers, `${pointer}/${index}`));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      member === undefined ? undefined : hidden(member, pointers, `${pointer}/${pointerToken(key)}`),
    ]),
  );
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
