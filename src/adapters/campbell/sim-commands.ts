import { sha256 } from '#kit/digest.ts';
import { compareOsVersions, osFamily, parseOsVersion } from './os-version.ts';
import { textMember, type CommandBody, type Downloaded, type LoggerBody } from './sim-body.ts';
import { parseOsImage } from './sim-image.ts';
import type { Report } from './sim-reports.ts';
import { LONGEST_FILE_NAME } from './wire.ts';

/** §5.1 and §9.1: three tries, the check, the flash, one or more restarts; never a `cr` success. */
export async function runOs(body: LoggerBody, command: CommandBody): Promise<void> {
  const url = textMember(command, 'url');
  if (url === null || (body.dialect === 'v2' && isSkipped(body, command))) return;
  const bytes = await downloadOs(body, url);
  if (bytes === null) return await fail(body, 'OS', 'OS Download Failed');
  const image = parseOsImage(bytes);
  if (image === null || osFamily(image.model) !== osFamily(body.store.model) || body.faults.on('osCheckFails')) {
    return await fail(body, 'OS', 'OS File Check Failed');
  }
  const before = body.voice.snapshot();
  const bricks = image.bricks || body.faults.on('brickOnOs');
  const bootsBack = image.bootsBack || body.faults.on('bootBack');
  await body.voice.state('online', { fileTransfer: 'Flashing OS' });
  await body.voice.state('offline', { reason: 'OS update' });
  const flash = async (): Promise<void> => {
    await body.wait(body.timings.flashMs);
    if (bricks) return body.brick(`did not come back from ${image.version}`);
    if (body.faults.on('ackWithoutFlash')) return;
    body.effect('flash', `${body.store.os} → ${image.version}`);
    body.effect('erase', 'stored tables');
    body.store.erase();
    if (bootsBack) body.effect('boot-back', body.store.os);
    else body.store.os = image.version;
  };
  await body.restart({ flash });
  await afterUpdate(body, before);
}

/** §5.1, the rich form: `version` only where it differs from what runs, `minVersion` only where that is lower. */
function isSkipped(body: LoggerBody, command: CommandBody): boolean {
  if (textMember(command, 'version') === body.store.os) return true;
  const lowest = parseOsVersion(textMember(command, 'minVersion') ?? '');
  const running = parseOsVersion(body.store.os);
  return lowest !== null && running !== null && compareOsVersions(lowest, running) <= 0;
}

async function downloadOs(body: LoggerBody, url: string): Promise<Uint8Array | null> {
  const attempts = Math.max(1, body.faults.number('osAttempts', 3));
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    await body.voice.state('online', { fileTransfer: 'OS file download' });
    await body.wait(body.timings.osDownloadMs + slowness(body));
    const downloaded = await body.download(url);
    if (downloaded.kind === 'body') return downloaded.bytes;
    if (attempt < attempts) await body.wait(body.timings.retryMs);
  }
  return null;
}

async function afterUpdate(body: LoggerBody, before: readonly Report[]): Promise<void> {
  await body.voice.started(before);
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
  const tooLong = fileName.length > LONGEST_FILE_NAME;
  const downloaded: Downloaded = tooLong ? { kind: 'failed', code: 0 } : await body.download(url);
  if (downloaded.kind === 'failed') return await fail(body, 'program', tooLong ? 'Invalid Filename' : 'Program download failed');
  const before = body.voice.snapshot();
  const taken = !body.faults.on('ackWithoutFlash');
  if (taken) {
    body.store.load(fileName, downloaded.bytes);
    body.effect('program', `${fileName} ${sha256(downloaded.bytes).slice(0, 7)}`);
    body.effect('erase', 'stored tables');
  }
  if (legacy) await body.voice.state('online', { fileTransfer: 'Loading CRBasic file' });
  else await body.voice.state('offline', { reason: 'Loading program' });
  await body.compile(body.timings.compileMs, () => {
    if (taken) body.store.start(body.faults.on('compileError'), body.now());
  });
  await body.voice.state('online');
  if (!legacy) {
    if (!body.faults.on('noProgramReply')) await body.voice.reply('program', { success: 'Program loaded successfully' });
    await body.voice.state('online');
  }
  await body.voice.started(before);
}

/** Errors stand on `cr`, in the legacy dialect on `state` (§1.3); its text for an OS is not documented. */
async function fail(body: LoggerBody, command: 'OS' | 'program', error: string): Promise<void> {
  if (body.dialect !== 'legacy') return await body.voice.reply(command, { error });
  if (body.faults.on('lostReply')) return;
  const text = command === 'program' ? 'CRBasic file transfer error' : error;
  await body.voice.state('online', { fileTransfer: text });
}

function slowness(body: LoggerBody): number {
  return body.faults.on('slowDownload') ? body.faults.number('slowDownload', 600_000) : 0;
}
