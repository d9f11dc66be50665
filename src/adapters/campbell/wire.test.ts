import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import fixtures from './fixtures/payloads.json' with { type: 'json' };
import {
  cleanBaseTopic,
  commandPayload,
  commandTopic,
  csiSignature,
  isUid,
  LARGEST_PAYLOAD,
  programText,
  readMessage,
  sameProgram,
  splitTopic,
  topicFilters,
} from './wire.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const PROG = ['Public PTemp', 'BeginProg', '  Scan (1,Sec,0,0)', '    PanelTemp (PTemp,15000)', '  NextScan', 'EndProg'];

/** docs/protocols/campbell-mqtt.md §8.4. */
const SIGNATURES: readonly {
  readonly name: string;
  readonly content: Uint8Array;
  readonly signature: number;
  readonly crc: string | null;
}[] = [
  { name: 'nothing', content: bytes(''), signature: 43_690, crc: '00000000' },
  { name: '00', content: Uint8Array.from([0]), signature: 43_775, crc: null },
  { name: 'A', content: bytes('A'), signature: 43_584, crc: null },
  { name: '123456789', content: bytes('123456789'), signature: 57_537, crc: 'cbf43926' },
  { name: 'Campbell', content: bytes('Campbell'), signature: 31_799, crc: 'f0369ee6' },
  { name: 'a packet with its nullifier', content: Buffer.from('A8021001180200019D050D0000006C8E14', 'hex'), signature: 0, crc: null },
  { name: 'a program with CRLF', content: bytes(PROG.map((line) => `${line}\r\n`).join('')), signature: 19_855, crc: 'ae87d449' },
  { name: 'the program with LF', content: bytes(PROG.map((line) => `${line}\n`).join('')), signature: 1856, crc: '472aa416' },
];

describe('csiSignature', () => {
  it.each(SIGNATURES)('of $name', ({ content, signature }) => expect(csiSignature(content)).toBe(signature));

  // Shows that a row holds the bytes that the table means.
  it.each(SIGNATURES.filter(({ crc }) => crc !== null))('is of the right bytes: $name', ({ content, crc }) =>
    expect(crc32(content).toString(16).padStart(8, '0')).toBe(crc),
  );
});

/** Splits a fixture's topic as the driver does: the device id has one segment or two. */
function read(topic: string, payload: Uint8Array): unknown {
  const split = splitTopic('cs/v2', topic);
  if (split === null) throw new Error(`no topic of ours: ${topic}`);
  return readMessage(split.type, split.path.slice(isUid(split.path[0] ?? '') ? 1 : 2), payload);
}

describe('readMessage', () => {
  it.each(fixtures.payloads)('$name ($source)', ({ topic, payload, read: expected }) => {
    expect(read(topic, bytes(JSON.stringify(payload)))).toEqual(expected);
    expect(read(topic, bytes(JSON.stringify(payload, null, 2)))).toEqual(expected);
  });

  it.each([0, -1, 8.2, 1e21, true])('takes %j for no name and no version', (value) => {
    const reported = { clientId: 'CR1000X_70681', OS_Version: value, Program_Name: value, Battery: value };
    const message = readMessage('state', ['statusInfo'], new TextEncoder().encode(JSON.stringify({ state: { reported } })));
    expect(message).toMatchObject({ kind: 'report', osVersion: null, progName: null });
  });

  it.each(fixtures.payloads)('never reads another version from a cut "$name"', ({ topic, payload }) => {
    const whole = bytes(JSON.stringify(payload));
    for (let end = 0; end < whole.length; end += 1) {
      const said = read(topic, whole.subarray(0, end));
      expect(said === null || (said as { readonly kind: string }).kind === 'unreadable').toBe(true);
    }
  });

  it.each([
    ['state', '[]'],
    ['state', '{"state":{}}'],
    ['state', 'null'],
    ['state', '\u0000'],
    ['data', '"x"'],
    ['metadata', '17'],
  ] as const)('says that %s %j is unreadable', (type, text) =>
    expect(readMessage(type, [], bytes(text))).toMatchObject({ kind: 'unreadable' }),
  );

  it('is not misled by inherited names', () => {
    expect(readMessage('cr', ['OS'], bytes('{"__proto__":{"error":"x"}}'))).toBeNull();
    expect(readMessage('state', ['statusInfo'], bytes('{"state":{"reported":{}}}'))).toMatchObject({ osVersion: null, progName: null });
  });

  it('takes numbers as they come, and cuts what is too long', () => {
    const info = { state: { reported: { OS_Version: '8.1', Compile_Errors: 2, Battery: 12.4, Program_Name: 'x'.repeat(500) } } };
    const said = readMessage('state', ['statusInfo'], bytes(JSON.stringify(info)));
    expect(said).toMatchObject({ osVersion: '8.1', compileErrors: 2, measures: { battery: '12.4' }, progName: 'x'.repeat(200) });
  });

  it('does not look at what no logger can have sent', () => {
    expect(readMessage('state', [], bytes(`{"state":"online","pad":"${'x'.repeat(LARGEST_PAYLOAD)}"}`))).toBeNull();
  });
});

