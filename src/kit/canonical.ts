export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * JSON with object keys in code unit order, no white space, undefined members left out: one text per value, fit for a
 * digest. Throws a RangeError on a number that JSON cannot hold.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError(`not a JSON number: ${value}`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return arrayText(value);
  if (value instanceof Map) return canonicalJson(Object.fromEntries(value as Map<string, unknown>));
  if (value instanceof Set) return canonicalJson(([...value] as string[]).toSorted());
  return objectText(value as Record<string, unknown>);
}

function arrayText(members: readonly unknown[]): string {
  let text = '[';
  for (const member of members) text += (text === '[' ? '' : ',') + canonicalJson(member ?? null);
  return `${text}]`;
}

/** Built in one string without lists in between: the ledger and the plan pass every record through here. */
function objectText(members: Record<string, unknown>): string {
  let text = '{';
  for (const key of Object.keys(members).toSorted()) {
    const member = members[key];
    if (member !== undefined) text += `${text === '{' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(member)}`;
  }
  return `${text}}`;
}
