/** What ListObjectsV2 asks for. `after` is exclusive; `skip` is a common prefix that a page before has already named. */
export interface ListQuery {
  readonly prefix: string;
  readonly delimiter: string;
  readonly after: string;
  readonly skip: string;
  readonly maxKeys: number;
}

export interface Listing {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
  /** Where the next page begins; null at the end. */
  readonly next: { readonly after: string; readonly skip: string } | null;
}

/** Order of the UTF-8 bytes, in which S3 lists keys. It differs from code unit order beyond the basic plane. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return utf8Rank(left) - utf8Rank(right);
  }
  return a.length - b.length;
}

/** One page over keys that are sorted by compareUtf8. Keys and common prefixes count alike towards maxKeys. */
export function listPage(sorted: readonly string[], query: ListQuery): Listing {
  const keys: string[] = [];
  const prefixes: string[] = [];
  let last = { after: query.after, skip: query.skip };
  let index = query.after < query.prefix ? lowerBound(sorted, query.prefix) : lowerBound(sorted, query.after);
  for (; index < sorted.length; index++) {
    const key = sorted[index] ?? '';
    if (!key.startsWith(query.prefix)) {
      if (compareUtf8(key, query.prefix) > 0) break;
      continue;
    }
    if (key === query.after || (query.skip !== '' && key.startsWith(query.skip))) continue;
    const group = commonPrefix(key, query);
    if (group !== null && prefixes.at(-1) === group) continue;
    if (keys.length + prefixes.length >= query.maxKeys) return { keys, prefixes, next: query.maxKeys === 0 ? null : last };
    if (group === null) keys.push(key);
    else prefixes.push(group);
    last = { after: key, skip: group ?? '' };
  }
  return { keys, prefixes, next: null };
}

/** Opaque to clients, as AWS's are. */
export function continuationToken(next: { readonly after: string; readonly skip: string }): string {
  return Buffer.from(JSON.stringify([next.after, next.skip])).toString('base64url');
}

/** Reads a token back; undefined when it is none of ours. */
export function parseContinuationToken(token: string): { readonly after: string; readonly skip: string } | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (!Array.isArray(value)) return undefined;
    const [after, skip] = value as unknown[];
    return typeof after === 'string' && typeof skip === 'string' ? { after, skip } : undefined;
  } catch {
    return undefined;
  }
}

function commonPrefix(key: string, query: ListQuery): string | null {
  if (query.delimiter === '') return null;
  const at = key.indexOf(query.delimiter, query.prefix.length);
  return at < 0 ? null : key.slice(0, at + query.delimiter.length);
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareUtf8(sorted[middle] ?? '', key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Surrogates stand for four-byte sequences, which sort above U+E000 to U+FFFF. */
function utf8Rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
