/** Why a device is not converged, or an operation is not admitted now. Closed: extend the list, never stretch a code. */
export const REASONS = {
  IN_FLIGHT: 'an operation was sent and its effect is not reported yet',
  OFFERED: 'an offer lies ready and the device has not fetched it',
  VERIFYING: 'the device took the operation; the proof is not in yet',
  WAITS_FOR_ITEM: 'another item of this device comes first',
  WAITS_FOR_GROUP: 'another group, or the rest of its own, must come first',
  WAVE_NOT_OPEN: 'the wave of this device is not open',
  SOAKING: 'the wave before is soaking',
  GATE_FAILED: 'the gate of the wave cannot be met',
  HALTED: 'the rollout is halted',
  RELEASE_BLOCKED: 'the release contains a part that failed before',
  APPROVAL_NEEDED: 'a person must approve',
  WINDOW_CLOSED: 'no change window is open',
  BUDGET_SPENT: 'as many devices as allowed are changing or down',
  RATE_LIMITED: 'the rate of operations is used up',
  RETRY_LATER: 'the last attempt met trouble; the next one waits',
  OFFLINE: 'nothing shows that the device is reachable',
  LOST: 'the device was alive when it took an operation and has been silent since',
  NEVER_REPORTED: 'the device has never reported this',
  REPORT_UNREADABLE: 'the report could not be understood',
  REPORT_STALE: 'the report is too old to act on',
  IDENTITY_MISMATCH: 'the hardware that reports is not the declared one',
  CONDITIONS_NOT_MET: 'a declared condition does not hold',
  QUARANTINED: 'attempts are spent; a person must look',
  FAILED: 'the device failed this release; it is not tried again',
  INCOMPATIBLE: 'the device cannot take this version',
  NO_UPGRADE_PATH: 'there is no supported way from here to the declared version',
  LOCKOUT_GUARD: 'the change could leave the device without a way back',
  PRECONDITION_MOVED: 'the device or object is not what the operation expects',
  DRIFT_HELD: 'the device was changed by someone else; held as declared',
  ARTIFACT_UNVERIFIED: 'the artifact could not be fetched or its digest differs',
  SECRET_SEALED: 'a secret is needed that cannot be opened here',
  UNTRUSTED_REVISION: 'the revision is not signed as the fleet requires',
  CHANGE_LIMIT: 'the merge changes more than the fleet allows without approval',
  FROZEN: 'a freeze holds the device',
  UNSUPPORTED: 'this cannot be done safely with this device or this way of running',
  UNMANAGED: 'no group owns the device',
} as const;

export type Reason = keyof typeof REASONS;

/** Reasons with which a fleet counts as settled: `apply` ends with exit 0 (DESIGN.md §8). */
export const SETTLED_REASONS: ReadonlySet<Reason> = new Set(['OFFLINE', 'DRIFT_HELD', 'UNMANAGED', 'FROZEN']);
