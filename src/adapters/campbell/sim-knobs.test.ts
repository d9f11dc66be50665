import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import { CampbellWorld, programText } from '#test/support/campbell.ts';
import { isWord, type Pair } from '#test/support/campbell-vectors.ts';
import { buildMqttConfig } from './mqtt-config.ts';
import { KNOBS, SWITCHES } from './sim-faults.ts';
import { buildOsImage } from './sim-image.ts';
import type { CampbellSimOptions } from './sim-options.ts';
import type { CampbellSimDevice } from './sim.ts';
import type { Dialect } from './wire-commands.ts';

const HOUR = 3_600_000;
const UID = 'QU8Q-9JTY-HVP8';
const URL = 'http://files.example.org';

let world: CampbellWorld;
let sender: MessageBus;

beforeEach(async () => {
  world = new CampbellWorld();
  sender = await world.run(world.connect('sender', { clean: true, marker: false }));
  world.files.put('CR1000X.obj', buildOsImage({ model: 'CR1000X', version: '8.2.1' }));
  world.files.put('t.crb', programText('t'));
});

afterEach(async () => world.close());

function logger(dialect: Dialect = 'os80', more: Partial<CampbellSimOptions> = {}): Promise<CampbellSimDevice> {
  return world.logger({ stateIntervalMs: 0, dialect, ...more });
}

/** What was said on `state` and `cr` below the device's id: `cr/program`, without base topic and id. */
async function ask(command: string, payload: Json): Promise<readonly Pair[]> {
  const before = world.said.length;
  await world.run(sender.publish(`cs/v2/cc/${UID}/${command}`, Buffer.from(JSON.stringify(payload)), { qos: 0 }));
  await world.clock.advance(HOUR);
  const said = world.said.slice(before).filter((one) => one.clientId !== 'sender' && isWord(one.topic));
  return said.map(({ topic, text }) => [topic.replace('cs/v2/', '').replace(`/${UID}`, ''), parsed(text)]);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function lastWord(command: string, payload: Json): Promise<Pair | null> {
  return (await ask(command, payload)).findLast(([topic]) => topic.startsWith('cr/')) ?? null;
}

/** A configuration file with an unknown id, one without its end, and a page that is gone. */
function putOdd(): void {
  world.files.put('unknown.bin', Buffer.from('00200011000000017800090000000235320000', 'hex'));
  world.files.put('open.bin', Buffer.from('00200009000000023532', 'hex'));
  world.files.put('gone', new Uint8Array());
  world.files.misbehave('gone', { kind: 'not-found' });
}

function configFile(entries: readonly (readonly [number, string])[]): Uint8Array {
  const file = buildMqttConfig(entries.map(([id, value]) => ({ id, value })));
  if (!file.ok) throw new Error(file.error.text);
  return file.value;
}

interface Knob {
  readonly name: (typeof KNOBS)[number];
  readonly value?: Json;
  readonly dialect?: Dialect;
  readonly logger?: Partial<CampbellSimOptions>;
  readonly ask: readonly [string, Json];
  /** The last word on `cr` with the knob off, and on. */
  readonly off: unknown;
  readonly on: unknown;
}

const ping = { data: 'x', tranID: 't1' };
const many = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`file-${index + 10}.txt`, new Uint8Array()]));
const LOADED = { success: 'MQTT configuration file loaded' };
const NOT_PARSED = { error: 'MQTT Config file parse failed' };

