import { describe, expect, it } from 'vitest';
import vectors from './fixtures/vectors.json' with { type: 'json' };
import { encodeCommand, fileNameProblem, isTranId, type CommandRequest, type Dialect, type EncodedCommand } from './wire-commands.ts';
import { LARGEST_COMMAND } from './wire.ts';

const UID = 'QU8Q-9JTY-HVP8';

function encoded(request: CommandRequest, dialect: Dialect, tranId: string | null = null): EncodedCommand {
  const command = encodeCommand(request, { baseTopic: 'cs/v2', address: UID, dialect, tranId });
  if (!command.ok) throw new Error(command.error.text);
  return command.value;
}

function bodyOf(request: CommandRequest, dialect: Dialect): unknown {
  return JSON.parse(new TextDecoder().decode(encoded(request, dialect).payload));
}

function codeOf(request: CommandRequest, dialect: Dialect, tranId: string | null = null): string {
  const command = encodeCommand(request, { baseTopic: 'cs/v2', address: 'cr6/13342', dialect, tranId });
  return command.ok ? 'ok' : command.error.code;
}

/** docs/protocols/campbell-mqtt.md §5: request, command, body as legacy and os80 loggers take it. */
const EVERY_DIALECT: readonly (readonly [CommandRequest, string, unknown])[] = [
  [{ kind: 'os', url: 'https://a.example/x.obj', version: null, minVersion: null }, 'OS', { url: 'https://a.example/x.obj' }],
  [
    { kind: 'program', url: 'https://a.example/t.crb', fileName: 't.crb' },
    'program',
    { url: 'https://a.example/t.crb', fileName: 't.crb' },
  ],
  [{ kind: 'mqttConfig', url: 'https://a.example/c' }, 'mqttConfig', { url: 'https://a.example/c' }],
  [{ kind: 'deleteFile', fileName: 't.crb' }, 'fileControl', { action: 'delete', fileName: 't.crb' }],
  [{ kind: 'stopProgram' }, 'fileControl', { action: 'stop' }],
  [{ kind: 'runProgram', fileName: 't.crb' }, 'fileControl', { action: 'run', fileName: 't.crb' }],
  [{ kind: 'readSetting', name: 'PakBusAddress' }, 'setting', { action: 'publish', name: 'PakBusAddress' }],
  [{ kind: 'writeSetting', name: 'A', value: '3', apply: true }, 'setting', { action: 'set', name: 'A', value: '3', apply: 'true' }],
  [{ kind: 'writeSetting', name: 'A', value: '3', apply: false }, 'setting', { action: 'set', name: 'A', value: '3' }],
  [{ kind: 'applySettings' }, 'setting', { action: 'apply', apply: 'true' }],
  [{ kind: 'reboot' }, 'reboot', { action: 'reboot' }],
  [{ kind: 'editConstants', constants: { K: '1' } }, 'editConst', { K: '1' }],
  [{ kind: 'readVariable', name: 'V' }, 'getVar', { name: 'V' }],
  [{ kind: 'writeVariable', name: 'V', value: '1.2' }, 'setVar', { name: 'V', value: '1.2' }],
  [
    { kind: 'history', table: 'T', range: { start: '2025-04-01T03:16:51', end: '2025-04-02T03:16:51' } },
    'historicData',
    { table: 'T', start: '2025-04-01T03:16:51', end: '2025-04-02T03:16:51' },
  ],
];

const V2_ONLY: readonly (readonly [CommandRequest, string, unknown])[] = [
  [
    { kind: 'os', url: 'u', version: 'CR1000X.8.2.1', minVersion: '8.2.1' },
    'OS',
    { url: 'u', version: 'CR1000X.8.2.1', minVersion: '8.2.1' },
  ],
  [
    { kind: 'checksum', fileName: 'main.crb', algorithm: 'SHA256' },
    'fileControl',
    { action: 'checksum', path: 'CPU:main.crb', algo: 'SHA256' },
  ],
  [{ kind: 'writeSettings', settings: { StationName: '3', '3': '314' } }, 'SetSettings', { settings: { StationName: '3', '3': 314 } }],
  [{ kind: 'writeSettings', settings: { '399': '007' } }, 'SetSettings', { settings: { '399': '007' } }],
  [{ kind: 'reconnect' }, 'reboot', { action: 'reconnect' }],
  [{ kind: 'readConstants' }, 'constTable', {}],
  [
    { kind: 'writeVariables', assignments: { a: '1', 'S.b(2)': '3' } },
    'variable',
    { action: 'set', assignments: { a: '1', 'S.b(2)': '3' } },
  ],
  [{ kind: 'history', table: 'T', range: null }, 'historicData', { table: 'T', all: 'true' }],
  [{ kind: 'ping', data: 'x' }, 'ping', { data: 'x' }],
  [{ kind: 'askStatus' }, 'status', {}],
  [{ kind: 'askMetadata' }, 'metadata', { action: 'get' }],
  [{ kind: 'readPublic' }, 'public', {}],
];

