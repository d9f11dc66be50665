import { parseAst } from 'rolldown/parseAst';

/** A source file of the house: path from the root of the repo, with `/`. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly detail: string;
}

interface Import {
  readonly specifier: string;
  readonly offset: number;
  readonly kind: 'value' | 'type' | 'dynamic';
}

interface FolderRules {
  /** Other folders (or root files) it may import. */
  readonly folders: readonly string[];
  /** Of those, the ones it may import types from only. */
  readonly typesOnly?: readonly string[];
  /** Packages and node: modules. A trailing `*` matches the rest of the name. */
  readonly packages: readonly string[];
  /** Folders that a dynamic import may reach besides. */
  readonly dynamic?: readonly string[];
}

const PURE_STAGES = ['declare', 'plan', 'rollout', 'view'];
const ADAPTER_PACKAGES = ['ajv', 'ajv/*', 'ajv-formats', 'cbor-x', 'node:buffer', 'node:crypto', 'node:util', 'node:zlib'];
const ENTRY_FOLDERS = ['reconcile', 'view', 'model', 'kit', 'ports', 'world.ts'];

/** The composition root reaches everything but the entry points. */
const WORLD_FOLDERS = [
  'kit',
  'model',
  'ports',
  ...PURE_STAGES,
  'source',
  'ledger',
  'transports',
  'artifacts',
  'secrets',
  'adapters',
  'observe',
  'execute',
  'reconcile',
];

/** The table of DESIGN.md §5. */
export const FOLDERS: Readonly<Record<string, FolderRules>> = {
  kit: { folders: [], packages: ['node:crypto', 'node:util', 'node:zlib'] },
  model: { folders: ['kit'], packages: ['semver', 'temporal-polyfill'] },
  ports: { folders: ['kit', 'model'], typesOnly: ['kit', 'model'], packages: [] },
  declare: {
    folders: ['kit', 'model', 'ports'],
    typesOnly: ['ports'],
    packages: ['yaml', 'ajv', 'ajv/*', 'ajv-formats', 'picomatch', 'temporal-polyfill', 'node:crypto', 'node:util'],
  },
  plan: { folders: ['kit', 'model', 'ports'], typesOnly: ['ports'], packages: [] },
  rollout: { folders: ['kit', 'model', 'ports'], typesOnly: ['ports'], packages: ['temporal-polyfill'] },
  view: { folders: ['kit', 'model', 'ports'], typesOnly: ['ports'], packages: [] },
  source: { folders: ['kit', 'model', 'ports'], packages: ['isomorphic-git', 'isomorphic-git/*', 'node:*'] },
  ledger: { folders: ['kit', 'model', 'ports'], packages: ['node:*'] },
  transports: { folders: ['kit', 'model', 'ports'], packages: ['mqtt', '@aws-sdk/*', 'pkijs', 'asn1js', 'node:*'] },
  secrets: { folders: ['kit', 'ports'], packages: ['age-encryption', 'p-limit', 'node:*'] },
  artifacts: { folders: ['kit', 'model', 'ports'], packages: ['p-limit', 'node:*'] },
  shadows: { folders: ['kit', 'model', 'ports'], packages: [] },
  adapters: { folders: ['kit', 'model', 'ports', 'shadows'], packages: ADAPTER_PACKAGES },
  observe: { folders: ['kit', 'model', 'ports', ...PURE_STAGES], packages: ['p-limit'] },
  execute: { folders: ['kit', 'model', 'ports', ...PURE_STAGES], packages: ['p-limit'] },
  reconcile: { folders: ['kit', 'model', 'ports', ...PURE_STAGES, 'observe', 'execute'], packages: ['p-limit'] },
  sim: {
    folders: ['kit', 'model', 'ports', 'adapters', 'reconcile', 'view'],
    packages: ['aedes', 'mqtt-packet', 'pkijs', 'asn1js', 'node:*'],
  },
  'world.ts': { folders: [...WORLD_FOLDERS, 'world'], packages: ['node:*'] },
  world: { folders: WORLD_FOLDERS, packages: ['node:*'] },
  cli: { folders: ENTRY_FOLDERS, packages: ['@stricli/core', 'pino', 'node:*'], dynamic: ['sim', 'daemon'] },
  action: { folders: ENTRY_FOLDERS, packages: ['@actions/core', 'node:*'] },
  daemon: { folders: ENTRY_FOLDERS, packages: ['hono', '@hono/node-server', 'node-cron', 'pino', 'node:*'] },
  dashboard: { folders: ['model', 'view'], typesOnly: ['model', 'view'], packages: ['preact', 'preact/*', '@preact/signals', 'uplot'] },
};

