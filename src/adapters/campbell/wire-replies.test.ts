import { describe, expect, it } from 'vitest';
import type { BusMessage } from '#ports/message-bus.ts';
import type { CommandRequest } from './wire-commands.ts';
import { hearOf, readReply, type LoggerReply, type SentCommand } from './wire-replies.ts';
import { LARGEST_PACKET, LARGEST_PAYLOAD } from './wire.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const json = (value: unknown): Uint8Array => bytes(JSON.stringify(value));

/** docs/protocols/campbell-mqtt.md §1.2, §4, §5: topic below `cr/<id>`, payload, what is read. */
const REPLIES: readonly (readonly [string, unknown, string | null, string | null, LoggerReply])[] = [
  ['program', { success: 'Program loaded successfully' }, 'program', null, { kind: 'success', text: 'Program loaded successfully' }],
  ['program/0668a496', { success: 'x' }, 'program', '0668a496', { kind: 'success', text: 'x' }],
  ['c3p0', { data: 'hello' }, null, 'c3p0', { kind: 'echo', data: 'hello' }],
  ['ping/c3p0', { data: 'hello' }, 'ping', 'c3p0', { kind: 'echo', data: 'hello' }],
  ['ping', { error: 'Ping expected data' }, 'ping', null, { kind: 'error', text: 'Ping expected data' }],
  [
    'fileControl',
    { drive: 'CPU:', clientID: 'CR1000X_70681', fileList: ['a.CR1X', 'OS.obj'] },
    'fileControl',
    null,
    { kind: 'files', drive: 'CPU', names: ['a.CR1X', 'OS.obj'], complete: true },
  ],
  [
    'fileControl/list',
    { drive: 'CPU', clientID: 'CR6_966', fileList: ['simple.CR6', 3] },
    'fileControl',
    null,
    { kind: 'files', drive: 'CPU', names: ['simple.CR6'], complete: true },
  ],
  ['fileControl/list/t1', { drive: 'CPU', fileList: [] }, 'fileControl', 't1', { kind: 'files', drive: 'CPU', names: [], complete: true }],
  ['fileControl/t1', { checksum: 'A2A186D5' }, 'fileControl', 't1', { kind: 'checksum', checksum: 'a2a186d5' }],
  ['setting', { setting: 'PakBusAddress', value: '      3' }, 'setting', null, { kind: 'setting', name: 'PakBusAddress', value: '3' }],
  ['setting', { setting: 'PakBusAddress', value: 3 }, 'setting', null, { kind: 'setting', name: 'PakBusAddress', value: '3' }],
  ['getVar', { name: 'VarOne', value: '1.2' }, 'getVar', null, { kind: 'variable', name: 'VarOne', value: '1.2' }],
  [
    'constTable',
    { constTable: { name: 'T', model: 'CR1000X' }, constants: { A: '1', B: 2, C: {} } },
    'constTable',
    null,
    { kind: 'constants', values: { A: '1', B: '2' } },
  ],
  [
    'public',
    { properties: { observationNames: ['PTemp', 'Batt'], observations: { '2025-07-23T16:04:17.084Z': [21.5, '12.9'] } } },
    'public',
    null,
    { kind: 'observations', values: { PTemp: '21.5', Batt: '12.9' } },
  ],
  ['historicData/T/cj', { data: [] }, 'historicData', null, { kind: 'records', table: 'T', format: 'csijson', body: { data: [] } }],
  [
    'historicData/T',
    { type: 'Feature' },
    'historicData',
    null,
    { kind: 'records', table: 'T', format: 'geojson', body: { type: 'Feature' } },
  ],
  [
    'historicData',
    { error: 'Historic Data: Table does not exist!' },
    'historicData',
    null,
    { kind: 'error', text: 'Historic Data: Table does not exist!' },
  ],
  ['historicData/t1', { error: 'no' }, 'historicData', 't1', { kind: 'error', text: 'no' }],
];

