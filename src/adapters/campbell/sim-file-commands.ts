import { compareText } from '#kit/diagnostics.ts';
import { answer, textMember, type CommandBody, type LoggerBody } from './sim-body.ts';
import { fileChecksum } from './signatures.ts';
import { CHECKSUM_ALGORITHMS } from './wire-commands.ts';
import { LARGEST_PACKET } from './wire.ts';

const NO_SUCH_FILE = { reply: { error: 'File does not exist' }, fileTransfer: 'File Does Not Exist' } as const;

/** §5.5. The key of the name is `fileName`; another spelling is no name at all. Actions are read in any case (§4). */
export async function fileControl(body: LoggerBody, command: CommandBody): Promise<void> {
  const { store, voice, faults } = body;
  const fileName = textMember(command, 'fileName') ?? '';
  switch (textMember(command, 'action')?.toLowerCase()) {
    case 'list':
      return await listFiles(body, textMember(command, 'path') ?? textMember(command, 'drive') ?? 'CPU');
    case 'checksum':
      return body.dialect === 'v2' ? await checksum(body, command) : undefined;
    case 'delete':
      if (!store.files.has(fileName)) return await answer(body, 'fileControl', NO_SUCH_FILE);
      if (faults.on('deleteFails')) return await voice.reply('fileControl', { error: 'File delete failed' });
      if (!faults.on('ackWithoutFlash')) {
        store.files.delete(fileName);
        body.effect('delete', fileName);
      }
      return await answer(body, 'fileControl', { reply: { success: 'File deleted' }, fileTransfer: 'File Has Been Deleted' });
    case 'stop':
      await voice.state('offline', { reason: 'Stopping program' });
      await body.compile(0, () => store.stop());
      body.effect('stop', 'the program');
      return await voice.reply('fileControl', { success: 'Program stopped' });
    case 'run':
      if (!store.files.has(fileName)) return await answer(body, 'fileControl', NO_SUCH_FILE);
      await voice.state('offline', { reason: 'Running program' });
      await body.compile(0, () => store.runNow(fileName, body.now()));
      body.effect('run', fileName);
      return await voice.reply('fileControl', { success: 'Program running' });
    default:
      return;
  }
}

async function listFiles(body: LoggerBody, path: string): Promise<void> {
  const { faults, store, voice } = body;
  const drive = path.replace(/:.*$/, '');
  if (drive.toUpperCase() !== 'CPU') return await voice.reply('fileControl', { error: `Directory '${drive}:' does not exist` });
  const plain = (body.dialect === 'legacy') === faults.on('listTopicOther');
  const head = { drive: plain ? 'CPU:' : 'CPU', clientID: voice.clientId };
  const names = [...store.files.keys()].toSorted((a, b) => compareText(a.toLowerCase(), b.toLowerCase()));
  const limit = faults.number('listCut', LARGEST_PACKET);
  const listed = faults.on('listWholeNames') ? fitting(head, names, limit) : names;
  await voice.reply(plain ? 'fileControl' : 'fileControl/list', { ...head, fileList: listed }, limit);
}

/** As many names as leave the JSON whole: the other reading of "the list is cut at 4800 characters". */
function fitting(head: CommandBody, names: readonly string[], limit: number): readonly string[] {
  let length = JSON.stringify({ ...head, fileList: [] }).length - 1;
  return names.filter((name) => (length += JSON.stringify(name).length + 1) <= limit);
}

async function checksum(body: LoggerBody, command: CommandBody): Promise<void> {
  const path = textMember(command, 'path') ?? '';
  const algorithm = textMember(command, 'algo') ?? '';
  const known = CHECKSUM_ALGORITHMS.find((name) => name === algorithm.toUpperCase());
  if (known === undefined) return await body.voice.reply('fileControl', { error: `Unsupported checksum algorithm: ${algorithm}` });
  const bytes = body.store.files.get(path.replace(/^CPU:/i, ''));
  if (bytes === undefined) return await body.voice.reply('fileControl', { error: `File does not exist: ${path}` });
  if (body.faults.on('checksumFails')) return await body.voice.reply('fileControl', { error: 'Checksum failed, error: 1' });
  await body.voice.reply('fileControl', { checksum: fileChecksum(known, bytes) });
}