const ANSWERS: readonly Knob[] = [
  { name: 'tranIdAlone', dialect: 'v2', ask: ['ping', ping], off: ['cr/ping/t1', { data: 'x' }], on: ['cr/t1', { data: 'x' }] },
  { name: 'tranIdInTopic', dialect: 'v2', ask: ['ping/t2', { data: 'x' }], off: null, on: ['cr/ping/t2', { data: 'x' }] },
  {
    name: 'checksHttpStatus',
    ask: ['program', { url: `${URL}/gone`, fileName: 't.crb' }],
    off: ['cr/program', { success: 'Program loaded successfully' }],
    on: ['cr/program', { error: 'Program download failed' }],
  },
  {
    name: 'checksHttpStatus',
    ask: ['mqttConfig', { url: `${URL}/gone` }],
    off: ['cr/mqttConfig', NOT_PARSED],
    on: ['cr/mqttConfig', { error: 'MQTT Config file download failed, code: 404' }],
  },
  {
    name: 'listCut',
    value: 60,
    logger: { files: many },
    ask: ['fileControl', { action: 'list' }],
    off: ['cr/fileControl', { drive: 'CPU:', clientID: 'CR1000X_70681', fileList: [...Object.keys(many), 'met_v1.CR1X'] }],
    on: ['cr/fileControl', '{"drive":"CPU:","clientID":"CR1000X_70681","fileList":["file'],
  },
  {
    name: 'listTopicOther',
    ask: ['fileControl', { action: 'list' }],
    off: ['cr/fileControl', { drive: 'CPU:', clientID: 'CR1000X_70681', fileList: ['met_v1.CR1X'] }],
    on: ['cr/fileControl/list', { drive: 'CPU', clientID: 'CR1000X_70681', fileList: ['met_v1.CR1X'] }],
  },
  {
    name: 'listTopicOther',
    dialect: 'legacy',
    ask: ['fileControl', { action: 'list' }],
    off: ['cr/fileControl/list', { drive: 'CPU', clientID: 'CR1000X_70681', fileList: ['met_v1.CR1X'] }],
    on: ['cr/fileControl', { drive: 'CPU:', clientID: 'CR1000X_70681', fileList: ['met_v1.CR1X'] }],
  },
  {
    name: 'deleteFails',
    ask: ['fileControl', { action: 'delete', fileName: 'met_v1.CR1X' }],
    off: ['cr/fileControl', { success: 'File deleted' }],
    on: ['cr/fileControl', { error: 'File delete failed' }],
  },
  {
    name: 'checksumFails',
    dialect: 'v2',
    logger: { files: { 'a.txt': Buffer.from('123456789') } },
    ask: ['fileControl', { action: 'checksum', path: 'CPU:a.txt', algo: 'CSI_SIG' }],
    off: ['cr/fileControl', { checksum: 'e0c1' }],
    on: ['cr/fileControl', { error: 'Checksum failed, error: 1' }],
  },
  {
    name: 'settingsUnpadded',
    ask: ['setting', { action: 'publish', name: 'PakBusAddress' }],
    off: ['cr/setting', { setting: 'PakBusAddress', value: '      1' }],
    on: ['cr/setting', { setting: 'PakBusAddress', value: '1' }],
  },
  {
    name: 'numbersAnswered',
    ask: ['setting', { action: 'set', name: 'PakBusAddress', value: 2 }],
    off: null,
    on: ['cr/setting', { success: 'Settings set successfully' }],
  },
  {
    name: 'badValuesRefused',
    ask: ['setting', { action: 'set', name: 'PakBusAddress', value: 'two' }],
    off: ['cr/setting', { success: 'Settings set successfully' }],
    on: ['cr/setting', { error: 'Invalid value: PakBusAddress' }],
  },
  {
    name: 'configLenient',
    ask: ['mqttConfig', { url: `${URL}/unknown.bin` }],
    off: ['cr/mqttConfig', NOT_PARSED],
    on: ['cr/mqttConfig', LOADED],
  },
  {
    name: 'configNeedsTerminator',
    ask: ['mqttConfig', { url: `${URL}/open.bin` }],
    off: ['cr/mqttConfig', LOADED],
    on: ['cr/mqttConfig', NOT_PARSED],
  },
];

