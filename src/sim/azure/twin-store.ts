import { compareText } from '#kit/diagnostics.ts';
import type { Json } from '#kit/canonical.ts';
import type { Instant } from '#model/ids.ts';
import { sameJson, type JsonObject } from '#model/shadow.ts';
import type { Clock } from '#ports/clock.ts';
import { HubError } from './errors.ts';
import type { AzureSwitches } from './switches.ts';
import { checkPatch, MOST_BYTES, sizeOf, type SectionName } from './twin-limits.ts';
import { EMPTY_BRANCH, merge, metadataOf, stateOf, type Branch } from './twin-tree.ts';

/** What a device is known by (§8.1). One without any is let in where the hub asks nobody. */
export interface DeviceIdentity {
  /** Base64; either one signs its tokens. */
  readonly keys?: readonly string[];
  /** SHA-256 of its own certificate, 64 lower-case hex digits. */
  readonly thumbprint?: string;
  /** A certificate that the hub's CA signed, with the device's id as its common name. */
  readonly certificateAuthority?: boolean;
}

interface Section {
  readonly tree: Branch;
  readonly version: number;
}

interface Twin {
  readonly id: string;
  readonly identity: DeviceIdentity;
  readonly tags: Branch;
  readonly desired: Section;
  readonly reported: Section;
  /** Counts updates of tags and desired. */
  readonly counter: number;
  readonly activeAt: Instant | null;
}

/** What the owner of a hub writes: sections that are left out stay. `replace` takes them as they are, else they are merged. */
export interface TwinWrite {
  readonly tags?: JsonObject;
  readonly desired?: JsonObject;
  readonly replace: boolean;
  /** As a client wrote it; null writes whatever is there. */
  readonly ifMatch: string | null;
}

export interface TwinStoreOptions {
  readonly clock: Clock;
  readonly switches: AzureSwitches;
  /** Whether a device is connected, for `connectionState`. */
  connected(id: string): boolean;
  /** A device that is no longer registered stays no longer. */
  disconnect(id: string): void;
}

/** What a device is told of its desired properties. */
export interface DesiredNews {
  readonly id: string;
  readonly version: number;
  readonly body: JsonObject;
}

/** Ids as the identity registry takes them (§8.1). */
const DEVICE_ID = /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/;

/** Twins of devices: merged, counted and dated as docs/protocols/shadow-devices.md §8.2 and §8.3 say. */
export class TwinStore {
  readonly #options: TwinStoreOptions;
  readonly #twins = new Map<string, Twin>();
  readonly #listeners = new Set<(news: DesiredNews) => void>();
  /** By device, oldest first: what queries see while they lag behind. */
  readonly #past = new Map<string, { readonly until: number; readonly json: JsonObject }[]>();

  constructor(options: TwinStoreOptions) {
    this.#options = options;
  }

