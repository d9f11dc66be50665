import type { Json } from '#kit/canonical.ts';
import { Switches } from '#kit/switches.ts';

/** Switches of the simulated logger: readme.md says what each does and which fact or unknown stands behind it. */
export const FAULTS = [
  'ackWithoutFlash',
  'asleep',
  'batteryLow',
  'bootBack',
  'brickAfter',
  'brickOnOs',
  'clientIDSpelling',
  'compileError',
  'downloadFails',
  'duplicateOnline',
  'duplicateReports',
  'failedNameReported',
  'garbage',
  'lostReply',
  'noProgramReply',
  'osCheckFails',
  'outOfOrder',
  'prettyJson',
  'replayRetained',
  'retainState',
  'silentStatus',
  'slowDownload',
  'staleReply',
  'staleState',
  'trailingSlash',
  'watchdogAfterUpdate',
  'wrongModelVersion',
  'wrongSerial',
] as const;

/**
 * Switches that choose between readings of what is not known, or known to vary, of a real logger
 * (docs/protocols/campbell-mqtt.md §13). Off is the documented or observed way of the dialect.
 */
export const KNOBS = [
  'badValuesRefused',
  'certificateSpoilt',
  'checksHttpStatus',
  'checksumFails',
  'configLenient',
  'configNeedsTerminator',
  'configNumbersIgnored',
  'deleteFails',
  'listCut',
  'listTopicOther',
  'listWholeNames',
  'noUidHeader',
  'numbersAnswered',
  'osAttempts',
  'rebootMs',
  'settingsUnpadded',
  'tranIdAlone',
  'tranIdInTopic',
] as const;

/** The knobs and faults of a simulated logger, by name. */
export const SWITCHES: readonly string[] = [...FAULTS, ...KNOBS].toSorted();

export type FaultName = (typeof FAULTS)[number] | (typeof KNOBS)[number];

const ALL: readonly FaultName[] = [...FAULTS, ...KNOBS];

export class FaultSwitches extends Switches<FaultName> {
  constructor() {
    super('a simulated Campbell logger', ALL);
  }

  /** Numbers are spelt out. */
  override text(name: FaultName, otherwise: string): string {
    const value = this.value(name);
    return typeof value === 'number' ? String(value) : super.text(name, otherwise);
  }

  member(name: FaultName, member: string, otherwise: number): number {
    const value = this.value(name);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return otherwise;
    const found = (value as Readonly<Record<string, Json | undefined>>)[member];
    return typeof found === 'number' ? found : otherwise;
  }
}
