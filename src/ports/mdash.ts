import type { Json } from '#kit/canonical.ts';
import type { Instant } from '#model/ids.ts';
import type { JsonObject } from '#model/shadow.ts';

/** A device as the account lists it; what mDash does not say of it is null. */
export interface MdashDevice {
  readonly id: string;
  readonly online: boolean | null;
  /** `reported` of its shadow, and when that was last written, in ms of mDash's clock. */
  readonly reported: JsonObject | null;
  readonly at: Instant | null;
}

/** What a call came to: the value that the device gave, or its error. */
export type MdashReply =
  | { readonly kind: 'result'; readonly result: Json }
  | { readonly kind: 'error'; readonly code: number; readonly message: string | null };

export interface MdashCall {
  readonly device: string;
  readonly method: string;
  readonly params: Json | null;
  /** Silence for so long is an answer: `silent`. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface MdashUpload {
  readonly device: string;
  /** File name of the bundle, for people. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** For all of it: mDash answers when the device has the last byte. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * mDash, the cloud of Mongoose OS boards, over its REST API (docs/protocols/shadow-devices.md §5). Throws WireError:
 * `MDASH_401`, `MDASH_403`, `MDASH_404` for a device that the account does not have, `BAD_URL` (never), `MDASH_429`, `MDASH_5xx`,
 * `BAD_ANSWER` and what the network says (later), or the signal's reason. Nothing is sent twice.
 */
export interface Mdash {
  /** All devices of the account, sorted, in one request. */
  devices(signal?: AbortSignal): Promise<readonly MdashDevice[]>;
  /** `silent` where the device is not connected or did not answer: the call may have had its effect all the same. */
  call(call: MdashCall): Promise<MdashReply | 'silent'>;
  /**
   * Hands a bundle over; the board runs it uncommitted afterwards. An error is a refusal by the board; `silent` where nobody
   * knows whether it was taken. Throws WireError `MDASH_NO_UPLOADS` (never) too, for an mDash that takes none any more (§11.5).
   */
  upload(upload: MdashUpload): Promise<MdashReply | 'silent'>;
  close(): Promise<void>;
}