/** Whatever the table allows a folder, only transports speak to the network through these. */
const NETWORK_CLIENTS = /^(mqtt$|@aws-sdk\/)/;

/** Files a family's folder must have (DESIGN.md §6), and one of which there must be at least one. */
const ADAPTER_FILES = ['family.ts', 'driver.ts', 'entry.ts', 'wire.ts', 'operations.ts', 'sim.ts', 'options.schema.json', 'readme.md'];

const IMPURE_GLOBALS = new Set([
  'fetch',
  'performance',
  'process',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
  'WebSocket',
]);
const IMPURE_MEMBERS = new Set(['Date.now', 'Math.random', 'Temporal.Now', 'crypto.getRandomValues', 'crypto.randomUUID']);
const IMPURE_NAMES = new Set(['randomBytes', 'randomInt', 'randomUUID', 'generateKeyPairSync', 'webcrypto']);
const IMPURE_MODULES =
  /^node:(child_process|cluster|dgram|dns|fs|http|http2|https|net|os|perf_hooks|process|sqlite|timers|tls|worker_threads)(\/|$)/;
const UNWELCOME_NAMES = /(^|[a-z])(Manager|Service|Handler|Helper|Util|Utils|Processor)$/;
const UNWELCOME_FILES = /(^|[-/])(manager|service|handler|helper|helpers|util|utils|processor)\.ts$/;

type AstNode = Readonly<Record<string, unknown>> & { readonly type: string; readonly start: number };

function isNode(value: unknown): value is AstNode {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

const parsed = new WeakMap<SourceFile, AstNode>();

/** Each file once: its imports, its purity and its shape are looked at one after the other. */
function parse(file: SourceFile): AstNode {
  const tree = parsed.get(file) ?? (parseAst(file.text, { lang: file.path.endsWith('x') ? 'tsx' : 'ts' }, file.path) as unknown as AstNode);
  parsed.set(file, tree);
  return tree;
}

/** Visits every node below (and with) `node`, parents first. `skip` leaves out a child that is a mere name. */
function walk(node: AstNode, visit: (node: AstNode) => void): void {
  visit(node);
  for (const [key, value] of Object.entries(node)) {
    if (isMereName(node, key)) continue;
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child, visit);
  }
}

/** Names after a dot and keys of members are not references to anything. */
function isMereName(node: AstNode, key: string): boolean {
  if (node['computed'] === true) return false;
  if (node.type === 'MemberExpression') return key === 'property';
  return key === 'key' && /Property|Definition|Signature/.test(node.type);
}

function lineOf(file: SourceFile, offset: number): number {
  return file.text.slice(0, offset).split('\n').length;
}

/** All imports and re-exports of a file, in the order they stand. */
function importsOf(file: SourceFile): readonly Import[] {
  const found: Import[] = [];
  walk(parse(file), (node) => {
    const source = node['source'];
    if (!isNode(source) || typeof source['value'] !== 'string') return;
    const specifier = source['value'];
    if (node.type === 'ImportExpression') found.push({ specifier, offset: node.start, kind: 'dynamic' });
    else if (/^(Import|Export)/.test(node.type)) {
      const type = node['importKind'] === 'type' || node['exportKind'] === 'type';
      found.push({ specifier, offset: node.start, kind: type ? 'type' : 'value' });
    }
  });
  return found;
}

/** The folder of the table that a path under src belongs to; `world.ts` stands for itself. */
function folderOf(path: string): string {
  return path.split('/')[1] ?? '';
}

/** The path that an import of a file of ours leads to, or undefined for a package. */
function resolveImport(from: string, specifier: string): string | undefined {
  if (/^#(test|schemas|scripts|bench)\//.test(specifier)) return specifier.slice(1);
  if (specifier.startsWith('#')) return `src/${specifier.slice(1)}`;
  if (specifier.startsWith('./')) return `${from.slice(0, from.lastIndexOf('/'))}/${specifier.slice(2)}`;
  return undefined;
}

function matches(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
}

/** Files that only tests load may use what the tests use. */
function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/');
}

/** What is wrong with one import of a file under src, or undefined. */
function importProblem(path: string, found: Import): string | undefined {
  if (found.specifier.startsWith('..')) return 'leaves its folder with ../';
  const folder = folderOf(path);
  const rules = FOLDERS[folder];
  if (rules === undefined) return `src/${folder} is not in the table`;
  const target = resolveImport(path, found.specifier);
  if (target === undefined) {
    if (NETWORK_CLIENTS.test(found.specifier) && folder !== 'transports') return 'only transports import network clients';
    return matches(rules.packages, found.specifier) ? undefined : `${folder} may not import this package`;
  }
  return folderProblem(path, target, found.kind);
}

