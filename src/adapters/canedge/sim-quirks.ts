import type { Json } from '#kit/canonical.ts';
import { DEFAULT_QUIRKS, type CanedgeQuirks } from './sim-faults.ts';

const OTA_CHECKS = ['certs', 'firmware', 'config'] as const;

/** What each quirk may be, where it is one of a few words; the others are true or false, or numbers within limits. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  configChangeDetect: ['bytes', 'etag', 'modified'],
  onInvalidConfig: ['keep', 'empty', 'defaults'],
  certHashInput: ['der', 'subject'],
  certBundleEncodings: ['both', 'der', 'pem'],
  certField: ['family', 'absent'],
  deviceJsonStyle: ['pretty', 'compact', 'crlf', 'reordered', 'extra'],
  metaHeaders: ['current', '01.04', 'none'],
  idCase: ['upper', 'lower'],
};

const NUMBERS: Readonly<Record<string, readonly [least: number, most: number]>> = { tornHeartbeatRate: [0, 1], busyFactor: [1, 5] };

/** Quirks by name as a person writes them; `otaOrder` is `config,firmware,certs`. Throws a RangeError for what is none. */
export function parseQuirks(written: Readonly<Record<string, Json>>): Partial<CanedgeQuirks> {
  const quirks = Object.entries(written).map(([name, value]) => [name, quirkOf(name, value)] as const);
  return Object.fromEntries(quirks);
}

function quirkOf(name: string, value: Json): Json {
  if (!Object.hasOwn(DEFAULT_QUIRKS, name))
    throw new RangeError(`a CANedge has no quirk ${JSON.stringify(name)}; it knows ${Object.keys(DEFAULT_QUIRKS).toSorted().join(', ')}`);
  if (name === 'otaOrder') return orderOf(value);
  const [words, limits] = [WORDS[name], NUMBERS[name]];
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (words !== undefined && !words.includes(text)) throw new RangeError(`${name} is one of ${words.join(', ')}, not ${text}`);
  if (words !== undefined) return text;
  if (limits !== undefined && typeof value === 'number' && value >= limits[0] && value <= limits[1]) return value;
  if (limits !== undefined) throw new RangeError(`${name} is a number from ${limits[0]} to ${limits[1]}, not ${text}`);
  if (typeof value !== 'boolean') throw new RangeError(`${name} is true or false, not ${text}`);
  return value;
}

function orderOf(value: Json): Json {
  const order = typeof value === 'string' ? value.split(',') : [];
  if ([...order].toSorted().join() === [...OTA_CHECKS].toSorted().join()) return order;
  throw new RangeError(`otaOrder names each of ${OTA_CHECKS.join(', ')} once`);
}
