/** What nobody outside mDash knows for sure, each as a switch: docs/protocols/shadow-devices.md §5 and §11.3, §11.5. */
export interface MdashSwitches {
  /** Whether `POST /devices/:id/ota` is still there; later lists of calls have it no more. */
  readonly ota: 'served' | 'gone';
  /** How the error of a device comes back: in a frame with status 200, or with status 500. */
  readonly errors: 'frame' | 'status';
  /** A call to a device that is not connected: refused at once, or not answered until the call's time is over. */
  readonly offline: 'refused' | 'waits';
  /** How long a device may take to answer a call, ms; then mDash says 504. */
  readonly callMs: number;
  /** How long a frame takes to a device, ms: an upload is hundreds of them. */
  readonly latencyMs: number;
  /** `commit_timeout` of OTA.Begin, in seconds. */
  readonly commitTimeout: number;
  /** Bytes of each OTA.Write before base64; 512 in `mos` (§4.3). */
  readonly chunkBytes: number;
}

export const MDASH_SWITCHES: MdashSwitches = {
  ota: 'served',
  errors: 'frame',
  offline: 'refused',
  callMs: 10_000,
  latencyMs: 0,
  commitTimeout: 300,
  chunkBytes: 512,
};
