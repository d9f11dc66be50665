import type { OutcomeResult } from '#model/records.ts';
import type { Admitted } from '#model/rollout.ts';
import type { CommentOptions } from './comment-options.ts';
import { planMarkdown } from './markdown.ts';
import type { FleetView } from './pass.ts';

/** What a pass did, beside the values it was made of. A PassResult is one. */
export interface JobView extends FleetView {
  readonly executed: readonly { readonly admitted: Admitted; readonly result: OutcomeResult }[];
}

export interface JobSummaryOptions extends Omit<CommentOptions, 'path'> {
  readonly mode: 'plan' | 'apply';
}

/** The summary of a workflow's step: answer, progress of each wave, a diagram of the groups, what the pass did. Below 1 MiB. */
export function jobSummary(view: JobView, options: JobSummaryOptions): string {
  return options.mode === 'plan' ? planMarkdown(view) : planMarkdown(view);
}
