import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import { memoryBroker } from '#sim/broker.ts';
import { CampbellWorld, programText, START } from '#test/support/campbell.ts';
import { isWord, type Pair } from '#test/support/campbell-vectors.ts';
import { FIRST_KEYS, SECOND_KEYS } from '#test/support/test-keys.ts';
import { buildMqttConfig } from './mqtt-config.ts';
import { buildOsImage } from './sim-image.ts';
import type { CampbellSimOptions } from './sim-options.ts';
import type { CampbellSimDevice } from './sim.ts';
import { readReply } from './wire-replies.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;
const UID = 'QU8Q-9JTY-HVP8';
const URL = 'http://files.example.org';

let world: CampbellWorld;
let sender: MessageBus;

beforeEach(async () => {
  world = new CampbellWorld();
  sender = await world.run(world.connect('sender', { clean: true, marker: false }));
});

afterEach(async () => world.close());

function logger(more: Partial<CampbellSimOptions> = {}): Promise<CampbellSimDevice> {
  return world.logger({ stateIntervalMs: 0, ...more });
}

async function ask(command: string, payload: Json): Promise<readonly Pair[]> {
  const before = world.said.length;
  await world.run(sender.publish(`cs/v2/cc/${UID}/${command}`, Buffer.from(JSON.stringify(payload)), { qos: 0 }));
  await world.clock.advance(HOUR);
  const said = world.said.slice(before).filter((one) => one.clientId !== 'sender' && isWord(one.topic));
  return said.map(({ topic, text }) => [topic.replace('cs/v2/', '').replace(`/${UID}`, ''), JSON.parse(text)]);
}

async function answer(command: string, payload: Json): Promise<unknown> {
  return (await ask(command, payload)).findLast(([topic]) => topic.startsWith('cr/'))?.[1] ?? null;
}

const code = (...lines: readonly string[]): Uint8Array => Buffer.from([...lines, 'BeginProg', 'EndProg', ''].join('\r\n'));
const send = (name: string): Promise<readonly Pair[]> => ask('program', { url: `${URL}/${name}`, fileName: name });

describe('settings', () => {
  it('wait until they are applied', async () => {
    const device = await logger();
    expect(await answer('setting', { action: 'set', name: 'PakBusAddress', value: '7' })).toEqual({ success: 'Settings set successfully' });
    expect(device.settings()['PakBusAddress']).toBe('1');
    expect(await answer('setting', { apply: 'true' })).toEqual({ success: 'Settings applied, no reboot required' });
    expect(await answer('setting', { action: 'Publish', name: 'PakBusAddress' })).toEqual({ setting: 'PakBusAddress', value: '      7' });
    await world.run(device.powerOff());
    await world.run(device.powerOn());
    expect(device.settings()['PakBusAddress']).toBe('7');
  });

  it.each(['two', '', '-1', '5000', '1.5'])('take %j with success, and ignore it', async (value) => {
    const device = await logger();
    const reply = await answer('setting', { action: 'set', name: 'PakBusAddress', value, apply: true });
    expect(reply).toEqual({ success: 'Settings applied, no reboot required' });
    expect(device.settings()['PakBusAddress']).toBe('1');
  });

  it('of the link restart the logger, and hold from then on', async () => {
    const device = await logger();
    const said = await ask('setting', { action: 'set', name: 'MQTTBaseTopic', value: 'moor/v1/', apply: 'true' });
    expect(said.map(([, body]) => body)).toMatchObject([{ state: 'offline', reason: 'Applying settings' }, { state: 'online' }]);
    expect(said[1]?.[0]).toBe('moor/v1/state/');
    expect(device.settings()['MQTTBaseTopic']).toBe('moor/v1/');
  });

  it('of the intervals hold without a restart', async () => {
    await logger({ stateIntervalMs: MINUTE });
    await ask('setting', { action: 'set', name: 'MQTTStateInterval', value: '5', apply: 'true' });
    const before = world.said.length;
    await world.clock.advance(HOUR);
    const states = world.said.slice(before).filter(({ topic }) => topic.endsWith('/'));
    expect(states.length).toBe(12);
  });

  it('that are secret are told to nobody', async () => {
    const device = await logger();
    await ask('setting', { action: 'set', name: 'MQTTPassword', value: 'tell-nobody' });
    expect(await answer('setting', { action: 'publish', name: 'MQTTPassword' })).toEqual({ error: 'Invalid setting: MQTTPassword' });
    await ask('setting', { apply: 'true' });
    expect(JSON.stringify([device.settings(), device.effects, world.said.filter(({ clientId }) => clientId !== 'sender')])).not.toContain(
      'tell-nobody',
    );
  });

  it('come by name and id in v2, ids with native types', async () => {
    const device = await logger({ dialect: 'v2' });
    const settings = { StationName: 'Moor', '3': 314 };
    expect(await answer('SetSettings', { settings })).toEqual({ success: 'Settings applied, no reboot required' });
    expect(device.settings()).toMatchObject({ StationName: 'Moor', PakBusAddress: '314' });
    expect(await answer('SetSettings', { settings: { Nonsense: 'x' } })).toEqual({ error: 'Invalid setting: Nonsense' });
    await ask('SetSettings', { settings: { PakBusAddress: 9 } });
    expect(device.settings()['PakBusAddress']).toBe('314');
  });
});

