import type { Result } from '#kit/result.ts';
import type { Secret } from '#kit/secret.ts';
import type { Content } from '#model/declared.ts';

export interface ArtifactProblem {
  /** UNVERIFIED: the bytes do not have the declared digest. UNREACHABLE may be tried again. */
  readonly code: 'UNVERIFIED' | 'UNREACHABLE' | 'MISSING' | 'TOO_LARGE' | 'NO_URL';
  readonly message: string;
}

/** Artifacts: fetched, verified by digest, and made available to devices that download by themselves. */
export interface Artifacts {
  /** The verified bytes. */
  bytes(content: Content, signal?: AbortSignal): Promise<Result<Uint8Array, ArtifactProblem>>;
  /**
   * A URL that one device may GET until it expires. Made just before use, never logged, never recorded. The file name
   * is the last path segment.
   */
  urlFor(
    content: Content,
    request: { readonly device: string; readonly expiresMs: number },
    signal?: AbortSignal,
  ): Promise<Result<string, ArtifactProblem>>;
  /**
   * The same for bytes that are a secret: for one GET only, from memory, kept nowhere. `NO_URL` where that cannot be
   * promised (a presigned URL serves whoever asks, as often as they ask). Left out: never.
   */
  urlOnce?(
    secret: Secret,
    request: { readonly name: string; readonly device: string; readonly expiresMs: number },
  ): Result<string, ArtifactProblem>;
  close(): Promise<void>;
}
