import type { Secret } from '#kit/secret.ts';

/** A file of the fleet repo that holds ciphertext of age. */
export interface SealedFile {
  readonly path: string;
  readonly oid: string;
  /** `tooLarge` where the source does not even read it. */
  readonly bytes: Uint8Array | 'tooLarge';
}

export type OpenedSecret =
  | { readonly kind: 'opened'; readonly secret: Secret }
  /**
   * SEALED: there is no identity here, which is no mistake. WRONG_IDENTITY: the identity is not one of its recipients.
   * BAD_AGE_FILE: damaged, too large, no age file, or under a passphrase. `message` holds no secret.
   */
  | { readonly kind: 'problem'; readonly code: 'SEALED' | 'WRONG_IDENTITY' | 'BAD_AGE_FILE'; readonly message: string };

/** What was opened for one revision, in memory only. */
export interface OpenedSecrets {
  /** The identity itself cannot be used, in words: then every file answers SEALED. */
  readonly identityProblem: string | null;
  /** By the git blob of the ciphertext; undefined for a file that was not asked for. */
  of(oid: string): OpenedSecret | undefined;
}

export interface OpenRequest {
  /** As fleet.yaml says it, `${env:NAME}` or `${file:PATH}`; null when it names none. */
  readonly identity: string | null;
  readonly files: readonly SealedFile[];
}

/** Opens what a revision needs. Never rejects on what a user wrote. */
export interface SecretOpener {
  open(request: OpenRequest): Promise<OpenedSecrets>;
}
