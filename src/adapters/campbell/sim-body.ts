import type { FaultSwitches } from './sim-faults.ts';
import type { LoggerStore } from './sim-store.ts';
import type { LoggerVoice } from './sim-voice.ts';
import type { Dialect } from './wire-commands.ts';
import { LARGEST_PACKET } from './wire.ts';

/** How long a simulated logger takes. Real ones are slower; reboots below 2 s were never seen (docs/protocols/campbell-mqtt.md §13). */
export interface CampbellTimings {
  readonly osDownloadMs: number;
  /** Between two of the three attempts to download an OS. */
  readonly retryMs: number;
  readonly flashMs: number;
  readonly rebootMs: number;
  readonly programDownloadMs: number;
  readonly compileMs: number;
  readonly reconnectMs: number;
}

export const DEFAULT_TIMINGS: CampbellTimings = {
  osDownloadMs: 60_000,
  retryMs: 10_000,
  flashMs: 60_000,
  rebootMs: 30_000,
  programDownloadMs: 4_000,
  compileMs: 4_000,
  reconnectMs: 10_000,
};

export type Downloaded = { readonly kind: 'body'; readonly bytes: Uint8Array } | { readonly kind: 'failed'; readonly code: number };

/** What is done in the course of a restart. */
export interface RestartWork {
  /** While it is down; a loss of power meanwhile is the end of it. */
  readonly flash?: () => Promise<void>;
  /** While it is down. */
  readonly down?: () => Promise<void>;
  /** Over the new session, before it says online. */
  readonly first?: () => Promise<void>;
}

/** What a command may do to its logger. */
export interface LoggerBody {
  readonly dialect: Dialect;
  readonly timings: CampbellTimings;
  readonly store: LoggerStore;
  readonly voice: LoggerVoice;
  readonly faults: FaultSwitches;
  /** The table whose records historicData gives; null when the logger publishes none. */
  readonly dataTable: string | null;
  now(): number;
  /** Rejects when the power goes. */
  wait(ms: number): Promise<void>;
  /** Stops what runs, waits with communications down, and lets `begin` start what comes next (§5.2, §9.3). */
  compile(ms: number, begin: () => void): Promise<void>;
  /** The body that came back, whatever the status: a logger takes an error page for the file (§5.2 trap 1). */
  download(url: string): Promise<Downloaded>;
  effect(kind: string, detail: string): void;
  /** Ends the session, restarts, runs what is marked, connects again. */
  restart(work?: RestartWork): Promise<void>;
  /** Ends the session and opens it again (§5.7). */
  reconnect(): Promise<void>;
  brick(why: string): void;
}

export type CommandBody = Readonly<Record<string, unknown>>;

export function textMember(body: CommandBody, name: string): string | null {
  const value = Object.hasOwn(body, name) ? body[name] : undefined;
  return typeof value === 'string' ? value : null;
}

/** os80 and v2 answer on `cr`; legacy loggers on `state`: in `fileTransfer`, or in place of the state itself (§1.3, §3.1). */
export async function answer(
  body: LoggerBody,
  command: string,
  texts: { readonly reply: CommandBody; readonly fileTransfer?: string; readonly state?: string },
): Promise<void> {
  if (body.dialect !== 'legacy') return await body.voice.reply(command, texts.reply);
  if (body.faults.on('lostReply')) return;
  await body.voice.state(texts.state ?? 'online', texts.fileTransfer === undefined ? {} : { fileTransfer: texts.fileTransfer });
}

/** Null for what is no JSON object, or longer than a packet may be (§2): such commands are met with silence (§4). */
export function parseCommand(payload: Uint8Array): CommandBody | null {
  if (payload.length > LARGEST_PACKET) return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as CommandBody) : null;
  } catch {
    return null;
  }
}
