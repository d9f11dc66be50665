import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import type { Presence, SeenConnection } from '#ports/presence.ts';

const CONNECTED = '$aws/events/presence/connected/';
/** Client ids that are remembered: whoever connects under ever new ones must not fill our memory. */
const MOST_CLIENTS = 200_000;
/** An event has a few hundred bytes. */
const LONGEST_EVENT = 8192;
/** The count of a client begins anew once it was away for about an hour; clocks of events are two minutes off (§13). */
const RESTART_MS = HOUR_MS - 10 * MINUTE_MS;

interface Counted extends SeenConnection {
  readonly count: number;
}

/**
 * `presence: aws`: who AWS IoT told to have connected, and by which certificate (docs/protocols/aws-iot.md §13). Only what
 * was heard on this bus is known: by a persistent session also what AWS kept for it, an hour. The bus stays the caller's.
 * Rejects with WireError where the account may not subscribe there.
 */
export async function openAwsPresence(bus: MessageBus): Promise<Presence> {
  const newest = new Map<string, Counted>();
  const stop = bus.listen((message) => {
    const event = connectedEvent(message);
    if (event !== null) remember(newest, event);
  });
  try {
    await bus.subscribe([`${CONNECTED}+`], 1);
  } catch (error) {
    stop();
    throw error;
  }
  return {
    newest: (clientIds) =>
      Promise.resolve(
        new Map(
          clientIds.flatMap((id) => {
            const seen = newest.get(id);
            return seen === undefined ? [] : [[id, seen] as const];
          }),
        ),
      ),
    close: () => {
      stop();
      newest.clear();
      return Promise.resolve();
    },
  };
}

/** Null for anything that is no event of a connection. Only AWS can publish there. */
function connectedEvent({ topic, payload }: BusMessage): Counted | null {
  if (!topic.startsWith(CONNECTED) || payload.length > LONGEST_EVENT) return null;
  const event = objectIn(payload);
  const clientId = topic.slice(CONNECTED.length);
  if (event === null || event['clientId'] !== clientId) return null;
  const { timestamp, principalIdentifier, versionNumber } = event;
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp)) return null;
  // Of a client with a certificate its id, which is the fingerprint; of others the name of a person or a role.
  const known = typeof principalIdentifier === 'string' && /^[0-9a-f]{64}$/.test(principalIdentifier);
  const count = typeof versionNumber === 'number' && Number.isSafeInteger(versionNumber) ? versionNumber : 0;
  return { clientId, fingerprint: known ? principalIdentifier : null, subject: null, at: timestamp, count };
}

function objectIn(payload: Uint8Array): JsonObject | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload));
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** Events come twice and out of order: the count tells, as long as it is one and the same. */
function remember(newest: Map<string, Counted>, event: Counted): void {
  const known = newest.get(event.clientId);
  if (known !== undefined && !isNewer(event, known)) return;
  newest.delete(event.clientId);
  newest.set(event.clientId, event);
  if (newest.size <= MOST_CLIENTS) return;
  const oldest = newest.keys().next();
  if (oldest.done !== true) newest.delete(oldest.value);
}

function isNewer(event: Counted, known: Counted): boolean {
  if (Math.abs(event.at - known.at) > RESTART_MS) return event.at > known.at;
  return event.count > known.count;
}
