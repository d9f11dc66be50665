import { inspect } from 'node:util';

/**
 * A value that must not be written down by accident: JSON, logs, errors and canonical digests show `[secret]`, and only
 * `reveal` gives it. Holds bytes, or whatever a device family makes of them.
 */
export class Secret<T = Uint8Array> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The plain value: for the place that encrypts it or sends it, and for nothing that is kept or shown. */
  reveal(): T {
    return this.#value;
  }

  toJSON(): string {
    return SECRET_TEXT;
  }

  toString(): string {
    return SECRET_TEXT;
  }

  [inspect.custom](): string {
    return SECRET_TEXT;
  }
}

/** What stands in the place of a secret wherever something is shown, and in the documents that families are given. */
export const SECRET_TEXT = '[secret]';

/** UTF-8 of the bytes without one line end at their end, which editors and `echo` leave; null when they are no text. */
export function secretText(secret: Secret): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(secret.reveal()).replace(/\r?\n$/, '');
  } catch {
    return null;
  }
}
