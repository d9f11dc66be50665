import type { DeclaredDevice } from '#model/declared.ts';
import type { IndexMatch } from '#ports/shadows.ts';
import { quoted } from '#shadows/values.ts';
import { chariotOptions } from './options.ts';

/**
 * What the index has of a device that is as declared; null where it cannot tell: a config is compared by all of its leaves
 * (docs/protocols/aws-iot.md §12). The index compares without regard to case.
 */
export function indexMatch(device: DeclaredDevice): IndexMatch | null {
  const options = chariotOptions(device.options);
  const terms: string[] = [];
  for (const { item, value } of device.items) {
    if (item !== 'firmware' && item !== 'program') return null;
    const { key, running } = options[item];
    if (![key, running].every((name) => /^[A-Za-z0-9_-]+$/.test(name))) return null;
    terms.push(`shadow.reported.${key}.${running}:${quoted(value)}`);
  }
  return terms.length === 0 ? null : { among: null, declared: terms.toSorted().join(' AND ') };
}
