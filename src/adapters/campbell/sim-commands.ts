import { sha256 } from '#kit/digest.ts';
import { osFamily } from './os-version.ts';
import type { FaultSwitches } from './sim-faults.ts';
import { parseOsImage } from './sim-image.ts';
import type { LoggerStore } from './sim-store.ts';
import type { LoggerVoice } from './sim-voice.ts';
import { LONGEST_FILE_NAME } from './wire.ts';

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

/** What a command may do to its logger. */
export interface LoggerBody {
  readonly dialect: 'os80' | 'legacy';
  readonly timings: CampbellTimings;
  readonly store: LoggerStore;
  readonly voice: LoggerVoice;
  readonly faults: FaultSwitches;
  /** Rejects when the power goes. */
  wait(ms: number): Promise<void>;
  /** The same with communications down. */
  compile(ms: number): Promise<void>;
  /** The body that came back, whatever the status: a logger takes an error page for the file (§5.2 trap 1). Null: none. */
  download(url: string): Promise<Uint8Array | null>;
  effect(kind: string, detail: string): void;
  /** Ends the session, restarts, runs what is marked, connects again. `flash` is done while it is down, `first` before it says online. */
  restart(flash?: () => Promise<void>, first?: () => Promise<void>): Promise<void>;
  brick(why: string): void;
}

export type CommandBody = Readonly<Record<string, unknown>>;

export function textMember(body: CommandBody, name: string): string | null {
  const value = Object.hasOwn(body, name) ? body[name] : undefined;
  return typeof value === 'string' ? value : null;
}

/** §5.1 and §9.1: three tries, the check, the flash, one or more restarts; never a `cr` success. */
export async function runOs(body: LoggerBody, command: CommandBody): Promise<void> {
  const url = textMember(command, 'url');
  if (url === null) return;
  const bytes = await downloadOs(body, url);
  if (bytes === null) return await fail(body, 'OS', 'OS Download Failed');
  const image = parseOsImage(bytes);
  if (image === null || osFamily(image.model) !== osFamily(body.store.model) || body.faults.on('osCheckFails')) {
    return await fail(body, 'OS', 'OS File Check Failed');
  }
  const before = body.voice.statusInfo();
  const bricks = image.bricks || body.faults.on('brickOnOs');
  const bootsBack = image.bootsBack || body.faults.on('bootBack');
  await body.voice.state('online', { fileTransfer: 'Flashing OS' });
  await body.voice.state('offline', { reason: 'OS update' });
  await body.restart(async () => {
    await body.wait(body.timings.flashMs);
    if (bricks) return body.brick(`did not come back from ${image.version}`);
    if (body.faults.on('ackWithoutFlash')) return;
    body.effect('flash', `${body.store.os} → ${image.version}`);
    body.effect('erase', 'stored tables');
    if (bootsBack) body.effect('boot-back', body.store.os);
    else body.store.os = image.version;
  });
  await afterUpdate(body, before);
}

async function downloadOs(body: LoggerBody, url: string): Promise<Uint8Array | null> {
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await body.voice.state('online', { fileTransfer: 'OS file download' });
    await body.wait(body.timings.osDownloadMs + slowness(body));
    const bytes = await body.download(url);
    if (bytes !== null) return bytes;
    if (attempt < 3) await body.wait(body.timings.retryMs);
  }
  return null;
}

async function afterUpdate(body: LoggerBody, before: CommandBody): Promise<void> {
  await body.voice.status(before);
  if (body.faults.on('watchdogAfterUpdate')) {
    body.store.watchdogErrors += 1;
    body.store.watchdogEvents += 1;
    await body.voice.watchdogEvent();
  }
  if (!body.faults.on('brickAfter')) return;
  await body.wait(body.faults.number('brickAfter', 60_000));
  body.brick('died after the update');
}

/** §5.2: whatever body arrives becomes the program, and is answered with success. */
export async function runProgram(body: LoggerBody, command: CommandBody): Promise<void> {
  const url = textMember(command, 'url');
  const fileName = textMember(command, 'fileName');
  if (url === null || fileName === null || fileName === '') return;
  const legacy = body.dialect === 'legacy';
  await body.voice.state('online', { fileTransfer: legacy ? 'CRBasic file transfer started' : 'Program file download' });
  await body.wait(body.timings.programDownloadMs + slowness(body));
  const bytes = fileName.length > LONGEST_FILE_NAME ? null : await body.download(url);
  if (bytes === null)
    return await fail(body, 'program', fileName.length > LONGEST_FILE_NAME ? 'Invalid Filename' : 'Program download failed');
  const before = body.voice.statusInfo();
  if (!body.faults.on('ackWithoutFlash')) {
    body.store.files.set(fileName, bytes);
    body.store.powerUp = fileName;
    body.effect('program', `${fileName} ${sha256(bytes).slice(0, 7)}`);
    body.effect('erase', 'stored tables');
  }
  if (legacy) await body.voice.state('online', { fileTransfer: 'Loading CRBasic file' });
  else await body.voice.state('offline', { reason: 'Loading program' });
  await body.compile(body.timings.compileMs);
  if (!body.faults.on('ackWithoutFlash')) body.store.start(body.faults.on('compileError'));
  await body.voice.state('online');
  if (!legacy) {
    if (!body.faults.on('noProgramReply')) await body.voice.reply('program', { success: 'Program loaded successfully' });
    await body.voice.state('online');
  }
  await body.voice.status(before);
}

/** Errors stand on `cr`, in the legacy dialect on `state` (§1.3); its text for an OS is not documented. */
async function fail(body: LoggerBody, command: 'OS' | 'program', error: string): Promise<void> {
  if (body.dialect === 'os80') return await body.voice.reply(command, { error });
  if (body.faults.on('lostReply')) return;
  const text = command === 'program' ? 'CRBasic file transfer error' : error;
  await body.voice.state('online', { fileTransfer: text });
}

function slowness(body: LoggerBody): number {
  return body.faults.on('slowDownload') ? body.faults.number('slowDownload', 600_000) : 0;
}
