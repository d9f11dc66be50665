import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeReport } from '#declare/report.ts';
import { plain } from '#declare/nodes.ts';
import { KINDS, schemaErrors } from '#declare/schemas.ts';
import { readYaml } from '#declare/yaml.ts';
import { brokenRepos, CORPUS } from './corpus.ts';

const SPEC = join(import.meta.dirname, '..', '..', 'docs', 'spec');
const pages = new Map(readdirSync(SPEC).map((name) => [name, readFileSync(join(SPEC, name), 'utf8')]));
/** Codes of the families are told in their own readmes. */
const FAMILY_CODES = new Set(['ADDRESS_MODEL']);

describe('the spec pages', () => {
  it.each(KINDS.map((kind) => [kind, `${kind.toLowerCase()}.md`]))('%s begins with an example that its schema accepts', (kind, name) => {
    const examples = [...(pages.get(name) ?? '').matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text ?? '');
    expect(examples.length).toBeGreaterThan(0);
    for (const text of examples) {
      const report = makeReport();
      const [node, ...others] = readYaml(name, text, report);
      expect([report.list(), others]).toEqual([[], []]);
      const data = node === undefined ? {} : plain(node);
      expect(data).toMatchObject({ kind });
      expect(schemaErrors(KINDS.find((one) => one === kind) ?? 'Fleet', data)).toEqual([]);
    }
  });

  it('explain every code that the corpus of broken repos shows', () => {
    const shown = brokenRepos().flatMap((name) =>
      readFileSync(join(CORPUS, name, 'expected.txt'), 'utf8')
        .split('\n')
        .map((line) => line.split(' ')[0] ?? ''),
    );
    const told = [...pages.values()].join('\n');
    const missing = [...new Set(shown)].filter((code) => code !== '' && !FAMILY_CODES.has(code) && !told.includes(`\`${code}\``));
    expect(missing).toEqual([]);
  });
});
