import { commentMarker } from './comment-options.ts';
import type { CommentOptions } from './comment-options.ts';
import { planMarkdown } from './markdown.ts';
import type { PlanView } from './pass.ts';

/**
 * The one sticky comment of a pull request: what merging does. Begins with `commentMarker(path)`; the first visible line
 * is the answer. Always below 60,000 bytes of UTF-8, whatever the plan holds.
 */
export function planComment(view: PlanView, options: CommentOptions): string {
  return `${commentMarker(options.path ?? '.')}\n${planMarkdown(view)}`;
}
