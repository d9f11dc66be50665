import { err, ok } from '#kit/result.ts';
import type { Result } from '#kit/result.ts';
import type { Clock } from '#ports/clock.ts';

export type RestMethod = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export interface RestAnswer {
  readonly status: number;
  readonly body: unknown;
  /** The server says that there is another page. */
  readonly more: boolean;
}

/** `UNSURE`: the request may have been done, and nobody knows. */
export interface RestTrouble {
  readonly code: 'FORBIDDEN' | 'NOT_FOUND' | 'RATE_LIMITED' | 'REFUSED' | 'UNREACHABLE' | 'UNREADABLE' | 'UNSURE';
  readonly message: string;
}

/** The few calls that GitHub, Gitea and Forgejo answer alike. */
export interface Rest {
  request(method: RestMethod, path: string, body?: unknown): Promise<Result<RestAnswer, RestTrouble>>;
}

export interface RestOptions {
  /** `https://api.github.com`, or `https://forge.example.org/api/v1`. */
  readonly api: string;
  readonly token: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const ATTEMPTS = 4;
const CALL_LIMIT_MS = 20_000;
/** A server that wants a longer pause than this does without a comment: a job that waits costs more than it says. */
const LONGEST_PAUSE_MS = 60_000;
/** A page of a hundred comments at their longest is 7 MB. */
const MOST_BYTES = 16 * 1024 * 1024;

/** What one attempt came to: an answer, or trouble and whether (and when) it may be tried again. */
type Attempt =
  | { readonly kind: 'answer'; readonly answer: RestAnswer }
  | { readonly kind: 'trouble'; readonly trouble: RestTrouble; readonly pauseMs: number | null };

export function makeRest(options: RestOptions): Rest {
  return {
    request: async (method, path, body) => {
      for (let attempt = 1; ; attempt += 1) {
        const made = await tryOnce(options, { method, path, body, attempt });
        if (made.kind === 'answer') return ok(made.answer);
        if (made.pauseMs === null || attempt === ATTEMPTS || made.pauseMs > LONGEST_PAUSE_MS) return err(made.trouble);
        await options.clock.sleep(made.pauseMs, options.signal);
      }
    },
  };
}

interface Call {
  readonly method: RestMethod;
  readonly path: string;
  readonly body: unknown;
  readonly attempt: number;
}

async function tryOnce(options: RestOptions, call: Call): Promise<Attempt> {
  const backOffMs = 1000 * 2 ** (call.attempt - 1);
  // What creates something is not repeated blindly: the caller looks first whether it is there.
  const again = call.method === 'POST' ? null : backOffMs;
  const lost = call.method === 'POST' ? 'UNSURE' : 'UNREACHABLE';
  try {
    const response = await fetch(`${options.api}${call.path}`, {
      method: call.method,
      headers: {
        Accept: 'application/json',
        Authorization: `token ${options.token}`,
        'User-Agent': 'headgate',
        ...(call.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      // Followed, a moved POST would become a GET, and the token could leave with it.
      redirect: 'manual',
      signal: AbortSignal.any([options.signal, AbortSignal.timeout(CALL_LIMIT_MS)]),
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    });
    const text = await textOf(response);
    if (response.ok) return answered(response, text);
    return refused(response, { call, pauseMs: pauseOf(response, { now: options.clock.now(), backOffMs }), again, lost });
  } catch (error) {
    if (options.signal.aborted) throw error;
    return { kind: 'trouble', trouble: { code: lost, message: `${call.method} ${call.path}: ${reasonOf(error)}` }, pauseMs: again };
  }
}

function answered(response: Response, text: string | null): Attempt {
  const unreadable: Attempt = {
    kind: 'trouble',
    trouble: { code: 'UNREADABLE', message: `the answer of ${new URL(response.url).pathname} is no JSON of a sensible size` },
    pauseMs: null,
  };
  if (text === null) return unreadable;
  const more = /rel="next"/.test(response.headers.get('link') ?? '');
  if (text.trim() === '') return { kind: 'answer', answer: { status: response.status, body: null, more } };
  try {
    return { kind: 'answer', answer: { status: response.status, body: JSON.parse(text) as unknown, more } };
  } catch {
    return unreadable;
  }
}

function refused(
  response: Response,
  context: {
    readonly call: Call;
    /** Not null when the server says that it is asked too often. */
    readonly pauseMs: number | null;
    readonly again: number | null;
    readonly lost: 'UNSURE' | 'UNREACHABLE';
  },
): Attempt {
  const { status } = response;
  const message = `${context.call.method} ${context.call.path}: HTTP ${status}`;
  // Asked too often, nothing was done: so even a POST may be repeated.
  if (context.pauseMs !== null) return { kind: 'trouble', trouble: { code: 'RATE_LIMITED', message }, pauseMs: context.pauseMs };
  if (status >= 500) return { kind: 'trouble', trouble: { code: context.lost, message }, pauseMs: context.again };
  const code = status === 401 || status === 403 ? 'FORBIDDEN' : status === 404 || status === 410 ? 'NOT_FOUND' : 'REFUSED';
  return { kind: 'trouble', trouble: { code, message }, pauseMs: null };
}

/** Retry-After, or the instant at which the allowance is renewed; null when the answer is about something else. */
function pauseOf(response: Response, time: { readonly now: number; readonly backOffMs: number }): number | null {
  const { status, headers } = response;
  if (status !== 403 && status !== 429) return null;
  const after = headers.get('retry-after');
  if (after !== null) {
    const ms = /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - time.now;
    return Number.isFinite(ms) ? Math.max(0, ms) : time.backOffMs;
  }
  if (headers.get('x-ratelimit-remaining') === '0') {
    const reset = Number(headers.get('x-ratelimit-reset') ?? 'none') * 1000 - time.now;
    return Number.isFinite(reset) ? Math.max(0, reset) : time.backOffMs;
  }
  return status === 429 ? time.backOffMs : null;
}

/** Null when it is longer than any answer to these calls. */
async function textOf(response: Response): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.length;
    if (total > MOST_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The name of a broken connection; a cause of fetch may hold the address, never a header. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof Error ? cause.name : 'no answer';
}
