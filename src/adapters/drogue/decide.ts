import { durationText } from '#kit/duration.ts';
import type { Condition } from '#model/declared.ts';
import { judgeHealth, type Judgement } from '#model/health.ts';
import type { Digest, Instant } from '#model/ids.ts';
import type { DrogueOptions } from './options.ts';
import type { DeviceState, FailureCode, Heard, Job } from './state.ts';
import type { Command } from './wire-commands.ts';
import type { ReadStatus } from './wire.ts';

/**
 * Status and what is admitted → what the device is told and what is known of it from now on: docs/protocols/drogue-dfu.md
 * §5.2 and §7. Pure; an answer depends on nothing that is not written down before it leaves.
 */

/** What rollout admitted for a device: an open offer of the ledger. */
export interface Target {
  readonly operation: string;
  readonly release: string;
  readonly version: string;
  readonly digest: Digest;
  /** Of the group, to be held by the device itself before its image is marked good. */
  readonly health: readonly Condition[];
  readonly before: Readonly<Record<string, string>> | undefined;
}

/** The bytes to be served, verified; or why there are none yet. */
export type Image =
  | { readonly kind: 'ready'; readonly bytes: Uint8Array; readonly checksum: Uint8Array }
  | { readonly kind: 'loading' }
  | { readonly kind: 'missing'; readonly why: string };

export interface Question {
  readonly status: ReadStatus;
  readonly now: Instant;
  readonly state: DeviceState;
  readonly options: DrogueOptions;
  readonly target: Target | null;
  /** Versions that may be marked good without an offer: what the device's releases declare, unless it failed with them. */
  readonly settled: readonly string[];
  /** Of `target`; asked for only when a block or a swap is to be told. */
  image(target: Target): Image;
}

export interface Answer {
  readonly command: Command;
  readonly state: DeviceState;
  /** Whether something began or ended: written to the disk, not only past the process. */
  readonly turn: boolean;
  /** Whether a pass should look soon. */
  readonly news: boolean;
}

/** After so many transfers with a gap in them the device has failed. */
const MOST_JUMPS = 3;
/** What flash is written by, at the least: by so much blocks of small devices differ. */
const SMALLEST_WRITE = 8;
/** Asked again soon: an image is being fetched; the new image runs and its health is awaited. */
const LOADING_SECONDS = 5;
const TRIAL_SECONDS = 15;

export function decide(question: Question): Answer {
  const { state, status, target, now } = question;
  const heard = hear(state.heard, status, now);
  const known: DeviceState = { ...state, heard, odd: null };
  const job = judgeTrial(known, question, follow(state.job, question));
  const { command, next } = tell({ ...question, state: { ...known, job } }, job);
  const phases = [state.job?.phase, next?.phase];
  const turn = phases[0] !== phases[1] || state.job?.operation !== next?.operation || state.job?.swaps !== next?.swaps;
  const proven = next !== null && next.provenAt !== null && state.job?.provenAt !== next.provenAt;
  const news = (turn || proven) && (next?.phase === 'failed' || next?.phase === 'trial' || proven || (target === null && turn));
  return { command, state: { ...known, job: next }, turn: turn || proven, news };
}

/** What is known of a device after a status. */
export function hear(before: Heard | null, { status, encoding, warnings }: ReadStatus, now: Instant): Heard {
  const { version, mtu, update } = status;
  const same = before?.version === version;
  const notes = mtu === 0 ? [...warnings, 'MTU_ZERO'] : warnings;
  return { at: now, version, since: same ? before.since : now, mtu, update, encoding, warnings: notes };
}

/** What the status says of the offer that the device came for. */
function follow(job: Job | null, question: Question): Job | null {
  if (job === null) return null;
  switch (job.phase) {
    case 'writing':
    case 'jumped':
      return followTransfer(job, question);
    case 'swapping':
      return followSwap(job, question);
    case 'trial':
    case 'synced':
      return followTrial(job, question);
    case 'failed':
      return job;
  }
}

function followTransfer(job: Job, { status: { status }, options, now }: Question): Job {
  const { version, update } = status;
  if (version === job.version) return { ...job, phase: 'trial', ranAt: now };
  // It left its run, or restarted: whatever it held is gone (§7.1).
  if (update === null || (update.version === job.version && update.offset === 0)) return { ...job, phase: 'writing', told: null };
  if (update.version !== job.version || job.phase === 'jumped' || job.told === null) return job;
  if (isNextOffset(job, update.offset, options)) return job;
  if (job.jumps + 1 >= MOST_JUMPS) {
    const text = `skipped part of the image ${job.jumps + 1} times, last at offset ${update.offset}`;
    return failed({ ...job, jumps: job.jumps + 1 }, 'TRANSFER_BROKEN', { now, text });
  }
  return { ...job, phase: 'jumped', jumps: job.jumps + 1 };
}

/** The block arrived, or it was lost; a flash driver that pads the last one says a little more than the size (§3). */
function isNextOffset({ told, size }: Job, offset: number, { writeSize }: DrogueOptions): boolean {
  if (told === null) return false;
  const end = told.offset + told.length;
  return offset === told.offset || offset === end || (end >= size && offset >= size && offset - size < writeSize);
}

