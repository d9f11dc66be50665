import { MINUTE_MS } from '#kit/duration.ts';
import type { WindowDeclaration, WindowSpan } from '#model/declared.ts';
import { isDay, isZone } from '#model/calendar.ts';
import type { WindowDocument } from '#model/generated/fleet-repo.ts';
import { at, keyAt, type SourceDocument } from './nodes.ts';
import { byName, type Scope } from './scope.ts';
import { duration, listOf } from './units.ts';

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const EVERY_DAY = [1, 2, 3, 4, 5, 6, 7];
const MINUTES_OF_DAY = 1440;

type WindowSource = SourceDocument<WindowDocument>;

/** All windows by name. */
export function declareWindows(scope: Scope): ReadonlyMap<string, WindowDeclaration> {
  const documents = byName('Window', scope.documents.Window, scope);
  const names = [...documents.keys()].toSorted();
  return new Map(
    names.flatMap((name) => {
      const document = documents.get(name);
      return document === undefined ? [] : [[name, compile(document, scope)] as const];
    }),
  );
}

function compile(document: WindowSource, scope: Scope): WindowDeclaration {
  const { data } = document;
  const zone = data.zone ?? 'device';
  if (zone !== 'device' && !isZone(zone)) {
    scope.report.error('BAD_ZONE', at(document, 'zone'), {
      summary: `\`${zone}\` is no time zone`,
      fix: 'write `device`, or an IANA zone, for example `Europe/London`',
    });
  }
  const marginMs = duration(data.margin, 0);
  // Without `allow` every minute is allowed; a list that is there and empty allows none.
  const allow = data.allow === undefined ? [{ days: EVERY_DAY, from: 0, to: MINUTES_OF_DAY }] : data.allow.map(spanOf);
  reportNeverOpen(document, { allow, marginMs }, scope);
  return { name: data.name, place: at(document, 'name'), zone, allow, deny: denyOf(document, scope), marginMs };
}

function spanOf(span: NonNullable<WindowDocument['allow']>[number]): WindowSpan {
  const days = span.days === undefined ? EVERY_DAY : [...new Set(listOf(span.days).flatMap(daysOf))].toSorted((a, b) => a - b);
  return { days, from: minutesOf(span.from ?? '00:00'), to: minutesOf(span.to ?? '24:00') };
}

/** `mon-fri`, `sat,sun`, and over the week's end `fri-mon`. */
function daysOf(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [first = '', last = first] = part.trim().split('-');
    const [from, to] = [DAYS.indexOf(first), DAYS.indexOf(last)];
    const length = ((to - from + DAYS.length) % DAYS.length) + 1;
    return Array.from({ length }, (_, index) => ((from + index) % DAYS.length) + 1);
  });
}

function minutesOf(clock: string): number {
  return Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3));
}

function lengthOf(span: WindowSpan): number {
  return span.to >= span.from ? span.to - span.from : MINUTES_OF_DAY - span.from + span.to;
}

function reportNeverOpen(document: WindowSource, window: Pick<WindowDeclaration, 'allow' | 'marginMs'>, scope: Scope): void {
  const longest = Math.max(0, ...window.allow.map(lengthOf));
  if (longest === 0) {
    const [only] = window.allow;
    const place = only === undefined ? keyAt(document, 'allow') : at(document, 'allow', 0, 'to');
    scope.report.error('WINDOW_NEVER_OPEN', place, {
      summary: `the window \`${document.data.name}\` is never open`,
      fix: 'give it a time that ends after it begins',
    });
  } else if (window.marginMs >= longest * MINUTE_MS) {
    // A span that joins another at midnight is longer than it looks: only a margin of a whole day is sure to close it.
    if (window.allow.some((span) => lengthOf(span) === MINUTES_OF_DAY) || joinsAtMidnight(window.allow)) return;
    scope.report.error('WINDOW_NEVER_OPEN', at(document, 'margin'), {
      summary: 'the margin is as long as the window: nothing could ever begin',
      fix: 'write a shorter margin',
    });
  }
}

function joinsAtMidnight(spans: readonly WindowSpan[]): boolean {
  return spans.some((span) => span.to === MINUTES_OF_DAY) && spans.some((span) => span.from === 0);
}

function denyOf(document: WindowSource, scope: Scope): WindowDeclaration['deny'] {
  return (document.data.deny ?? []).flatMap(({ first, last, why }, index) => {
    const bad = (['first', 'last'] as const).filter((key) => !isDay(key === 'first' ? first : last));
    for (const key of bad) {
      scope.report.error('BAD_DATE', at(document, 'deny', index, key), {
        summary: `\`${key === 'first' ? first : last}\` is no day of the calendar`,
      });
    }
    if (bad.length > 0) return [];
    if (last < first) {
      scope.report.error('DENY_BACKWARDS', at(document, 'deny', index, 'last'), {
        summary: 'the last day is before the first',
        fix: 'exchange the two',
      });
      return [];
    }
    return [{ first, last, why: why ?? '' }];
  });
}
