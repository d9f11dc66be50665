import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { Clock } from '#ports/clock.ts';
import { deltaOf, merged, newRecord, shadowBody, type Frame, type MdashLink, type MdashRecord } from './devices.ts';
import type { MdashSwitches } from './switches.ts';

/** What came of a call. */
export type CallEnd =
  | { readonly kind: 'result'; readonly result: Json }
  | { readonly kind: 'error'; readonly error: JsonObject }
  | { readonly kind: 'offline' | 'timeout' };

/** Each piece is sent so often before the update is given up, as `mos` does it (docs/protocols/shadow-devices.md §4.3). */
const WRITE_TRIES = 3;
const UPDATE_SECONDS = 300;

/** What `/api/v2/notify` tells: `online`, `offline`, `rpc.in.METHOD` for a call to a device and `rpc.out.METHOD` for one of its own. */
export interface MdashEvent {
  readonly name: string;
  readonly id: string;
  readonly data?: Json;
}

/** The devices of an account, and the way to those that are connected. */
export class MdashHub {
  readonly records = new Map<string, MdashRecord>();
  readonly #clock: Clock;
  readonly #switches: MdashSwitches;
  readonly #links = new Map<string, MdashLink>();
  readonly #waiting = new Map<number, { readonly device: string; settle(end: CallEnd): void }>();
  readonly #listeners = new Set<(event: MdashEvent) => void>();
  #calls = 0;

  constructor(clock: Clock, switches: MdashSwitches) {
    this.#clock = clock;
    this.#switches = switches;
  }

  /** A device that is there already is let be. */
  register(id: string): MdashRecord {
    const record = this.records.get(id) ?? newRecord(id, this.#clock.now());
    this.records.set(id, record);
    return record;
  }

  remove(id: string): boolean {
    this.#links.delete(id);
    return this.records.delete(id);
  }

  isOnline(id: string): boolean {
    return this.#links.has(id);
  }

  /** A newer link takes the place of the one before. */
  connect(id: string, link: MdashLink): void {
    this.#links.set(id, link);
    this.#tell({ name: 'online', id });
  }

  disconnect(id: string, link: MdashLink): void {
    if (this.#links.get(id) !== link) return;
    this.#links.delete(id);
    this.#tell({ name: 'offline', id });
  }

  /** Returns the way to stop. */
  listen(listener: (event: MdashEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(event: MdashEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Calls a device and waits for its answer. */
  async call(device: string, method: string, params: Json | null): Promise<CallEnd> {
    const { latencyMs } = this.#switches;
    if (latencyMs > 0) await this.#clock.sleep(latencyMs);
    this.#calls += 1;
    const id = this.#calls;
    const answer = Promise.withResolvers<CallEnd>();
    this.#waiting.set(id, { device, settle: answer.resolve });
    const isSent = this.#links.get(device)?.send({ id, method, ...(params === null ? {} : { params }) }) ?? false;
    if (isSent) this.#tell({ name: `rpc.in.${method}`, id: device, ...(params === null ? {} : { data: params }) });
    else {
      this.#waiting.delete(id);
      return await this.#absent();
    }
    const over = new AbortController();
    const late = this.#clock.sleep(this.#switches.callMs, over.signal).then(
      (): CallEnd => ({ kind: 'timeout' }),
      (): CallEnd => ({ kind: 'timeout' }),
    );
    const end = await Promise.race([answer.promise, late]);
    over.abort();
    this.#waiting.delete(id);
    return end;
  }

  async #absent(): Promise<CallEnd> {
    if (this.#switches.offline === 'refused') return { kind: 'offline' };
    await this.#clock.sleep(this.#switches.callMs);
    return { kind: 'timeout' };
  }

  /** OTA.Begin, OTA.Write in pieces, OTA.End: what an upload sets off (§5). Null when the device took it all. */
  async update(device: string, bytes: Uint8Array): Promise<CallEnd | null> {
    const { commitTimeout, chunkBytes } = this.#switches;
    const begun = await this.call(device, 'OTA.Begin', { timeout: UPDATE_SECONDS, commit_timeout: commitTimeout, size: bytes.length });
    if (begun.kind !== 'result') return begun;
    for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
      const data = Buffer.from(bytes.subarray(offset, offset + chunkBytes)).toString('base64');
      const written = await this.#write(device, { offset, data });
      if (written.kind === 'result') continue;
      await this.call(device, 'OTA.End', null);
      return written;
    }
    const ended = await this.call(device, 'OTA.End', null);
    return ended.kind === 'result' ? null : ended;
  }

  async #write(device: string, params: JsonObject): Promise<CallEnd> {
    let end = await this.call(device, 'OTA.Write', params);
    for (let tries = 1; tries < WRITE_TRIES && end.kind !== 'result'; tries += 1) end = await this.call(device, 'OTA.Write', params);
    return end;
  }

  /** A frame of a device: an answer to a call, or one of the calls that devices make. Answers those with an id. */
  hear(device: string, frame: Frame): void {
    const { id, method } = frame;
    if (typeof method === 'string') {
      this.#tell({ name: `rpc.out.${method}`, id: device, ...(frame['params'] === undefined ? {} : { data: frame['params'] }) });
      const outcome = this.#serve(device, method, frame['params']);
      if (id !== undefined) this.#links.get(device)?.send({ id, ...outcome });
      return;
    }
    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined;
    if (waiting === undefined || waiting.device !== device) return;
    const { error, result = null } = frame;
    waiting.settle(
      isJsonObject(error) && error['code'] !== 0 ? { kind: 'error', error } : { kind: 'result', result: messageOr(error, result) },
    );
  }

  #serve(device: string, method: string, params: Json | undefined): JsonObject {
    const record = this.records.get(device);
    const given = isJsonObject(params) ? params : {};
    if (record === undefined) return { error: { code: 404, message: 'no such device' } };
    switch (method) {
      case 'Dash.Heartbeat':
        this.report(record, { ota: given });
        return { result: true };
      case 'Dash.Shadow.Update': {
        const state = isJsonObject(given['state']) ? given['state'] : {};
        this.report(record, isJsonObject(state['reported']) ? state['reported'] : {});
        return { result: true };
      }
      case 'Dash.Shadow.Get':
        return { result: shadowBody(record) };
      case 'State.Set':
        this.report(record, given);
        return { result: true };
      case 'Dash.Log':
        record.data.push({ timestamp: Math.floor(this.#clock.now() / 1000), message: JSON.stringify(given) });
        return { result: true };
      default:
        return { error: { code: 404, message: `No handler for ${method}` } };
    }
  }

  /** What a device says of itself. */
  report(record: MdashRecord, reported: JsonObject): void {
    const { shadow } = record;
    shadow.reported = merged(shadow.reported, reported);
    shadow.version += 1;
    shadow.at = this.#clock.now();
  }

  /** What somebody wants of a device: told to it where it is connected. */
  desire(record: MdashRecord, desired: JsonObject): void {
    const { shadow } = record;
    shadow.desired = merged(shadow.desired, desired);
    shadow.version += 1;
    shadow.at = this.#clock.now();
    const delta = deltaOf(shadow.desired, shadow.reported);
    if (Object.keys(delta).length > 0)
      this.#links.get(record.id)?.send({ method: 'Shadow.Delta', params: { state: delta, version: shadow.version } });
  }
}

/** Success that comes as an error with code 0 has its text as result (§4.2). */
function messageOr(error: Json | undefined, result: Json): Json {
  return isJsonObject(error) && typeof error['message'] === 'string' ? error['message'] : result;
}
