import { Switches } from '#kit/switches.ts';

/** Misbehaviours that a test can switch on and off, by name. Each is described in readme.md. */
export const CANEDGE_FAULTS = [
  'alternateId',
  'asleep',
  'bootBack',
  'brickOnFirmware',
  'duplicateHeartbeat',
  'emptyCrc',
  'ignoreOta',
  'kpubChanged',
  'lostAfterConfig',
  'moduleUpdate',
  'oldHeartbeat',
  'refuseCerts',
  'refuseConfig',
  'refuseFirmware',
  'sdEdit',
  'tornHeartbeat',
  'wrongId',
  'wrongModelVersion',
  'wrongVersion',
] as const;

export type CanedgeFault = (typeof CANEDGE_FAULTS)[number];

export class FaultSwitches extends Switches<CanedgeFault> {
  constructor() {
    super('a CANedge', CANEDGE_FAULTS);
  }
}

/** What the protocol page leaves open, each with the default of docs/protocols/canedge-s3.md §13. */
export interface CanedgeQuirks {
  readonly otaOrder: readonly ('certs' | 'firmware' | 'config')[];
  readonly configChangeDetect: 'bytes' | 'etag' | 'modified';
  readonly onInvalidConfig: 'keep' | 'empty' | 'defaults';
  readonly invalidConfigReboots: boolean;
  readonly deleteFirmwareFromBucket: boolean;
  readonly allowPatchDowngrade: boolean;
  readonly allowRevisionDowngrade: boolean;
  /** Of a WiFi device: SHA-1 of the certificate or of its subject. A cellular one hashes the certificate with MD5. */
  readonly certHashInput: 'der' | 'subject';
  /** Of bundles of several certificates. */
  readonly certBundleEncodings: 'both' | 'der' | 'pem';
  readonly certField: 'family' | 'absent';
  readonly heartbeatOnConnect: boolean;
  readonly deviceJsonStyle: 'pretty' | 'compact' | 'crlf' | 'reordered' | 'extra';
  /** User metadata of what it writes (§2). */
  readonly metaHeaders: 'current' | '01.04' | 'none';
  readonly idCase: 'upper' | 'lower';
  /** Probability of a heartbeat cut short, followed by a good one a period later. */
  readonly tornHeartbeatRate: number;
  /** 1 to 5: stretches both periods. */
  readonly busyFactor: number;
}

export const DEFAULT_QUIRKS: CanedgeQuirks = {
  otaOrder: ['certs', 'firmware', 'config'],
  configChangeDetect: 'bytes',
  onInvalidConfig: 'keep',
  invalidConfigReboots: false,
  deleteFirmwareFromBucket: false,
  allowPatchDowngrade: true,
  allowRevisionDowngrade: false,
  certHashInput: 'der',
  certBundleEncodings: 'both',
  certField: 'family',
  heartbeatOnConnect: true,
  deviceJsonStyle: 'pretty',
  metaHeaders: 'current',
  idCase: 'upper',
  tornHeartbeatRate: 0,
  busyFactor: 1,
};
