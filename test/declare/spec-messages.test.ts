import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { declare } from '#declare/declare.ts';
import { KINDS } from '#declare/schemas.ts';
import { diagnosticText } from '#view/diagnostics-text.ts';
import { AT, CORPUS, FAMILIES, revisionOfFolder } from './corpus.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const SPEC = join(ROOT, 'docs', 'spec');
const PAGES = readdirSync(SPEC).filter((name) => name.endsWith('.md'));
/** A block that shows what `validate` says of a repo of the corpus. */
const SHOWN = /<!-- says: ([a-z0-9-]+) -->\n```text\n(.*?)```/gs;

/** The first mistake of a broken repo, as a person sees it. */
function saying(name: string): string {
  const revision = revisionOfFolder(join(CORPUS, name));
  const [first] = declare({ revision, families: FAMILIES, at: AT }).diagnostics;
  if (first === undefined) return '';
  const sourceLine = (file: string, line: number): string | undefined => {
    const bytes = revision.read(file);
    return bytes instanceof Uint8Array ? new TextDecoder().decode(bytes).split('\n')[line - 1] : undefined;
  };
  return `${diagnosticText(first, { sourceLine })}\n`;
}

describe('the spec pages', () => {
  it.each(PAGES)('%s shows messages as they are printed', (name) => {
    const path = join(SPEC, name);
    const page = readFileSync(path, 'utf8');
    const corrected = page.replaceAll(SHOWN, (_, repo: string) => `<!-- says: ${repo} -->\n\`\`\`text\n${saying(repo)}\`\`\``);
    if (process.env['GOLDEN'] === 'write') writeFileSync(path, corrected);
    expect(readFileSync(path, 'utf8')).toBe(corrected);
    const blocks = page.match(/^```text$/gm)?.length ?? 0;
    expect([...page.matchAll(SHOWN)], 'a message that nothing holds').toHaveLength(blocks);
  });

  it.each(KINDS.map((kind) => [kind]))('%s: every field of the schema is explained', (kind) => {
    const page = readFileSync(join(SPEC, `${kind.toLowerCase()}.md`), 'utf8');
    const schema = JSON.parse(readFileSync(join(ROOT, 'schemas', `${kind.toLowerCase()}.json`), 'utf8')) as Readonly<
      Record<string, unknown>
    >;
    const told = [...page.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text ?? '').join(' ');
    const missing = fieldsOf(schema).filter((field) => field !== 'kind' && !new RegExp(`\\b${field}\\b`).test(told));
    expect(missing).toEqual([]);
  });

  it.each(KINDS.map((kind) => [kind]))('%s: shows at least one mistake with its message', (kind) => {
    expect(readFileSync(join(SPEC, `${kind.toLowerCase()}.md`), 'utf8')).toMatch(SHOWN);
  });
});

/** The names of all fields that a schema knows, those of its own definitions included. */
function fieldsOf(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = Object.keys((schema as { readonly properties?: object }).properties ?? {});
  const below = Object.entries(schema).flatMap(([key, value]) => (key === 'examples' ? [] : fieldsOf(value)));
  return [...new Set([...own, ...below])];
}
