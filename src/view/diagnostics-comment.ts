import type { Diagnostic } from '#kit/diagnostics.ts';
import { commentMarker } from './comment-options.ts';
import type { CommentOptions } from './comment-options.ts';
import { problemCount } from './diagnostics-text.ts';
import { alert, code, fit, prose, sections } from './markdown.ts';
import { codesText, diagnosticLine } from './plan-sections.ts';

const ROOM = 50_000;

/** Why nothing could be planned, where no line of the fleet repo is to blame: a code and a line for people. */
export interface RefusalView {
  readonly code: string;
  readonly message: string;
}

export interface DiagnosticsOptions extends Pick<CommentOptions, 'links' | 'path'> {
  readonly refusal?: RefusalView | null;
}

/**
 * The comment of a run that could not plan: the refusal, and every mistake with a link to its line, errors first. The same
 * marker and the same limit as the plan's; each code is counted even where its mistakes find no room.
 */
export function diagnosticsComment(diagnostics: readonly Diagnostic[], options: DiagnosticsOptions): string {
  const { refusal = null } = options;
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  const warnings = diagnostics.filter(({ severity }) => severity === 'warning');
  return `${sections([
    `${commentMarker(options.path ?? '.')}\n## ${headText(diagnostics, refusal)}`,
    refusal === null ? '' : alert('CAUTION', `${code(refusal.code)} ${prose(refusal.message, 400)}`),
    listing('Errors', errors, options),
    listing('Warnings', warnings, options),
    diagnostics.length === 0 ? '' : 'All of them with their lines: `headgate validate`',
  ])}\n`;
}

function headText(diagnostics: readonly Diagnostic[], refusal: RefusalView | null): string {
  const fails = refusal !== null || diagnostics.some(({ severity }) => severity === 'error');
  if (!fails && diagnostics.length === 0) return 'Valid: no mistakes';
  const count = diagnostics.length === 0 ? '' : `: ${problemCount(diagnostics)}`;
  return fails ? `Nothing is planned and nothing will be applied${count}` : `Valid${count}`;
}

function listing(title: string, diagnostics: readonly Diagnostic[], options: DiagnosticsOptions): string {
  if (diagnostics.length === 0) return '';
  const lines = fit({
    entries: diagnostics,
    bytes: ROOM / 2,
    render: (one) => diagnosticLine(one, options),
    rest: (left) => `- and ${left.length} more (${codesText(left)})`,
  });
  return `### ${title}: ${diagnostics.length}\n\n${lines.join('\n')}`;
}