describe('commands', () => {
  it.each(EVERY_DIALECT)('%j are the same in every dialect', (request, command, body) => {
    for (const dialect of ['legacy', 'os80', 'v2'] as const) {
      expect(encoded(request, dialect)).toMatchObject({ topic: `cs/v2/cc/${UID}/${command}`, command, tranId: null });
      expect(bodyOf(request, dialect)).toEqual(body);
    }
  });

  it.each(V2_ONLY)('%j are known in v2 only', (request, command, body) => {
    expect(encoded(request, 'v2').command).toBe(command);
    expect(bodyOf(request, 'v2')).toEqual(body);
    expect([codeOf(request, 'os80'), codeOf(request, 'legacy')]).toEqual(['NOT_IN_DIALECT', 'NOT_IN_DIALECT']);
  });

  it('ask for the list of a drive in the words of the dialect', () => {
    const request: CommandRequest = { kind: 'listFiles', drive: 'USR' };
    expect(bodyOf(request, 'os80')).toEqual({ action: 'list', drive: 'USR' });
    expect(bodyOf(request, 'v2')).toEqual({ action: 'list', path: 'USR:' });
  });

  it('carry a tranID in v2, and only there', () => {
    const ping: CommandRequest = { kind: 'ping', data: 'hello' };
    const sent = encoded(ping, 'v2', 'c3p0');
    expect([new TextDecoder().decode(sent.payload), sent.tranId]).toEqual(['{"data":"hello","tranID":"c3p0"}', 'c3p0']);
    expect(encoded({ kind: 'reboot' }, 'os80', 'c3p0').tranId).toBeNull();
    expect(new TextDecoder().decode(encoded({ kind: 'reboot' }, 'legacy', 'c3p0').payload)).toBe('{"action":"reboot"}');
  });

  it.each([
    ['c3p0', true],
    ['0668a496-568d-4b04-8cdf-7b139eb5fc3f', true],
    ['x'.repeat(39), true],
    ['x'.repeat(40), false],
    ['', false],
    ['a/b', false],
    ['a+', false],
    ['a#', false],
    ['a b', false],
    ['é', false],
  ])('take %j for a tranID: %s', (text, good) => {
    expect(isTranId(text)).toBe(good);
    expect(codeOf({ kind: 'ping', data: 'x' }, 'v2', text)).toBe(good ? 'ok' : 'TRAN_ID');
  });

  it('are refused beyond the limits of a logger, without telling the URL', () => {
    const url = `https://a.example/secret?${'x'.repeat(LARGEST_COMMAND)}`;
    for (const request of [
      { kind: 'os', url, version: null, minVersion: null },
      { kind: 'program', url, fileName: 't.crb' },
      { kind: 'mqttConfig', url },
    ] as const) {
      const refused = encodeCommand(request, { baseTopic: 'cs/v2', address: UID, dialect: 'os80', tranId: null });
      expect(refused).toMatchObject({ ok: false, error: { code: 'COMMAND_TOO_LONG' } });
      expect(JSON.stringify(refused)).not.toContain('secret');
    }
    expect(codeOf({ kind: 'program', url: 'u', fileName: `${'x'.repeat(55)}.crb` }, 'os80')).toBe('ok');
    for (const kind of ['deleteFile', 'runProgram'] as const) {
      expect(codeOf({ kind, fileName: `${'x'.repeat(56)}.crb` }, 'os80')).toBe('FILE_NAME');
    }
  });

  it.each(['', ' x', 'a/b', 'a:b', 'a"b', 'é', 'a\n', 'x'.repeat(60)])('take %j for no file name', (name) =>
    expect(fileNameProblem(name)).not.toBeNull(),
  );

  it.each(['main.CR1X', 'A B.crb', 'x'.repeat(59)])('take %j for a file name', (name) => expect(fileNameProblem(name)).toBeNull());
});

/** What §14 sends, for the requests that we make in the same words. */
describe('the vectors of docs/protocols/campbell-mqtt.md §14', () => {
  const requests: Readonly<Record<string, { readonly request: CommandRequest; readonly dialect: Dialect; readonly tranId?: string }>> = {
    'os-ok': { request: { kind: 'os', url: 'https://a.example/CR1000X.obj', version: null, minVersion: null }, dialect: 'os80' },
    'program-ok': { request: { kind: 'program', url: 'https://a.example/t.crb', fileName: 't.crb' }, dialect: 'os80' },
    'mqttconfig-ok': { request: { kind: 'mqttConfig', url: 'https://a.example/mqttCfg.bin' }, dialect: 'os80' },
    reboot: { request: { kind: 'reboot' }, dialect: 'os80' },
    'list-bad-drive': { request: { kind: 'listFiles', drive: 'USR' }, dialect: 'os80' },
    'delete-ok': { request: { kind: 'deleteFile', fileName: 't.crb' }, dialect: 'os80' },
    'setting-set-apply': { request: { kind: 'writeSetting', name: 'PakBusAddress', value: '3', apply: true }, dialect: 'os80' },
    'editconst-none': { request: { kind: 'editConstants', constants: { const1: '12' } }, dialect: 'os80' },
    'getvar-missing': { request: { kind: 'readVariable', name: 'VarTwo' }, dialect: 'os80' },
    'program-tranid': {
      request: { kind: 'program', url: 'https://a.example/Data0xB6.crb', fileName: 'Data0xB6.crb' },
      dialect: 'v2',
      tranId: '0668a496-568d-4b04-8cdf-7b139eb5fc3f',
    },
    'ping-tranid': { request: { kind: 'ping', data: 'hello' }, dialect: 'v2', tranId: 'c3p0' },
  };

  it.each(Object.entries(requests))('%s', (name, { request, dialect, tranId = null }) => {
    const [topic, payload] = (vectors.vectors.find((vector) => vector.name === name)?.cc ?? ['', null]) as readonly [string, unknown];
    const address = /^cs\/v2\/cc\/(.+)\/[A-Za-z]+$/.exec(topic)?.[1] ?? '';
    const sent = encodeCommand(request, { baseTopic: 'cs/v2', address, dialect, tranId });
    if (!sent.ok) throw new Error(sent.error.text);
    expect([sent.value.topic, JSON.parse(new TextDecoder().decode(sent.value.payload))]).toEqual([topic, payload]);
  });
});
