import type { Json } from '#kit/canonical.ts';
import type { Content } from '#model/declared.ts';

/** One call to one board (docs/protocols/shadow-devices.md §4). */
export interface RpcCall {
  /** `device.id` of the board. */
  readonly board: string;
  readonly method: string;
  readonly params: Json | null;
  /** Silence for so long is an answer: `silent`. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A conclusive answer. `error.code 0` of the wire is a success whose result is its message (§4.2). */
export type RpcReply =
  | { readonly kind: 'result'; readonly result: Json }
  | { readonly kind: 'error'; readonly code: number; readonly message: string | null };

/**
 * Calls boards, whatever carries the frames. Throws WireError when the wire breaks; `silent` when the board does not
 * answer: the call may have had its effect all the same. A call is sent once.
 */
export interface RpcCaller {
  call(call: RpcCall): Promise<RpcReply | 'silent'>;
  /**
   * Hands the bundle over by itself, where the wire takes bytes in the place of a URL (mDash). The board runs it
   * uncommitted afterwards. An error is the wire's refusal; `silent` where nobody knows whether it was taken.
   */
  upload?(upload: BundleUpload): Promise<RpcReply | 'silent'>;
}

export interface BundleUpload {
  readonly board: string;
  readonly content: Pick<Content, 'name' | 'digest'>;
  readonly bytes: Uint8Array;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}
