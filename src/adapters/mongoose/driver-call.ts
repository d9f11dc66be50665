import type { Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { DriverOutcome, DriverPorts, Precheck } from '#ports/driver.ts';
import { contentUrl, refused, type Refused, type Stop, type WriteTarget } from '#shadows/driver-write.ts';
import { confirmationOf } from './confirm.ts';
import { callerOf, lookAt, question } from './driver-board.ts';
import { wrongBundle } from './driver-bundle.ts';
import { readOperationFacts, trialValue, type OperationFacts } from './operations.ts';
import { boardName, mongooseOptions } from './options.ts';
import { answeredReport } from './answers.ts';
import { firmwareSeen } from './reports.ts';
import type { RpcCaller, RpcReply } from './rpc-call.ts';
import { freshUrl, readStatus, toldBy, triedIn, urlDigest } from './wire.ts';

/** The answer to OTA.Update comes after the download: only what goes wrong at once is waited for. */
const UPDATE_ANSWER_MS = 8 * SECOND_MS;
const STEP_ANSWER_MS = 8 * SECOND_MS;
/** An upload is one request: what is left of the time that one operation has. */
const UPLOAD_MS = 30 * SECOND_MS;

interface CallAct extends WriteTarget {
  readonly ports: DriverPorts;
  readonly facts: OperationFacts;
  readonly caller: RpcCaller;
}

const SILENT = later('NO_ANSWER', 'the board does not answer calls');

/** A look before the call; perform meets a silent board and says so. */
export async function precheckCall(ports: DriverPorts, target: WriteTarget): Promise<Precheck> {
  const act = await actFor(ports, target);
  if ('kind' in act) return act;
  const found = await look(act);
  return found.kind === 'ready' || found.kind === 'trouble' ? { kind: 'clear' } : found;
}

export async function performCall(ports: DriverPorts, target: WriteTarget): Promise<DriverOutcome> {
  const act = await actFor(ports, target);
  if ('kind' in act) return act;
  const found = await look(act);
  if (found.kind !== 'ready') return found;
  return act.facts.step === 'update' ? update(act, found.stale) : step(act);
}

async function actFor(ports: DriverPorts, target: WriteTarget): Promise<CallAct | Refused> {
  const { operation, context } = target;
  const { device } = context;
  if (operation.hardware !== device.hardware) return refused('IDENTITY_MISMATCH', 'the operation was planned for other hardware');
  if (operation.connection !== device.via.connection || ports.connection(operation.connection) === undefined)
    return refused('PRECONDITION_MOVED', `the device is no longer at ${operation.connection}`);
  const facts = readOperationFacts(operation.facts);
  if (facts === null) return refused('UNSUPPORTED', 'the operation was recorded by another version and cannot be read');
  return { ...target, ports, facts, caller: await callerOf(ports, device, context.signal) };
}

interface Ready {
  readonly kind: 'ready';
  /** What OTA.Status says of an earlier update. */
  readonly stale: string | null;
}

/** What the board says right before the act (docs/protocols/shadow-devices.md §4.4). */
async function look(act: CallAct): Promise<Ready | Extract<Precheck, { kind: 'already' | 'refused' }> | Stop> {
  const { context, ports, caller, operation } = act;
  const { device, signal } = context;
  const answers = await lookAt(caller, device, signal);
  if (answers === 'silent') return SILENT;
  if ('refused' in answers) return later('CALL_REFUSED', `${answers.refused}: ${whoCalls(ports.connection(operation.connection)?.type)}`);
  const now = ports.clock.now();
  const report = answeredReport(device, context.reported, { answers, now, alone: true });
  if (report.problem !== null) return refused(report.problem.reason, report.problem.detail);
  const item = report.items[operation.item];
  if (item?.kind !== 'value') return later('NOT_TOLD', item?.detail ?? `nothing says what ${operation.item} it runs`);
  return judge(act, { report, value: item.value, now });
}

function whoCalls(connectionType: string | undefined): string {
  if (connectionType === 'azure-iot') return 'a direct method cannot say who calls';
  return 'options.rpc.user and rpcPassword of the connection say who calls';
}

interface Seen {
  readonly report: ReportedDevice;
  readonly value: string;
  readonly now: Instant;
}

function judge(act: CallAct, { report, value, now }: Seen): Ready | Extract<Precheck, { kind: 'already' | 'refused' }> | Stop {
  const { operation, open, facts } = act;
  const undo = open?.undo ?? null;
  if (value === operation.declared) return { kind: 'already', reference: Math.min(now - 1, open?.reference ?? now), undo };
  const { status = null, arch = null } = firmwareSeen(report.items.firmware) ?? {};
  const ready: Ready = { kind: 'ready', stale: status?.state === 'error' ? status.message : null };
  if (facts.step === 'update' && value === trialValue(operation)) return { kind: 'already', reference: open?.reference ?? now - 1, undo };
  if (value !== operation.expected)
    return refused('PRECONDITION_MOVED', `runs ${value}, the operation expects ${operation.expected ?? 'nothing known'}`);
  if (facts.step !== 'update') return ready;
  const firmware = report.items.firmware;
  const tried = firmware?.kind === 'value' ? triedIn(firmware.value) : null;
  if (tried !== null) return refused('PRECONDITION_MOVED', `TRIAL: runs ${tried} on trial, and takes no other update`);
  if (operation.item === 'firmware' && arch !== null && arch.toLowerCase() !== facts.platform.toLowerCase())
    return refused('INCOMPATIBLE', `WRONG_PLATFORM: the board is ${arch}, and the bundle is for ${facts.platform}`);
  if (!isUnderWay(status)) return ready;
  // What is under way since we meant to begin it is what we began.
  const found = open === null ? null : confirmationOf(open, report);
  const isOurs = found !== null && found.kind !== 'trouble' && !(found.kind === 'open' && found.takenAt === null);
  if (open !== null && isOurs) return { kind: 'already', reference: open.reference ?? open.intendedAt, undo };
  // A success that did not restart it is over: it stands there until something else begins.
  if (open !== null && status?.state === 'success') return ready;
  if (open !== null) return later('BUSY', 'the board is still at the update before');
  return refused('PRECONDITION_MOVED', 'BUSY: the board is at another update');
}

async function update(act: CallAct, stale: string | null): Promise<DriverOutcome> {
  const wrong = await wrongBundle(act);
  if (wrong !== null) return wrong;
  return act.caller.upload !== undefined && act.facts.ota === 'mdash' ? upload(act, stale) : pull(act, stale);
}

/** A new URL with each attempt, and how long the board shall wait for the commit; without that it commits by itself. */
async function pull(act: CallAct, stale: string | null): Promise<DriverOutcome> {
  const { operation, open, context, ports, facts, caller } = act;
  const { urlLifeMs } = mongooseOptions(context.device.options);
  const made = await contentUrl(act, { lifeMs: urlLifeMs, send: true });
  if (!made.ok) return made.error;
  const attempt = `${operation.id.slice(0, 8)}-${open === null ? 1 : open.attempt + 1}`;
  const url = freshUrl(made.value.url, { content: context.content, attempt });
  const commit = facts.commitTimeoutMs === null ? {} : { commit_timeout: Math.round(facts.commitTimeoutMs / SECOND_MS) };
  const reference = ports.clock.now();
  const reply = await caller.call({
    board: boardName(context.device),
    method: 'OTA.Update',
    params: { url, ...commit },
    timeoutMs: UPDATE_ANSWER_MS,
    signal: context.signal,
  });
  return began(act, reply, { url: urlDigest(url), expires: made.value.expires, stale, reference });
}

async function upload(act: CallAct, stale: string | null): Promise<DriverOutcome> {
  const { context, ports, caller } = act;
  const { content, signal } = context;
  if (content === null || caller.upload === undefined) return refused('ARTIFACT_UNVERIFIED', 'the operation carries no content');
  const found = await ports.artifacts.bytes(content, signal);
  if (!found.ok) return later('ARTIFACT_UNREACHABLE', found.error.message);
  const reference = ports.clock.now();
  const reply = await caller.upload({ board: boardName(context.device), content, bytes: found.value, timeoutMs: UPLOAD_MS, signal });
  return began(act, reply, { url: null, expires: null, stale, reference });
}

interface Begun {
  readonly url: string | null;
  readonly expires: Instant | null;
  readonly stale: string | null;
  readonly reference: Instant;
}

/** No answer is the usual one: the board is at the download. What it answers is never proof. */
async function began(act: CallAct, reply: RpcReply | 'silent', begun: Begun): Promise<DriverOutcome> {
  const { ports } = act;
  const { reference, ...kept } = begun;
  const performed = (said: Json): DriverOutcome => ({ kind: 'performed', reference, undo: { ...kept, said } });
  if (reply === 'silent') return performed(null);
  const at = ports.clock.now();
  if (reply.kind === 'result') return performed({ ok: true, message: typeof reply.result === 'string' ? reply.result : null, at });
  const { code, message } = reply;
  if (isDenied(code)) return denied('OTA.Update', reply);
  const told = toldBy(message);
  if (told.class === 'verdict') return performed({ ok: false, message, at });
  // A request that the broker handed over twice is refused the second time, while the first is under way (§4.1).
  if (told.code === 'BUSY' && (await isAtIt(act))) return performed(null);
  return later(told.code, `answers ${message ?? `error ${code}`}`);
}

async function isAtIt({ caller, context }: CallAct): Promise<boolean> {
  const { device, signal } = context;
  const reply = await question(caller, { device, method: 'OTA.Status', signal });
  return isUnderWay(reply === 'silent' || reply.kind === 'error' ? null : readStatus(reply.result));
}

function isUnderWay(status: { readonly state: string } | null): boolean {
  return status?.state === 'progress' || status?.state === 'success';
}

/** OTA.Commit or OTA.Revert: a board that is silent may have heard it, and its next report tells. */
async function step(act: CallAct): Promise<DriverOutcome> {
  const { context, ports, facts, caller } = act;
  const isCommit = facts.step === 'commit';
  const method = isCommit ? 'OTA.Commit' : 'OTA.Revert';
  const reference = ports.clock.now();
  const { device, signal } = context;
  const reply = await caller.call({ board: boardName(device), method, params: null, timeoutMs: STEP_ANSWER_MS, signal });
  const performed: DriverOutcome = { kind: 'performed', reference, undo: null };
  if (reply === 'silent' || reply.kind === 'result') return performed;
  const { code, message } = reply;
  if (isDenied(code)) return denied(method, reply);
  const evidence = `answers ${method} with error ${code}${message === null ? '' : `: ${message}`}`;
  return { kind: 'trouble', code: isCommit ? 'NOT_COMMITTED' : 'NOT_REVERTED', evidence, retry: 'now' };
}

/** Not ours to call, or no such method (docs/protocols/shadow-devices.md §4.2). */
function isDenied(code: number): boolean {
  return code === 401 || code === 403 || code === 404;
}

function denied(method: string, { code, message }: { readonly code: number; readonly message: string | null }): Stop {
  return later('CALL_REFUSED', `answers ${method} with ${code}: ${message ?? 'no word'}`);
}

/** What a later call may find otherwise. As a refusal it would be planned anew, and called for, with each pass. */
function later(code: string, evidence: string): Stop {
  return { kind: 'trouble', code, evidence, retry: 'later' };
}

/** Whether an operation goes by calls: all but the URL in desired and its withdrawal. */
export function isCall({ operation }: Pick<WriteTarget, 'operation'>): boolean {
  const facts = readOperationFacts(operation.facts);
  return facts !== null && (facts.step !== 'update' || facts.ota !== 'shadow');
}