describe('a knob', () => {
  it.each(ANSWERS)('$name, asked $ask', async ({ name, value = true, dialect, logger: more, ask: [command, payload], off, on }) => {
    putOdd();
    const device = await logger(dialect, more);
    device.fault(name, value);
    const turned = await lastWord(command, payload);
    await world.close();
    world = new CampbellWorld();
    sender = await world.run(world.connect('sender', { clean: true, marker: false }));
    putOdd();
    await logger(dialect, more);
    expect([await lastWord(command, payload), turned]).toEqual([off, on]);
  });

  it('osAttempts tries that often', async () => {
    const device = await logger();
    device.fault('osAttempts', 5);
    const said = await ask('OS', { url: 'nowhere' });
    expect(said.filter(([topic]) => topic === 'state/')).toHaveLength(5);
    expect(said.at(-1)).toEqual(['cr/OS', { error: 'OS Download Failed' }]);
  });

  it('rebootMs is how long it is away', async () => {
    const device = await logger();
    device.fault('rebootMs', 2000);
    const times: number[] = [];
    world.broker.onPublish((topic) => topic.includes('/state/') && !topic.endsWith('Info') && times.push(world.clock.now()));
    await ask('reboot', { action: 'reboot' });
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBe(2000);
  });

  it('listWholeNames leaves names out, and the JSON whole', async () => {
    const files = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`station-${index + 1000}.dat`, new Uint8Array()]));
    const device = await logger('os80', { files });
    expect(await lastWord('fileControl', { action: 'list' })).toMatchObject(['cr/fileControl', expect.any(String)]);
    device.fault('listWholeNames', true);
    const [, said] = (await lastWord('fileControl', { action: 'list' })) ?? [];
    const { fileList } = said as { readonly fileList: readonly string[] };
    expect(fileList).toEqual(['met_v1.CR1X', ...Object.keys(files)].slice(0, fileList.length));
    expect(JSON.stringify(said).length).toBeLessThanOrEqual(4800);
    expect(JSON.stringify(said).length).toBeGreaterThan(4770);
  });

  it('configNumbersIgnored takes no numbers from a configuration file', async () => {
    world.files.put(
      'c',
      configFile([
        [9, '52'],
        [10, 'CR1000X_NEW'],
      ]),
    );
    const device = await logger();
    device.fault('configNumbersIgnored', true);
    await ask('mqttConfig', { url: `${URL}/c` });
    expect(device.settings()).toMatchObject({ MQTTKeepAlive: '300', MQTTClientID: 'CR1000X_NEW' });
    device.fault('configNumbersIgnored', false);
    await ask('mqttConfig', { url: `${URL}/c` });
    expect(device.settings()).toMatchObject({ MQTTKeepAlive: '52' });
  });

  it('noUidHeader does not say who downloads', async () => {
    const device = await logger();
    const program = { url: `${URL}/t.crb`, fileName: 't.crb' };
    await ask('program', program);
    device.fault('noUidHeader', true);
    await ask('program', program);
    expect(world.files.requests.map(({ uid }) => uid)).toEqual([UID, null]);
  });

  it('staleReply repeats the last answer first', async () => {
    const device = await logger();
    await ask('setting', { action: 'publish', name: 'StationName' });
    device.fault('staleReply', true);
    expect(await ask('setting', { action: 'publish', name: 'PakBusAddress' })).toEqual([
      ['cr/setting', { setting: 'StationName', value: '       ' }],
      ['cr/setting', { setting: 'PakBusAddress', value: '      1' }],
    ]);
  });

  it('duplicateOnline says online twice, and nothing else', async () => {
    const device = await logger();
    device.fault('duplicateOnline', true);
    const said = await ask('reboot', { action: 'reboot' });
    expect(said.map(([topic, body]) => [topic, (body as { readonly state?: string }).state ?? null])).toEqual([
      ['state/', 'offline'],
      ['state/', 'online'],
      ['state/', 'online'],
      ['cr/reboot', null],
    ]);
  });

  it('that is one is known by its name, and tried here or with the rotation of certificates', async () => {
    const device = await logger();
    expect(device.faults).toEqual(SWITCHES);
    const tried = [...ANSWERS.map(({ name }) => name), 'osAttempts', 'rebootMs', 'listWholeNames', 'configNumbersIgnored', 'noUidHeader'];
    expect(KNOBS.filter((knob) => !tried.includes(knob))).toEqual(['certificateSpoilt']);
  });
});
