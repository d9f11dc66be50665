import type { Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import { isJsonObject, readShadowDocument, type JsonObject, type ShadowDocument } from '#model/shadow.ts';

/** One answer of a hub about a twin. */
export interface TwinAnswer {
  readonly document: ShadowDocument;
  /** What a conditional write names; null where the answer has none. */
  readonly etag: string | null;
  readonly connected: boolean | null;
}

/**
 * A twin as a hub tells it (docs/protocols/shadow-devices.md §8.3). `version` of the document is the sum of the counters
 * of the twin (tags and desired) and of reported, so that it grows with each update of either; times are to the
 * millisecond. Null for what is no twin.
 */
export function readTwin(value: unknown): TwinAnswer | null {
  if (!isJsonObject(value) || !isJsonObject(value['properties'])) return null;
  const { desired, reported } = value['properties'];
  if (!isJsonObject(desired) || !isJsonObject(reported)) return null;
  const versions = [value['version'], reported['$version']];
  const version = versions.every((one) => typeof one === 'number') ? versions.reduce((sum, one) => sum + one, 0) : undefined;
  const document = readShadowDocument({
    state: { desired: stateOf(desired), reported: stateOf(reported) },
    metadata: { desired: timesOf(stateOf(desired), desired['$metadata']), reported: timesOf(stateOf(reported), reported['$metadata']) },
    ...(version === undefined ? {} : { version }),
  });
  if (document === null) return null;
  const { etag, connectionState } = value;
  return {
    document,
    etag: typeof etag === 'string' && /^[\x21\x23-\x7e]{1,128}$/.test(etag) ? etag : null,
    connected: typeof connectionState === 'string' ? connectionState.toLowerCase() === 'connected' : null,
  };
}

/** When desired was last written as a whole, in ms; null where the answer does not say. */
export function desiredAt(value: unknown): number | null {
  const properties = isJsonObject(value) ? value['properties'] : undefined;
  const desired = isJsonObject(properties) ? properties['desired'] : undefined;
  const metadata = isJsonObject(desired) ? desired['$metadata'] : undefined;
  return isJsonObject(metadata) ? instantOf(metadata['$lastUpdated']) : null;
}

/** A section without what the hub itself puts beside the keys of others: no key of those begins with `$`. */
function stateOf(section: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(section).filter(([key]) => !key.startsWith('$')));
}

/** The shape of the state with the time of each leaf in seconds; what has none is left out. Too deep a state is refused later. */
function timesOf(state: Json, metadata: Json | undefined, left = 20): JsonObject {
  if (!isJsonObject(metadata) || left === 0) return {};
  if (!isJsonObject(state)) {
    const at = instantOf(metadata['$lastUpdated']);
    return at === null ? {} : { timestamp: at / SECOND_MS };
  }
  return Object.fromEntries(
    Object.entries(state).flatMap(([key, member]) => {
      const own = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
      return own === undefined || member === undefined ? [] : [[key, timesOf(member, own, left - 1)]];
    }),
  );
}

/** `2016-03-30T16:24:48.789Z`, with up to seven digits after the point, as ms. */
function instantOf(value: unknown): number | null {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$/.test(value)) return null;
  const at = Date.parse(value.replace(/(\.\d{3})\d+Z$/, '$1Z'));
  return Number.isNaN(at) || at < 0 ? null : at;
}
