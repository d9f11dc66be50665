/** Flags that several commands share, and how their texts are read. */

export interface RepoFlags {
  readonly repo?: string;
}

export interface JsonFlags {
  readonly json: boolean;
}

export interface LookFlags extends RepoFlags, JsonFlags {
  readonly ref?: string;
}

export const text = String;

export const repoFlag = {
  kind: 'parsed',
  parse: text,
  brief: 'Folder of the fleet repo, or the https URL of one',
  placeholder: 'DIR',
  optional: true,
} as const;

export const refFlag = {
  kind: 'parsed',
  parse: text,
  brief: 'Branch, tag or commit to read, or WORKTREE for the files as they are',
  placeholder: 'REF',
  optional: true,
} as const;

export const jsonFlag = { kind: 'boolean', brief: 'Print JSON for machines', default: false, withNegated: false } as const;

export const freshFlag = {
  kind: 'boolean',
  brief: 'Ask the devices now, rather than read their last reports',
  default: false,
  withNegated: false,
} as const;

/** `2026-11-24T08:00Z` as milliseconds. Throws with what to write instead. */
export function parseInstant(input: string): number {
  const at = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(input) ? Date.parse(input) : Number.NaN;
  if (Number.isNaN(at)) throw new RangeError(`${JSON.stringify(input)} is no time: write 2026-11-24T08:00Z`);
  return at;
}

/** `35m` as milliseconds. */
export function parseDurationFlag(parse: (input: string) => number | undefined): (input: string) => number {
  return (input) => {
    const ms = parse(input);
    if (ms === undefined) throw new RangeError(`${JSON.stringify(input)} is no duration: write 90s, 35m or 6h`);
    return ms;
  };
}

export function parseCount(input: string): number {
  if (!/^\d{1,9}$/.test(input)) throw new RangeError(`${JSON.stringify(input)} is no count`);
  return Number(input);
}