/** The only sign of a failed swap: the device is back without the new version (§7.4). */
function followSwap(job: Job, { status: { status }, options, now }: Question): Job {
  const { version, update } = status;
  if (version === job.version) return { ...job, phase: 'trial', ranAt: now };
  // Swap was lost: the whole image still waits to be swapped.
  if (update !== null && update.version === job.version && update.offset >= job.size) return job;
  if (version !== job.from) return failed(job, 'WRONG_VERSION', { now, text: `runs ${version} after the swap to ${job.version}` });
  if (job.swaps < options.swapAttempts) {
    // What it still holds is not what it was told, so nothing may be built upon it.
    const clean = update === null || update.offset === 0 || update.version !== job.version;
    return { ...job, phase: clean ? 'writing' : 'jumped', told: null };
  }
  return failed(job, 'SWAP_FAILED', { now, text: `still runs ${version} after the swap to ${job.version}` });
}

function followTrial(job: Job, { status: { status }, now }: Question): Job | null {
  if (status.version === job.version) return job.phase === 'synced' ? { ...job, provenAt: job.provenAt ?? now } : job;
  if (job.provenAt !== null) return null;
  const text = `runs ${status.version} again after it ran ${job.version}`;
  return failed(job, 'BOOTED_BACK', { now, text });
}

function failed(job: Job, code: FailureCode, what: { readonly now: Instant; readonly text: string }): Job {
  return { ...job, phase: 'failed', failure: { code, at: what.now, text: what.text } };
}

/** The new image is marked good when the device's own health holds; not in time is a verdict, whatever its wave does. */
function judgeTrial(state: DeviceState, { target, options, now }: Question, job: Job | null): Job | null {
  if (job?.phase !== 'trial' || job.ranAt === null || target?.operation !== job.operation) return job;
  const measures = Object.fromEntries(Object.entries(state.measures).map(([name, { value, at }]) => [name, { value, madeNotBefore: at }]));
  const judged = judgeHealth({ conditions: target.health, reported: { measures }, since: job.ranAt, before: target.before });
  if (trialIsOver(job, options, now)) return failed(job, 'TRIAL_FAILED', { now, text: trialText(job, options, judged) });
  return judged.kind === 'good' ? { ...job, phase: 'synced', syncAt: now } : job;
}

function trialText(job: Job, options: DrogueOptions, judged: Judgement): string {
  const why = judged.kind === 'good' ? 'its health held too late' : judged.evidence;
  return `${why}; ${job.version} was on trial for more than ${durationText(options.trialMs)}`;
}

/** The last moment at which health may begin to hold has passed. */
export function trialIsOver(job: Job, { trialMs }: Pick<DrogueOptions, 'trialMs'>, now: Instant): boolean {
  return job.phase === 'trial' && job.ranAt !== null && now - job.ranAt > trialMs;
}

interface Told {
  readonly command: Command;
  readonly next: Job | null;
}

function tell(question: Question, job: Job | null): Told {
  const { target, status, settled } = question;
  const { version } = status.status;
  if (target === null) {
    if (job === null || job.phase === 'writing' || job.phase === 'jumped') {
      // What is stopped in mid-transfer is forgotten once the device no longer holds any of it.
      const next = job !== null && holdsOf(job, question) ? job : null;
      return settled.includes(version) && status.status.update === null ? sync(question, next) : wait(question, next);
    }
    // Whatever became of the new image, the one that its release declares is good.
    const other = job.phase === 'failed' && job.version !== version && settled.includes(version) && status.status.update === null;
    const good = job.phase === 'synced' && job.version === version;
    return good || other ? sync(question, job) : wait(question, job);
  }
  if (job !== null && job.operation !== target.operation) return retarget(question, { job, target });
  if (job === null) return begin(question, target);
  return goOn(question, { job, target });
}

/** Whether the device still holds part of the image of that offer. */
function holdsOf(job: Job, { status: { status } }: Question): boolean {
  return status.update !== null && status.update.version === job.version && status.update.offset > 0;
}

interface Work {
  readonly job: Job;
  readonly target: Target;
}

/** Another offer than the one it came for: a device in mid-transfer keeps its version (§7.3). */
function retarget(question: Question, { job, target }: Work): Told {
  const { status } = question.status;
  switch (job.phase) {
    case 'writing':
    case 'jumped':
      // The same bytes, withdrawn and offered again.
      if (job.version === target.version && job.digest === target.digest) {
        return goOn(question, { job: { ...job, operation: target.operation, release: target.release }, target });
      }
      return holdsOf(job, question) && !question.options.restartSafe ? wait(question, job) : begin(question, target);
    case 'swapping':
      return wait(question, job);
    case 'synced':
      return job.provenAt === null && status.version === job.version ? sync(question, job) : begin(question, target);
    case 'trial':
    case 'failed':
      return begin(question, target);
  }
}