describe('topics', () => {
  it.each([
    ['cs/v2/state/QU8Q-9JTY-HVP8', { type: 'state', path: ['QU8Q-9JTY-HVP8'] }],
    ['cs/v2/state/QU8Q-9JTY-HVP8/', { type: 'state', path: ['QU8Q-9JTY-HVP8'] }],
    ['cs/v2/state/cr6/ABCDEF/statusInfo', { type: 'state', path: ['cr6', 'ABCDEF', 'statusInfo'] }],
    ['cs/v2/cr/cr6/ABCDEF/fileControl/list', { type: 'cr', path: ['cr6', 'ABCDEF', 'fileControl', 'list'] }],
    ['cs/v2/cc/cr6/ABCDEF/OS', null],
    ['cs/v2/pr/cr6/ABCDEF/x', null],
    ['cs/v2/state', null],
    ['cs/v2/state/', null],
    ['cs/v22/state/x', null],
    ['CS/v2/state/x', null],
  ])('%s', (topic, expected) => expect(splitTopic('cs/v2', topic)).toEqual(expected));

  it('are filtered per device or by wildcard', () => {
    expect(topicFilters('cs/v2', ['cr6/13342'])).toEqual([
      'cs/v2/state/cr6/13342/#',
      'cs/v2/cr/cr6/13342/#',
      'cs/v2/data/cr6/13342/#',
      'cs/v2/metadata/cr6/13342/#',
      'cs/v2/status/cr6/13342/#',
    ]);
    expect(topicFilters('a', 'all')).toEqual(['a/state/#', 'a/cr/#', 'a/data/#', 'a/metadata/#', 'a/status/#']);
  });

  it('of commands have no slash at the end, and the payload the key that works', () => {
    expect(commandTopic(cleanBaseTopic('cs/v1/'), 'QU8Q-9JTY-HVP8', 'OS')).toBe('cs/v1/cc/QU8Q-9JTY-HVP8/OS');
    expect(Buffer.from(commandPayload({ url: 'https://a.example/t.crb', fileName: 't.crb' })).toString()).toBe(
      '{"url":"https://a.example/t.crb","fileName":"t.crb"}',
    );
    expect(Buffer.from(commandPayload({ url: 'https://a.example/x.obj', fileName: null })).toString()).toBe(
      '{"url":"https://a.example/x.obj"}',
    );
  });
});

describe('program names', () => {
  it.each([
    ['CPU:AWS.CR1X', 'CPU:AWS.CR1X'],
    ['cpu:main.crb', 'CPU:main.crb'],
    ['', 'none'],
    ['AWS.CR1X', 'AWS.CR1X'],
    ['CPU:', null],
    ['C:\\x', null],
    [`CPU:${'x'.repeat(100)}`, null],
  ])('%j is written %j', (text, canonical) => expect(programText(text)).toBe(canonical));

  it.each([
    ['cpu:main.crb', 'CPU:main.crb', true],
    ['CPU:Main.crb', 'CPU:main.crb', false],
    ['USR:main.crb', 'CPU:main.crb', false],
    ['main.crb', 'CPU:main.crb', true],
    ['none', 'CPU:none', false],
    ['CPU:main.crb (does not compile)', 'CPU:main.crb', false],
  ])('%s and %s', (a, b, same) => expect([sameProgram(a, b), sameProgram(b, a)]).toEqual([same, same]));
});
