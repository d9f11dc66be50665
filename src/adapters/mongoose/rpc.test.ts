import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, type Json } from '#kit/canonical.ts';
import type { JsonObject } from '#model/shadow.ts';
import frames from './fixtures/rpc.json' with { type: 'json' };
import {
  authFor,
  challengeOf,
  challengeText,
  DEVICE_FRAME_BYTES,
  digestResponse,
  readReply,
  readRequest,
  replyText,
  requestText,
  type RpcCall,
  type RpcOutcome,
  type RpcReply,
} from './rpc.ts';

const PAGE = readFileSync('docs/protocols/shadow-devices.md', 'utf8');
const ACCOUNT = { username: 'fleet', password: 's3cret' };
const CHALLENGE = { realm: 'RPC', nonce: 1_795_248_000 };

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

describe('frames of the transcripts (§4.5)', () => {
  it.each(frames)('$request', ({ request, reply, outcome }) => {
    expect(PAGE).toContain(request);
    const read = readRequest(bytes(request));
    expect(read).not.toBe(null);
    expect(requestText(JSON.parse(request) as RpcCall)).toBe(request);
    if (reply === undefined) return;
    expect(PAGE).toContain(reply);
    const answer = readReply(bytes(reply));
    expect(answer?.outcome).toEqual(outcome);
    expect(answer?.id).toBe(read?.id);
    // The device's own writer leaves blanks in the result of a boot state; the members and their order are the same.
    if (answer !== null) expect(replyText(answer)).toBe(JSON.stringify(JSON.parse(reply)));
  });
});

describe('a request as the device reads it', () => {
  it.each<[string, unknown]>([
    ['7', 7],
    ['"7"', 7],
    ['"r-7"', 'r-7'],
    ['10.5', '10.5'],
    ['"10.5"', '10.5'],
    ['-1', '-1'],
  ])('has the id %s as %j', (id, expected) => {
    expect(readRequest(bytes(`{"id":${id},"src":"x","method":"RPC.Ping"}`))?.id).toBe(expected);
  });

  it.each<[string, string]>([
    ['an id that is null', '{"id":null,"src":"x","method":"A"}'],
    ['an id that is an object', '{"id":{},"src":"x","method":"A"}'],
    ['no JSON', '{"id":1,'],
    ['a list', '[1]'],
    ['nothing', ''],
    ['what is longer than a frame', `{"id":1,"method":"A","params":{"x":"${'x'.repeat(DEVICE_FRAME_BYTES)}"}}`],
    ['what is nested without end', `{"id":1,"method":"A","params":${'{"a":'.repeat(60)}1${'}'.repeat(60)}}`],
    ['a reply', '{"id":1,"src":"x","result":null}'],
  ])('is not %s', (_what, text) => {
    expect(readRequest(bytes(text))).toBe(null);
  });

  it('takes `args` for params, and what is no object for none', () => {
    expect(readRequest(bytes('{"id":1,"src":"x","method":"A","args":{"b":1}}'))?.params).toEqual({ b: 1 });
    expect(readRequest(bytes('{"id":1,"src":"x","method":"A","params":[1]}'))?.params).toEqual({});
    expect(readRequest(bytes('{"jsonrpc":"2.0","v":1,"id":1,"src":"x"}'))).toMatchObject({ id: 1, method: null });
  });

  it('refuses broken UTF-8', () => {
    expect(readRequest(Uint8Array.from([...bytes('{"id":1,"method":"'), 0xff, ...bytes('"}')]))).toBe(null);
  });
});

describe('a reply as a caller reads it', () => {
  it.each<[string, RpcOutcome | undefined]>([
    ['{"id":1,"result":null}', { kind: 'result', value: null }],
    ['{"id":1,"result":true}', { kind: 'result', value: true }],
    ['{"id":1,"error":null,"result":{"a":1}}', { kind: 'result', value: { a: 1 } }],
    ['{"id":1,"error":{"code":0}}', { kind: 'done', message: null }],
    ['{"id":1,"error":{"code":-1,"message":"Failed to init updater"}}', { kind: 'error', code: -1, message: 'Failed to init updater' }],
    ['{"id":1,"error":{"code":-1,"message":7}}', { kind: 'error', code: -1, message: null }],
    ['{"id":1,"error":{"code":"x"}}', undefined],
    ['{"id":1,"error":{"code":1.5}}', undefined],
    ['{"id":1,"error":"broken"}', undefined],
    ['{"id":1}', undefined],
    ['{"result":1}', undefined],
    ['{"id":1,"method":"RPC.Ping"}', undefined],
    ['nonsense', undefined],
  ])('%s', (text, outcome) => {
    expect(readReply(bytes(text))?.outcome).toEqual(outcome);
  });

  it('keeps a text of an error short', () => {
    const outcome = readReply(bytes(`{"id":1,"error":{"code":-1,"message":"${'x'.repeat(5000)}"}}`))?.outcome;
    expect(outcome?.kind === 'error' && outcome.message?.length).toBe(512);
  });
});

