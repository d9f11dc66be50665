import { describe, expect, it } from 'vitest';
import fixtures from './fixtures/payloads.json' with { type: 'json' };
import {
  cleanBaseTopic,
  commandPayload,
  commandTopic,
  isUid,
  LARGEST_PACKET,
  LARGEST_PAYLOAD,
  packetBytes,
  programText,
  readMessage,
  sameProgram,
  splitTopic,
  topicFilters,
} from './wire.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

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
    expect(readMessage('state', ['statusInfo'], bytes('{"state":{"reported":{"__proto__":{"OS_Version":"8.1"}}}}'))).toMatchObject({
      kind: 'unreadable',
    });
  });

  it.each([
    ['state', ['statusInfo'], '{"state":{"reported":{}}}'],
    ['state', ['statusInfo'], '{"state":{"reported":{"OS_Version":{},"Battery":[]}}}'],
    ['data', ['Hourly', 'cj'], '{"head":{"environment":{}}}'],
    ['metadata', [], '{"properties":{"observationNames":[],"observations":{}}}'],
    ['metadata', ['metadata'], '{"model":null}'],
  ] as const)('takes %s %j %s for no report', (type, rest, text) =>
    expect(readMessage(type, rest, bytes(text))).toMatchObject({ kind: 'unreadable' }),
  );

  it.each([
    ['status', [], '{"properties":{}}'],
    ['state', ['watchdogEvent'], '{"count":{}}'],
  ] as const)('takes %s %j %s for no sign of life', (type, rest, text) => expect(readMessage(type, rest, bytes(text))).toBeNull());

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

describe('the length of a packet', () => {
  it.each([
    [0, 2 + 2 + 1 + 2],
    [122, 2 + 2 + 1 + 2 + 122],
    [123, 3 + 2 + 1 + 2 + 123],
    [16_379, 4 + 2 + 1 + 2 + 16_379],
  ])('with a payload of %i bytes is %i', (length, packet) => expect(packetBytes('t', new Uint8Array(length))).toBe(packet));

  it('counts bytes of the topic, not characters', () => {
    expect(packetBytes('é', new Uint8Array()) - packetBytes('e', new Uint8Array())).toBe(1);
    expect(packetBytes('t', new Uint8Array(LARGEST_PACKET))).toBeGreaterThan(LARGEST_PACKET);
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
