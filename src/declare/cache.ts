/** What was made of the bytes of a file, by kind of reading and blob oid. */
export interface DeclareCache {
  readonly parsed: Map<string, unknown>;
}

export function makeDeclareCache(): DeclareCache {
  return { parsed: new Map() };
}
