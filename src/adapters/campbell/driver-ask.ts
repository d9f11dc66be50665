import { compareText } from '#kit/diagnostics.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { Clock } from '#ports/clock.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import { WireError } from '#ports/wire-error.ts';
import { dialectOf, foldAnswer, questionsFor, type AskContext } from './ask.ts';
import { COMMAND_EXPIRY_MS, makeConversation } from './driver-converse.ts';
import type { Watched } from './driver-session.ts';
import { isLive } from './reports.ts';

/** Loggers that are asked at the same time; each has one question in flight. */
const AT_ONCE = 16;
/** Rounds of questions to one logger in one pass: an answer may raise the next question. */
const MOST_ROUNDS = 4;

export interface AskParts {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  openSince(device: DeviceId): Instant | null;
  /** The wire of a logger, null where it is broken. */
  busOf(watched: Watched): MessageBus | null;
  /** Whether a command is under way at it. */
  isBusy(watched: Watched): boolean;
  tranId(): string;
}

/**
 * Asks each logger what must be known of it: only those that are online, with no command under way, one question after
 * the other, until the deadline. A logger that is silent to one question is not asked the next in this pass.
 */
export async function askLoggers(loggers: readonly Watched[], parts: AskParts): Promise<void> {
  const waiting = loggers.filter((one) => mayAsk(one, parts)).toSorted((a, b) => compareText(a.device.id, b.device.id));
  const workers = Array.from({ length: Math.min(AT_ONCE, waiting.length) }, async () => {
    for (let next = waiting.shift(); next !== undefined && !parts.signal.aborted; next = waiting.shift()) await askOne(next, parts);
  });
  await Promise.all(workers);
}

/** An operation that was sent a moment ago, by whomever, may not have been heard of yet. */
function mayAsk(watched: Watched, parts: AskParts): boolean {
  const { device, options, report } = watched;
  if (device.address === null || parts.signal.aborted || parts.busOf(watched) === null) return false;
  const now = parts.clock.now();
  if (report.problem !== null || !isLive(report, options, now) || parts.isBusy(watched)) return false;
  const openSince = parts.openSince(device.id);
  const fresh = openSince !== null && now - openSince < COMMAND_EXPIRY_MS;
  return !fresh || report.signs.some((sign) => sign.at !== null && sign.at >= openSince);
}

function contextOf(watched: Watched, parts: AskParts): AskContext {
  const { device, options, report } = watched;
  return { device, options, report, openSince: parts.openSince(device.id), now: parts.clock.now() };
}

async function askOne(watched: Watched, parts: AskParts): Promise<void> {
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const questions = questionsFor(contextOf(watched, parts));
    if (questions.length === 0) return;
    for (const question of questions) {
      const bus = parts.busOf(watched);
      if (bus === null || !mayAsk(watched, parts)) return;
      const { device, options } = watched;
      // The probe itself is spoken in the dialect that it asks for.
      const dialect = question.request.kind === 'ping' ? 'v2' : dialectOf(options, watched.report);
      const place = { baseTopic: options.baseTopic, address: device.address ?? '', dialect };
      const { clock, signal, tranId } = parts;
      const answer = await quietly(makeConversation({ bus, clock, place, tranId, signal }).say(question.request));
      if (answer === null || signal.aborted) return;
      watched.report = foldAnswer(contextOf(watched, parts), question, answer);
      watched.dirty = true;
      if (answer.kind !== 'reply' && question.request.kind !== 'ping') return;
    }
  }
}

/** A wire that breaks ends the asking; what is known stays. */
async function quietly<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}
