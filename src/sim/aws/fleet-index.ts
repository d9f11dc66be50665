import { stableFraction } from '#kit/digest.ts';
import type { Clock } from '#ports/clock.ts';
import { AwsError } from './errors.ts';
import { control } from './http-control.ts';
import { bodyOf, jsonAnswer, textIn, type AwsCall, type AwsOperation, type AwsResponse } from './http-message.ts';
import type { PresenceEvents } from './presence-events.ts';
import type { AwsRegistry, Thing } from './registry.ts';
import { matchesQuery, readQuery } from './search-query.ts';
import { isObject, type JsonObject } from './shadow-document.ts';
import type { ShadowContent, ShadowStore } from './shadow-store.ts';
import type { WireSwitches } from './switches.ts';

export interface FleetIndexOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly registry: AwsRegistry;
  readonly store: ShadowStore;
  readonly presence: PresenceEvents;
  readonly switches: WireSwitches;
}

/** What is indexed. Off at first, as in a new account. */
export interface IndexingConfiguration {
  readonly things: 'OFF' | 'REGISTRY' | 'REGISTRY_AND_SHADOW';
  readonly connectivity: 'OFF' | 'STATUS';
  readonly namedShadows: readonly string[];
}

/** A thing as the index has it: what is answered, and what queries look at. */
interface Entry {
  readonly document: JsonObject;
  readonly fields: JsonObject;
}

const PAGE = 100;
const MAX_NAMES = 10;

/**
 * SearchIndex over `AWS_Things` with its configuration: docs/protocols/aws-iot.md §12. Results come in no order that
 * anybody could rely on. With `indexLagMs` the answers are as old as that.
 */
export class FleetIndex {
  readonly #options: FleetIndexOptions;
  /** Of the past, oldest first: what a late index still shows. */
  readonly #past = new Map<string, { readonly at: number; readonly entry: Entry | null }[]>();
  #ordered: readonly string[] | null = null;
  configuration: IndexingConfiguration = { things: 'OFF', connectivity: 'OFF', namedShadows: [] };

  constructor(options: FleetIndexOptions) {
    this.#options = options;
    options.registry.onChange(() => (this.#ordered = null));
  }

  /** To be called after each change of a thing: its shadows, its connection, its attributes. */
  changed(thing: string): void {
    if (this.#options.switches.indexLagMs <= 0) return;
    const past = this.#past.get(thing) ?? [];
    past.push({ at: this.#options.clock.now(), entry: this.#now(thing) });
    this.#past.set(thing, past);
  }

  operations(): readonly AwsOperation[] {
    return [
      control('SearchIndex', 'POST /indices/search', (call) => this.#search(call)),
      control('GetCardinality', 'POST /indices/cardinality', (call) => this.#cardinality(call)),
      control('GetStatistics', 'POST /indices/statistics', (call) => {
        const { found } = this.#find(bodyOf(call), 0, Number.POSITIVE_INFINITY);
        return jsonAnswer({ statistics: { count: found.length } });
      }),
      control('UpdateIndexingConfiguration', 'POST /indexing/config', (call) => {
        this.configuration = readConfiguration(bodyOf(call));
        return jsonAnswer({});
      }),
      control('GetIndexingConfiguration', 'GET /indexing/config', () => jsonAnswer(described(this.configuration))),
      control('DescribeIndex', 'GET /indices/{indexName}', (call) => {
        if (call.label('indexName') !== 'AWS_Things' || this.configuration.things === 'OFF') {
          throw new AwsError('ResourceNotFoundException', `Index ${call.label('indexName')} does not exist`);
        }
        const schema = this.configuration.things === 'REGISTRY' ? 'REGISTRY' : 'REGISTRY_AND_SHADOW';
        const suffix = this.configuration.connectivity === 'STATUS' ? '_AND_CONNECTIVITY_STATUS' : '';
        return jsonAnswer({ indexName: 'AWS_Things', indexStatus: 'ACTIVE', schema: `${schema}${suffix}` });
      }),
    ];
  }

  #search(call: AwsCall): AwsResponse {
    const body = bodyOf(call);
    const limit = typeof body['maxResults'] === 'number' ? body['maxResults'] : PAGE;
    if (!(limit >= 1 && limit <= PAGE)) throw new AwsError('InvalidRequestException', `maxResults must be from 1 to ${PAGE}`);
    const token = typeof body['nextToken'] === 'string' ? body['nextToken'] : '0';
    if (!/^\d+$/.test(token)) throw new AwsError('InvalidRequestException', 'Invalid nextToken');
    const { found, next } = this.#find(body, Number(token), limit);
    return jsonAnswer({ things: found.map(({ document }) => document), ...(next === null ? {} : { nextToken: String(next) }) });
  }

  #cardinality(call: AwsCall): AwsResponse {
    const body = bodyOf(call);
    const field = textIn(body, 'aggregationField');
    const { found } = this.#find(body, 0, Number.POSITIVE_INFINITY);
    const values = found.flatMap(({ fields }) => {
      const value = field.split('.').reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), fields);
      return value === undefined ? [] : [JSON.stringify(value)];
    });
    return jsonAnswer({ cardinality: new Set(values).size });
  }

  #find(body: JsonObject, from: number, limit: number): { readonly found: readonly Entry[]; readonly next: number | null } {
    const indexName = body['indexName'] ?? 'AWS_Things';
    if (indexName !== 'AWS_Things') throw new AwsError('ResourceNotFoundException', `Index ${JSON.stringify(indexName)} does not exist`);
    if (this.configuration.things === 'OFF') throw new AwsError('IndexNotReadyException', 'Indexing is not enabled');
    const query = readQuery(textIn(body, 'queryString'));
    const names = this.#order();
    const found: Entry[] = [];
    for (let index = from; index < names.length; index += 1) {
      const entry = this.#entry(names[index] ?? '');
      if (entry === null || !matchesQuery(query, entry.fields)) continue;
      if (found.length >= limit) return { found, next: index };
      found.push(entry);
    }
    return { found, next: null };
  }

  /** By a digest of the name: the same each time, and not sorted. */
  #order(): readonly string[] {
    if (this.#ordered !== null) return this.#ordered;
    const drawn = this.#options.registry.things.map(({ name }) => ({ name, at: stableFraction(name) }));
    this.#ordered = drawn.toSorted((a, b) => a.at - b.at).map(({ name }) => name);
    return this.#ordered;
  }

  #entry(thing: string): Entry | null {
    const { indexLagMs } = this.#options.switches;
    if (indexLagMs <= 0) return this.#now(thing);
    const then = this.#options.clock.now() - indexLagMs;
    const past = this.#past.get(thing) ?? [];
    const seen = past.findLastIndex(({ at }) => at <= then);
    if (seen > 0) past.splice(0, seen);
    return seen < 0 ? null : (past[0]?.entry ?? null);
  }

  #now(name: string): Entry | null {
    const { registry, store } = this.#options;
    if (!registry.hasThing(name)) return null;
    const thing = registry.thing(name);
    const { things, namedShadows } = this.configuration;
    const shadows = things === 'REGISTRY_AND_SHADOW';
    const classic = shadows ? store.contentOf({ thing: name, shadow: null }) : null;
    const named = (shadows ? namedShadows : []).flatMap((shadow) => {
      const content = store.contentOf({ thing: name, shadow });
      return content === null ? [] : [[shadow, content] as const];
    });
    const base = { ...registered(thing), ...this.#connectivity(name) };
    const shadow = shadowsOf(classic, named);
    if (shadow === null) return { document: base, fields: base };
    // What is answered has them as a text (§12).
    return { document: { ...base, shadow: JSON.stringify(shadow) }, fields: { ...base, shadow } };
  }

  #connectivity(name: string): JsonObject {
    if (this.configuration.connectivity === 'OFF') return {};
    const record = this.#options.presence.of(name, true);
    if (record === null) return {};
    const { left, connectedSince } = record;
    const status =
      left === null
        ? { connected: true, timestamp: connectedSince }
        : { connected: false, timestamp: left.at, disconnectReason: left.reason };
    return { connectivity: status };
  }
}

