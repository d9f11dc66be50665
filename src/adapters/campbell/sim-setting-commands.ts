import { answer, textMember, type CommandBody, type LoggerBody } from './sim-body.ts';
import { isNumber } from './sim-crbasic.ts';

const APPLIED = { reply: { success: 'Settings applied, no reboot required' }, state: 'Applying Settings' } as const;
const KEPT = { reply: { success: 'Settings set successfully' }, state: 'Set Setting Succeeded' } as const;
/** The width to which values are padded (docs/protocols/campbell-mqtt.md §5.6). */
const WIDTH = 7;

/** §5.6. A value that is no text gets no answer at all. */
export async function setting(body: LoggerBody, command: CommandBody): Promise<void> {
  const { settings } = body.store;
  const name = textMember(command, 'name');
  const applies = isTrue(command['apply']);
  const action = textMember(command, 'action')?.toLowerCase() ?? (applies ? 'apply' : '');
  if (action === 'apply') return await apply(body);
  if (name === null) return;
  if (action === 'publish') {
    const found = settings.read(name);
    if (found === null) return await body.voice.reply('setting', { error: `Invalid setting: ${name}` });
    const value = body.faults.on('settingsUnpadded') ? found.value : found.value.padStart(WIDTH);
    return await body.voice.reply('setting', { setting: name, value });
  }
  const value = textOf(body, command['value']);
  if (action !== 'set' || value === null) return;
  const lies = body.faults.on('ackWithoutFlash') && settings.read(name) !== null;
  const kept = lies ? 'ignored' : settings.stage(name, value);
  if (kept === 'unknown') return await body.voice.reply('setting', { error: `Invalid setting: ${name}` });
  if (kept === 'ignored' && body.faults.on('badValuesRefused'))
    return await body.voice.reply('setting', { error: `Invalid value: ${name}` });
  if (!applies) return await answer(body, 'setting', KEPT);
  if (body.dialect === 'legacy') await body.voice.state('Set Setting Succeeded');
  await apply(body);
}

/** The knob numbersAnswered is for loggers that might take numbers too. */
function textOf(body: LoggerBody, value: unknown): string | null {
  if (typeof value === 'number' && body.faults.on('numbersAnswered')) return String(value);
  return typeof value === 'string' ? value : null;
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true';
}

/** Commits what waits. A restart follows where a setting needs one; what is said after it is not documented: nothing. */
async function apply(body: LoggerBody): Promise<void> {
  const { changed, restarts } = body.store.settings.apply();
  for (const change of changed) body.effect('setting', change);
  if (!restarts) return await answer(body, 'setting', APPLIED);
  if (body.dialect === 'legacy') await body.voice.state('Applying Settings');
  else await body.voice.state('offline', { reason: 'Applying settings' });
  await body.restart();
  await body.voice.started();
}

/** §5.6, v2. Names take texts, numeric ids native types; the texts of the answers are not known: the same as of `setting`. */
export async function setSettings(body: LoggerBody, command: CommandBody): Promise<void> {
  const { settings } = command;
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) return;
  for (const [name, value] of Object.entries(settings)) {
    const byId = /^\d+$/.test(name);
    const text = typeof value === 'string' ? value : byId && typeof value === 'number' ? String(value) : null;
    if (text === null) continue;
    if (body.store.settings.stage(name, text) !== 'unknown') continue;
    return await body.voice.reply('SetSettings', { error: `Invalid setting: ${name}` });
  }
  const { changed, restarts } = body.store.settings.apply();
  for (const change of changed) body.effect('setting', change);
  if (!restarts) return await body.voice.reply('SetSettings', { success: 'Settings applied, no reboot required' });
  await body.voice.state('offline', { reason: 'Applying settings' });
  await body.restart();
  await body.voice.started();
}

/** §5.8: names of constants and new values, as texts. */
export async function editConst(body: LoggerBody, command: CommandBody): Promise<void> {
  const { store, voice } = body;
  if (store.constants.size === 0) return await voice.reply('editConst', { error: 'No constant table to edit' });
  const changes = Object.entries(command).filter(
    (entry): entry is [string, string] =>
      typeof entry[1] === 'string' && store.constants.has(entry[0]) && store.constants.get(entry[0]) !== entry[1],
  );
  if (changes.length === 0) return await voice.reply('editConst', { success: 'No constant table changes' });
  const lies = body.faults.on('ackWithoutFlash');
  if (!lies) store.editConstants(new Map(changes));
  for (const [name, value] of lies ? [] : changes) body.effect('constant', `${name} = ${value}`);
  await voice.state('offline', { reason: 'Changed constants, recompiling' });
  await body.compile(body.timings.compileMs, () => store.start(false, body.now()));
  await voice.reply('editConst', { success: 'Editing constants succeeded' });
}

/** §5.8, v2. */
export async function constTable(body: LoggerBody): Promise<void> {
  const { store, voice } = body;
  const constTableHead = { name: 'ConstTable', model: store.model, serialNumber: voice.serial, clientID: voice.clientId };
  await voice.reply('constTable', { constTable: constTableHead, constants: Object.fromEntries(store.constants) });
}

/** §5.9. A value that does not fit its variable is answered with success, and changes nothing. */
export async function variable(body: LoggerBody, command: 'getVar' | 'setVar', request: CommandBody): Promise<void> {
  const { variables } = body.store;
  const name = textMember(request, 'name') ?? '';
  const before = variables.get(name);
  if (command === 'getVar') {
    return await body.voice.reply('getVar', before === undefined ? { error: `Invalid field: ${name}` } : { name, value: before });
  }
  const value = textMember(request, 'value');
  if (value === null || before === undefined) return await body.voice.reply('setVar', { error: 'Set variable failed' });
  if (!isNumber(before) || isNumber(value)) variables.set(name, value);
  await body.voice.reply('setVar', { success: 'Set variable succeeded' });
}

/** §5.9, v2. */
export async function setVariables(body: LoggerBody, command: CommandBody): Promise<void> {
  const { assignments } = command;
  if (textMember(command, 'action')?.toLowerCase() !== 'set' || typeof assignments !== 'object' || assignments === null) return;
  const { variables } = body.store;
  for (const [name, value] of Object.entries(assignments)) {
    if (typeof value === 'string' && variables.has(name)) variables.set(name, value);
  }
  await body.voice.reply('variable', { success: 'variables set' });
}
