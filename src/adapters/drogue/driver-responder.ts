import { SECOND_MS } from '#kit/duration.ts';
import { compareText } from '#kit/diagnostics.ts';
import { deviceId, type DeviceId, type Instant } from '#model/ids.ts';
import type { BusMessage } from '#ports/message-bus.ts';
import type { Admission, JournalEntry, Responder, ResponderCounters, ResponderPorts } from '#ports/responder.ts';
import { WireError } from '#ports/wire-error.ts';
import { decide } from './decide.ts';
import { Images } from './driver-images.ts';
import { Line } from './driver-line.ts';
import { NOTHING_KNOWN, readState, stateJson, type DeviceState, type Odd } from './state.ts';
import { NOBODY, rosterOf, type Roster, type Served } from './targets.ts';
import { readTelemetry } from './telemetry.ts';
import { encodeCommand, encodeParts, type Command } from './wire-commands.ts';
import { decodeStatus, type ReadStatus } from './wire.ts';

const FAMILY = 'drogue';
/** A broker may deliver one status twice; a device that was not answered asks again after 15 s at the earliest (§4.1). */
const DUPLICATE_MS = SECOND_MS;
/** An answer that a device gets after it has asked again is worse than none (§7.2). */
const EXPIRY_SECONDS = 10;
/** An odd status is written down once in that time, however many come. */
const ODD_EVERY_MS = 10 * SECOND_MS;
const NEWS_EVERY_MS = SECOND_MS;
const DRAIN_MS = 5 * SECOND_MS;
const LONGEST_KEPT = 512;

/** Answers devices that speak Drogue DFU: ports/responder.ts. */
export function makeDrogueResponder(ports: ResponderPorts): Responder {
  return new DrogueResponder(ports);
}

interface Outgoing {
  readonly entry: JournalEntry;
  readonly turn: boolean;
  readonly before: DeviceState;
  readonly after: DeviceState;
  readonly news: boolean;
  readonly send: { readonly line: Line; readonly topic: string; readonly payload: Uint8Array; readonly tail?: Uint8Array } | null;
}

interface Asked {
  readonly line: Line;
  readonly message: BusMessage;
  readonly served: Served;
}

class DrogueResponder implements Responder {
  readonly #ports: ResponderPorts;
  readonly #images: Images;
  readonly #lines = new Map<string, Line>();
  readonly #states = new Map<DeviceId, DeviceState>();
  readonly #last = new Map<DeviceId, { readonly said: string; readonly at: Instant }>();
  readonly #toldNews = new Map<DeviceId, Instant>();
  readonly #news = new Set<(device: DeviceId) => void>();
  readonly #sums = { statuses: 0, blocks: 0, bytes: 0, jumps: 0, broken: 0 };
  readonly #commands: Record<string, number> = { Wait: 0, Sync: 0, Write: 0, Swap: 0 };
  readonly #ignored: Record<string, number> = {};
  #roster: Roster = NOBODY;
  #admission: Admission | null = null;
  #loaded: Promise<void> | null = null;
  #queue: Outgoing[] = [];
  #flushing: Promise<void> | null = null;
  #closed = false;

  constructor(ports: ResponderPorts) {
    this.#ports = ports;
    this.#images = new Images(ports);
  }