function begin(question: Question, target: Target): Told {
  const { status, now, options, state } = question;
  const { version, update } = status.status;
  const image = question.image(target);
  const size = image.kind === 'ready' ? image.bytes.length : 0;
  const job: Job = {
    operation: target.operation,
    release: target.release,
    version: target.version,
    digest: target.digest,
    size,
    from: version,
    phase: 'writing',
    begunAt: now,
    told: null,
    jumps: 0,
    swaps: 0,
    swapAt: null,
    ranAt: null,
    syncAt: null,
    provenAt: null,
    failure: null,
  };
  if (version === target.version) return goOn(question, { job: tried({ ...job, phase: 'trial', ranAt: now }, question), target });
  if (image.kind !== 'ready') return wait(question, state.job, image.kind === 'loading' ? LOADING_SECONDS : options.waitSeconds);
  // Part of an image that this server did not send: on the reference client it stays in the new one (§7.3).
  const foreign = update !== null && update.offset > 0;
  if (!foreign || options.restartSafe) return goOn(question, { job, target });
  if (update.version !== target.version || !options.verifies) return wait(question, null);
  return goOn(question, { job, target });
}

function tried(job: Job, question: Question): Job {
  return judgeTrial(question.state, question, job) ?? job;
}

function goOn(question: Question, { job, target }: Work): Told {
  switch (job.phase) {
    case 'trial':
      return wait(question, job, TRIAL_SECONDS);
    case 'synced':
      return sync(question, job);
    case 'failed':
      return wait(question, job);
    case 'jumped':
      return question.options.restartSafe
        ? write(question, { job: { ...job, phase: 'writing', told: null }, target }, 0)
        : wait(question, job);
    case 'writing':
    case 'swapping':
      return transfer(question, { job, target });
  }
}

function transfer(question: Question, work: Work): Told {
  const { job } = work;
  const { update } = question.status.status;
  const holds = update !== null && update.version === job.version;
  if (update !== null && !holds && update.offset > 0 && !question.options.restartSafe) return wait(question, job);
  const known = job.told !== null || job.phase === 'swapping' || question.options.verifies;
  const offset = holds && known ? update.offset : 0;
  return offset < job.size ? write(question, work, offset) : swap(question, work);
}

function write(question: Question, { job, target }: Work, offset: number): Told {
  const { options, status } = question;
  const image = question.image(target);
  if (image.kind !== 'ready') return wait(question, job, image.kind === 'loading' ? LOADING_SECONDS : options.waitSeconds);
  const said = status.status.mtu ?? 0;
  const most = Math.min(said === 0 ? options.mtu : said, options.maxBlock);
  const data = image.bytes.subarray(offset, offset + blockLength({ job, offset, most, options }));
  const { correlationId } = status.status;
  const next: Job = { ...job, told: { offset, length: data.length } };
  return { command: { kind: 'Write', version: target.version, correlationId, offset, data }, next };
}

interface Cut {
  readonly job: Job;
  readonly offset: number;
  readonly most: number;
  readonly options: DrogueOptions;
}

/**
 * No two blocks in a row are of one length: the reference client counts the lengths of what it gets, so that a block that
 * comes twice shows at once, in place of leaving a gap that only a checksum would reveal (§7.2). Steps are whole writes of
 * the flash. A device that compares the checksum, or takes less than two writes, is given all that it can take.
 */
function blockLength({ job, offset, most, options }: Cut): number {
  const { told, size } = job;
  const rest = size - offset;
  const longest = Math.min(most, rest);
  if (told === null || options.verifies) return longest;
  // Asked for again: the same answer.
  if (told.offset === offset) return Math.min(told.length, longest);
  const step = most >= 2 * options.writeSize ? options.writeSize : most >= 2 * SMALLEST_WRITE ? SMALLEST_WRITE : 0;
  const before = told.length;
  const lengths = [longest, longest - step, longest - 2 * step, step].filter((length) => length > 0);
  return lengths.find((length) => isTelling(length, { before, rest, writeSize: options.writeSize })) ?? longest;
}

/** Whether the block before this one, taken twice, would look different; padding of the last one included. */
function isTelling(
  length: number,
  { before, rest, writeSize }: { readonly before: number; readonly rest: number; readonly writeSize: number },
): boolean {
  return length === rest ? before < length || before - length >= writeSize : before !== length;
}

function swap(question: Question, { job, target }: Work): Told {
  const { status, now, options } = question;
  const image = question.image(target);
  if (image.kind !== 'ready') return wait(question, job, image.kind === 'loading' ? LOADING_SECONDS : options.waitSeconds);
  const again = job.phase === 'swapping';
  const next: Job = { ...job, phase: 'swapping', swaps: again ? job.swaps : job.swaps + 1, swapAt: job.swapAt ?? now };
  return { command: { kind: 'Swap', version: target.version, correlationId: status.status.correlationId, checksum: image.checksum }, next };
}

function sync({ status, options }: Question, next: Job | null): Told {
  const { version, correlationId } = status.status;
  return { command: { kind: 'Sync', version, correlationId, poll: options.pollSeconds }, next };
}

function wait({ status, options }: Question, next: Job | null, poll: number = options.waitSeconds): Told {
  return { command: { kind: 'Wait', correlationId: status.status.correlationId, poll }, next };
}
