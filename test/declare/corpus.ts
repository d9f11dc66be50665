import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { campbellFamily } from '#adapters/campbell/family.ts';
import { canedgeFamily } from '#adapters/canedge/family.ts';
import { blobOid } from '#declare/revision-of.ts';
import { compareText } from '#kit/diagnostics.ts';
import { digest } from '#model/ids.ts';
import type { Revision, RevisionFile } from '#model/revision.ts';
import type { Family } from '#ports/family.ts';

export const CORPUS = join(import.meta.dirname, '..', 'fixtures', 'broken');
export const FAMILIES: ReadonlyMap<string, Family> = new Map([campbellFamily, canedgeFamily].map((family) => [family.name, family]));
/** The time at which the corpus is judged: overrides lapse by it. */
export const AT = Date.parse('2026-11-21T12:00:00Z');

/** The broken repos, by folder. */
export function brokenRepos(): readonly string[] {
  return readdirSync(CORPUS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted(compareText);
}

/** A folder as a revision: symbolic links are listed and not followed, as git lists them. */
export function revisionOfFolder(root: string): Revision {
  const files = new Map<string, RevisionFile>();
  const bytesOf = new Map<string, Uint8Array>();
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted(compareText);
  for (const name of names) {
    const path = relative(root, join(root, name)).split(sep).join('/');
    const status = lstatSync(join(root, name));
    if (status.isDirectory() || path === 'expected.txt') continue;
    const bytes = status.isSymbolicLink() ? new Uint8Array() : new Uint8Array(readFileSync(join(root, name)));
    files.set(path, { path, oid: blobOid(bytes), size: bytes.length, mode: status.isSymbolicLink() ? 'symlink' : 'file' });
    bytesOf.set(path, bytes);
  }
  const ref = { commit: null, tree: digest(root), subject: '', author: '', committedAt: null };
  return { ref, files, read: (path) => bytesOf.get(path) };
}
