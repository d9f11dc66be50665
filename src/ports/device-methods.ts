import type { Json } from '#kit/canonical.ts';

export interface MethodCall {
  readonly device: string;
  readonly method: string;
  /** At most 128 KB as JSON. */
  readonly payload: Json;
  /** How long the device may take to answer; hubs wait from 5 s to 300 s. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** In the device's own words: nothing but its firmware says which status is a success. */
export interface MethodReply {
  readonly status: number;
  readonly payload: Json;
}

/** Direct methods: calls to devices that are connected to a hub at this moment (docs/protocols/shadow-devices.md §8.8). */
export interface DeviceMethods {
  /**
   * Sent once. Throws WireError: `DEVICE_OFFLINE` where the hub does not reach the device, `DEVICE_SILENT` where that did not
   * answer in time and may have done it all the same, `METHOD_UNREADABLE` (all later), `SHADOW_401` and the other
   * codes of Shadows, or what the network says.
   */
  invoke(call: MethodCall): Promise<MethodReply>;
  close(): Promise<void>;
}
