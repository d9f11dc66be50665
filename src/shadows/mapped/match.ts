import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { IndexMatch } from '#ports/shadows.ts';
import { mappedOptions, type MappedOptions, type SettingMapping } from './options.ts';
import { declaredSettings } from './declared-settings.ts';

/**
 * What the index of a service has of one reported value, in its query language; null for a pointer that the language would
 * read otherwise.
 */
export type IndexTerm = (pointer: string, value: { readonly text: string; readonly type: SettingMapping['type'] }) => string | null;

/** Terms of a query; the rest of the 12 that AWS allows is left to what selects the group (docs/protocols/aws-iot.md §12). */
const MOST_TERMS = 8;

/**
 * What the index has of a device that is as declared; null where it cannot tell: a document that is compared by its digest, or
 * more than fits a query. The index compares without regard to case.
 */
export function indexMatch(device: DeclaredDevice, term: IndexTerm): IndexMatch | null {
  const options = mappedOptions(device.options);
  const terms: string[] = [];
  for (const item of device.items) {
    const own = termsOf(item, options, term);
    if (own === null) return null;
    terms.push(...own);
  }
  if (terms.length === 0 || terms.length > MOST_TERMS) return null;
  return { among: options.among, declared: terms.toSorted().join(' AND ') };
}

function termsOf(item: DeclaredItem, options: MappedOptions, term: IndexTerm): readonly string[] | null {
  if (item.item === 'settings') {
    const terms = Object.entries(declaredSettings(item.facts)).map(([name, text]) => {
      const mapping = options.settings.get(name);
      return mapping === undefined ? null : term(mapping.reported, { text, type: mapping.type });
    });
    return terms.every((one) => one !== null) ? terms : null;
  }
  const mapping = item.item === 'firmware' ? options.firmware : options.config;
  if (mapping === null || (item.item === 'config' && mapping.reports === 'document')) return null;
  const own = term(mapping.reported, { text: item.value, type: 'text' });
  return own === null ? null : [own];
}