describe('replies', () => {
  it.each(REPLIES)('%s %j', (topic, payload, command, tranId, reply) => {
    expect(readReply(topic.split('/'), json(payload))).toEqual({ command, tranId, reply });
    expect(readReply(topic.split('/'), bytes(JSON.stringify(payload, null, 2)))).toEqual({ command, tranId, reply });
  });

  it.each(['', '{', '[]', '17', 'null', '{}', '{"success":{}}', '{"checksum":"zz"}', '{"value":"3"}', '{"__proto__":{"error":"x"}}'])(
    'are not read out of %j',
    (text) => expect(readReply(['setting'], bytes(text))).toBeNull(),
  );

  it('are not read out of bytes that are no text, nor of more than a logger sends', () => {
    expect(readReply(['setting'], Uint8Array.from([0x7b, 0xff, 0x7d]))).toBeNull();
    expect(readReply(['setting'], json({ success: 'x'.repeat(LARGEST_PAYLOAD) }))).toBeNull();
    expect(readReply([], json({ success: 'x' }))).toBeNull();
  });
});

describe('a list of files that was cut', () => {
  const names = Array.from({ length: 300 }, (_, index) => `station, "${String(index).padStart(3, '0')}"]}.CR1X`);
  const whole = JSON.stringify({ drive: 'CPU:', clientID: 'CR1000X_70681', fileList: names });

  it('gives the names that are whole, wherever it was cut', () => {
    for (let end = 0; end < 2000; end += 1) {
      const read = readReply(['fileControl'], bytes(whole.slice(0, end)));
      if (read === null) continue;
      if (read.reply.kind !== 'files') throw new Error(read.reply.kind);
      expect(read.reply.names).toEqual(names.slice(0, read.reply.names.length));
      expect(read.reply.complete).toBe(false);
    }
    const read = readReply(['fileControl'], bytes(whole.slice(0, LARGEST_PACKET)));
    expect(read?.reply).toMatchObject({ kind: 'files', drive: 'CPU', complete: false });
    expect(read?.reply.kind === 'files' && read.reply.names.length).toBeGreaterThan(100);
  });

  it('is not taken for complete although its JSON is', () => {
    const listOf = (count: number): string => JSON.stringify({ drive: 'CPU:', clientID: 'CR1000X_70681', fileList: names.slice(0, count) });
    const most = names.findLastIndex((_, index) => listOf(index).length <= LARGEST_PACKET);
    const text = listOf(most);
    expect(text.length).toBeGreaterThan(LARGEST_PACKET - 62);
    expect(readReply(['fileControl'], bytes(text))?.reply).toMatchObject({ complete: false });
  });
});

const SENT: SentCommand = {
  request: { kind: 'readSetting', name: 'PakBusAddress' },
  command: 'setting',
  tranId: null,
  baseTopic: 'cs/v2',
  address: 'cr6/ABCDEF',
  sentAt: 1000,
};

function message(topic: string, payload: unknown, change: Partial<BusMessage> = {}): BusMessage {
  return { topic: `cs/v2/${topic}`, payload: json(payload), retained: false, fresh: true, receivedAt: 2000, ...change };
}

function sent(request: CommandRequest, change: Partial<SentCommand> = {}): SentCommand {
  return { ...SENT, request, ...change };
}

