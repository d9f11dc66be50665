/** Bytes by oid, the least recently used ones dropped first. Bytes larger than the whole bound are not kept. */
export interface BlobCache {
  get(oid: string): Uint8Array | undefined;
  set(oid: string, bytes: Uint8Array): void;
}

export function makeBlobCache(maxBytes: number): BlobCache {
  const kept = new Map<string, Uint8Array>();
  let total = 0;
  return {
    get: (oid) => {
      const bytes = kept.get(oid);
      if (bytes === undefined) return undefined;
      kept.delete(oid);
      kept.set(oid, bytes);
      return bytes;
    },
    set: (oid, bytes) => {
      if (kept.has(oid) || bytes.length > maxBytes) return;
      kept.set(oid, bytes);
      total += bytes.length;
      for (const [oldest, old] of kept) {
        if (total <= maxBytes) return;
        kept.delete(oldest);
        total -= old.length;
      }
    },
  };
}
