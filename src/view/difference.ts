import type { DeclaredDifference } from '#model/difference.ts';
import { commentMarker } from './comment-options.ts';
import type { CommentOptions } from './comment-options.ts';
import { plain } from './table.ts';
import type { Paint } from './table.ts';

/** The declared difference for a terminal. */
export function differenceText(difference: DeclaredDifference, paint: Paint = plain): string {
  return paint('strong', `${difference.changing} of ${difference.devices} devices change`);
}

/** The comment of a run that may not see devices (a fork): what the revisions say, and what it could not see. */
export function differenceComment(difference: DeclaredDifference, options: CommentOptions): string {
  return `${commentMarker(options.path ?? '.')}\n${differenceText(difference)}\n`;
}