describe('what is heard of a command', () => {
  const answer = { setting: 'PakBusAddress', value: '      3' };
  const heard = { kind: 'reply', reply: { kind: 'setting', name: 'PakBusAddress', value: '3' } };

  it('is its answer', () => expect(hearOf(SENT, message('cr/cr6/ABCDEF/setting', answer))).toEqual(heard));

  it.each([
    ['retained', message('cr/cr6/ABCDEF/setting', answer, { retained: true })],
    ['of unknown age', message('cr/cr6/ABCDEF/setting', answer, { fresh: false })],
    ['older than the command', message('cr/cr6/ABCDEF/setting', answer, { receivedAt: 999 })],
    ['of another logger', message('cr/cr6/ABCDEG/setting', answer)],
    ['of a logger with one segment', message('cr/cr6/setting', answer)],
    ['to another command', message('cr/cr6/ABCDEF/getVar', answer)],
    ['to another question', message('cr/cr6/ABCDEF/setting', { setting: 'StationName', value: '3' })],
    ['of another kind', message('cr/cr6/ABCDEF/setting', { fileList: [] })],
    ['with a tranID, as we sent none', message('cr/cr6/ABCDEF/setting/t1', answer)],
    ['with a tranID alone', message('cr/cr6/ABCDEF/t1', answer)],
    ['data', message('data/cr6/ABCDEF/setting', answer)],
    ['a status', message('state/cr6/ABCDEF/statusInfo', { state: 'online' })],
  ])('is not what is %s', (_name, one) => expect(hearOf(SENT, one)).toBeNull());

  it('is told by the tranID in both places, by the one command in flight where there is none', () => {
    const ping = sent({ kind: 'ping', data: 'x' }, { command: 'ping', tranId: 't1' });
    const echo = { kind: 'reply', reply: { kind: 'echo', data: 'x' } };
    expect(hearOf(ping, message('cr/cr6/ABCDEF/ping/t1', { data: 'x' }))).toEqual(echo);
    expect(hearOf(ping, message('cr/cr6/ABCDEF/t1', { data: 'x' }))).toEqual(echo);
    expect(hearOf(ping, message('cr/cr6/ABCDEF/ping', { data: 'x' }))).toEqual(echo);
    expect(hearOf(ping, message('cr/cr6/ABCDEF/ping', { data: 'y' }))).toBeNull();
    expect(hearOf(ping, message('cr/cr6/ABCDEF/ping/t2', { data: 'x' }))).toBeNull();
    expect(hearOf(ping, message('cr/cr6/ABCDEF/t2', { data: 'x' }))).toBeNull();
  });

  it('is how far the logger is', () => {
    const os = sent({ kind: 'os', url: 'u', version: null, minVersion: null }, { command: 'OS' });
    const state = (body: object): unknown => hearOf(os, message('state/cr6/ABCDEF/', { clientId: 'CR6_966', ...body }));
    expect(state({ state: 'online', fileTransfer: 'OS file download' })).toEqual({ kind: 'progress', text: 'OS file download' });
    expect(state({ state: 'offline', reason: 'OS update' })).toEqual({ kind: 'transition', reason: 'OS update' });
    expect(state({ state: 'online' })).toEqual({ kind: 'online' });
  });

  it.each([
    [{ kind: 'deleteFile', fileName: 'x' }, { state: 'online', fileTransfer: 'File Has Been Deleted' }, 'success'],
    [{ kind: 'deleteFile', fileName: 'x' }, { state: 'online', fileTransfer: 'File Does Not Exist' }, 'error'],
    [{ kind: 'runProgram', fileName: 'x' }, { state: 'online', fileTransfer: 'File Does Not Exist' }, 'error'],
    [{ kind: 'program', url: 'u', fileName: 'x' }, { state: 'online', fileTransfer: 'CRBasic file transfer error' }, 'error'],
    [{ kind: 'writeSetting', name: 'A', value: '1', apply: false }, { state: 'Set Setting Succeeded' }, 'success'],
    [{ kind: 'applySettings' }, { state: 'Applying Settings' }, 'success'],
  ] as const)('is the acknowledgement of a legacy logger on state: %j %j', (request, body, kind) => {
    expect(hearOf(sent(request), message('state/cr6/ABCDEF', body))).toMatchObject({ kind: 'reply', reply: { kind } });
    expect(hearOf(sent({ kind: 'listFiles', drive: 'CPU' }), message('state/cr6/ABCDEF', body))).toBeNull();
  });
});
