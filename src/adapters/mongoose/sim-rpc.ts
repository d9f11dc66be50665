import type { Json } from '#kit/canonical.ts';
import { HOUR_MS, SECOND_MS } from '#kit/duration.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import { objectIn } from '#shadows/values.ts';
import {
  challengeText,
  digestResponse,
  readRequest,
  replyText,
  replyTopic,
  requestTopic,
  type DigestAccount,
  type DigestAlgorithm,
  type RpcOutcome,
  type RpcRequest,
} from './rpc.ts';
import type { FaultSwitches } from './sim-faults.ts';

export interface SimMethod {
  /** `args_fmt` of RPC.Describe. */
  readonly args: string;
  /** Null: the board went off before it had an answer. */
  run(params: JsonObject, caller: RpcRequest): RpcOutcome | Promise<RpcOutcome | null>;
}

/** Who may call a board that asks for it. */
export interface SimAccount extends DigestAccount {
  readonly realm: string;
  readonly algorithm: DigestAlgorithm;
}

export interface SimRpcOptions {
  readonly id: string;
  readonly methods: ReadonlyMap<string, SimMethod>;
  readonly switches: FaultSwitches;
  readonly account: SimAccount;
  /** ms. */
  readonly now: () => number;
  /** In the last moments before a restart nothing is carried out (§4.2). */
  readonly restarts: () => boolean;
  publish(topic: string, text: string): Promise<void>;
  /** The reply is lost: the method was carried out. */
  readonly loses: (method: string) => boolean;
}

/** Direct methods of a hub (§4.2): the method in the topic, its params as the payload. */
const DIRECT = /^\$iothub\/methods\/POST\/([^/]+)\/\?\$rid=(.+)$/;

/** A caller of a nonce older than that is asked again. */
const NONCE_MS = HOUR_MS;

/** Calls to a board over MQTT as its library takes them (docs/protocols/shadow-devices.md §4.1, §4.2). */
export class SimRpc {
  readonly #options: SimRpcOptions;

  constructor(options: SimRpcOptions) {
    this.#options = options;
  }

  get filters(): readonly string[] {
    const topic = requestTopic(this.#options.id);
    return [topic, `${topic}/#`];
  }

  /** Whether the topic is one of its own. A broker that delivers once for each subscription hands it each call twice. */
  hear(topic: string, payload: Uint8Array): boolean {
    const base = requestTopic(this.#options.id);
    if (topic !== base && !topic.startsWith(`${base}/`)) return false;
    const request = readRequest(payload);
    if (request === null) return true;
    const named = topic.slice(base.length + 1);
    const whole = named === '' ? request : { ...request, method: named };
    const times = named === '' && this.#options.switches.on('duplicateDelivery') ? 2 : 1;
    for (let time = 0; time < times; time += 1) void this.#take(whole);
    return true;
  }

  /** Whether the topic is that of a direct method: status 0 with the result, or the code of the error with all of it (§8.8). */
  hearDirect(topic: string, payload: Uint8Array): boolean {
    const [, name, rid] = DIRECT.exec(topic) ?? [];
    if (name === undefined || rid === undefined) return false;
    void this.#answerDirect(decodeURIComponent(name), rid, objectIn(payload) ?? {});
    return true;
  }

  async #answerDirect(method: string, rid: string, params: JsonObject): Promise<void> {
    const request: RpcRequest = { id: null, src: null, dst: null, tag: null, method, params, auth: undefined };
    const outcome = await this.#carryOut(method, request);
    if (outcome === null || this.#options.loses(method)) return;
    const code = outcome.kind === 'error' ? outcome.code : 0;
    const told = outcome.kind === 'result' ? outcome.value : { code, ...(outcome.message === null ? {} : { message: outcome.message }) };
    await this.#options.publish(`$iothub/methods/res/${code}/?$rid=${rid}`, JSON.stringify(told));
  }

  async #take(request: RpcRequest): Promise<void> {
    const { id, switches, loses } = this.#options;
    if (request.method === null || (request.dst !== null && request.dst !== id)) return;
    // Over MQTT there is nowhere to send the answer of a call that has no source: it is dropped before it is carried out.
    if (request.id !== null && (request.src === null || /[+#\0]/.test(request.src))) return;
    const outcome = await this.#carryOut(request.method, request);
    if (outcome === null || request.id === null || request.src === null) return;
    if (loses(request.method)) return;
    const { src, tag } = request;
    const text = replyText({ id: request.id, src: id, dst: src, tag, outcome });
    await this.#options.publish(replyTopic(src), switches.on('garbage') ? text.slice(0, -4) : text);
  }

  #carryOut(name: string, request: RpcRequest): RpcOutcome | Promise<RpcOutcome | null> {
    const { methods, restarts, switches } = this.#options;
    if (restarts()) return { kind: 'error', code: 418, message: null };
    const method = methods.get(name);
    if (method === undefined) return { kind: 'error', code: 404, message: `No handler for ${name}` };
    if (switches.on('forbids') && name.startsWith(switches.text('forbids', 'OTA.')))
      return { kind: 'error', code: 403, message: 'unauthorized' };
    if (switches.on('wantsAuth') && !this.#isGenuine(request.auth)) return this.#challenge();
    return method.run(request.params, request);
  }

  #challenge(): RpcOutcome {
    const { realm, algorithm } = this.#options.account;
    const nonce = Math.floor(this.#options.now() / SECOND_MS);
    return { kind: 'error', code: 401, message: challengeText({ nonce, realm, algorithm }) };
  }

  #isGenuine(auth: Json | undefined): boolean {
    const { account, now } = this.#options;
    if (!isJsonObject(auth)) return false;
    const { realm, username, response, algorithm = 'MD5' } = auth;
    const [nonce, cnonce] = [numberOf(auth['nonce']), numberOf(auth['cnonce'])];
    if (nonce === null || cnonce === null || realm !== account.realm || username !== account.username) return false;
    const age = now() - nonce * SECOND_MS;
    if (algorithm !== account.algorithm || age < -SECOND_MS || age > NONCE_MS) return false;
    return response === digestResponse({ realm: account.realm, nonce, algorithm: account.algorithm }, account, cnonce);
  }
}

/** Numbers, or texts of digits. */
function numberOf(value: Json | undefined): number | null {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : null;
}
