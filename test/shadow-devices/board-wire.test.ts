import { UpdateThingShadowCommand } from '@aws-sdk/client-iot-data-plane';
import { describe, expect, it } from 'vitest';
import { makeMongooseDevice } from '#adapters/mongoose/sim.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { HttpAnswer } from '#ports/wires.ts';
import type { WireError } from '#ports/wire-error.ts';
import {
  answerOf,
  BOARD,
  CALLER,
  HARDWARE,
  jsonOf,
  type Fetched,
  type MongooseBench,
  type Published,
} from '#test/support/mongoose-bench.ts';
import { mongooseVectors } from '#test/support/mongoose-vectors.ts';
import { openWiredAccount, wiredClock } from '#test/support/wired-account.ts';

const UPDATE = `$aws/things/${BOARD}/shadow/update`;
/** A board has no ticks, and nothing is on the wire while a trial goes on. */
const [STEP_MS, LONG_STEP_MS] = [SECOND_MS, 10 * SECOND_MS];

/** The bench over sockets: the board on MQTT with its certificate; desired is written by the SDK over HTTPS. */
async function onWires(run: (bench: MongooseBench) => Promise<void>): Promise<void> {
  const clock = wiredClock();
  const account = await openWiredAccount({ clock });
  const { server } = account;
  const served = new Map<string, Uint8Array | HttpAnswer | WireError>();
  const fetched: Fetched[] = [];
  const { ports } = await account.device(BOARD);
  const board = makeMongooseDevice(HARDWARE, {
    ...ports,
    get: (url, headers) => {
      fetched.push({ url, headers });
      return answerOf(served.get(url.replace(/\?.*$/, '')));
    },
  });
  let news: Published[] = [];
  server.broker.onPublish((topic, payload, clientId) => {
    const text = new TextDecoder().decode(payload);
    if (clientId === BOARD && topic !== 'at/rest') news.push({ topic, text, body: jsonOf(text) });
  });
  const published = (isMeant: (frame: Published) => boolean = () => true): readonly Published[] => {
    const taken = news.filter(isMeant);
    news = news.filter((frame) => !taken.includes(frame));
    return taken;
  };
  const cloud = await account.client('cloud');
  await cloud.subscribe([`${CALLER}/rpc`], 1);
  const publish = async (topic: string, text: string): Promise<void> => {
    const payload = Buffer.from(text);
    if (topic === UPDATE) await account.sdk.data.send(new UpdateThingShadowCommand({ thingName: BOARD, payload }));
    else await cloud.publish(topic, payload, { qos: 1 });
    await account.run(0);
  };
  const tell = (text: string, below = ''): Promise<void> => publish(`${BOARD}/rpc${below}`, text);
  let calls = 100;
  await clock.run(board.powerOn());
  await account.run(0);
  await run({
    aws: server,
    clock,
    board,
    cloud,
    advance: (ms) => account.run(ms, ms > MINUTE_MS ? LONG_STEP_MS : STEP_MS),
    fetched,
    serve: (url, answer) => void served.set(url, answer),
    published: () => published(),
    reported: () => [],
    publish,
    tell,
    call: async (method, params = {}, waitMs = 0) => {
      calls += 1;
      await tell(JSON.stringify({ id: calls, src: CALLER, method, params }));
      await account.run(waitMs, STEP_MS);
      return published(({ topic }) => topic === `${CALLER}/rpc`);
    },
    want: (url) => publish(UPDATE, JSON.stringify({ state: { desired: { ota: { url } } } })),
  });
  await clock.run(board.powerOff());
  await account.close();
}

describe('a Mongoose OS board over TLS with its certificate, and the SDK over HTTPS', () => {
  it.each(mongooseVectors(onWires))('$file $name', async ({ check }) => {
    await expect(check()).resolves.toBe(undefined);
  });
});
