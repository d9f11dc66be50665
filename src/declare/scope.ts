import type { Place } from '#kit/diagnostics.ts';
import type { Instant } from '#model/ids.ts';
import type { Revision } from '#model/revision.ts';
import type { Family } from '#ports/family.ts';
import type { DeclareCache } from './cache.ts';
import type { Broken, DocumentsByKind } from './documents.ts';
import { didYouMean } from './nearest.ts';
import { at, type SourceDocument } from './nodes.ts';
import type { Report } from './report.ts';
import type { Kind } from './schemas.ts';

/** What every step of a declaration is given. */
export interface Scope {
  readonly revision: Revision;
  readonly families: ReadonlyMap<string, Family>;
  readonly times: Times;
  readonly cache: DeclareCache;
  readonly documents: DocumentsByKind;
  readonly broken: Broken;
  readonly report: Report;
}

/** The instant at which a revision is judged, asked only whether another one has come: so it is known how long the answer holds. */
export interface Times {
  hasCome(instant: Instant): boolean;
  /** The first of those asked about that has not come yet; null when there is none. */
  next(): Instant | null;
}

export function timesAt(judgedAt: Instant): Times {
  let next: Instant | null = null;
  return {
    hasCome(instant) {
      if (instant <= judgedAt) return true;
      if (next === null || instant < next) next = instant;
      return false;
    },
    next: () => next,
  };
}

/** Documents by their name; a name that is taken is reported with both places, and the first one stays. */
export function byName<T extends { readonly name: string }>(
  kind: Kind,
  documents: readonly SourceDocument<T>[],
  scope: Pick<Scope, 'broken' | 'report'>,
): Map<string, SourceDocument<T>> {
  const found = new Map<string, SourceDocument<T>>();
  for (const document of documents) {
    const { name } = document.data;
    const before = found.get(name);
    if (before === undefined) {
      found.set(name, document);
      continue;
    }
    // What only the second one says is not read: that it is missing is no mistake of its own.
    scope.broken.add(kind, name);
    scope.report.error('DUPLICATE_NAME', at(document, 'name'), {
      summary: `there are two ${kind.toLowerCase()}s \`${name}\``,
      fix: 'give one of them another name',
      also: [at(before, 'name')],
    });
  }
  return found;
}

/** A reference to nothing; silent when what it names may stand in a document that could not be read. */
export function reportUnknown(
  scope: Pick<Scope, 'broken' | 'report'>,
  place: Place,
  reference: { readonly what: string; readonly kind: Kind | null; readonly name: string; readonly known: Iterable<string> },
): void {
  const { what, kind, name } = reference;
  if (kind !== null && scope.broken.has(kind, name)) return;
  const known = [...reference.known];
  const listed = known.length > 0 && known.length <= 12 ? `there is: ${known.toSorted().join(', ')}` : undefined;
  scope.report.error('UNKNOWN_NAME', place, { summary: `there is no ${what} \`${name}\``, fix: didYouMean(name, known) ?? listed });
}