  async admit(admission: Admission | null): Promise<void> {
    this.#loaded ??= this.#load();
    await this.#loaded;
    if (this.#closed) return;
    this.#admission = admission ?? this.#admission;
    if (this.#admission === null) return;
    this.#roster = rosterOf(FAMILY, this.#admission, admission === null);
    this.#images.want(this.#roster.contents);
    await Promise.all([...this.#roster.filters].map(([connection, filters]) => this.#line(connection).listen(filters)));
  }

  get counters(): ResponderCounters {
    const lines = [...this.#lines.values()];
    const jobs = [...this.#states.values()].filter(({ job }) => job?.phase === 'writing' && job.told !== null);
    return {
      ...this.#sums,
      broken: this.#sums.broken + lines.reduce((sum, line) => sum + line.broken, 0),
      stalls: lines.reduce((sum, line) => sum + line.stalls, 0),
      commands: { ...this.#commands },
      ignored: Object.fromEntries(Object.entries(this.#ignored).toSorted(([a], [b]) => compareText(a, b))),
      transferring: jobs.length,
      images: this.#images.count,
      imageBytes: this.#images.bytes,
    };
  }

  onNews(listener: (device: DeviceId) => void): void {
    this.#news.add(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const drained = new AbortController();
    const limit = this.#ports.clock.sleep(DRAIN_MS, drained.signal).catch(() => undefined);
    await Promise.race([this.#drain(), limit]);
    drained.abort();
    this.#images.close();
  }

  async #drain(): Promise<void> {
    for (const line of this.#lines.values()) await line.close();
    while (this.#flushing !== null) await this.#flushing;
  }

  async #load(): Promise<void> {
    const { entries } = await this.#ports.journal.read(0);
    for (const { family, device, state } of entries) {
      const read = family === FAMILY ? readState(state) : null;
      if (read !== null) this.#states.set(device, read);
    }
  }

  #line(connection: string): Line {
    const known = this.#lines.get(connection);
    if (known !== undefined) return known;
    const { clock, log, share } = this.#ports;
    const line: Line = new Line({
      connection,
      clock,
      log,
      share,
      plain: share === null ? [] : [peerTopic(share)],
      open: () => this.#ports.bus(connection),
      onMessage: (message) => this.#receive(connection, line, message),
    });
    this.#lines.set(connection, line);
    return line;
  }

  #receive(connection: string, line: Line, message: BusMessage): void {
    if (this.#closed) return;
    const { share } = this.#ports;
    if (share !== null && message.topic === peerTopic(share)) {
      this.#hearPeer(line, message);
      return;
    }
    const asking = this.#roster.asking.get(connection)?.get(message.topic);
    const measuring = this.#roster.measuring.get(connection)?.get(message.topic);
    if (asking === undefined && measuring === undefined) {
      if (isAskedAt(this.#roster, connection, message.topic)) this.#ignore('UNKNOWN_DEVICE');
    } else if (message.retained || !message.fresh) this.#ignore('NOT_FRESH');
    else if (asking !== undefined) this.#answer(line, message, asking);
    else for (const served of measuring ?? []) this.#measure({ line, message, served });
  }

  #answer(line: Line, message: BusMessage, asking: readonly Served[]): void {
    const read = decodeStatus(message.payload);
    if (!read.ok) {
      this.#ignore(read.error.code === 'TOO_OLD' ? 'TOO_OLD' : 'UNREADABLE');
      const version = read.error.version === null ? '' : `; it runs ${read.error.version}`;
      const [only] = asking;
      if (asking.length === 1 && only !== undefined)
        this.#odd({ line, message, served: only }, 'UNREADABLE', `${read.error.message}${version}`);
      return;
    }
    const { correlationId } = read.value.status;
    const own = asking.filter(({ options }) => options.correlation === null || options.correlation === correlationId);
    const [served] = own;
    if (served === undefined || own.length > 1) {
      this.#stranger(line, message, { asking, read: read.value, known: own.length });
      return;
    }
    const asked = { line, message, served };
    if (this.#isDuplicate(asked)) this.#ignore('DUPLICATE');
    else this.#tell(asked, read.value);
  }

  /** An id that nobody has, or that two have: told to wait (§6). */
  #stranger(
    line: Line,
    message: BusMessage,
    what: { readonly asking: readonly Served[]; readonly read: ReadStatus; readonly known: number },
  ): void {
    const { asking, read, known } = what;
    const { correlationId } = read.status;
    const [first] = asking;
    if (first === undefined) return;
    this.#ignore(known === 0 ? 'STRANGER' : 'AMBIGUOUS');
    const text = `a status with correlation id ${correlationId ?? 'none'} came under its name; declared is ${first.options.correlation ?? 'none'}`;
    if (known === 0 && asking.length === 1) this.#odd({ line, message, served: first }, 'STRANGER', text);
    const command: Command = { kind: 'Wait', correlationId, poll: first.options.waitSeconds };
    this.#count(command);
    this.#send({ line, topic: first.down, payload: encodeCommand(command, answerIn(read, first)) });
  }

  #isDuplicate({ message, served }: Asked): boolean {
    const before = this.#last.get(served.device);
    const at = this.#ports.clock.now();
    if (message.payload.length > LONGEST_KEPT) return false;
    const { buffer, byteOffset, length } = message.payload;
    const said = Buffer.from(buffer, byteOffset, length).toString('latin1');
    this.#last.set(served.device, { said, at });
    return before !== undefined && at - before.at < DUPLICATE_MS && before.said === said;
  }

  #tell({ line, served }: Asked, status: ReadStatus): void {
    const now = this.#ports.clock.now();
    const before = this.#states.get(served.device) ?? NOTHING_KNOWN;
    const { target, options, settled } = served;
    const image = (wanted: { readonly digest: string }) => this.#images.of(wanted.digest);
    const answer = decide({ status, now, state: before, options, target, settled, image });
    this.#sums.statuses += 1;
    if ((answer.state.job?.jumps ?? 0) > (before.job?.jumps ?? 0) && answer.state.job?.operation === before.job?.operation)
      this.#sums.jumps += 1;
    this.#count(answer.command);
    line.noteBusy();
    const { head: payload, tail } = encodeParts(answer.command, answerIn(status, served));
    const { turn, news, state: after } = answer;
    this.#write(served.device, { now, before, after, turn, news, send: { line, topic: served.down, payload, tail } });
  }

  #odd({ served }: Asked, kind: Odd['kind'], text: string): void {
    const now = this.#ports.clock.now();
    const before = this.#states.get(served.device) ?? NOTHING_KNOWN;
    if (before.odd?.text === text && now - before.odd.at < ODD_EVERY_MS) return;
    this.#ports.log.warn('odd status', { device: served.device, why: text });
    this.#write(served.device, { now, before, after: { ...before, odd: { at: now, kind, text } }, turn: false, news: false, send: null });
  }

  #measure({ message, served }: Asked): void {
    const now = this.#ports.clock.now();
    const read = readTelemetry(message.payload, now);
    if (read === null) return;
    const before = this.#states.get(served.device) ?? NOTHING_KNOWN;
    const after = { ...before, measures: { ...before.measures, ...read } };
    this.#write(served.device, { now, before, after, turn: false, news: false, send: null });
  }

  #write(device: DeviceId, change: Omit<Outgoing, 'entry'> & { readonly now: Instant }): void {
    const { now, ...rest } = change;
    this.#states.set(device, change.after);
    this.#queue.push({ ...rest, entry: { family: FAMILY, device, at: now, state: stateJson(change.after) } });
    if (this.#flushing !== null) return;
    this.#flushing = this.#flush().finally(() => (this.#flushing = null));
  }

  /** All that was decided since the last write goes into one, and out behind it. */
  async #flush(): Promise<void> {
    // What arrives in the same turn of the loop shares the write.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      try {
        const entries = batch.map(({ entry }) => entry);
        await this.#ports.journal.append(entries, batch.some(({ turn }) => turn) ? 'disk' : 'process');
        this.#tellPeers(entries);
        for (const { send } of batch) if (send !== null) this.#send(send);
        for (const { entry, news } of batch) if (news) this.#announce(entry.device);
      } catch (error) {
        this.#undo(batch, error);
      }
    }
  }

  /** What could not be written was not told either; the devices ask again. */
  #undo(batch: readonly Outgoing[], error: unknown): void {
    this.#sums.broken += 1;
    this.#ports.log.warn('the journal cannot be written: devices are not answered', { why: error instanceof Error ? error.message : '' });
    for (const { entry, before, after } of batch.toReversed()) {
      if (this.#states.get(entry.device) === after) this.#states.set(entry.device, before);
      this.#last.delete(entry.device);
    }
  }

  #send({ line, topic, payload, tail }: NonNullable<Outgoing['send']>): void {
    const { bus } = line;
    if (bus === null) return;
    const expiry = bus.expires ? { expirySeconds: EXPIRY_SECONDS } : {};
    // QoS 0: what the broker did not get is asked for again, and nothing comes twice (§2.1, §7.2).
    bus.publish(topic, payload, { qos: 0, retain: false, ...expiry, ...(tail === undefined ? {} : { tail }) }).catch((error: unknown) => {
      if (!(error instanceof WireError)) throw error;
      line.broken += 1;
    });
  }

  /** On one connection, before the answers: a peer that gets the next status of a device has this before it. */
  #tellPeers(entries: readonly JournalEntry[]): void {
    const { share } = this.#ports;
    if (share === null) return;
    for (const line of this.#lines.values()) {
      const from = line.bus?.clientId ?? '';
      const note = entries.map(({ device, at, state }) => ({ device, at, state }));
      this.#send({ line, topic: peerTopic(share), payload: Buffer.from(JSON.stringify({ from, note })) });
    }
  }

  #hearPeer(line: Line, message: BusMessage): void {
    const note = readNote(message.payload);
    if (note === null || note.from === line.bus?.clientId) return;
    const entries: JournalEntry[] = [];
    for (const { device, at, state } of note.entries) {
      const read = readState(state);
      const own = this.#states.get(device)?.heard?.at ?? 0;
      if (read === null || (read.heard?.at ?? 0) < own) continue;
      this.#states.set(device, read);
      entries.push({ family: FAMILY, device, at, state });
    }
    this.#ports.journal.append(entries, 'process').catch(() => (this.#sums.broken += 1));
  }

  #announce(device: DeviceId): void {
    const now = this.#ports.clock.now();
    if (now - (this.#toldNews.get(device) ?? Number.NEGATIVE_INFINITY) < NEWS_EVERY_MS) return;
    this.#toldNews.set(device, now);
    for (const listener of this.#news) listener(device);
  }

  #count(command: Command): void {
    this.#commands[command.kind] = (this.#commands[command.kind] ?? 0) + 1;
    if (command.kind !== 'Write') return;
    this.#sums.blocks += 1;
    this.#sums.bytes += command.data.length;
  }

  #ignore(reason: string): void {
    this.#ignored[reason] = (this.#ignored[reason] ?? 0) + 1;
  }
}

/** Responders that share the devices of a broker tell each other here what they told: the broker's ACL keeps it ours. */
function peerTopic(share: string): string {
  return `headgate/dfu/${share}`;
}

/** The device's own encoding; CBOR for one that asks in JSON, unless it is declared to read JSON (§1.5). */
function answerIn({ encoding }: ReadStatus, { options }: Served): ReadStatus['encoding'] {
  return encoding === 'json' && !options.json ? 'packed' : encoding;
}

/** Whether somebody could ask on this topic: markers and peers are no devices. */
function isAskedAt(roster: Roster, connection: string, topic: string): boolean {
  return (roster.filters.get(connection) ?? []).some((filter) => {
    const wanted = filter.split('/');
    const levels = topic.split('/');
    return wanted.length === levels.length && wanted.every((level, index) => level === '+' || level === levels[index]);
  });
}

interface Note {
  readonly from: string;
  readonly entries: readonly Pick<JournalEntry, 'device' | 'at' | 'state'>[];
}

function readNote(payload: Uint8Array): Note | null {
  try {
    const said = JSON.parse(Buffer.from(payload).toString('utf8')) as unknown;
    const { from, note } = said as { readonly from?: unknown; readonly note?: unknown };
    if (typeof from !== 'string' || !Array.isArray(note)) return null;
    const entries = (note as readonly { device?: unknown; at?: unknown; state?: unknown }[]).flatMap(({ device, at, state }) =>
      typeof device === 'string' && typeof at === 'number' ? [{ device: deviceId(device), at, state: state as JournalEntry['state'] }] : [],
    );
    return { from, entries };
  } catch {
    return null;
  }
}