  get ids(): readonly string[] {
    return [...this.#twins.keys()].toSorted(compareText);
  }

  has(id: string): boolean {
    return this.#twins.has(id);
  }

  /** Throws a RangeError for a name that no device may have, or that one has. */
  addDevice(id: string, identity: DeviceIdentity = {}): void {
    if (!DEVICE_ID.test(id)) throw new RangeError(`no device can be called ${JSON.stringify(id)}`);
    if (this.#twins.has(id)) throw new RangeError(`there is a device ${id} already`);
    const section = { tree: EMPTY_BRANCH, version: 1 };
    this.#twins.set(id, { id, identity, tags: EMPTY_BRANCH, desired: section, reported: section, counter: 1, activeAt: null });
  }

  /** The twin goes with its device, and so does the connection. */
  removeDevice(id: string): void {
    this.#twins.delete(id);
    this.#past.delete(id);
    this.#options.disconnect(id);
  }

  identityOf(id: string): DeviceIdentity | undefined {
    return this.#twins.get(id)?.identity;
  }

  onDesired(listener: (news: DesiredNews) => void): void {
    this.#listeners.add(listener);
  }

  /** The twin as its owner sees it. Throws HubError DeviceNotFound. */
  read(id: string): JsonObject {
    return this.#json(this.#known(id));
  }

  /** The same as a query sees it, which may lag behind; null before the twin was there for a query. */
  queried(id: string): JsonObject {
    const { clock, switches } = this.#options;
    const at = clock.now() - switches.queryLagMs;
    return this.#past.get(id)?.find(({ until }) => until > at)?.json ?? this.read(id);
  }

  /** What the device sees: both sections with their versions, no tags and no times. */
  readByDevice(id: string): JsonObject {
    const { desired, reported } = this.#known(id);
    return { desired: versioned(desired), reported: versioned(reported) };
  }

  /** Throws HubError: PreconditionFailed, ArgumentInvalid, or for a section that would grow too large. */
  write(id: string, { tags, desired, replace, ifMatch }: TwinWrite): JsonObject {
    const twin = this.#known(id);
    if (ifMatch !== null && ifMatch !== '*' && ifMatch !== etagOf(twin))
      throw new HubError('PreconditionFailed', 'The ETag is not that of the twin');
    const nextTags = tags === undefined ? twin.tags : this.#written('tags', twin.tags, { patch: tags, replace });
    const tree = desired === undefined ? twin.desired.tree : this.#written('desired', twin.desired.tree, { patch: desired, replace });
    const changes = !sameJson(stateOf(tree), stateOf(twin.desired.tree));
    const told = desired !== undefined && (changes || this.#options.switches.patchOfNothing === 'told');
    const next = { ...twin, tags: nextTags, counter: twin.counter + 1 };
    this.#keep({ ...next, desired: told ? { tree, version: twin.desired.version + 1 } : twin.desired }, twin);
    const written = this.#known(id);
    if (told) for (const listener of this.#listeners) listener({ id, version: written.desired.version, body: desired });
    return this.#json(written);
  }

  /** What a device reports, merged; gives the new version. Throws HubError. */
  report(id: string, patch: JsonObject): number {
    const twin = this.#known(id);
    const { version } = twin.reported;
    const tree = this.#written('reported', twin.reported.tree, { patch, replace: false });
    const counter = twin.counter + (this.#options.switches.etagCoversReported ? 1 : 0);
    this.#keep({ ...twin, reported: { tree, version: version + 1 }, counter, activeAt: this.#options.clock.now() }, twin);
    return version + 1;
  }

  /** Notes that the device did something. */
  touch(id: string): void {
    const twin = this.#twins.get(id);
    if (twin !== undefined) this.#twins.set(id, { ...twin, activeAt: this.#options.clock.now() });
  }

  #known(id: string): Twin {
    const twin = this.#twins.get(id);
    if (twin === undefined) throw new HubError('DeviceNotFound', `${id} is not registered`);
    return twin;
  }

  #written(name: SectionName, before: Branch, { patch, replace }: { readonly patch: JsonObject; readonly replace: boolean }): Branch {
    checkPatch(patch);
    const { switches, clock } = this.#options;
    const after = merge(replace ? { ...EMPTY_BRANCH, at: before.at } : before, patch, { ...switches, at: clock.now() });
    const [had, has] = [sizeOf(stateOf(before)), sizeOf(stateOf(after))];
    if (has > MOST_BYTES[name] && has > had)
      throw new HubError('TwinTooLarge', `${name} would take ${has} bytes of ${MOST_BYTES[name]}`, switches.tooLargeStatus);
    return after;
  }

  #keep(next: Twin, before: Twin): void {
    const { clock, switches } = this.#options;
    if (switches.queryLagMs > 0) {
      const oldest = clock.now() - switches.queryLagMs;
      const past = (this.#past.get(next.id) ?? []).filter(({ until }) => until > oldest);
      this.#past.set(next.id, [...past, { until: clock.now(), json: this.#json(before) }]);
    }
    this.#twins.set(next.id, next);
  }

  #json(twin: Twin): JsonObject {
    const { id, identity, tags, desired, reported, counter, activeAt } = twin;
    return {
      deviceId: id,
      etag: etagOf(twin),
      deviceEtag: 'MQ==',
      status: 'enabled',
      statusUpdateTime: '0001-01-01T00:00:00Z',
      connectionState: this.#options.connected(id) ? 'Connected' : 'Disconnected',
      lastActivityTime: activeAt === null ? '0001-01-01T00:00:00Z' : new Date(activeAt).toISOString(),
      cloudToDeviceMessageCount: 0,
      authenticationType:
        identity.certificateAuthority === true ? 'certificateAuthority' : identity.thumbprint === undefined ? 'sas' : 'selfSigned',
      x509Thumbprint: { primaryThumbprint: identity.thumbprint?.toUpperCase() ?? null, secondaryThumbprint: null },
      version: counter + 1,
      tags: stateOf(tags),
      properties: { desired: dated(desired), reported: dated(reported) },
      capabilities: { iotEdge: false },
    };
  }
}

function versioned({ tree, version }: Section): Json {
  return { ...stateOf(tree), $version: version };
}

function dated({ tree, version }: Section): Json {
  return { ...stateOf(tree), $metadata: metadataOf(tree), $version: version };
}

/** Eight bytes in base64, as hubs write it. */
function etagOf({ counter }: Twin): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(counter));
  return bytes.toString('base64');
}
