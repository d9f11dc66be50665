import type { Diagnostic, Place } from '#kit/diagnostics.ts';
import { inWorkspace } from './links.ts';

export interface Annotation {
  readonly title: string;
  readonly file?: string;
  readonly startLine?: number;
  readonly startColumn?: number;
}

/** What a workflow's runner offers: injected, so that a test of the action is a function call. */
export interface Runner {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workspace: string;
  input(name: string): string;
  output(name: string, value: string): void;
  /** The value is replaced by stars in all later output. */
  mask(secret: string): void;
  info(text: string): void;
  annotate(level: 'error' | 'warning' | 'notice', text: string, at: Annotation): void;
  summary(markdown: string): Promise<void>;
  fail(text: string): void;
}

/** A place of the fleet repo as a place in the workspace. */
export function annotationOf(title: string, place: Place, path: string): Annotation {
  return { title, file: inWorkspace(path, place.file), startLine: place.line, startColumn: place.column };
}

/** Each mistake on its line. */
export function annotateAll(runner: Runner, diagnostics: readonly Diagnostic[], path: string): void {
  for (const one of diagnostics) {
    const text = [one.summary, one.detail, one.fix === undefined ? undefined : `Fix: ${one.fix}`]
      .filter((part) => part !== undefined)
      .join('\n');
    runner.annotate(one.severity, text, annotationOf(one.code, one.place, path));
  }
}
