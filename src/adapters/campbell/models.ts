import { osFamily } from './os-version.ts';

/** docs/protocols/campbell-mqtt.md, head, and the variants named in §8.1 and §8.2. */
export const MODELS = [
  'CR1000X',
  'CR1000Xe',
  'CR300',
  'CR310',
  'CR310-CELL200',
  'CR350',
  'CR6',
  'CR6-RF',
  'CR6-WIFI',
  'GRANITE10',
  'GRANITE6',
  'GRANITE9',
] as const;

/** The extension that belongs to a model alone (§8.3). Every model takes `.CRB` and `.DLD` besides. */
const OWN_EXTENSION: Readonly<Record<string, string>> = { CR1000X: 'CR1X', CR6: 'CR6', CR300: 'CR300', CR310: 'CR300' };

/** The first OS that reads `.CRB`: where two pages of the vendor differ, the earlier (§8.3). */
const FIRST_CRB_OS: Readonly<Record<string, string>> = { CR1000X: '4', CR6: '10', CR300: '9', CR310: '9' };

/** Extensions of program files that a model compiles, in upper case. */
export function programExtensions(model: string): readonly string[] {
  const own = OWN_EXTENSION[osFamily(model)];
  return own === undefined ? ['CRB', 'DLD'] : [own, 'CRB', 'DLD'];
}

/** The lowest OS version for a program file, null when any will do. */
export function programNeedsOs(model: string, fileName: string): string | null {
  if (!fileName.toUpperCase().endsWith('.CRB')) return null;
  return FIRST_CRB_OS[osFamily(model)] ?? null;
}

/** CR6 from this serial on need at least that OS: an older one may leave them dead (§8.2). */
const CR6_FLOOR = { fromSerial: 19_001, os: '11.2' } as const;

/** The lowest OS that this hardware can run. A CR6 whose serial is not known counts as a new one. */
export function lowestOs(model: string, serial: string | null): { readonly os: string; readonly because: string } | null {
  if (osFamily(model) !== 'CR6') return null;
  if (serial === null) return { os: CR6_FLOOR.os, because: 'the serial of this CR6 is not known' };
  if (/^\d+$/.test(serial) && Number(serial) < CR6_FLOOR.fromSerial) return null;
  return { os: CR6_FLOOR.os, because: `serial ${serial} is not below ${CR6_FLOOR.fromSerial}` };
}
