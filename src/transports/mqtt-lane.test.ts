import { PassThrough } from 'node:stream';
import { array, assert, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MessageLane } from './mqtt-lane.ts';

function packet(first: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest % 128) | (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

interface Came {
  readonly taken: [string, string, boolean][];
  readonly passed: Buffer;
  readonly written: Buffer;
}

function through(version: 4 | 5, chunks: readonly Buffer[], maxBytes = 1000): Came {
  const taken: Came['taken'] = [];
  const passed: Buffer[] = [];
  const out = new PassThrough();
  const lane = new MessageLane(version, (topic, payload, retained) =>
    taken.push([topic, Buffer.from(payload).toString('latin1'), retained]),
  );
  lane.attach(out, maxBytes);
  for (const chunk of chunks) lane.take(chunk, (part) => passed.push(Buffer.from(part)));
  out.uncork();
  return { taken, passed: Buffer.concat(passed), written: (out.read() as Buffer | null) ?? Buffer.alloc(0) };
}

const id = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const connack = packet(0x20, Buffer.from([0, 0]));
const pingresp = packet(0xd0);
const exactlyTwice = packet(0x34, text('q/2'), id(9), Buffer.from('no'));
const long = packet(0x32, text('long'), id(770), Buffer.alloc(1200, 'x'));

describe('the short way for messages', () => {
  const stream = Buffer.concat([
    connack,
    packet(0x30, text('a/b'), Buffer.from('none')),
    pingresp,
    packet(0x33, text('ü'), id(0x1234), Buffer.from('x'.repeat(300))),
    exactlyTwice,
    long,
    packet(0x32, text('e'), id(7)),
  ]);

  test('takes messages and acknowledges them, and leaves all else to the client, however the bytes are cut', () => {
    const sizes = array(integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 40 });
    assert(
      property(sizes, (cuts) => {
        const chunks: Buffer[] = [];
        for (let at = 0, n = 0; at < stream.length; n += 1) {
          const size = cuts[n % cuts.length] ?? 1;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        const came = through(4, chunks);
        expect(came.taken).toEqual([
          ['a/b', 'none', false],
          ['ü', 'x'.repeat(300), true],
          ['e', '', false],
        ]);
        expect(came.passed.equals(Buffer.concat([connack, pingresp, exactlyTwice, long]))).toBe(true);
        expect(came.written.toString('hex')).toBe('4002123440020007');
      }),
    );
  });

  test('passes over the properties of MQTT 5', () => {
    const expiry = Buffer.from([5, 2, 0, 0, 0, 10]);
    const many = Buffer.concat([Buffer.from([0x85, 0x01]), Buffer.alloc(133, 0)]);
    const came = through(5, [
      packet(0x30, text('t'), expiry, Buffer.from('one')),
      packet(0x32, text('t'), id(1), many, Buffer.from('two')),
    ]);
    expect(came.taken).toEqual([
      ['t', 'one', false],
      ['t', 'two', false],
    ]);
  });

  test.each([
    ['an alias in the place of a topic', packet(0x30, text(''), Buffer.from([3, 35, 0, 1]), Buffer.from('x'))],
    ['properties that are longer than the packet', packet(0x30, text('t'), Buffer.from([50]))],
    ['a topic that is longer than the packet', packet(0x30, Buffer.from([0, 200, 1]))],
    ['a length of five bytes', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])],
  ])('leaves %s to the client', (_name, bytes) => {
    const came = through(5, [bytes]);
    expect(came.taken).toEqual([]);
    expect(came.passed.equals(bytes)).toBe(true);
  });

  test.each([
    [4, false, null, `30 1d 0003 612f62 ${'61'.repeat(3)} ${'62'.repeat(21)}`],
    [5, true, null, `31 1e 0003 612f62 00 ${'61'.repeat(3)} ${'62'.repeat(21)}`],
    [5, false, 9.5, `30 23 0003 612f62 05 020000000a ${'61'.repeat(3)} ${'62'.repeat(21)}`],
  ] as const)('writes messages of version %i, retained %s, expiry %s', (version, retain, expirySeconds, expected) => {
    const out = new PassThrough();
    const lane = new MessageLane(version, () => undefined);
    const message = { topic: 'a/b', payload: Buffer.from('aaa'), tail: Buffer.alloc(21, 'b'), retain, expirySeconds };
    expect(lane.send(message)).toBe(false);
    lane.attach(out, 1000);
    expect(lane.send(message)).toBe(true);
    out.uncork();
    expect((out.read() as Buffer).toString('hex')).toBe(expected.replaceAll(' ', ''));
    out.destroy();
    expect(lane.send(message)).toBe(false);
  });

  test('writes a long tail as it lies', () => {
    const out = new PassThrough();
    const lane = new MessageLane(4, () => undefined);
    lane.attach(out, 1000);
    const tail = Buffer.alloc(20_000, 'x');
    lane.send({ topic: 't', payload: Buffer.from('head'), tail, retain: false, expirySeconds: null });
    out.uncork();
    expect((out.read() as Buffer).equals(packet(0x30, text('t'), Buffer.from('head'), tail))).toBe(true);
  });
});