function folderProblem(path: string, target: string, kind: Import['kind']): string | undefined {
  const [from, to] = [folderOf(path), folderOf(target)];
  const rules = FOLDERS[from];
  if (target.startsWith('schemas/') && from === 'declare') return undefined;
  if (rules === undefined || !target.startsWith('src/')) return `src may not import ${to === '' ? target : target.split('/')[0]}`;
  if (from === to) return from === 'adapters' ? adapterProblem(path, target) : undefined;
  if (kind === 'dynamic' && rules.dynamic?.includes(to) === true) return undefined;
  if (!rules.folders.includes(to)) return `${from} may not import ${to}`;
  if (rules.typesOnly?.includes(to) === true && kind !== 'type') return `${from} may import only types from ${to}`;
  const simOnly = from === 'sim' && to === 'adapters' && !/^src\/adapters\/[^/]+\/sim(-[^/]+)?\.ts$/.test(target);
  return simOnly ? 'sim may import only the sim files of a family' : undefined;
}

/** A family knows only itself; the registry knows the entries. */
function adapterProblem(path: string, target: string): string | undefined {
  const family = path.split('/')[2];
  if (family === 'registry.ts') return /^src\/adapters\/[^/]+\/entry\.ts$/.test(target) ? undefined : 'the registry imports entries only';
  return target.split('/')[2] === family ? undefined : 'a family may not import another one';
}