describe('the tables of a program', () => {
  const PROGRAM = code(
    'ConstTable (Site)',
    '  Const Height = 2.5',
    '  Const Name = "Moor"',
    'EndConstTable',
    'Public PTemp, Label As String',
  );

  async function withTables(more: Partial<CampbellSimOptions> = {}): Promise<CampbellSimDevice> {
    return await logger({ program: { name: 'site.CR1X', bytes: PROGRAM }, ...more });
  }

  it('have constants that are edited, and kept through power', async () => {
    const device = await withTables();
    expect(device.constants()).toEqual({ Height: '2.5', Name: 'Moor' });
    const said = await ask('editConst', { Height: '3', Other: '1' });
    expect(said.map(([, body]) => body)).toEqual([
      { clientId: 'CR1000X_70681', state: 'offline', reason: 'Changed constants, recompiling' },
      { success: 'Editing constants succeeded' },
    ]);
    await world.run(device.powerOff());
    await world.run(device.powerOn());
    expect(device.constants()).toEqual({ Height: '3', Name: 'Moor' });
    expect(await answer('editConst', { Height: '3', Nothing: '1' })).toEqual({ success: 'No constant table changes' });
  });

  it('have constants whose bad value leaves no program that compiles', async () => {
    const device = await withTables({ files: { 'default.CR1X': programText('default') } });
    await ask('editConst', { Height: 'tall' });
    expect(device.truth()['program']).toBe('CPU:default.CR1X');
    expect(await answer('editConst', { Height: '3' })).toEqual({ error: 'No constant table to edit' });
  });

  it('have variables that are read and set', async () => {
    await withTables();
    expect(await answer('getVar', { name: 'PTemp' })).toEqual({ name: 'PTemp', value: '0' });
    expect(await answer('setVar', { name: 'PTemp', value: '1.2' })).toEqual({ success: 'Set variable succeeded' });
    expect(await answer('setVar', { name: 'PTemp', value: 'warm' })).toEqual({ success: 'Set variable succeeded' });
    expect(await answer('getVar', { name: 'PTemp' })).toEqual({ name: 'PTemp', value: '1.2' });
    expect(await answer('setVar', { name: 'Nothing', value: '1' })).toEqual({ error: 'Set variable failed' });
  });

  it('are shown at once in v2', async () => {
    await withTables({ dialect: 'v2' });
    expect(await answer('variable', { action: 'set', assignments: { Label: 'x', PTemp: '3' } })).toEqual({ success: 'variables set' });
    expect(await answer('constTable', {})).toMatchObject({ constTable: { model: 'CR1000X' }, constants: { Height: '2.5', Name: 'Moor' } });
    const reply = readReply(['public'], Buffer.from(JSON.stringify(await answer('public', {}))));
    expect(reply?.reply).toEqual({ kind: 'observations', values: { Label: 'x', PTemp: '3' } });
  });

  it('give their history in chunks, the newest first', async () => {
    await logger({ dataIntervalMs: MINUTE });
    await world.clock.advance(HOUR);
    const at = (minutes: number): string => new Date(START + minutes * MINUTE).toISOString().slice(0, 19);
    const said = await ask('historicData', { table: 'Hourly', start: at(1), end: at(30) });
    const chunks = said.filter(([topic]) => topic === 'cr/historicData/Hourly/cj');
    const times = chunks.flatMap(([, body]) =>
      (body as { readonly data: readonly { readonly time: string }[] }).data.map(({ time }) => time),
    );
    expect(chunks.length).toBeGreaterThan(1);
    expect(times).toEqual(Array.from({ length: 30 }, (_, index) => at(30 - index)));
    expect(await answer('historicData', { table: 'Hourly', start: '2020-01-01T00:00:00', end: '2020-01-02T00:00:00' })).toMatchObject({
      data: [],
    });
    expect(await answer('historicData', { table: 'Daily', start: at(1), end: at(2) })).toEqual({
      error: 'Historic Data: Table does not exist!',
    });
  });

  it('are erased by a new program', async () => {
    await logger({ dataIntervalMs: 20 * MINUTE });
    world.files.put('next.CR1X', PROGRAM);
    await world.clock.advance(HOUR);
    await send('next.CR1X');
    const said = await ask('historicData', { table: 'Hourly', start: '2026-11-23T08:00:00', end: '2026-11-23T09:00:00' });
    expect(said.find(([topic]) => topic.endsWith('/cj'))?.[1]).toMatchObject({ data: [] });
  });
});

