/** What was made of the bytes of files, by way of reading, path and blob oid: what does not change between two passes. */
export interface DeclareCache {
  readonly entries: Map<string, unknown>;
}

/** A fleet repo of 200 files keeps some 400 entries; beyond this the oldest go. */
const MOST_ENTRIES = 5_000;

export function makeDeclareCache(): DeclareCache {
  return { entries: new Map() };
}

/** The kept value of a key, or what `make` gives, which must depend on the key alone. */
export function kept<T>(cache: DeclareCache, key: string, make: () => T): T {
  const known = cache.entries.get(key);
  if (known !== undefined) return known as T;
  const made = make();
  cache.entries.set(key, made);
  if (cache.entries.size > MOST_ENTRIES) {
    const oldest = cache.entries.keys().next();
    if (oldest.done !== true) cache.entries.delete(oldest.value);
  }
  return made;
}
