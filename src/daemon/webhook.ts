import { createHmac, timingSafeEqual } from 'node:crypto';

/** Longest body of a push that is looked at. */
export const MOST_PUSH_BYTES = 5 * 1024 * 1024;

/** Of GitHub (also sent by Gitea and Forgejo), and the two older ones. SHA-1 signatures are not taken. */
const SIGNATURES = ['x-hub-signature-256', 'x-gitea-signature', 'x-forgejo-signature'];
const EVENTS = ['x-github-event', 'x-gitea-event', 'x-forgejo-event'];

export type Headers = Readonly<Record<string, string | undefined>>;

/** Whether one of the signatures is the HMAC-SHA-256 of the body; compared in constant time. */
export function isSigned(secret: string, headers: Headers, body: Uint8Array): boolean {
  const expected = createHmac('sha256', secret).update(body).digest();
  return SIGNATURES.some((name) => {
    const [, hex] = /^(?:sha256=)?([0-9a-f]{64})$/i.exec(headers[name] ?? '') ?? [];
    return hex !== undefined && timingSafeEqual(expected, Buffer.from(hex, 'hex'));
  });
}

/** What a signed message asks for: a pass, unless it says that it is no push, or one to another branch. */
export function isPushTo(branch: string | null, headers: Headers, body: Uint8Array): boolean {
  const event = EVENTS.map((name) => headers[name]).find((value) => value !== undefined) ?? 'push';
  if (event !== 'push') return false;
  const ref = refOf(body);
  return ref === null || branch === null || ref === `refs/heads/${branch}`;
}

function refOf(body: Uint8Array): string | null {
  try {
    const said: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    const ref: unknown = typeof said === 'object' && said !== null && 'ref' in said ? said.ref : null;
    return typeof ref === 'string' ? ref : null;
  } catch {
    return null;
  }
}
