import { compareText } from '#kit/diagnostics.ts';
import { textMember, type CommandBody, type LoggerBody } from './sim-commands.ts';
import { parseMqttConfig } from './sim-mqtt-config.ts';

/** Settings whose value is a number: anything else is answered with success and ignored (§5.6). */
const NUMERIC_SETTINGS = new Set(['PakBusAddress']);
const NO_SUCH_FILE = { reply: { error: 'File does not exist' }, fileTransfer: 'File Does Not Exist' } as const;
const APPLIED = { reply: { success: 'Settings applied, no reboot required' }, state: 'Applying Settings' } as const;

/** The commands that no driver of ours sends at this depth, as other programs expect them of a logger. Unknown ones: silence. */
export async function runSmallCommand(body: LoggerBody, name: string, command: CommandBody): Promise<void> {
  switch (name) {
    case 'reboot':
      return await reboot(body, command);
    case 'fileControl':
      return await fileControl(body, command);
    case 'setting':
      return await setting(body, command);
    case 'editConst':
      return await editConst(body, command);
    case 'getVar':
    case 'setVar':
      return await variable(body, name, command);
    case 'mqttConfig':
      return await mqttConfig(body, command);
    default:
      return;
  }
}

/** §5.7: the action word is a safety catch. */
async function reboot(body: LoggerBody, command: CommandBody): Promise<void> {
  if (textMember(command, 'action')?.toLowerCase() !== 'reboot') return;
  if (body.dialect === 'legacy') await body.voice.state('online', { fileTransfer: 'Rebooting Datalogger' });
  else await body.voice.state('offline', { reason: 'Reboot command' });
  body.effect('reboot', 'commanded');
  await body.restart();
  if (body.dialect === 'os80') await body.voice.reply('reboot', { success: 'Reboot complete' });
  await body.voice.status();
}

/** §5.5. The key of the name is `fileName`; another spelling is no name at all. */
async function fileControl(body: LoggerBody, command: CommandBody): Promise<void> {
  const { store, voice } = body;
  const fileName = textMember(command, 'fileName') ?? '';
  switch (textMember(command, 'action')?.toLowerCase()) {
    case 'list':
      return await listFiles(body, textMember(command, 'drive') ?? 'CPU');
    case 'delete':
      if (!store.files.has(fileName)) return await answer(body, 'fileControl', NO_SUCH_FILE);
      store.files.delete(fileName);
      body.effect('delete', fileName);
      return await answer(body, 'fileControl', { reply: { success: 'File deleted' }, fileTransfer: 'File Has Been Deleted' });
    case 'stop':
      await voice.state('offline', { reason: 'Stopping program' });
      store.running = null;
      return await voice.reply('fileControl', { success: 'Program stopped' });
    case 'run':
      if (!store.files.has(fileName)) return await answer(body, 'fileControl', NO_SUCH_FILE);
      await voice.state('offline', { reason: 'Running program' });
      store.runNow(fileName);
      return await voice.reply('fileControl', { success: 'Program running' });
    default:
      return;
  }
}

async function listFiles(body: LoggerBody, drive: string): Promise<void> {
  if (drive.replace(':', '').toUpperCase() !== 'CPU') {
    return await body.voice.reply('fileControl', { error: `Directory '${drive.replace(':', '')}:' does not exist` });
  }
  const legacy = body.dialect === 'legacy';
  const list = {
    drive: legacy ? 'CPU' : 'CPU:',
    clientID: body.voice.clientId,
    fileList: [...body.store.files.keys()].toSorted((a, b) => compareText(a.toLowerCase(), b.toLowerCase())),
  };
  await body.voice.reply(legacy ? 'fileControl/list' : 'fileControl', list);
}

