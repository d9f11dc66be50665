/** What can be wrong with a firmware bundle. Codes are tested, texts are for people. */
export type BundleProblemCode =
  | 'NOT_A_ZIP'
  | 'TRUNCATED'
  | 'MALFORMED'
  | 'COMPRESSED'
  | 'ENCRYPTED'
  | 'SIZE_AFTER_DATA'
  | 'BAD_NAME'
  | 'LONG_NAME'
  | 'DUPLICATE_NAME'
  | 'TOO_MANY_FILES'
  | 'MANIFEST_NOT_FIRST'
  | 'MANIFEST_TOO_LARGE'
  | 'BAD_MANIFEST'
  | 'FIELD_MISSING'
  | 'TOO_MANY_PARTS'
  | 'WRONG_PLATFORM'
  | 'BAD_CRC'
  | 'BAD_SIZE'
  | 'BAD_DIGEST'
  | 'PART_MISSING'
  | 'BAD_DIRECTORY'
  | 'BAD_SIGNATURES';

/** One flaw of a bundle. */
export interface BundleProblem {
  readonly code: BundleProblemCode;
  /** Plain words, with the place. */
  readonly text: string;
  /** Name of the entry as it stands in the archive, null where it is not of one entry. */
  readonly entry: string | null;
  /** Offset in bytes from the start of the archive, null where it has none. */
  readonly offset: number | null;
  /** What a device answers to it (docs/protocols/shadow-devices.md §3.4); null where the device does not notice, or its text is not known. */
  readonly deviceText: string | null;
}

/** Ends the reading of a bundle from within; caught at its border, so that nothing of it is thrown at a caller. */
export class BundleFlaw extends Error {
  override readonly name = 'BundleFlaw';
  readonly problem: BundleProblem;

  constructor(code: BundleProblemCode, text: string, at: Partial<Omit<BundleProblem, 'code' | 'text'>> = {}) {
    super(text);
    const { entry = null, offset = null, deviceText = null } = at;
    this.problem = { code, text: placed(text, entry, offset), entry, offset, deviceText };
  }
}

function placed(text: string, entry: string | null, offset: number | null): string {
  const places = [...(entry === null ? [] : [JSON.stringify(entry)]), ...(offset === null ? [] : [`byte ${offset}`])];
  return places.length === 0 ? text : `${text} (${places.join(', ')})`;
}
