import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { IndexMatch } from '#ports/shadows.ts';
import { quoted } from '#shadows/values.ts';
import { shadowOptions, type ShadowOptions } from './options.ts';
import { declaredSettings } from './reports.ts';

/** Terms of a query; the rest of the 12 that AWS allows is left to what selects the group (docs/protocols/aws-iot.md §12). */
const MOST_TERMS = 8;

/**
 * What the index has of a device that is as declared; null where it cannot tell: a document that is compared by its digest, or
 * more than fits a query. The index compares without regard to case.
 */
export function indexMatch(device: DeclaredDevice): IndexMatch | null {
  const options = shadowOptions(device.options);
  const terms: string[] = [];
  for (const item of device.items) {
    const own = termsOf(item, options);
    if (own === null) return null;
    terms.push(...own);
  }
  if (terms.length === 0 || terms.length > MOST_TERMS) return null;
  return { among: options.among, declared: terms.toSorted().join(' AND ') };
}

function termsOf(item: DeclaredItem, options: ShadowOptions): readonly string[] | null {
  if (item.item === 'settings') {
    const terms = Object.entries(declaredSettings(item.facts)).map(([name, text]) => {
      const mapping = options.settings.get(name);
      return mapping === undefined ? null : termOf(options, mapping.reported, mapping.type === 'number' ? text : quoted(text));
    });
    return terms.every((term) => term !== null) ? terms : null;
  }
  const mapping = item.item === 'firmware' ? options.firmware : options.config;
  if (mapping === null || (item.item === 'config' && mapping.reports === 'document')) return null;
  const term = termOf(options, mapping.reported, quoted(item.value));
  return term === null ? null : [term];
}

/** Null for a key that the query language would read otherwise. */
function termOf({ shadow }: ShadowOptions, pointer: string, value: string): string | null {
  if (!/^(\/[A-Za-z0-9_-]+)+$/.test(pointer)) return null;
  const section = shadow === null ? 'shadow.reported' : `shadow.name.${shadow}.reported`;
  return `${section}${pointer.replaceAll('/', '.')}:${value}`;
}
