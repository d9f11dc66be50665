import { parseDuration } from '#kit/duration.ts';

/** `40%` → 0.4; the schema has checked the spelling. Undefined stays what the caller says. */
export function share(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : Number(text.slice(0, -1)) / 100;
}

export function count(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : Number(text);
}

/** Milliseconds. A duration too long for a number is as good as for ever. */
export function duration(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : (parseDuration(text) ?? Number.MAX_SAFE_INTEGER);
}

export function flag(text: string | undefined, otherwise: boolean): boolean {
  return text === undefined ? otherwise : text === 'true';
}

export function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}
