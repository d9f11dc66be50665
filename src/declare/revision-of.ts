import { createHash } from 'node:crypto';
import { compareText } from '#kit/diagnostics.ts';
import { digestOf } from '#kit/digest.ts';
import { digest } from '#model/ids.ts';
import type { Revision, RevisionFile } from '#model/revision.ts';

/**
 * A revision made of files in memory, for tests, benches and `headgate init`: path → text or bytes. Oids are those that
 * git gives to the same bytes (SHA-1 over `blob N\0` and the bytes), so results cached by oid are shared with git.
 */
export function revisionOfFiles(files: Readonly<Record<string, string | Uint8Array>>, subject = 'in memory'): Revision {
  const bytesOf = new Map<string, Uint8Array>();
  const listing = new Map<string, RevisionFile>();
  for (const path of Object.keys(files).toSorted(compareText)) {
    const content = files[path] ?? '';
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    bytesOf.set(path, bytes);
    listing.set(path, { path, oid: blobOid(bytes), size: bytes.length, mode: 'file' });
  }
  const tree = digest(digestOf([...listing.values()].map((file) => [file.path, file.oid])));
  return {
    ref: { commit: null, tree, subject, author: '', committedAt: null },
    files: listing,
    read: (path) => bytesOf.get(path),
  };
}

/** The id that git gives a blob of these bytes, 40 hex digits. */
export function blobOid(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}
