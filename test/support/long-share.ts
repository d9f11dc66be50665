import { stableFraction } from '#kit/digest.ts';

/**
 * The part of a long test's cases that runs here. HEADGATE_LONG is the share (`1`, or nothing: all; `0.1`: a tenth), and
 * HEADGATE_SEED says which part: any text, the same text the same part. Cases are taken evenly, at least one.
 */
export function shareOf<Case>(
  cases: readonly Case[],
  name: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): readonly Case[] {
  const share = Number(env['HEADGATE_LONG'] ?? '1');
  if (!(share > 0 && share <= 1)) throw new RangeError(`HEADGATE_LONG is a share above 0, at most 1; not ${env['HEADGATE_LONG']}`);
  const stride = Math.min(Math.round(1 / share), Math.max(1, cases.length));
  const offset = Math.floor(stableFraction(`${name} ${env['HEADGATE_SEED'] ?? ''}`) * stride);
  return cases.filter((_, index) => index % stride === offset);
}

/** How many of `count` equal cases run here: the same share as of cases that differ, at least one. */
export function countOf(count: number, env: Readonly<Record<string, string | undefined>> = process.env): number {
  return shareOf(
    Array.from({ length: count }, () => null),
    '',
    env,
  ).length;
}
