import { readWrittenSwitches, type SwitchValues } from '#sim/switch-values.ts';

/** What nobody outside Azure knows for sure (docs/protocols/shadow-devices.md §8.7). */
export interface AzureSwitches {
  /** Whether the version and the ETag of a twin change with what its device reports. */
  readonly etagCoversReported: boolean;
  /** `$lastUpdated` of a leaf that is named in a patch without a change of value. */
  readonly lastUpdatedOfUnchanged: 'moves' | 'stays';
  /** A patch of desired that changes nothing: told to the device, with a new version, or neither. */
  readonly patchOfNothing: 'told' | 'silent';
  /** An empty object in a patch where nothing stood before. */
  readonly emptyObject: 'keep' | 'drop';
  /** What becomes of a report whose topic says `rid` without `$`, as Mongoose OS writes it: carried out, with an answer or without. */
  readonly ridWithoutDollar: 'silent' | 'answer';
  /** A subscription to a filter that a hub does not know: refused in the SUBACK, or the connection ends. */
  readonly strangeFilter: 'refuse' | 'close';
  /** HTTP status for a section that grows too large. */
  readonly tooLargeStatus: 400 | 413;
  /** Whether a comparison with a property that is not there is neither true nor false in a query, so that NOT does not turn it round. */
  readonly queryUndefined: 'unknown' | 'false';
  /** An answer to a direct method with a status below zero, as Mongoose OS writes it: passed on, or let fall. */
  readonly methodBelowZero: 'passed' | 'lost';
  /** How old the twins are that a query looks at. */
  readonly queryLagMs: number;
}

export const AZURE_SWITCHES: AzureSwitches = {
  etagCoversReported: false,
  lastUpdatedOfUnchanged: 'moves',
  patchOfNothing: 'told',
  emptyObject: 'keep',
  ridWithoutDollar: 'silent',
  strangeFilter: 'refuse',
  tooLargeStatus: 400,
  queryUndefined: 'unknown',
  methodBelowZero: 'passed',
  queryLagMs: 0,
};

/** The first value of each is its default, but of the number. */
const VALUES = {
  etagCoversReported: [false, true],
  lastUpdatedOfUnchanged: ['moves', 'stays'],
  patchOfNothing: ['told', 'silent'],
  emptyObject: ['keep', 'drop'],
  ridWithoutDollar: ['silent', 'answer'],
  strangeFilter: ['refuse', 'close'],
  tooLargeStatus: ['400', '413'],
  queryUndefined: ['unknown', 'false'],
  methodBelowZero: ['passed', 'lost'],
  queryLagMs: [0, 3_600_000],
} as const satisfies Record<keyof AzureSwitches, SwitchValues[string]>;

/** Reads switches as a person writes them. Throws a RangeError that says what there is. */
export function readAzureSwitches(written: Readonly<Record<string, string>>): Partial<AzureSwitches> {
  const { tooLargeStatus, ...others } = readWrittenSwitches(VALUES, written);
  return { ...others, ...(tooLargeStatus === undefined ? {} : { tooLargeStatus: Number(tooLargeStatus) === 413 ? 413 : 400 }) };
}