/** docs/protocols/campbell-mqtt.md §9.4. */
describe('what runs', () => {
  const BAD = Buffer.from('<html>');

  it.each([
    ['what a card names', { card: { name: 'card.CRB', bytes: programText('card') } }, 'CPU:card.CRB'],
    ['not of a card that does not compile', { card: { name: 'card.CRB', bytes: BAD } }, 'CPU:met_v1.CR1X'],
    [
      'the Include File where the marked one fails',
      {
        settings: { IncludeFile: 'CPU:inc.CR1X' },
        program: { name: 'a.CR1X', bytes: BAD },
        files: { 'inc.CR1X': programText('inc'), 'default.CR1X': programText('d') },
      },
      'CPU:inc.CR1X',
    ],
    [
      'default.* where the Include File fails too',
      {
        settings: { IncludeFile: 'CPU:inc.CR1X' },
        program: { name: 'a.CR1X', bytes: BAD },
        files: { 'inc.CR1X': BAD, 'default.DLD': programText('d') },
      },
      'CPU:default.DLD',
    ],
    ['nothing where all fail', { program: { name: 'a.CR1X', bytes: BAD }, files: { 'default.CRB': BAD } }, 'none'],
  ])('is %s', async (_name, more, program) => {
    const device = await logger(more);
    expect(device.truth()['program']).toBe(program);
  });

  it('is never that of a card in a CR300', async () => {
    const device = await logger({ model: 'CR300', os: 'CR300.11.0.0', card: { name: 'card.CRB', bytes: programText('card') } });
    expect(device.truth()['program']).toBe('CPU:met_v1.CR1X');
  });

  it('goes on when its file is deleted, and is gone after the next start', async () => {
    const device = await logger();
    await ask('fileControl', { action: 'delete', fileName: 'met_v1.CR1X' });
    expect(device.truth()['program']).toBe('CPU:met_v1.CR1X');
    expect(device.files()).toEqual({});
    await world.run(device.powerOff());
    await world.run(device.powerOn());
    expect(device.truth()['program']).toBe('none');
  });

  it('is stopped, and run again by name', async () => {
    const device = await logger();
    expect(await ask('fileControl', { action: 'stop' })).toMatchObject([
      ['state/', { reason: 'Stopping program' }],
      ['cr/fileControl', { success: 'Program stopped' }],
    ]);
    expect(device.truth()['program']).toBe('none');
    expect(await answer('fileControl', { action: 'run', fileName: 'met_v1.CR1X' })).toEqual({ success: 'Program running' });
    expect(device.truth()['program']).toBe('CPU:met_v1.CR1X');
  });
});

/** docs/protocols/campbell-mqtt.md §9.3. */
describe('a modem that the program switches', () => {
  const SWITCHING = code('Public PTemp', 'SW12 (1, 1, 1)');
  const trapped = (more: Partial<CampbellSimOptions> = {}): Promise<CampbellSimDevice> =>
    logger({ modem: 'sw12', program: { name: 'met.CR1X', bytes: SWITCHING }, ...more });

  it('is gone when the program is stopped, until the logger starts anew', async () => {
    const device = await trapped();
    expect(world.broker.clients).toContain('CR1000X_70681');
    await ask('fileControl', { action: 'stop' });
    expect(world.broker.clients).not.toContain('CR1000X_70681');
    await world.run(device.powerOff());
    await world.run(device.powerOn());
    expect(world.broker.clients).toContain('CR1000X_70681');
  });

  it('is gone for good with a program that does not switch it, but for a default that does', async () => {
    const device = await trapped();
    world.files.put('page', Buffer.from('<html>'));
    await send('page');
    expect(world.broker.clients).not.toContain('CR1000X_70681');
    await world.run(device.powerOff());
    await world.run(device.powerOn());
    expect(world.broker.clients).not.toContain('CR1000X_70681');
    await world.run(device.powerOff());
    await trapped({ id: 'rescued', serial: '2', address: UID, files: { 'default.CR1X': SWITCHING } });
    await send('page');
    expect(world.broker.clients).toContain('CR1000X_2');
  });

  it('comes back after an OS when the program does', async () => {
    const device = await trapped();
    world.files.put('os', buildOsImage({ model: 'CR1000X', version: '8.2.1' }));
    await ask('OS', { url: `${URL}/os` });
    expect([device.truth()['firmware'], world.broker.clients.includes('CR1000X_70681')]).toEqual(['CR1000X.8.2.1', true]);
  });
});

