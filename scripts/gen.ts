// Writes src/model/generated/fleet-repo.ts from schemas/*.json. `--check` fails when the committed file is out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { compile, type JSONSchema } from 'json-schema-to-typescript';

type Tree = null | boolean | number | string | Tree[] | { [key: string]: Tree };

const KINDS = ['fleet', 'devices', 'artifact', 'group', 'set', 'rollout', 'window', 'override', 'approval'] as const;
const OUT = new URL('../src/model/generated/fleet-repo.ts', import.meta.url);
const BANNER = '// Generated from schemas/*.json by `npm run gen`. Do not edit.';

await main();

async function main(): Promise<void> {
  const text = await generate();
  if (!process.argv.includes('--check')) return writeFileSync(OUT, text);
  if (readFileSync(OUT, 'utf8') === text) return;
  console.error('src/model/generated/fleet-repo.ts is out of date: run npm run gen');
  process.exitCode = 1;
}

async function generate(): Promise<string> {
  const defs: Record<string, Tree> = {};
  collect(readSchema('defs'), defs);
  const documents = KINDS.map((kind) => {
    const schema = readSchema(kind);
    collect(schema, defs);
    const name = `${schema['title'] as string}Document`;
    const body = Object.fromEntries(Object.entries(schema).filter(([key]) => !key.startsWith('$')));
    defs[name] = { ...body, title: name };
    return { $ref: `#/definitions/${name}` };
  });
  const root = { title: 'FleetRepoDocument', oneOf: documents, definitions: prepare(defs) } as unknown as JSONSchema;
  return compile(root, 'FleetRepoDocument', {
    bannerComment: BANNER,
    additionalProperties: false,
    unknownAny: true,
    unreachableDefinitions: false,
    style: { singleQuote: true, printWidth: 140 },
  });
}

function readSchema(name: string): { [key: string]: Tree } {
  return JSON.parse(readFileSync(new URL(`../schemas/${name}.json`, import.meta.url), 'utf8')) as { [key: string]: Tree };
}

function collect(schema: { [key: string]: Tree }, into: Record<string, Tree>): void {
  for (const [name, def] of Object.entries((schema['$defs'] ?? {}) as Record<string, Tree>)) into[name] = def;
}

/** One namespace for all references, and text only: what an editor may show as a number reaches declare as text. */
function prepare(tree: Tree): Tree {
  if (Array.isArray(tree)) return tree.map(prepare);
  if (tree === null || typeof tree !== 'object') return tree;
  const out: { [key: string]: Tree } = {};
  for (const [key, value] of Object.entries(tree)) {
    if (key === 'propertyNames' || key === 'examples' || key === 'discriminator' || key === 'patternProperties') continue;
    if (key === '$ref') out[key] = (value as string).replace(/^.*#\/\$defs\//, '#/definitions/');
    else if (key === 'type' && Array.isArray(value)) out[key] = 'string';
    else if (key === 'enum' && Array.isArray(value)) out[key] = value.filter((member) => typeof member === 'string');
    else if (key === 'minItems') continue;
    else out[key] = prepare(value);
  }
  // A definition's title would name every use of it; the key does that already.
  if (typeof out['title'] === 'string' && !out['title'].endsWith('Document')) delete out['title'];
  if (typeof out['$ref'] === 'string') return { $ref: out['$ref'] };
  const patterns = tree['patternProperties'];
  if (patterns !== undefined && typeof patterns === 'object')
    out['additionalProperties'] = prepare(Object.values(patterns as object)[0] as Tree);
  const open = ['properties', 'additionalProperties', 'oneOf'].every((key) => out[key] === undefined);
  if (out['type'] === 'object' && open) return { ...out, tsType: 'Readonly<Record<string, unknown>>' };
  return out;
}
