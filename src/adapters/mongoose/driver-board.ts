import { unlessAborted } from '#kit/aborted.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { DriverPorts } from '#ports/driver.ts';
import { WireError } from '#ports/wire-error.ts';
import { makeMdashCaller } from './driver-mdash.ts';
import { makeMethodCaller } from './driver-method.ts';
import { makeMqttCaller } from './driver-rpc.ts';
import { boardName, callerName, mongooseOptions } from './options.ts';
import type { Answers } from './answers.ts';
import type { RpcCaller, RpcReply } from './rpc-call.ts';
import { readInfo, readNamed, readStatus } from './wire.ts';

/** A board answers a question at once, or not at all. */
const ANSWER_MS = 6 * SECOND_MS;

/** Who calls a board over its connection. Throws WireError where nobody can. */
export async function callerOf(ports: DriverPorts, device: DeclaredDevice, signal: AbortSignal): Promise<RpcCaller> {
  const { connection } = device.via;
  const declared = ports.connection(connection);
  if (declared?.type === 'mdash' && ports.mdash !== undefined) return makeMdashCaller(await unlessAborted(ports.mdash(connection), signal));
  if (declared?.type === 'azure-iot' && ports.methods !== undefined)
    return makeMethodCaller(await unlessAborted(ports.methods(connection), signal));
  if (declared?.type !== 'mqtt') throw new WireError('NO_CALLS', 'never', `nobody is called over ${connection}`);
  const options = mongooseOptions(device.options);
  const { user } = options.rpc;
  const password = user === null ? null : (ports.rpcPassword?.(connection) ?? null);
  return makeMqttCaller({
    bus: await unlessAborted(ports.bus(connection), signal),
    clock: ports.clock,
    src: callerName(device, options),
    account: user === null || password === null ? null : { username: user, password: password.reveal() },
  });
}

/** A call that changes nothing. */
export function question(
  caller: RpcCaller,
  { device, method, signal }: { readonly device: DeclaredDevice; readonly method: string; readonly signal: AbortSignal },
): Promise<RpcReply | 'silent'> {
  return caller.call({ board: boardName(device), method, params: null, timeoutMs: ANSWER_MS, signal });
}

/** What a board says of itself; `silent` where it does not answer, `refused` where it lets nobody ask. */
export async function lookAt(
  caller: RpcCaller,
  device: DeclaredDevice,
  signal: AbortSignal,
): Promise<Answers | 'silent' | { readonly refused: string }> {
  const info = await question(caller, { device, method: 'Sys.GetInfo', signal });
  if (info === 'silent') return 'silent';
  if (info.kind === 'error' && (info.code === 401 || info.code === 403)) return { refused: `answers Sys.GetInfo with ${info.code}` };
  if (info.kind === 'error' && info.code === 418) return 'silent';
  const status = await question(caller, { device, method: 'OTA.Status', signal });
  if (status === 'silent') return 'silent';
  const { host, commit } = mongooseOptions(device.options);
  const told = host?.method == null ? null : await question(caller, { device, method: host.method, signal });
  return {
    info: info.kind === 'result' ? readInfo(info.result) : null,
    status: status.kind === 'result' ? readStatus(status.result) : withoutStatus(status.code, commit),
    host: told === null || told === 'silent' || told.kind === 'error' ? null : readNamed(told.result),
  };
}

/** A client that commits by itself may have no such call (§5): it is never on trial. */
function withoutStatus(code: number, commit: 'rpc' | 'self'): Answers['status'] {
  if (code !== 404 || commit !== 'self') return null;
  return { state: 'idle', message: null, isCommitted: true, progress: null, commitTimeout: null, partition: null };
}
