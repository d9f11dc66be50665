/**
 * A broken wire. `retry` says when it makes sense to try again; `code` is stable (`ECONNREFUSED`, `S3_403`, `TIMEOUT`).
 * Nothing inspects the message; it holds no secret and no signed URL.
 */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: string;
  readonly retry: 'now' | 'later' | 'never';

  constructor(code: string, retry: 'now' | 'later' | 'never', message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retry = retry;
  }
}