describe('digest authentication (§4.2)', () => {
  it('answers the vector of the page', () => {
    const response = digestResponse({ ...CHALLENGE, algorithm: 'MD5' }, ACCOUNT, 424_242);
    expect(response).toBe('6d1405e1f25283773c6f65d3ac7fcf71');
    expect(PAGE).toContain(response);
  });

  it('is the same sum over SHA-256, named as such', () => {
    const auth = authFor({ ...CHALLENGE, algorithm: 'SHA-256' }, ACCOUNT, 424_242);
    expect(auth.algorithm).toBe('SHA-256');
    expect(auth.response).toMatch(/^[0-9a-f]{64}$/);
    expect(authFor({ ...CHALLENGE, algorithm: 'MD5' }, ACCOUNT, 1)).not.toHaveProperty('algorithm');
  });

  it.each(['MD5', 'SHA-256'] as const)('reads its own challenge with %s', (algorithm) => {
    const challenge = { ...CHALLENGE, algorithm };
    expect(challengeOf({ kind: 'error', code: 401, message: challengeText(challenge) })).toEqual(challenge);
  });

  it.each<[string, number, Json]>([
    ['another code', 403, { auth_type: 'digest', nonce: 1, realm: 'RPC', algorithm: 'MD5' }],
    ['another kind', 401, { auth_type: 'basic', nonce: 1, realm: 'RPC', algorithm: 'MD5' }],
    ['another sum', 401, { auth_type: 'digest', nonce: 1, realm: 'RPC', algorithm: 'SHA-512' }],
    ['no realm', 401, { auth_type: 'digest', nonce: 1 }],
    ['a nonce that is a text', 401, { auth_type: 'digest', nonce: '1', realm: 'RPC' }],
  ])('takes no challenge from %s', (_what, code, told) => {
    expect(challengeOf({ kind: 'error', code, message: JSON.stringify(told as JsonObject) })).toBe(null);
  });

  it('takes none from a text that is no JSON', () => {
    expect(challengeOf({ kind: 'error', code: 401, message: 'unauthorized' })).toBe(null);
    expect(challengeOf({ kind: 'result', value: null })).toBe(null);
  });
});

describe('any frame', () => {
  const name = fc.string({ minLength: 1, maxLength: 20 });
  const id = fc.oneof(
    fc.nat(),
    name.filter((text) => !/^\d+$/.test(text)),
  );

  it('is read as it was written', () => {
    const call = fc.record({
      id,
      src: name,
      dst: name,
      tag: name,
      method: name,
      params: fc.dictionary(name, fc.jsonValue({ maxDepth: 3 })),
    });
    fc.assert(
      fc.property(call, (made) => {
        const read = readRequest(bytes(requestText(made)), 64 * 1024);
        expect(canonicalJson({ ...read, auth: undefined })).toBe(canonicalJson(made));
      }),
    );
  });

  it('answers as it was answered', () => {
    const result = fc.record({ kind: fc.constant('result' as const), value: fc.jsonValue({ maxDepth: 3 }) });
    const error = fc.record({ kind: fc.constant('error' as const), code: fc.integer({ max: -1 }), message: fc.option(name) });
    const done = fc.record({ kind: fc.constant('done' as const), message: fc.option(name) });
    const reply = fc.record({ id, src: name, dst: name, tag: fc.option(name), outcome: fc.oneof(result, error, done) });
    fc.assert(
      fc.property(reply, (made) => {
        expect(canonicalJson(readReply(bytes(replyText(made as RpcReply))))).toBe(canonicalJson(made));
      }),
    );
  });

  it('of noise is none, and nothing is thrown', () => {
    const noise = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string({ maxLength: 200 }).map(bytes), fc.json().map(bytes));
    fc.assert(
      fc.property(noise, (some) => {
        const [request, reply] = [readRequest(some), readReply(some)];
        expect(request === null || reply === null).toBe(true);
      }),
    );
  });
});
