import type { Json } from '#kit/canonical.ts';
import { isJsonObject } from '#model/shadow.ts';

/** What a declared `settings` item says by name. */
export function declaredSettings(facts: Json): Readonly<Record<string, string>> {
  const settings = isJsonObject(facts) ? facts['settings'] : undefined;
  if (!isJsonObject(settings)) return {};
  return Object.fromEntries(Object.entries(settings).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text]] : [])));
}
