import type { Place } from '#kit/diagnostics.ts';

interface At {
  readonly line: number;
  readonly column: number;
}

/** A scalar. `inner` is how far into the token the text begins (1 behind a quote), null when the two differ otherwise. */
export interface TextNode extends At {
  readonly kind: 'text';
  readonly text: string;
  readonly inner: number | null;
}

export interface Entry extends At {
  readonly key: string;
  readonly node: Node;
}

export interface MapNode extends At {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, Entry>;
}

export interface ListNode extends At {
  readonly kind: 'list';
  readonly items: readonly Node[];
}

/** A YAML value with the place of each of its parts. Aliases share nodes. */
export type Node = TextNode | MapNode | ListNode;

/** Plain data: text, arrays, objects without a prototype's surprises (fromEntries defines, so `__proto__` is a key). */
export function plain(node: Node): unknown {
  if (node.kind === 'text') return node.text;
  if (node.kind === 'list') return node.items.map(plain);
  return Object.fromEntries([...node.entries.values()].map((entry) => [entry.key, plain(entry.node)]));
}

export type Path = readonly (string | number)[];

/** A document that passed its schema: `data` has the generated type, `at` and `keyAt` know where each value stands. */
export interface SourceDocument<T> {
  readonly file: string;
  readonly node: MapNode;
  readonly data: T;
}

/** The place of the value at a path, or of the nearest thing above it that exists. */
export function at(document: SourceDocument<unknown>, ...path: Path): Place {
  return placeIn(document.file, document.node, path);
}

/** The place of the key at the end of a path; for a list item, of the item. */
export function keyAt(document: SourceDocument<unknown>, ...path: Path): Place {
  return keyPlaceIn(document.file, document.node, path);
}

export function placeIn(file: string, root: Node, path: Path): Place {
  let node = root;
  let place: At = root;
  for (const step of path) {
    const entry = entryOf(node, step);
    if (entry === undefined) break;
    node = entry.node;
    // An empty value has no token of its own: its key is what a person sees.
    place = node.kind === 'text' && node.text === '' && node.inner !== 1 ? entry : node;
  }
  return { file, line: place.line, column: place.column };
}

export function keyPlaceIn(file: string, root: Node, path: Path): Place {
  let node = root;
  let place: At = root;
  for (const step of path) {
    const entry = entryOf(node, step);
    if (entry === undefined) break;
    node = entry.node;
    place = entry;
  }
  return { file, line: place.line, column: place.column };
}

/** The place of the character at `offset` of a scalar's text, or of the scalar where the two cannot be matched. */
export function placeWithin(document: SourceDocument<unknown>, path: Path, offset: number): Place {
  const node = nodeAt(document.node, path);
  const place = at(document, ...path);
  if (node === undefined || node.kind !== 'text' || node.inner === null) return place;
  return { ...place, column: place.column + node.inner + offset };
}

export function nodeAt(root: Node, path: Path): Node | undefined {
  let node: Node | undefined = root;
  for (const step of path) {
    if (node === undefined) return undefined;
    node = entryOf(node, step)?.node;
  }
  return node;
}

function entryOf(node: Node, step: string | number): (At & { readonly node: Node }) | undefined {
  if (node.kind === 'map') return node.entries.get(String(step));
  if (node.kind === 'text') return undefined;
  const item = node.items[Number(step)];
  return item === undefined ? undefined : { line: item.line, column: item.column, node: item };
}

/** Every scalar with its path, keys included as `key`. Shared nodes are visited at each place where they stand. */
export function eachText(node: Node, visit: (text: TextNode, path: Path) => void, path: Path = []): void {
  if (node.kind === 'text') visit(node, path);
  else if (node.kind === 'list') node.items.forEach((item, index) => eachText(item, visit, [...path, index]));
  else for (const entry of node.entries.values()) eachText(entry.node, visit, [...path, entry.key]);
}
