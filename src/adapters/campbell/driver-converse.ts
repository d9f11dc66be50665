import { unlessAborted } from '#kit/aborted.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import { encodeCommand, type CommandPlace, type CommandProblem, type CommandRequest } from './wire-commands.ts';
import { hearOf, type Heard, type LoggerReply } from './wire-replies.ts';

/** How long a broker may hold a command back (docs/protocols/campbell-mqtt.md §12): nobody who is online waits that long. */
export const COMMAND_EXPIRY_MS = 60 * SECOND_MS;
/** How long simple commands are waited for (§9.5). */
const REPLY_MS = 20 * SECOND_MS;

export type Answer =
  | { readonly kind: 'reply'; readonly reply: LoggerReply }
  /** It announced that it goes away because of the command: the reply comes later, or never. */
  | { readonly kind: 'leaving'; readonly reason: string }
  /** It went away because of the command and is online again: all that legacy loggers say of it (§1.3, §5.2, §5.7). */
  | { readonly kind: 'back' }
  | { readonly kind: 'silent' }
  /** The command cannot be written, and was not sent. */
  | { readonly kind: 'unfit'; readonly problem: CommandProblem };

export interface SayOptions {
  readonly waitMs?: number;
  /** Whether an announced restart or recompilation is an answer; else the reply after it is waited for. */
  readonly leavingAnswers?: boolean;
  /** Whether being online again after a restart or recompilation is an answer: for loggers that give no other. */
  readonly returnAnswers?: boolean;
  /** Whether more answers follow the first: then only time or the signal ends it. */
  readonly goesOn?: boolean;
  /** Called for all that is heard of the command, answers included. */
  readonly heard?: (heard: Heard) => void;
}

export interface ConversationParts {
  readonly bus: MessageBus;
  readonly clock: Clock;
  readonly place: Omit<CommandPlace, 'tranId'>;
  /** Names the next command; used by dialect v2 alone. */
  tranId(): string;
  readonly signal: AbortSignal;
  /** Called before and after each command, for who must know that one is under way. */
  underWay?(sending: boolean): void;
}

/** One command after the other to one logger, each with its answer. The subscriptions must stand. Throws WireError. */
export interface Conversation {
  say(request: CommandRequest, options?: SayOptions): Promise<Answer>;
}

/** QoS 0, never retained, with an expiry where the broker has it; the answer is told from all else by hearOf. */
export function makeConversation(parts: ConversationParts): Conversation {
  return { say: (request, options = {}) => say(parts, request, options) };
}

/** Legacy loggers announce a restart among their progress (§3.1). */
function isLeaving(heard: Heard): boolean {
  return heard.kind === 'transition' || (heard.kind === 'progress' && /^(Loading CRBasic file|Rebooting Datalogger)$/.test(heard.text));
}

async function say(parts: ConversationParts, request: CommandRequest, options: SayOptions): Promise<Answer> {
  const { bus, clock, place, signal } = parts;
  const encoded = encodeCommand(request, { ...place, tranId: parts.tranId() });
  if (!encoded.ok) return { kind: 'unfit', problem: encoded.error };
  const { topic, payload, command, tranId } = encoded.value;
  const sent = { request, command, tranId, baseTopic: place.baseTopic, address: place.address, sentAt: clock.now() };
  const answered = Promise.withResolvers<Answer>();
  let away = false;
  const stop = bus.listen((message) => {
    const heard = hearOf(sent, message);
    if (heard === null) return;
    options.heard?.(heard);
    if (options.goesOn === true) return;
    if (heard.kind === 'reply') answered.resolve(heard);
    else if (heard.kind === 'transition' && options.leavingAnswers === true) answered.resolve({ kind: 'leaving', reason: heard.reason });
    else if (heard.kind === 'online' && away && options.returnAnswers === true) answered.resolve({ kind: 'back' });
    away ||= isLeaving(heard);
  });
  const over = new AbortController();
  const silence = clock.sleep(options.waitMs ?? REPLY_MS, AbortSignal.any([signal, over.signal])).then(
    (): Answer => ({ kind: 'silent' }),
    (): Answer => ({ kind: 'silent' }),
  );
  try {
    parts.underWay?.(true);
    const expiry = bus.expires ? { expirySeconds: COMMAND_EXPIRY_MS / SECOND_MS } : {};
    await unlessAborted(bus.publish(topic, payload, { qos: 0, retain: false, ...expiry }), signal);
    const answer = await Promise.race([answered.promise, silence]);
    if (answer.kind !== 'silent') parts.underWay?.(false);
    return answer;
  } finally {
    stop();
    over.abort();
    await silence;
  }
}
