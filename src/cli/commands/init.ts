import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, outputs, withTroubles } from '#cli/fleet.ts';
import { starterFiles } from '#cli/starter.ts';
import { PLACEHOLDER_ACTION, PLACEHOLDER_OWNER, SCHEMA_FOLDER, TRIAL_ENDPOINT } from '#cli/starter-options.ts';
import type { StarterFamily, StarterHost, StarterOptions } from '#cli/starter-options.ts';

export interface InitFlags {
  readonly name?: string;
  readonly family: StarterFamily;
  readonly host?: StarterHost;
  readonly endpoint?: string;
  readonly action?: string;
  readonly owner?: string;
  readonly trial: boolean;
  readonly schemas: boolean;
}

/** Writes a new fleet repo, or only the schemas for editors anew. Nothing that is there is overwritten but schemas. */
export function init(context: CliContext, flags: InitFlags, dir = '.'): Promise<void> {
  return withTroubles(context, async () => {
    const root = resolve(context.cli.cwd, dir);
    const { out } = outputs(context);
    const schemas = await schemaFiles();
    if (flags.schemas) {
      if (!existsSync(join(root, 'fleet.yaml'))) throw new CliTrouble('NO_FLEET', `${dir} is no fleet repo: there is no fleet.yaml`);
      await writeFiles(root, schemas);
      out(`${Object.keys(schemas).length} schemas in ${join(dir, SCHEMA_FOLDER)}`);
      return 0;
    }
    const options = optionsOf(flags, basename(root));
    const files = starterFiles(options);
    const taken = [...Object.keys(files), SCHEMA_FOLDER].find((path) => existsSync(join(root, path)));
    if (taken !== undefined) throw new CliTrouble('EXISTS', `${join(dir, taken)} is there already; nothing was written`);
    await writeFiles(root, { ...files, ...schemas });
    out([...Object.keys(files), `${SCHEMA_FOLDER}/ (${Object.keys(schemas).length} schemas for editors)`].join('\n'));
    out(`\n${nextSteps(options, { dir, isRepository: existsSync(join(root, '.git')) })}`);
    return 0;
  });
}

function optionsOf(flags: InitFlags, folder: string): StarterOptions {
  const { family, trial } = flags;
  if (trial && family !== 'campbell') throw new CliTrouble('BAD_FLAGS', '--trial is made of simulated loggers: leave --family out');
  if (trial && flags.endpoint !== undefined) throw new CliTrouble('BAD_FLAGS', '--trial has a store of its own: leave --endpoint out');
  if (flags.name !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(flags.name)) {
    throw new CliTrouble('BAD_NAME', `${JSON.stringify(flags.name)} is no name: letters, digits, dots, dashes and underscores make one`);
  }
  return {
    name: flags.name ?? fleetName(folder),
    family,
    host: flags.host ?? (trial ? 'none' : 'github'),
    endpoint: trial ? TRIAL_ENDPOINT : endpointOf(flags.endpoint),
    action: patterned(flags.action, /^[\w.-]+\/[\w.-]+(\/[\w./-]+)?@[\w./-]+$/, 'OWNER/headgate@COMMIT') ?? PLACEHOLDER_ACTION,
    owner: patterned(flags.owner, /^@[\w.-]+(\/[\w.-]+)*$/, '@OWNER/TEAM') ?? PLACEHOLDER_OWNER,
    trial,
  };
}

function endpointOf(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol) || /[\s"\\$@]/.test(text)) {
    throw new CliTrouble('BAD_ENDPOINT', `${JSON.stringify(text)} is no endpoint: write https://s3.example.org`);
  }
  return text;
}

/** What goes into files that run must look like nothing but what it is. */
function patterned(text: string | undefined, pattern: RegExp, example: string): string | undefined {
  if (text !== undefined && !pattern.test(text)) {
    throw new CliTrouble('BAD_NAME', `${JSON.stringify(text)} cannot stand there: write ${example}`);
  }
  return text;
}

/** A name that a fleet may have, made of the folder's. */
function fleetName(folder: string): string {
  const name = folder
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 60);
  return name === '' ? 'fleet' : name;
}

async function writeFiles(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

/** The schemas as they lie beside the sources, and beside dist/ in what npm installs; by their path in the fleet repo. */
async function schemaFiles(): Promise<Readonly<Record<string, string>>> {
  for (let dir = import.meta.dirname; ; dir = dirname(dir)) {
    const folder = join(dir, 'schemas');
    if (existsSync(join(folder, 'fleet-repo.json'))) {
      const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted();
      const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
      return Object.fromEntries(names.map((name, index) => [`${SCHEMA_FOLDER}/${name}`, texts[index] ?? '']));
    }
    if (dir === dirname(dir)) throw new CliTrouble('NO_SCHEMAS', 'the schemas are not where Headgate was installed');
  }
}

function nextSteps(options: StarterOptions, where: { readonly dir: string; readonly isRepository: boolean }): string {
  const { action, owner, host, trial } = options;
  const git = `git ${where.isRepository ? '' : 'init -b main && git '}add . && git commit -m "Declare the fleet"`;
  const workflows = host === 'github' || host === 'gitea';
  const open = [
    ...(workflows && action === PLACEHOLDER_ACTION ? [`the action for ${action} in .${host}/workflows`] : []),
    ...(host !== 'none' && owner === PLACEHOLDER_OWNER ? [`your team for ${owner} in CODEOWNERS`] : []),
  ];
  return [
    trial ? 'Next:' : 'Next: put your devices and servers into devices/ and fleet.yaml, then',
    '',
    ...(where.dir === '.' ? [] : [`  cd ${where.dir}`]),
    '  headgate validate',
    `  ${git}`,
    ...(open.length === 0 ? [] : ['', `Put ${open.join(', and ')}.`]),
    '',
    'README.md says the rest, for whoever works with it.',
  ].join('\n');
}