/** docs/protocols/campbell-mqtt.md §5.3, §7. */
describe('a configuration file', () => {
  const fingerprint = (cert: string): string => new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase();
  const [first, second] = [fingerprint(FIRST_KEYS.cert), fingerprint(SECOND_KEYS.cert)];

  function put(entries: readonly (readonly [number, string])[]): void {
    const file = buildMqttConfig(entries.map(([id, value]) => ({ id, value })));
    if (!file.ok) throw new Error(file.error.text);
    world.files.put('c', file.value);
  }

  const load = (): Promise<readonly Pair[]> => ask('mqttConfig', { url: `${URL}/c` });
  const seen = (): string | null | undefined => world.broker.certificateOf('CR1000X_70681')?.fingerprint;

  it('brings another certificate: the broker sees it on the next session', async () => {
    const device = await logger({ keys: FIRST_KEYS });
    expect([seen(), device.truth()['identity']]).toEqual([first, first]);
    put([
      [2, SECOND_KEYS.key],
      [3, SECOND_KEYS.cert],
    ]);
    const sessions: (string | null)[] = [];
    world.broker.onConnect(({ clientId, certificate }) => clientId === 'CR1000X_70681' && sessions.push(certificate?.fingerprint ?? null));
    const said = await load();
    expect(said.at(-2)).toEqual(['cr/mqttConfig', { success: 'MQTT configuration file loaded' }]);
    expect([seen(), device.truth()['identity'], sessions]).toEqual([second, second, [second]]);
    expect(world.broker.certificateOf('CR1000X_70681')?.subject).toBe('CN=second,O=Headgate tests');
    const bothKeys = JSON.stringify([device.settings(), device.effects]);
    expect(bothKeys).not.toContain('PRIVATE KEY');
  });

  it.each([
    [
      'does not belong together',
      [
        [2, FIRST_KEYS.key],
        [3, SECOND_KEYS.cert],
      ],
    ],
    [
      'is none',
      [
        [2, 'x'],
        [3, 'y'],
      ],
    ],
    [
      'the broker does not let in',
      [
        [2, SECOND_KEYS.key],
        [3, SECOND_KEYS.cert],
      ],
    ],
  ] as const)('with a certificate that %s leaves the logger out for good', async (_name, entries) => {
    const device = await logger({ keys: FIRST_KEYS });
    world.broker.admit((certificate, clientId) => clientId === 'sender' || certificate?.fingerprint === first);
    put(entries);
    const said = await load();
    expect(said.at(-1)?.[1]).toMatchObject({ reason: 'Loading MQTT Configuration' });
    expect(device.effects.map(({ kind }) => kind)).toEqual(['download', 'mqttConfig', 'unreachable']);
    await world.run(device.powerOff());
    await world.run(device.powerOn());
    await world.clock.advance(24 * HOUR);
    expect(world.broker.clients).not.toContain('CR1000X_70681');
  });

  it('is stored damaged by the knob certificateSpoilt: the logger never returns', async () => {
    const device = await logger({ keys: FIRST_KEYS });
    device.fault('certificateSpoilt', true);
    put([
      [2, SECOND_KEYS.key],
      [3, SECOND_KEYS.cert],
    ]);
    await load();
    expect(world.broker.clients).not.toContain('CR1000X_70681');
    expect(device.effects.at(-1)).toMatchObject({ kind: 'unreachable', detail: 'TLS_BAD_CREDENTIALS' });
  });

  it('moves the logger to another broker, under another name', async () => {
    world.others.set('next.example.org', memoryBroker({ clock: world.clock }));
    await logger({ keys: FIRST_KEYS });
    put([
      [5, 'next.example.org'],
      [10, 'MOVED'],
      [16, 'moor/v1'],
    ]);
    const said = await load();
    expect(said.at(-1)?.[1]).toMatchObject({ reason: 'Loading MQTT Configuration' });
    expect(world.broker.clients).toEqual(['sender']);
    expect(world.others.get('next.example.org')?.clients).toEqual(['MOVED']);
    expect(world.others.get('next.example.org')?.certificateOf('MOVED')?.fingerprint).toBe(first);
  });

  it('that names nobody is the end', async () => {
    const device = await logger();
    put([[5, 'nowhere.example.org']]);
    await load();
    expect(device.effects.at(-1)).toMatchObject({ kind: 'unreachable', detail: 'ENOTFOUND' });
  });

  it('restarts twice, and survives a loss of power between', async () => {
    const device = await logger({ timings: { rebootMs: 30_000 } });
    put([[10, 'OTHER']]);
    const times: number[] = [];
    world.broker.onPublish((topic) => /\/(state|cr)\//.test(topic) && !topic.endsWith('Info') && times.push(world.clock.now()));
    await load();
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBe(60_000);
    put([[10, 'THIRD']]);
    await world.run(sender.publish(`cs/v2/cc/${UID}/mqttConfig`, Buffer.from(JSON.stringify({ url: `${URL}/c` })), { qos: 0 }));
    await world.clock.advance(20_000);
    await world.run(device.powerOff());
    await world.run(device.powerOn());
    expect(world.broker.clients).toContain('OTHER');
  });

  it('that is refused changes nothing', async () => {
    const device = await logger({ keys: FIRST_KEYS });
    const before = device.settings();
    world.files.put('c', Buffer.from('0020000500ff746573742e6d6f7371756974746f2e6f726700', 'hex'));
    expect((await load()).at(-1)).toEqual(['cr/mqttConfig', { error: 'MQTT Config file parse failed' }]);
    expect([device.settings(), seen()]).toEqual([before, first]);
  });
});

describe('dialect v2', () => {
  const topics = (from = 0): readonly string[] =>
    world.said.slice(from).flatMap(({ topic, clientId }) => (clientId === 'sender' ? [] : [topic.replace(`/${UID}`, '')]));

  it('reports at start, and its status at intervals', async () => {
    await logger({ dialect: 'v2', statusIntervalMs: 30 * MINUTE });
    expect(topics()).toEqual(['cs/v2/state', 'cs/v2/metadata', 'cs/v2/metadata/metadata', 'cs/v2/status']);
    const before = world.said.length;
    await world.clock.advance(HOUR);
    expect(topics(before)).toEqual(['cs/v2/status', 'cs/v2/status']);
  });

  it('reports when it is asked', async () => {
    await logger({ dialect: 'v2' });
    expect((await ask('metadata', { action: 'get', tranID: 't' })).at(-1)).toEqual([
      'cr/metadata/t',
      { success: 'Metadata publish command received.' },
    ]);
    expect((await ask('status', {})).at(-1)).toEqual(['cr/status', { success: 'Status table publish command received.' }]);
    expect(await answer('ping', {})).toEqual({ error: 'Ping expected data' });
    expect(topics().filter((topic) => topic === 'cs/v2/metadata')).toHaveLength(2);
  });

  it.each([
    ['MD5', { error: 'File does not exist: CPU:none' }, 'none'],
    ['SHA1', { error: 'Unsupported checksum algorithm: SHA1' }, 'met_v1.CR1X'],
  ])('says why it has no %s', async (algo, error, name) => {
    await logger({ dialect: 'v2' });
    expect(await answer('fileControl', { action: 'checksum', path: `CPU:${name}`, algo })).toEqual(error);
  });

  it.each([
    [{ minVersion: '8.1' }, false],
    [{ minVersion: '8.1.1' }, true],
    [{ version: 'CR1000X.8.1.0' }, false],
    [{ version: 'CR1000X.8.2.1' }, true],
  ])('takes an OS with %j: %s', async (rich, taken) => {
    const device = await logger({ dialect: 'v2' });
    world.files.put('os', buildOsImage({ model: 'CR1000X', version: '8.2.1' }));
    await ask('OS', { url: `${URL}/os`, ...rich });
    expect(device.effects.some(({ kind }) => kind === 'flash')).toBe(taken);
  });

  it('opens its session anew when told, without a restart', async () => {
    const device = await logger({ dialect: 'v2' });
    const sessions: string[] = [];
    world.broker.onConnect(({ clientId }) => sessions.push(clientId));
    await ask('reboot', { action: 'reconnect' });
    expect([sessions, device.effects]).toEqual([['CR1000X_70681'], []]);
  });

  it('is not known to others: they are silent', async () => {
    await logger();
    for (const [command, payload] of Object.entries({
      ping: { data: 'x' },
      metadata: { action: 'get' },
      public: {},
      constTable: {},
      SetSettings: { settings: {} },
      reboot: { action: 'reconnect' },
      fileControl: { action: 'checksum', path: 'CPU:met_v1.CR1X', algo: 'MD5' },
    })) {
      expect(await ask(command, payload)).toEqual([]);
    }
  });
});
