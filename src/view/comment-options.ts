import type { Diagnostic, Place } from '#kit/diagnostics.ts';
import type { UnseenConnection } from '#model/unread.ts';

/** What the maker of a comment knows beside the plan. Whatever is left out is simply not said. */
export interface CommentOptions {
  /** Folder of the fleet repo in the repository, `.` for its root: names the sticky comment, one per folder. */
  readonly path?: string;
  /** The address of a line of the fleet repo; null where there is none. Only http and https addresses are used. */
  readonly links: (place: Place) => string | null;
  /** Where the whole plan can be read: the run's summary, a stored plan. `text` is what the link is called. */
  readonly rest?: readonly { readonly text: string; readonly url: string | null }[];
  readonly diagnostics?: readonly Diagnostic[];
  readonly troubles?: readonly UnseenConnection[];
}

/** The first line of each comment about a folder of the repository, whatever else it says: how it is found again. */
export function commentMarker(path: string): string {
  const name = path.replace(/^\.\//, '').replace(/\/+$/, '');
  return `<!-- headgate:comment path=${encodeURIComponent(name === '' ? '.' : name).replaceAll('-', '%2D')} -->`;
}
