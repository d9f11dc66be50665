import type { DeclaredDevice } from '#model/declared.ts';
import type { IndexMatch } from '#ports/shadows.ts';
import { quoted } from '#shadows/values.ts';
import { mongooseOptions } from './options.ts';
import { readFirmwareName } from './wire.ts';

/** What the index has of a board that is as declared; null where it cannot tell (docs/protocols/aws-iot.md §12). */
export function indexMatch({ items, options }: DeclaredDevice): IndexMatch | null {
  const { shadow, host } = mongooseOptions(options);
  const terms: string[] = [];
  for (const { item, value } of items) {
    const pointer = item === 'firmware' ? shadow.at : (host?.reported ?? null);
    const name = readFirmwareName(value);
    // Some characters of a key the query language would read otherwise.
    if (name === null || pointer === null || shadow.generation === 'flat' || !/^(\/[A-Za-z0-9_-]+)+$/.test(pointer)) return null;
    const place = `shadow.reported${pointer.replaceAll('/', '.')}`;
    terms.push(`${place}.fw_version:${quoted(name.version)}`, `${place}.fw_id:${quoted(name.buildId)}`);
    if (item === 'firmware') terms.push(`${place}.is_committed:true`);
  }
  return terms.length === 0 ? null : { among: null, declared: terms.toSorted().join(' AND ') };
}
