import { array, assert, asyncProperty, integer } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PacketLimit, type SkippedPublish } from './mqtt-limit.ts';

function packet(first: number, body: Buffer): Buffer {
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest % 128) | (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

function publish(topic: string, size: number, packetId: number | null): Buffer {
  const name = Buffer.from(topic);
  const id = packetId === null ? [] : [packetId >> 8, packetId & 255];
  const head = Buffer.concat([Buffer.from([name.length >> 8, name.length & 255]), name, Buffer.from(id)]);
  return packet(packetId === null ? 0x30 : 0x32, Buffer.concat([head, Buffer.alloc(size, 7)]));
}

interface Outcome {
  readonly passed: Buffer;
  readonly skipped: readonly SkippedPublish[];
  readonly error: unknown;
}

async function through(chunks: readonly Buffer[], maxBytes: number): Promise<Outcome> {
  const skipped: SkippedPublish[] = [];
  const passed: Buffer[] = [];
  const limit = new PacketLimit(maxBytes, (what) => skipped.push(what));
  limit.on('data', (chunk: Buffer) => passed.push(chunk));
  const error = await new Promise((resolve) => {
    limit.once('error', resolve);
    limit.once('end', () => resolve(null));
    for (const chunk of chunks) limit.write(chunk);
    limit.end();
  });
  return { passed: Buffer.concat(passed), skipped, error };
}

describe('PacketLimit', () => {
  const connack = packet(0x20, Buffer.from([0, 0]));
  const pingresp = packet(0xd0, Buffer.alloc(0));
  const small = publish('a/b', 100, 5);
  const stream = Buffer.concat([connack, small, publish('big/1', 5000, null), pingresp, publish('big/2', 300, 770), small]);
  const kept = Buffer.concat([connack, small, pingresp, small]);

  test('passes what is short and skips what is long, however the bytes are cut', async () => {
    const sizes = array(integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 60 });
    await assert(
      asyncProperty(sizes, async (cuts) => {
        const chunks: Buffer[] = [];
        for (let at = 0, n = 0; at < stream.length; n += 1) {
          const size = cuts[n % cuts.length] ?? 1;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        const outcome = await through(chunks, 200);
        expect(outcome.passed.equals(kept)).toBe(true);
        expect(outcome.skipped).toEqual([
          { topic: 'big/1', bytes: 5007, packetId: null },
          { topic: 'big/2', bytes: 309, packetId: 770 },
        ]);
        expect(outcome.error).toBeNull();
      }),
    );
  });

  test('takes a message of exactly the limit', async () => {
    const exact = publish('t', 195, 1);
    expect((await through([exact], 200)).passed.equals(exact)).toBe(true);
  });

  test.each([
    ['a long packet that is no PUBLISH', packet(0x90, Buffer.alloc(500)), 'MQTT_PACKET_TOO_LARGE'],
    ['a length of five bytes', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]), 'MQTT_MALFORMED'],
  ])('%s is an error', async (_name, bytes, code) => {
    expect((await through([bytes], 200)).error).toMatchObject({ code });
  });
});
