import { canonicalJson, type Json } from '#kit/canonical.ts';
import { sha256 } from '#kit/digest.ts';
import { err, type Result } from '#kit/result.ts';
import type { Content } from '#model/declared.ts';
import { digest } from '#model/ids.ts';
import type { FamilyProblem } from '#ports/family.ts';

/** What devices with shadows usually say of themselves, and in which unit. */
export const MEASURES: Readonly<Record<string, string>> = {
  battery: 'V',
  errors: '',
  freeMemory: 'B',
  resets: '',
  rssi: 'dBm',
  selfTest: '',
  temperature: '°C',
  uptime: 's',
};

/** A mistake of a declaration, as a family answers it. */
export function problem(code: string, summary: string, fix: string): Result<never, FamilyProblem> {
  return err({ code, summary, fix });
}

/** `{version}`, `{sha256}`, `{size}` and `{name}` filled in. `{url}` stays: it is made right before it is sent. */
export function filledText(template: string, { version, content }: { readonly version: string; readonly content: Content }): string {
  return template
    .replaceAll('{version}', () => version)
    .replaceAll('{sha256}', () => content.digest)
    .replaceAll('{size}', () => String(content.size ?? ''))
    .replaceAll('{name}', () => content.name);
}

/** The first `{word}` of a template that nothing is filled in for, null when there is none. */
export function unknownFilling(template: string, known: readonly string[]): string | null {
  return [...template.matchAll(/\{([A-Za-z][A-Za-z0-9_]*)\}/g)].map(([, word = '']) => word).find((word) => !known.includes(word)) ?? null;
}

/** A document as one text of sorted keys, so that its digest is the same each time. */
export function renderedContent(name: string, document: Json): Content {
  const bytes = new TextEncoder().encode(canonicalJson(document));
  return { kind: 'bytes', name, digest: digest(sha256(bytes)), size: bytes.length, bytes };
}

/** The JSON of a file; undefined for what is none. */
export function jsonIn(bytes: Uint8Array): Json | undefined {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
  } catch {
    return undefined;
  }
}
