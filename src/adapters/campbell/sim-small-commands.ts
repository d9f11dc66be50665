import { parseMqttConfig, MQTT_CONFIG_SETTINGS, CONFIG_ID, type MqttConfigEntry } from './mqtt-config.ts';
import { textMember, type CommandBody, type LoggerBody } from './sim-body.ts';
import { fileControl } from './sim-file-commands.ts';
import { constTable, editConst, setSettings, setting, setVariables, variable } from './sim-setting-commands.ts';

/** All commands but OS and program (docs/protocols/campbell-mqtt.md §5). Unknown ones, and v2's in other dialects: silence. */
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
    case 'historicData':
      return await historicData(body, command);
    case 'talkThru':
      // No port of a simulated logger is open.
      return await body.voice.reply('talkThru', { response: 'ComPort must be open to use MQTT Talk Thru' });
    default:
      return body.dialect === 'v2' ? await runNewCommand(body, name, command) : undefined;
  }
}

/** §5.11 and the other commands that dialect v2 brought. */
async function runNewCommand(body: LoggerBody, name: string, command: CommandBody): Promise<void> {
  const { voice } = body;
  switch (name) {
    case 'SetSettings':
      return await setSettings(body, command);
    case 'constTable':
      return await constTable(body);
    case 'variable':
      return await setVariables(body, command);
    case 'ping': {
      const data = textMember(command, 'data');
      return await voice.reply('ping', data === null ? { error: 'Ping expected data' } : { data });
    }
    case 'public':
      return await voice.publicTable();
    case 'status':
      await voice.status();
      return await voice.reply('status', { success: 'Status table publish command received.' });
    case 'metadata':
      await voice.metadata();
      return await voice.reply('metadata', { success: 'Metadata publish command received.' });
    default:
      return;
  }
}

/** §5.7: the action word is a safety catch. */
async function reboot(body: LoggerBody, command: CommandBody): Promise<void> {
  const action = textMember(command, 'action')?.toLowerCase();
  if (action === 'reconnect' && body.dialect === 'v2') return await body.reconnect();
  if (action !== 'reboot') return;
  if (body.dialect === 'legacy') await body.voice.state('online', { fileTransfer: 'Rebooting Datalogger' });
  else await body.voice.state('offline', { reason: 'Reboot command' });
  body.effect('reboot', 'commanded');
  await body.restart();
  if (body.dialect !== 'legacy') await body.voice.reply('reboot', { success: 'Reboot complete' });
  await body.voice.started();
}

/** §5.10: times are compared as they are written, UTC. */
async function historicData(body: LoggerBody, command: CommandBody): Promise<void> {
  const table = textMember(command, 'table') ?? '';
  const all = body.dialect === 'v2' && textMember(command, 'all') === 'true';
  const [start, end] = [textMember(command, 'start'), textMember(command, 'end')];
  if (table !== body.dataTable) return await body.voice.reply('historicData', { error: 'Historic Data: Table does not exist!' });
  if (!all && (start === null || end === null)) return;
  await body.voice.history(table, (time) => all || (time >= (start ?? '') && time <= (end ?? '')));
}

/**
 * §5.3: the file is stored, the logger restarts, finds it, takes every setting in it, restarts again, and connects with
 * what it has now. A credential that no broker takes ends all contact: nothing is documented that would bring it back.
 */
async function mqttConfig(body: LoggerBody, command: CommandBody): Promise<void> {
  const url = textMember(command, 'url');
  if (url === null) return;
  await body.voice.state('online', { fileTransfer: 'MQTT config file download' });
  const downloaded = await body.download(url);
  if (downloaded.kind === 'failed') {
    return await body.voice.reply('mqttConfig', { error: `MQTT Config file download failed, code: ${downloaded.code}` });
  }
  const { faults } = body;
  const manner = { passUnknownIds: faults.on('configLenient'), terminatorOptional: !faults.on('configNeedsTerminator') };
  const entries = parseMqttConfig(downloaded.bytes, manner);
  if (!entries.ok) return await body.voice.reply('mqttConfig', { error: 'MQTT Config file parse failed' });
  await body.voice.state('offline', { reason: 'Loading MQTT Configuration' });
  const down = async (): Promise<void> => {
    await body.wait(body.timings.rebootMs);
    takeEntries(body, entries.value);
    body.effect('mqttConfig', `${entries.value.length} settings`);
  };
  // The answer comes over the new session, before its online (§7 step 4).
  await body.restart({ down, first: () => body.voice.reply('mqttConfig', { success: 'MQTT configuration file loaded' }) });
  await body.voice.started();
}

function takeEntries({ store, faults }: LoggerBody, entries: readonly MqttConfigEntry[]): void {
  const { settings } = store;
  for (const { id, value } of entries) {
    const known = MQTT_CONFIG_SETTINGS.find((one) => one.id === id);
    if (known === undefined || (known.range !== null && faults.on('configNumbersIgnored'))) continue;
    if (id === CONFIG_ID.privateKey)
      settings.keys = { ...settings.keys, key: faults.on('certificateSpoilt') ? `${value.slice(0, 40)}\n` : value };
    else if (id === CONFIG_ID.certificate) settings.keys = { ...settings.keys, cert: value };
    else if (id === CONFIG_ID.rootCa) settings.keys = { ...settings.keys, ca: value };
    else if (known.setting !== null) settings.stage(known.setting, value);
  }
  settings.apply();
}
