import { SECOND_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { RpcOutcome } from './rpc.ts';
import type { SimConfig } from './sim-config.ts';
import type { FaultSwitches } from './sim-faults.ts';
import type { BootState, SimFlash } from './sim-flash.ts';
import type { SimMethod } from './sim-rpc.ts';
import type { SimUpdater, UpdateEnd } from './sim-update.ts';

/** What the methods of a board act on. */
export interface SimMethodsOptions {
  readonly switches: FaultSwitches;
  readonly flash: SimFlash;
  readonly config: SimConfig;
  readonly updater: SimUpdater;
  readonly info: () => JsonObject;
  /** Name of the method that tells the firmware of the microcontroller behind the board, null for none. */
  readonly hostMethod: string | null;
  /** False when there is nothing to commit. */
  commit(): boolean;
  restart(delayMs: number): void;
  /** A trial begins that is not the first start of a new firmware. */
  arm(): void;
}

/** The numbers of §3.2 and §4.3 for the state of an update. */
const STATES = { idle: 0, progress: 1, error: 2, success: 3 } as const;
const RESTART_MS = 100;
const DEFAULT_PUSH_SECONDS = 300;

/** All methods of docs/protocols/shadow-devices.md §4.3, by name. */
export function makeMethods(options: SimMethodsOptions): ReadonlyMap<string, SimMethod> {
  const methods = new Map<string, SimMethod>([
    ...systemMethods(options),
    ...configMethods(options),
    ...otaMethods(options),
    ...pushMethods(options),
  ]);
  for (const [name, method] of listMethods(methods)) methods.set(name, method);
  return methods;
}

const DONE: RpcOutcome = { kind: 'result', value: null };

function result(value: Json): RpcOutcome {
  return { kind: 'result', value };
}

function failed(code: number, message: string | null = null): RpcOutcome {
  return { kind: 'error', code, message };
}

type Named = readonly [string, SimMethod];

function listMethods(methods: ReadonlyMap<string, SimMethod>): readonly Named[] {
  const describe = ({ name }: JsonObject): RpcOutcome => {
    const method = typeof name === 'string' ? methods.get(name) : undefined;
    return method === undefined ? failed(404, 'name not found') : result({ name: name ?? null, args_fmt: method.args });
  };
  return [
    ['RPC.List', { args: '', run: () => result([...methods.keys()].toSorted()) }],
    ['RPC.Describe', { args: '{name: %T}', run: describe }],
    ['RPC.Ping', { args: '', run: (_params, { src }) => result({ channel_info: `MQTT ${src ?? ''}`.trim() }) }],
  ];
}

function systemMethods({ info, flash, hostMethod, restart }: SimMethodsOptions): readonly Named[] {
  const reboot = ({ delay_ms: delay }: JsonObject): RpcOutcome => {
    restart(typeof delay === 'number' && delay >= 0 ? delay : RESTART_MS);
    return DONE;
  };
  const host = (): RpcOutcome =>
    flash.host === null ? failed(-1) : result({ fw_version: flash.host.version, fw_id: flash.host.buildId, arch: 'STM32', app: 'host' });
  return [
    ['Sys.GetInfo', { args: '', run: () => result(info()) }],
    ['Sys.Reboot', { args: '{delay_ms: %d}', run: reboot }],
    ...(hostMethod === null ? [] : [[hostMethod, { args: '', run: host }] as const]),
  ];
}

function configMethods({ config, restart }: SimMethodsOptions): readonly Named[] {
  const get = ({ key = '' }: JsonObject): RpcOutcome => {
    const value = typeof key === 'string' ? config.at(key) : undefined;
    return value === undefined ? failed(404, 'invalid config key') : result(value);
  };
  const set = ({ config: change }: JsonObject): RpcOutcome =>
    isJsonObject(change) && config.set(change) ? DONE : failed(-1, 'Malformed request');
  const save = ({ reboot }: JsonObject): RpcOutcome => {
    config.save();
    if (reboot === true) restart(RESTART_MS);
    return DONE;
  };
  return [
    ['Config.Get', { args: '{key: %Q}', run: get }],
    ['Config.Set', { args: '{config: %M}', run: set }],
    ['Config.Save', { args: '{reboot: %B}', run: save }],
  ];
}

function otaMethods(options: SimMethodsOptions): readonly Named[] {
  const { flash, updater, config, restart, arm } = options;
  const status = (): RpcOutcome =>
    result({
      state: STATES[updater.status],
      message: updater.message,
      is_committed: flash.isCommitted,
      progress_percent: updater.percent,
      commit_timeout: flash.commitTimeout,
      partition: flash.slot,
    });
  const update = async ({ url, commit_timeout: wanted }: JsonObject): Promise<RpcOutcome | null> => {
    const from = url === undefined ? config.at('update.url') : url;
    if (typeof from !== 'string' || from === '') return failed(-1, 'Malformed request');
    const end = await updater.pull(from, secondsOf(wanted) ?? config.number('update.commit_timeout', 0));
    return end === null ? null : outcomeOf(end);
  };
  const revert = (): RpcOutcome => {
    if (flash.isCommitted) return failed(-1);
    restart(RESTART_MS);
    return DONE;
  };
  const snapshot = ({ set_as_revert: isRevert, commit_timeout: wanted }: JsonObject): RpcOutcome => {
    const slot = flash.snapshot(isRevert === true ? { commitTimeout: secondsOf(wanted) ?? 0 } : null);
    if (slot === null) return failed(-1);
    if (isRevert === true) arm();
    return result({ slot });
  };
  return [
    ['OTA.Status', { args: '', run: status }],
    ['OTA.GetBootState', { args: '', run: () => result({ ...flash.state() }) }],
    [
      'OTA.SetBootState',
      { args: '{active_slot: %d, is_committed: %B, revert_slot: %d, commit_timeout: %d}', run: (params) => setBootState(flash, params) },
    ],
    ['OTA.Update', { args: '{url: %Q, commit_timeout: %d}', run: update }],
    ['OTA.Commit', { args: '', run: () => (options.commit() ? DONE : failed(-1)) }],
    ['OTA.Revert', { args: '', run: revert }],
    ['OTA.CreateSnapshot', { args: '{set_as_revert: %B, commit_timeout: %d}', run: snapshot }],
  ];
}

/** §4.3: a text with code 0 is success. */
function outcomeOf({ code, message }: UpdateEnd): RpcOutcome {
  return code < 0 ? failed(-1, message) : { kind: 'done', message };
}

function setBootState(flash: SimFlash, params: JsonObject): RpcOutcome {
  const change: { -readonly [K in keyof BootState]?: BootState[K] } = {};
  for (const name of ['active_slot', 'revert_slot', 'commit_timeout'] as const) {
    const value = params[name];
    if (typeof value === 'number') change[name] = value;
  }
  if (typeof params['is_committed'] === 'boolean') change.is_committed = params['is_committed'];
  if (Object.keys(change).length === 0) return failed(-2);
  return flash.set(change) ? DONE : failed(-1);
}

/** What these answer in 2.x is not known: null, or true by a switch (§11.3). */
function pushMethods({ updater, config, switches }: SimMethodsOptions): readonly Named[] {
  const good = (): RpcOutcome => (switches.on('resultsTrue') ? result(true) : DONE);
  const begin = ({ size, timeout, commit_timeout: wanted }: JsonObject): RpcOutcome => {
    const begun = updater.begin({
      size: typeof size === 'number' && Number.isSafeInteger(size) && size > 0 ? size : null,
      commitTimeout: secondsOf(wanted) ?? config.number('update.commit_timeout', 0),
      timeoutMs: (secondsOf(timeout) ?? DEFAULT_PUSH_SECONDS) * SECOND_MS,
    });
    return begun ? good() : failed(-1, 'Failed to init updater');
  };
  const write = ({ offset, data }: JsonObject): RpcOutcome => {
    const bytes = typeof data === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(data) ? Buffer.from(data, 'base64') : null;
    const at = offset === undefined ? null : offset;
    if (bytes === null || (at !== null && typeof at !== 'number')) return failed(-1, 'Malformed request');
    return updater.write(at, bytes) ? good() : failed(-1, 'Update failed');
  };
  const end = (): RpcOutcome => {
    const finished = updater.finishPush();
    if (finished === null) return failed(-1);
    return finished.code < 0 ? failed(-1, finished.message) : good();
  };
  return [
    ['OTA.Begin', { args: '{timeout: %d, commit_timeout: %d, size: %d}', run: begin }],
    ['OTA.Write', { args: '{offset: %d, data: %V}', run: write }],
    ['OTA.End', { args: '', run: end }],
  ];
}

/** One page shows `commit_timeout` as a text, another as a number (§4.3). */
function secondsOf(value: Json | undefined): number | null {
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}
