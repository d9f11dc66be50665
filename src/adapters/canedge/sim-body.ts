import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimEffect, SimPorts } from '#ports/sim.ts';
import { WireError } from '#ports/wire-error.ts';
import type { BundleCertificate } from './bundle.ts';
import type { CanedgeCard } from './sim-card.ts';
import type { CanedgeQuirks, FaultSwitches } from './sim-faults.ts';
import { reach, type SimSurroundings } from './sim-network.ts';

/** How long a simulated device takes for what it does (docs/protocols/canedge-s3.md §10). */
export interface CanedgeTimings {
  /** From power to the first contact. */
  readonly bootMs: number;
  readonly flashMs: number;
  /** Before it tries again to reach its network. */
  readonly retryMs: number;
}

export const DEFAULT_TIMINGS: CanedgeTimings = { bootMs: 20 * SECOND_MS, flashMs: 25 * SECOND_MS, retryMs: MINUTE_MS };

/** Closed log files, one per period, as long as the config that runs says `logfiles: 1`. */
export interface SimLogs {
  readonly everyMs: number;
  readonly bytes: number;
}

/** The parts of one simulated device, as its life uses them. */
export interface CanedgeBody {
  readonly ports: SimPorts;
  readonly card: CanedgeCard;
  readonly quirks: CanedgeQuirks;
  readonly faults: FaultSwitches;
  readonly timings: CanedgeTimings;
  readonly surroundings: SimSurroundings;
  readonly preinstalled: readonly BundleCertificate[];
  readonly logs: SimLogs | null;
  readonly effects: SimEffect[];
  /** The bucket it last reached, opened at the first contact and kept until the power goes; `at` names its server. */
  link: { readonly at: string; readonly store: ObjectStore } | null;
  /** The heartbeat that the fault oldHeartbeat plays again. */
  replay: Uint8Array | null;
  bricked: boolean;
}

export function effect(body: CanedgeBody, kind: string, detail: string): void {
  body.effects.push({ at: body.ports.clock.now(), kind, detail });
}

/** The server that it is told to use, as it finds it now, or why it does not. */
export function serverOf({ ports, card, surroundings, preinstalled }: CanedgeBody): ReturnType<typeof reach> {
  const trusted = [...card.trust.loaded, ...preinstalled];
  const { document, keys } = card;
  return reach({ surroundings, document, keys, trusted, now: ports.clock.now(), lookUp: ports.server });
}

/** The bucket, when the device can reach its server now: certificates end, and servers show others. Throws WireError. */
export async function linked(body: CanedgeBody): Promise<ObjectStore | null> {
  const { ports, card } = body;
  const server = serverOf(body);
  if (server !== 'own' && 'why' in server) return null;
  const { endpoint, port, bucket } = card.summary;
  const at = server === 'own' ? 'own' : `${endpoint} ${port} ${bucket}`;
  if (body.link?.at === at) return body.link.store;
  const store = await (server === 'own' ? ports.objects() : server.open());
  await body.link?.store.close();
  body.link = { at, store };
  return store;
}

/** A PUT as this device makes it, with the headers of its firmware (§2). */
export async function putObject(
  body: CanedgeBody,
  store: ObjectStore,
  object: { readonly key: string; readonly bytes: Uint8Array; readonly contentType: string },
): Promise<void> {
  body.card.puts += 1;
  const meta = metaOf(body);
  await store.put(object.key, object.bytes, { contentType: object.contentType, ...(meta === null ? {} : { meta }) });
}

function metaOf({ card, quirks, ports }: CanedgeBody): Readonly<Record<string, string>> | null {
  if (quirks.metaHeaders === 'none') return null;
  const network = card.summary.ssids[0] ?? card.summary.apn ?? '';
  const utc = new Date(ports.clock.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  const common = { Hw: '00.03/00.00', Fw: card.firmware.version, 'Put-Index': String(card.puts) };
  return quirks.metaHeaders === '01.04' ? { ...common, Ssid: network, Timestamp: utc } : { ...common, Net: network, Timestamp: `${utc}Z` };
}

/** A wire that breaks is tried again at the next period; nothing of it shows in the bucket. */
export async function forgiving<T>(body: CanedgeBody, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    body.ports.log.debug('simulated CANedge met a broken wire', { device: body.card.id, code: error.code });
    return undefined;
  }
}
