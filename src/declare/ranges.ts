import type { Family } from '#ports/family.ts';

/** Whether a version satisfies `>= 8.0, < 9` in the family's own order; null when one of them cannot be read. */
export function versionHolds(family: Family, version: string, range: string): boolean | null {
  let holds = true;
  for (const [, sign, bound] of range.matchAll(/(>=|<=|>|<|=)\s*([^\s,<>=]+)/g)) {
    const order = family.compareVersions(version, bound ?? '');
    if (order === null) return null;
    holds &&= satisfies(order, sign ?? '=');
  }
  return holds;
}

function satisfies(order: number, sign: string): boolean {
  switch (sign) {
    case '>=':
      return order >= 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '<':
      return order < 0;
    default:
      return order === 0;
  }
}
