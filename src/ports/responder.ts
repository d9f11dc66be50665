import type { Json } from '#kit/canonical.ts';
import type { Declared } from '#model/declared.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { LedgerView } from '#model/records.ts';
import type { Artifacts } from './artifacts.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { MessageBus } from './message-bus.ts';

/**
 * All that a responder knows of one device, after what it heard and what it is about to tell it. The newest entry of a
 * device (in one family) says everything: the ones before it may be dropped.
 */
export interface JournalEntry {
  readonly family: string;
  readonly device: DeviceId;
  readonly at: Instant;
  /** In the family's own shape, versioned by it; plain JSON, no secrets, below 4 KiB. */
  readonly state: Json;
}

export interface JournalPage {
  /** Newest entry of each device that has one after the position asked for, in order of writing. */
  readonly entries: readonly JournalEntry[];
  /** Hand back as `after`. Grows with each append; positions of an older process stay valid. */
  readonly position: number;
}

/**
 * How durable an entry must be when `append` resolves. `process`: a killed process (kill -9) has not lost it, a power cut
 * may have. `disk`: neither has.
 */
export type Durability = 'process' | 'disk';

/** What responders told devices: local, appended before the answer leaves, joined to the ledger by passes. */
export interface Journal {
  /** In this order. Rejects when it cannot be written: the answer is not sent then. */
  append(entries: readonly JournalEntry[], durability: Durability): Promise<void>;
  /** 0 reads from the beginning. */
  read(after: number): Promise<JournalPage>;
}

/** What rollout admitted: the fleet as it is declared and the ledger, as the last pass left both. */
export interface Admission {
  readonly declared: Declared;
  readonly view: LedgerView;
  /** Older revisions in which the content of an open operation may be declared: that of the present releases. */
  readonly older: readonly Declared[];
}

/** Sums since the start, and what stands now: samples for `/metrics`. */
export interface ResponderCounters {
  /** Statuses that were understood and belong to a declared device. */
  readonly statuses: number;
  readonly blocks: number;
  /** Image bytes in those blocks. */
  readonly bytes: number;
  /** Commands told, by kind: `Wait`, `Sync`, `Write`, `Swap`. */
  readonly commands: Readonly<Record<string, number>>;
  /** Messages that were not answered, by reason: `UNREADABLE`, `UNKNOWN_DEVICE`, `DUPLICATE`, `NOT_FRESH`, … */
  readonly ignored: Readonly<Record<string, number>>;
  /** Transfers that begin anew because the device skipped part of an image. */
  readonly jumps: number;
  /** Devices that are in the middle of an image. */
  readonly transferring: number;
  /** Images held in memory, and their bytes. */
  readonly images: number;
  readonly imageBytes: number;
  /** Round trips of our own marker that took far longer than the ones beside them: a broker that stalls bursts. */
  readonly stalls: number;
  /** Times that a broker connection was found broken. */
  readonly broken: number;
}

/**
 * Answers devices that ask, with exactly what was admitted last. Made by a family (`FamilyEntry.makeResponder`), hosted by
 * a daemon beside its passes.
 */
export interface Responder {
  /**
   * Takes over what is admitted; in force when it resolves, with an answer under way at most that was decided before. To
   * be called after each pass, and within 5 s of any change of the ledger by another process. `null`: the ledger cannot be
   * read, so nothing is known to be admitted and every device is told to wait. Devices of other families are not looked at.
   */
  admit(admission: Admission | null): Promise<void>;
  readonly counters: ResponderCounters;
  /** Called for devices whose state calls for a pass: a swap failed, a trial was passed. At most once a second each. */
  onNews(listener: (device: DeviceId) => void): void;
  /** Stops listening, sends what is decided, and lets the journal come to rest: within 5 s, the drain of a daemon. */
  close(): Promise<void>;
}

/** What the host hands to a responder. */
export interface ResponderPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly artifacts: Artifacts;
  readonly journal: Journal;
  /** The same connection for all who ask; reconnected by itself. Throws WireError while it cannot be opened. */
  bus(connection: string): Promise<MessageBus>;
  /**
   * MQTT 5 shared subscription by which several responders on one broker share the devices between them; null when this
   * is the only one. Letters, digits, `-` and `_`.
   */
  readonly share: string | null;
}