function registered({ name, id, type, groups, attributes }: Thing): JsonObject {
  return { thingName: name, thingId: id, ...(type === null ? {} : { thingTypeName: type }), thingGroupNames: groups, attributes };
}

/** The classic shadow lies at the top, named ones below `name`: as queries name them (§12). */
function shadowsOf(classic: ShadowContent | null, named: readonly (readonly [string, ShadowContent])[]): JsonObject | null {
  if (classic === null && named.length === 0) return null;
  const below = named.length === 0 ? {} : { name: Object.fromEntries(named.map(([name, content]) => [name, indexed(content)])) };
  return { ...(classic === null ? {} : indexed(classic)), ...below };
}

function indexed({ state, metadata, delta, version }: ShadowContent): JsonObject {
  return { ...state, ...(delta === null ? {} : { delta }), metadata, hasDelta: delta !== null, version };
}

function readConfiguration(body: JsonObject): IndexingConfiguration {
  const { thingIndexingConfiguration: configuration } = body;
  if (!isObject(configuration)) throw new AwsError('InvalidRequestException', 'thingIndexingConfiguration is missing');
  const filter = isObject(configuration['filter']) ? configuration['filter'] : {};
  const names = (Array.isArray(filter['namedShadowNames']) ? filter['namedShadowNames'] : []).filter((name) => typeof name === 'string');
  if (names.length > MAX_NAMES) throw new AwsError('InvalidRequestException', `At most ${MAX_NAMES} named shadows are indexed`);
  const { thingIndexingMode: things } = configuration;
  if (things !== 'OFF' && things !== 'REGISTRY' && things !== 'REGISTRY_AND_SHADOW') {
    throw new AwsError('InvalidRequestException', 'thingIndexingMode is none of OFF, REGISTRY and REGISTRY_AND_SHADOW');
  }
  const connectivity = configuration['thingConnectivityIndexingMode'] === 'STATUS' ? 'STATUS' : 'OFF';
  return { things, connectivity, namedShadows: configuration['namedShadowIndexingMode'] === 'ON' ? names : [] };
}

function described({ things, connectivity, namedShadows }: IndexingConfiguration): object {
  return {
    thingIndexingConfiguration: {
      thingIndexingMode: things,
      thingConnectivityIndexingMode: connectivity,
      namedShadowIndexingMode: namedShadows.length === 0 ? 'OFF' : 'ON',
      filter: { namedShadowNames: namedShadows },
    },
    thingGroupIndexingConfiguration: { thingGroupIndexingMode: 'OFF' },
  };
}
