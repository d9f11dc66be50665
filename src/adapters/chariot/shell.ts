import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';

/**
 * The text of a SHELL service: one `name='value'` a line, sorted; arrays `name=('a' 'b')`; nested objects flattened with `_`;
 * null members left out (docs/protocols/shadow-devices.md §2.6).
 */
export function writeShell(value: JsonObject): string {
  const lines: string[] = [];
  const walk = (members: JsonObject, prefix: string): void => {
    for (const [key, member] of Object.entries(members)) {
      const name = `${prefix}${key}`;
      if (member === undefined || member === null) continue;
      if (isJsonObject(member)) walk(member, `${name}_`);
      else lines.push(`${name}=${Array.isArray(member) ? `(${member.map((item: Json) => quoted(item)).join(' ')})` : quoted(member)}`);
    }
  };
  walk(value, '');
  return `${lines.toSorted().join('\n')}\n`;
}

function quoted(value: Json): string {
  const text = typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return `'${text.replaceAll("'", String.raw`\'`)}'`;
}

/** What such a text is read back as: names split at each `_`, texts that look like numbers and booleans made such. */
export function readShell(text: string): JsonObject {
  const root: Tree = new Map();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at <= 0) continue;
    put(root, line.slice(0, at).split('_'), valueOf(line.slice(at + 1)));
  }
  return plain(root);
}

type Tree = Map<string, Tree | { readonly leaf: Json }>;

function put(tree: Tree, names: readonly string[], leaf: Json): void {
  const [name = '', ...rest] = names;
  if (rest.length === 0) {
    tree.set(name, { leaf });
    return;
  }
  const there = tree.get(name);
  const inner: Tree = there instanceof Map ? there : new Map();
  tree.set(name, inner);
  put(inner, rest, leaf);
}

function plain(tree: Tree): JsonObject {
  return Object.fromEntries([...tree].map(([name, node]) => [name, node instanceof Map ? plain(node) : node.leaf]));
}

function valueOf(raw: string): Json {
  if (!raw.startsWith('(') || !raw.endsWith(')')) return coerced(unquoted(raw));
  const items = raw.slice(1, -1).match(/'(?:\\'|[^'])*'|[^\s']+/g) ?? [];
  return items.map((item) => coerced(unquoted(item)));
}

function unquoted(text: string): string {
  const inner = text.length > 1 && /^(['"]).*\1$/.test(text) ? text.slice(1, -1) : text;
  return inner.replaceAll(String.raw`\'`, "'");
}

/** As JavaScript takes a number, of which JSON knows no infinity. */
function coerced(text: string): Json {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text.trim() === '') return text;
  const number = Number(text);
  if (Number.isNaN(number)) return text;
  return Number.isFinite(number) ? number : null;
}
