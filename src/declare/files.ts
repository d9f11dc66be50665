import type { Result } from '#kit/result.ts';
import { err, ok } from '#kit/result.ts';
import type { Revision } from '#model/revision.ts';
import { didYouMean } from './nearest.ts';
import { isLfsPointer } from './text.ts';

export interface FoundFile {
  readonly path: string;
  readonly oid: string;
  readonly bytes: Uint8Array;
}

export interface FileProblem {
  readonly code: 'PATH_OUTSIDE' | 'PATH_SYMLINK' | 'FILE_MISSING' | 'FILE_TOO_LARGE' | 'LFS_POINTER';
  readonly summary: string;
  readonly fix?: string | undefined;
}

/** A file of the revision by its path from the root, or why it cannot be used. */
export function findFile(revision: Revision, path: string): Result<FoundFile, FileProblem> {
  const clean = path.replace(/^(\.\/)+/, '');
  if (leavesRepo(clean)) {
    return err({
      code: 'PATH_OUTSIDE',
      summary: `\`${path}\` leads outside the repo`,
      fix: 'write a path from the root of the repo, with forward slashes',
    });
  }
  const file = revision.files.get(clean);
  if (file === undefined) {
    const linked = symlinkAbove(revision, clean);
    if (linked !== undefined)
      return err({ code: 'PATH_SYMLINK', summary: `\`${linked}\` is a symbolic link and is not followed`, fix: 'name the file itself' });
    return err({ code: 'FILE_MISSING', summary: `there is no file \`${clean}\``, fix: didYouMean(clean, revision.files.keys()) });
  }
  if (file.mode !== 'file') {
    return err({
      code: 'PATH_SYMLINK',
      summary: `\`${clean}\` is a ${file.mode === 'symlink' ? 'symbolic link' : file.mode} and is not followed`,
      fix: 'name the file itself',
    });
  }
  const bytes = revision.read(clean);
  if (bytes === 'tooLarge') {
    return err({
      code: 'FILE_TOO_LARGE',
      summary: `\`${clean}\` has ${file.size} bytes, more than can be read from the repo`,
      fix: 'keep it in a bucket and pin it by its SHA-256',
    });
  }
  if (bytes === undefined) return err({ code: 'FILE_MISSING', summary: `the bytes of \`${clean}\` are not there` });
  if (isLfsPointer(bytes)) {
    return err({
      code: 'LFS_POINTER',
      summary: `\`${clean}\` is a Git LFS pointer, not the file`,
      fix: 'name its https: or bucket source with the SHA-256, or commit the file itself',
    });
  }
  return ok({ path: clean, oid: file.oid, bytes });
}

function leavesRepo(path: string): boolean {
  return (
    path === '' ||
    path.startsWith('/') ||
    path.startsWith('~') ||
    /^[A-Za-z]:/.test(path) ||
    path.includes('\\') ||
    path.split('/').includes('..')
  );
}

function symlinkAbove(revision: Revision, path: string): string | undefined {
  const parts = path.split('/');
  for (let length = 1; length < parts.length; length += 1) {
    const above = parts.slice(0, length).join('/');
    if (revision.files.get(above)?.mode === 'symlink') return above;
  }
  return undefined;
}
