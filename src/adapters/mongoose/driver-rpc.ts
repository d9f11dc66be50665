import { randomInt } from 'node:crypto';
import { unlessAborted } from '#kit/aborted.ts';
import { SECOND_MS } from '#kit/duration.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { Clock } from '#ports/clock.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import { WireError } from '#ports/wire-error.ts';
import type { RpcCall, RpcCaller, RpcReply } from './rpc-call.ts';
import { authFor, challengeOf, DEVICE_FRAME_BYTES, readReply, replyTopic, requestText, requestTopic } from './rpc.ts';
import type { DigestAccount, RpcAuth, RpcOutcome } from './rpc.ts';

export interface MqttCallerParts {
  readonly bus: MessageBus;
  readonly clock: Clock;
  /** The caller's name: answers come to `<src>/rpc`. */
  readonly src: string;
  /** What is shown to a board that asks who calls; null where nothing is known. */
  readonly account: DigestAccount | null;
}

/** Ids of this process begin anywhere: an answer to what another process asked is none to us. */
let lastId = randomInt(1, 2 ** 30);

/** Reply topics that a bus listens to: one subscription for each, kept as long as the connection. */
const listening = new WeakMap<MessageBus, Map<string, Promise<void>>>();

/**
 * Calls boards over MQTT (docs/protocols/shadow-devices.md §4.1, §4.2). A broker may hand a board each request twice: the
 * first answer with the id counts, later ones are let go. A challenge is answered once.
 */
export function makeMqttCaller(parts: MqttCallerParts): RpcCaller {
  return {
    async call(call) {
      const first = await ask(parts, call, null);
      if (first === 'silent') return 'silent';
      const challenge = parts.account === null ? null : challengeOf(first);
      if (challenge === null || parts.account === null) return replyOf(first);
      const second = await ask(parts, call, authFor(challenge, parts.account, randomInt(1, 2 ** 31 - 1)));
      return second === 'silent' ? 'silent' : replyOf(second);
    },
  };
}

function replyOf(outcome: RpcOutcome): RpcReply {
  if (outcome.kind === 'result') return { kind: 'result', result: outcome.value };
  // A text that says how well it went stands where an error would (§4.2).
  if (outcome.kind === 'done') return { kind: 'result', result: outcome.message };
  return { kind: 'error', code: outcome.code, message: outcome.message };
}

async function ask(parts: MqttCallerParts, call: RpcCall, auth: RpcAuth | null): Promise<RpcOutcome | 'silent'> {
  const { bus, clock, src } = parts;
  const { board, method, params, timeoutMs, signal } = call;
  lastId += 1;
  const id = lastId;
  const frame = requestText({ id, src, method, ...(isJsonObject(params) ? { params } : {}), ...(auth === null ? {} : { auth }) });
  const payload = new TextEncoder().encode(frame);
  if (payload.length > DEVICE_FRAME_BYTES)
    throw new WireError('FRAME_TOO_LONG', 'never', `a call of ${method} has ${payload.length} bytes: a board reads ${DEVICE_FRAME_BYTES}`);
  await unlessAborted(listenTo(bus, replyTopic(src)), signal);
  const answered = Promise.withResolvers<RpcOutcome>();
  const stop = bus.listen((message) => {
    if (message.topic !== replyTopic(src)) return;
    const reply = readReply(message.payload);
    if (reply?.id === id && (reply.src === null || reply.src === board)) answered.resolve(reply.outcome);
  });
  const over = new AbortController();
  const silence = clock.sleep(timeoutMs, AbortSignal.any([signal, over.signal])).then(
    (): 'silent' => 'silent',
    (): 'silent' => 'silent',
  );
  try {
    const expiry = bus.expires ? { expirySeconds: Math.ceil(timeoutMs / SECOND_MS) } : {};
    await unlessAborted(bus.publish(requestTopic(board), payload, { qos: 1, ...expiry }), signal);
    const outcome = await Promise.race([answered.promise, silence]);
    if (outcome === 'silent') signal.throwIfAborted();
    return outcome;
  } finally {
    stop();
    over.abort();
    await silence;
  }
}

/** A subscription that failed is tried again by the next call. */
function listenTo(bus: MessageBus, topic: string): Promise<void> {
  const topics = listening.get(bus) ?? new Map<string, Promise<void>>();
  listening.set(bus, topics);
  const standing = topics.get(topic);
  if (standing !== undefined) return standing;
  const begun = bus.subscribe([topic], 1);
  topics.set(topic, begun);
  begun.catch(() => topics.delete(topic));
  return begun;
}