/** §5.6. A value that is no text gets no answer at all. */
async function setting(body: LoggerBody, command: CommandBody): Promise<void> {
  const { settings } = body.store;
  const name = textMember(command, 'name');
  const apply = command['apply'] === 'true' || command['apply'] === true;
  const action = textMember(command, 'action')?.toLowerCase() ?? (apply ? 'apply' : '');
  if (action === 'apply') return await answer(body, 'setting', APPLIED);
  if (name === null) return;
  const known = settings.get(name);
  if (action === 'publish') {
    if (known === undefined) return await body.voice.reply('setting', { error: `Invalid setting: ${name}` });
    return await body.voice.reply('setting', { setting: name, value: known.padStart(7) });
  }
  if (action !== 'set' || typeof command['value'] !== 'string') return;
  if (known === undefined) return await body.voice.reply('setting', { error: `Invalid setting: ${name}` });
  if (!NUMERIC_SETTINGS.has(name) || /^\s*\d+\s*$/.test(command['value'])) {
    settings.set(name, command['value'].trim());
    body.effect('setting', `${name} = ${command['value'].trim()}`);
  }
  if (!apply) return await answer(body, 'setting', { reply: { success: 'Settings set successfully' }, state: 'Set Setting Succeeded' });
  if (body.dialect === 'legacy') await body.voice.state('Set Setting Succeeded');
  await answer(body, 'setting', APPLIED);
}

/** §5.8. */
async function editConst(body: LoggerBody, command: CommandBody): Promise<void> {
  const { constants } = body.store;
  if (constants.size === 0) return await body.voice.reply('editConst', { error: 'No constant table to edit' });
  const changes = Object.entries(command).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && constants.has(entry[0]) && constants.get(entry[0]) !== entry[1],
  );
  if (changes.length === 0) return await body.voice.reply('editConst', { success: 'No constant table changes' });
  for (const [name, value] of changes) constants.set(name, value);
  await body.voice.state('offline', { reason: 'Changed constants, recompiling' });
  await body.compile(body.timings.compileMs);
  await body.voice.reply('editConst', { success: 'Editing constants succeeded' });
}

/** §5.9. */
async function variable(body: LoggerBody, command: 'getVar' | 'setVar', request: CommandBody): Promise<void> {
  const { variables } = body.store;
  const name = textMember(request, 'name') ?? '';
  if (command === 'getVar') {
    const value = variables.get(name);
    return await body.voice.reply('getVar', value === undefined ? { error: `Invalid field: ${name}` } : { name, value });
  }
  const value = textMember(request, 'value');
  if (value === null || !variables.has(name)) return await body.voice.reply('setVar', { error: 'Set variable failed' });
  variables.set(name, value);
  await body.voice.reply('setVar', { success: 'Set variable succeeded' });
}

/** §5.3. Of the settings in the file the logger here knows the client id and the base topic; they hold from the next connect on. */
async function mqttConfig(body: LoggerBody, command: CommandBody): Promise<void> {
  const url = textMember(command, 'url');
  if (url === null) return;
  await body.voice.state('online', { fileTransfer: 'MQTT config file download' });
  const bytes = await body.download(url);
  if (bytes === null) return await body.voice.reply('mqttConfig', { error: 'MQTT Config file download failed, code: 0' });
  const entries = parseMqttConfig(bytes);
  if (entries === null) return await body.voice.reply('mqttConfig', { error: 'MQTT Config file parse failed' });
  await body.voice.state('offline', { reason: 'Loading MQTT Configuration' });
  const applied = (): Promise<void> => {
    for (const { id, value } of entries) {
      if (id === 10) body.voice.clientId = value;
      if (id === 16) body.voice.baseTopic = value;
    }
    body.effect('mqttConfig', `${entries.length} settings`);
    return Promise.resolve();
  };
  // The answer comes over the new session, before its online (§7 step 4).
  await body.restart(applied, () => body.voice.reply('mqttConfig', { success: 'MQTT configuration file loaded' }));
  await body.voice.status();
}

/** os80 answers on `cr`; legacy loggers on `state`: in `fileTransfer`, or in place of the state itself (§1.3, §3.1). */
async function answer(
  body: LoggerBody,
  command: string,
  texts: { readonly reply: CommandBody; readonly fileTransfer?: string; readonly state?: string },
): Promise<void> {
  if (body.dialect === 'os80') return await body.voice.reply(command, texts.reply);
  if (body.faults.on('lostReply')) return;
  await body.voice.state(texts.state ?? 'online', texts.fileTransfer === undefined ? {} : { fileTransfer: texts.fileTransfer });
}
