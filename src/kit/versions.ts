/** By numbers where both have them (`1.10.0` above `1.9`), a suffix after `-` below none; null where one begins with no number. */
export function compareVersions(a: string, b: string): number | null {
  const [left, right] = [partsOf(a), partsOf(b)];
  if (left === null || right === null) return null;
  for (let index = 0; index < Math.max(left.numbers.length, right.numbers.length); index += 1) {
    const difference = (left.numbers[index] ?? 0) - (right.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.suffix === right.suffix) return 0;
  if (left.suffix === '' || right.suffix === '') return left.suffix === '' ? 1 : -1;
  return left.suffix < right.suffix ? -1 : 1;
}

function partsOf(version: string): { readonly numbers: readonly number[]; readonly suffix: string } | null {
  const [, digits, suffix = ''] = /^v?(\d{1,9}(?:\.\d{1,9}){0,7})(?:[-+.]?(.*))?$/i.exec(version) ?? [];
  return digits === undefined ? null : { numbers: digits.split('.').map(Number), suffix };
}
