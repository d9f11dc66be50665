import type { Place } from '#kit/diagnostics.ts';
import type { Occasion } from './event.ts';

/** The address of a line as it stands at that commit; null where the server or the commit is not known. */
export function lineLinks(occasion: Occasion, commit: string | null, path: string): (place: Place) => string | null {
  const { server, repository, gitea } = occasion;
  if (server === null || repository === null || commit === null) return () => null;
  const root = `${server}/${repository}/${gitea ? 'src/commit' : 'blob'}/${commit}`;
  return ({ file, line }) => `${root}/${inWorkspace(path, file).split('/').map(encodeURIComponent).join('/')}#L${line}`;
}

/** A file of the fleet repo as a file of the workspace. */
export function inWorkspace(path: string, file: string): string {
  const folder = path.replace(/^\.\//, '').replace(/\/+$/, '');
  return folder === '' || folder === '.' ? file : `${folder}/${file}`;
}
