import { compareDiagnostics, placeText, type Diagnostic, type Place, type Severity } from '#kit/diagnostics.ts';

/** What a diagnostic says, apart from its code and place. */
export interface Words {
  readonly summary: string;
  readonly detail?: string | undefined;
  readonly fix?: string | undefined;
  readonly also?: readonly Place[] | undefined;
}

interface DeviceWords extends Words {
  readonly device: string;
  readonly severity?: Severity | undefined;
  readonly key?: string;
}

/** The mistakes found so far. One mistake that shows on many devices is told once, with the first of them by name. */
export interface Report {
  error(code: string, place: Place, words: Words): void;
  warning(code: string, place: Place, words: Words): void;
  /** The same mistake (by `key`, else by its place) for one more device: the first words stay, the others are counted. */
  perDevice(code: string, place: Place, words: DeviceWords): void;
  add(diagnostics: readonly Diagnostic[]): void;
  /** Sorted, without repetitions. */
  list(): readonly Diagnostic[];
  hasErrors(): boolean;
}

interface Counted {
  readonly first: Diagnostic;
  readonly devices: Set<string>;
}

export function makeReport(): Report {
  const found = new Map<string, Diagnostic>();
  const counted = new Map<string, Counted>();
  let errors = 0;

  function put(diagnostic: Diagnostic): void {
    const key = `${diagnostic.code} ${placeText(diagnostic.place)} ${diagnostic.summary}`;
    if (found.has(key)) return;
    found.set(key, diagnostic);
    if (diagnostic.severity === 'error') errors += 1;
  }

  return {
    error: (code, place, words) => put(diagnosticOf('error', code, { place, words })),
    warning: (code, place, words) => put(diagnosticOf('warning', code, { place, words })),
    perDevice(code, place, words) {
      const key = words.key ?? `${code} ${placeText(place)}`;
      const known = counted.get(key);
      if (known !== undefined) {
        known.devices.add(words.device);
        return;
      }
      const severity = words.severity ?? 'error';
      counted.set(key, { first: diagnosticOf(severity, code, { place, words }), devices: new Set([words.device]) });
      if (severity === 'error') errors += 1;
    },
    add: (diagnostics) => diagnostics.forEach(put),
    list: () => [...found.values(), ...[...counted.values()].map(toldOnce)].toSorted(compareDiagnostics),
    hasErrors: () => errors > 0,
  };
}

function diagnosticOf(severity: Severity, code: string, at: { place: Place; words: Words }): Diagnostic {
  const { summary, detail, fix, also } = at.words;
  return {
    severity,
    code,
    summary,
    ...(detail === undefined ? {} : { detail }),
    ...(fix === undefined ? {} : { fix }),
    place: at.place,
    ...(also === undefined || also.length === 0 ? {} : { also }),
  };
}

function toldOnce(entry: Counted): Diagnostic {
  const others = entry.devices.size - 1;
  if (others === 0) return entry.first;
  const more = `and the same for ${others} more device${others === 1 ? '' : 's'}`;
  return { ...entry.first, detail: entry.first.detail === undefined ? more : `${entry.first.detail}; ${more}` };
}
