import type { ShadowDocument } from '#model/shadow.ts';
import type { FoundPage, ShadowPlace, ShadowQuery, Shadows, ShadowUpdate, ShadowWritten } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AzureIotConnection } from '#ports/wires.ts';
import { desiredAt, readTwin, type TwinAnswer } from './azure-document.ts';
import { azureRefusal } from './azure-errors.ts';
import { jsonIn, openAzureHub, type AzureHub, type AzureHubOptions } from './azure-hub.ts';

/** Twins that are asked for at once (docs/protocols/shadow-devices.md §8.5). */
const PAGE = 100;
/** Versions of twins are remembered for so many that were read last. */
const MOST_REMEMBERED = 10_000;

interface Remembered {
  readonly version: number;
  readonly etag: string;
}

interface Twins {
  readonly hub: AzureHub;
  /** By device: what was read of it last, so that a write can name it. */
  readonly remembered: Map<string, Remembered>;
}

/**
 * Twins of an Azure IoT hub over HTTP: docs/protocols/shadow-devices.md §8. The twin of a device is its classic shadow; a
 * hub has no named ones. Nothing is sent yet.
 */
export function openAzureTwins(connection: AzureIotConnection, options: AzureHubOptions): Shadows {
  const twins: Twins = { hub: openAzureHub(connection, options), remembered: new Map() };
  return {
    get: (place, signal) => get(twins, place, signal),
    update: (update, signal) => write(twins, update, signal),
    search: (query, signal) => search(twins, query, signal),
    close: () => twins.hub.close(),
  };
}

function pathOf({ thing, shadow }: ShadowPlace): string {
  if (shadow !== null) throw new WireError('SHADOW_400', 'never', `twin of ${thing}: an Azure IoT hub has no named shadows`);
  return `/twins/${encodeURIComponent(thing)}`;
}

async function get(twins: Twins, place: ShadowPlace, signal: AbortSignal | undefined): Promise<ShadowDocument | 'missing'> {
  const doing = `get twin of ${place.thing}`;
  const answer = await twins.hub.call({ operation: 'get', doing, method: 'GET', path: pathOf(place) }, signal);
  if (answer.status === 404) return 'missing';
  if (answer.status !== 200) throw azureRefusal(answer.status, doing);
  const twin = readTwin(jsonIn(answer));
  if (twin === null || twin.document.version === null) throw unreadable(place);
  remember(twins, place.thing, twin);
  return twin.document;
}

function remember({ remembered }: Twins, thing: string, { document, etag }: TwinAnswer): void {
  remembered.delete(thing);
  if (etag === null || document.version === null) return;
  remembered.set(thing, { version: document.version, etag });
  const [oldest] = remembered.keys();
  if (remembered.size > MOST_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
}

/**
 * Merges into desired where the twin still has that version: the ETag that was read with it goes along. What the device
 * reports in between does not change the ETag, and so does no harm to a write.
 */
async function write(twins: Twins, update: ShadowUpdate, signal: AbortSignal | undefined): Promise<ShadowWritten | 'conflict'> {
  const { thing, desired, version } = update;
  const doing = `update twin of ${thing}`;
  const path = pathOf(update);
  const etag = version === null ? '*' : await etagOf(twins, { place: update, version }, signal);
  if (etag === null) return 'conflict';
  const answer = await twins.hub.call(
    { operation: 'update', doing, method: 'PATCH', path, headers: { 'if-match': `"${etag}"` }, body: { properties: { desired } } },
    signal,
  );
  twins.remembered.delete(thing);
  if (answer.status === 412) return 'conflict';
  if (answer.status !== 200) throw azureRefusal(answer.status, doing);
  const value = jsonIn(answer);
  const twin = readTwin(value);
  const at = desiredAt(value);
  if (twin === null || twin.document.version === null || at === null) throw unreadable(update);
  remember(twins, thing, twin);
  return { version: twin.document.version, at };
}

/** The ETag of that version; null where the twin has another one by now. One that was forgotten is read again. */
async function etagOf(
  twins: Twins,
  { place, version }: { readonly place: ShadowPlace; readonly version: number },
  signal: AbortSignal | undefined,
): Promise<string | null> {
  if (!twins.remembered.has(place.thing)) await get(twins, place, signal);
  const known = twins.remembered.get(place.thing);
  return known?.version === version ? known.etag : null;
}

async function search(twins: Twins, { query, shadow, next }: ShadowQuery, signal: AbortSignal | undefined): Promise<FoundPage> {
  const where = query === '*' ? '' : ` WHERE ${query}`;
  const headers = { 'x-ms-max-item-count': String(PAGE), ...(next === null ? {} : { 'x-ms-continuation': next }) };
  const body = { query: `SELECT * FROM devices${where}` };
  const doing = 'query twins';
  const answer = await twins.hub.call({ operation: 'search', doing, method: 'POST', path: '/devices/query', headers, body }, signal);
  if (answer.status !== 200) throw azureRefusal(answer.status, doing);
  const listed = jsonIn(answer);
  if (!Array.isArray(listed)) throw new WireError('SHADOW_UNREADABLE', 'later', `${doing}: the answer is no list`);
  const found = listed.flatMap((value: unknown): FoundPage['found'] => {
    const twin = readTwin(value);
    const thing = (value as { readonly deviceId?: unknown } | null)?.deviceId;
    if (twin === null || typeof thing !== 'string') return [];
    return [{ thing, document: shadow === null ? twin.document : null, connected: twin.connected, connectedSince: null }];
  });
  const continuation = answer.headers['x-ms-continuation'] ?? '';
  return { found, next: continuation === '' ? null : continuation };
}

function unreadable({ thing }: ShadowPlace): WireError {
  return new WireError('SHADOW_UNREADABLE', 'later', `twin of ${thing}: the answer is no twin`);
}
