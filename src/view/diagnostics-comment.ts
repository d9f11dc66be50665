import type { Diagnostic } from '#kit/diagnostics.ts';
import { commentMarker } from './comment-options.ts';
import type { CommentOptions } from './comment-options.ts';
import { diagnosticsMarkdown } from './markdown.ts';

/** Why nothing could be planned, where no line of the fleet repo is to blame: a code and a line for people. */
export interface RefusalView {
  readonly code: string;
  readonly message: string;
}

/** The comment of a run that could not plan: mistakes with links to their lines, or the refusal. The same marker, the same limit. */
export function diagnosticsComment(
  diagnostics: readonly Diagnostic[],
  options: Omit<CommentOptions, 'diagnostics'> & { readonly refusal?: RefusalView | null },
): string {
  return `${commentMarker(options.path ?? '.')}\n${diagnosticsMarkdown(diagnostics)}`;
}
