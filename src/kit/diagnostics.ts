/** A place in a file of the fleet repo. Lines and columns count from 1, columns in UTF-16 code units. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type Severity = 'error' | 'warning';

/**
 * A mistake in the fleet repo. `code` is stable and tested; `summary` says what is wrong, `fix` what to write instead.
 * `also` are further places that belong to the same mistake (the second owner of a device, say).
 */
export interface Diagnostic {
  readonly severity: Severity;
  readonly code: string;
  readonly summary: string;
  readonly detail?: string;
  readonly fix?: string;
  readonly place: Place;
  readonly also?: readonly Place[];
}

/** Order of files, lines, columns, codes: what makes every listing of diagnostics canonical. */
export function compareDiagnostics(a: Diagnostic, b: Diagnostic): number {
  return (
    compareText(a.place.file, b.place.file) ||
    a.place.line - b.place.line ||
    a.place.column - b.place.column ||
    compareText(a.code, b.code) ||
    compareText(a.summary, b.summary)
  );
}

/** Code unit order: the same on every machine, unlike localeCompare. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function placeText(place: Place): string {
  return `${place.file}:${place.line}:${place.column}`;
}