/** Whether a file belongs to the part of the house without async, clock, randomness and I/O. */
export function isPure(path: string): boolean {
  if (isTest(path)) return false;
  if (/^src\/(model|declare|plan|rollout|view)\//.test(path)) return true;
  return /^src\/(shadows|adapters\/[^/]+)\//.test(path) && !/\/(driver|sim)[^/]*\.ts$|\/entry\.ts$/.test(path);
}

/** Names that the file itself declares or imports anywhere: they hide a global of the same name. */
function declaredNames(ast: AstNode): ReadonlySet<string> {
  const names = new Set<string>();
  const bind = (pattern: unknown): void => {
    if (isNode(pattern)) walk(pattern, (node) => node.type === 'Identifier' && names.add(String(node['name'])));
  };
  walk(ast, (node) => {
    if (node.type === 'VariableDeclarator' || /^(Function|Class)(Declaration|Expression)$/.test(node.type)) bind(node['id']);
    if (/^Import.*Specifier$/.test(node.type)) bind(node['local']);
    if (Array.isArray(node['params'])) node['params'].forEach(bind);
  });
  return names;
}

function impurityOf(node: AstNode, declared: ReadonlySet<string>): string | undefined {
  if (node['async'] === true) return 'async function';
  if (node.type === 'AwaitExpression' || node['await'] === true) return 'await';
  if (node.type === 'ImportExpression') return 'import()';
  if (node.type === 'Identifier' && IMPURE_GLOBALS.has(String(node['name'])) && !declared.has(String(node['name'])))
    return String(node['name']);
  if (node.type === 'MemberExpression' && isNode(node['object']) && isNode(node['property'])) {
    const name = `${String(node['object']['name'])}.${String(node['property']['name'])}`;
    if (IMPURE_MEMBERS.has(name)) return name;
  }
  const callsDate =
    (node.type === 'NewExpression' || node.type === 'CallExpression') && isNode(node['callee']) && node['callee']['name'] === 'Date';
  if (callsDate && (node.type === 'CallExpression' || (node['arguments'] as unknown[]).length === 0)) return 'the present time';
  if (/^Import.*Specifier$/.test(node.type) && isNode(node['imported']) && IMPURE_NAMES.has(String(node['imported']['name']))) {
    return String(node['imported']['name']);
  }
  return undefined;
}

function purityViolations(file: SourceFile, ast: AstNode): Violation[] {
  if (!isPure(file.path)) return [];
  const declared = declaredNames(ast);
  const found: Violation[] = [];
  walk(ast, (node) => {
    const detail = impurityOf(node, declared);
    if (detail !== undefined) found.push({ path: file.path, line: lineOf(file, node.start), rule: 'pure', detail });
  });
  for (const { specifier, offset } of importsOf(file)) {
    if (IMPURE_MODULES.test(specifier)) found.push({ path: file.path, line: lineOf(file, offset), rule: 'pure', detail: specifier });
  }
  return found;
}

/** Default exports, barrels, names that say nothing, and `any`. */
function shapeViolations(file: SourceFile, ast: AstNode): Violation[] {
  const found: Violation[] = [];
  const add = (node: AstNode, rule: string, detail: string): void => {
    found.push({ path: file.path, line: lineOf(file, node.start), rule, detail });
  };
  const body = (ast['body'] as AstNode[]).filter((node) => !node.type.startsWith('Import'));
  for (const node of body) {
    if (node.type === 'ExportDefaultDeclaration') add(node, 'default-export', 'default export');
    if (node.type === 'ExportAllDeclaration') add(node, 'barrel', 'export *');
  }
  const first = body[0];
  if (first !== undefined && body.every((node) => node.type === 'ExportNamedDeclaration' && isNode(node['source']))) {
    add(first, 'barrel', 'only exports what other files export');
  }
  walk(ast, (node) => node.type === 'TSAnyKeyword' && add(node, 'silencer', 'any'));
  for (const name of exportedNames(body)) if (UNWELCOME_NAMES.test(name)) add(ast, 'name', name);
  if (UNWELCOME_FILES.test(file.path)) add(ast, 'name', file.path);
  return found;
}

function exportedNames(body: readonly AstNode[]): readonly string[] {
  return body.flatMap((node) => {
    const declaration = node['declaration'];
    if (!isNode(declaration)) return [];
    const declarators = Array.isArray(declaration['declarations']) ? (declaration['declarations'] as AstNode[]) : [declaration];
    return declarators.flatMap(({ id }) => (isNode(id) && typeof id['name'] === 'string' ? [id['name']] : []));
  });
}

const SILENCERS = /(oxlint|eslint)-disable|@ts-(ignore|expect-error|nocheck)/;

function silencerViolations(file: SourceFile): Violation[] {
  return file.text.split('\n').flatMap((text, index) => {
    const match = SILENCERS.exec(text);
    return match === null ? [] : [{ path: file.path, line: index + 1, rule: 'silencer', detail: match[0] }];
  });
}

/** Everything that is wrong with one file. Tests may import what they like, but leave no folder by `../` either. */
export function fileViolations(file: SourceFile): readonly Violation[] {
  const ast = parse(file);
  const found = [...shapeViolations(file, ast), ...silencerViolations(file), ...purityViolations(file, ast)];
  for (const entry of importsOf(file)) {
    const detail = isTest(file.path)
      ? entry.specifier.startsWith('..')
        ? 'leaves its folder with ../'
        : undefined
      : importProblem(file.path, entry);
    if (detail !== undefined) {
      found.push({ path: file.path, line: lineOf(file, entry.offset), rule: 'import', detail: `${entry.specifier}: ${detail}` });
    }
  }
  return found;
}

/**
 * Cycles among files by what they import to run (types are erased, and the table keeps folders from depending on each
 * other), each named once, from its first file in order.
 */
export function importCycles(files: readonly SourceFile[]): readonly string[] {
  const graph = new Map(
    files.map((file) => {
      const targets = importsOf(file).filter(({ kind }) => kind === 'value');
      return [file.path, targets.flatMap(({ specifier }) => resolveImport(file.path, specifier) ?? [])];
    }),
  );
  const cycles = new Set<string>();
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      cycles.add(fromSmallest(trail.slice(at)).join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of [...graph.keys()].toSorted()) visit(path, []);
  return [...cycles].toSorted();
}

function fromSmallest(ring: readonly string[]): readonly string[] {
  const smallest = ring.indexOf([...ring].toSorted()[0] ?? '');
  return [...ring.slice(smallest), ...ring.slice(0, smallest)];
}

/** What is missing from the folder of a family, given all paths of the repo and the text of the registry. */
export function familyProblems(family: string, paths: readonly string[], registry: string): readonly string[] {
  const folder = `src/adapters/${family}/`;
  const missing = ADAPTER_FILES.filter((name) => !paths.includes(folder + name)).map((name) => `${folder}${name} is missing`);
  if (!paths.some((path) => path.startsWith(`${folder}fixtures/`))) missing.push(`${folder}fixtures/ is missing`);
  if (!paths.some((path) => path.startsWith(folder) && path.endsWith('.test.ts'))) missing.push(`${folder} has no test`);
  if (!registry.includes(`./${family}/entry.ts`)) missing.push(`src/adapters/registry.ts has no line for ${family}`);
  return missing;
}
