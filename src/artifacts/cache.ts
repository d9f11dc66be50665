import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#kit/digest.ts';

/** Verified bytes by digest. What comes out of it has that digest, whatever happened to the disk. */
export interface ArtifactCache {
  get(digest: string): Promise<Uint8Array | undefined>;
  put(digest: string, bytes: Uint8Array): Promise<void>;
}

/** Kept in memory: enough for the few versions that a rollout sends at once. */
const MEMORY_BYTES = 256 * 1024 * 1024;

/** In memory, and below `dir` when it is given: `dir/sha256/DIGEST`. A disk that fails costs a fetch, nothing else. */
export function makeArtifactCache(dir: string | null): ArtifactCache {
  const memory = makeMemory(MEMORY_BYTES);
  const folder = dir === null ? null : join(dir, 'sha256');
  return {
    async get(digest) {
      const held = memory.get(digest);
      if (held !== undefined || folder === null) return held;
      const bytes = await readFile(join(folder, digest)).catch(() => undefined);
      if (bytes === undefined) return undefined;
      if (sha256(bytes) !== digest) {
        await rm(join(folder, digest), { force: true }).catch(() => undefined);
        return undefined;
      }
      memory.put(digest, bytes);
      return bytes;
    },
    async put(digest, bytes) {
      memory.put(digest, bytes);
      if (folder !== null) await writeWhole(folder, digest, bytes).catch(() => undefined);
    },
  };
}

/** Written beside and moved into place, so that nobody reads half a file. */
async function writeWhole(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  await mkdir(folder, { recursive: true });
  const partial = join(folder, `.${name}.${randomUUID()}`);
  try {
    await writeFile(partial, bytes);
    await rename(partial, join(folder, name));
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

function makeMemory(limit: number): { get(digest: string): Uint8Array | undefined; put(digest: string, bytes: Uint8Array): void } {
  const kept = new Map<string, Uint8Array>();
  let size = 0;
  return {
    get(digest) {
      const bytes = kept.get(digest);
      if (bytes === undefined) return undefined;
      kept.delete(digest);
      kept.set(digest, bytes);
      return bytes;
    },
    put(digest, bytes) {
      if (kept.has(digest) || bytes.length > limit) return;
      kept.set(digest, bytes);
      size += bytes.length;
      for (const [oldest, old] of kept) {
        if (size <= limit) break;
        kept.delete(oldest);
        size -= old.length;
      }
    },
  };
}
