import { shortDigest } from '#model/ids.ts';
import { commitFiles, readAuthor } from '#world.ts';
import type { CliContext } from './context.ts';
import { CliTrouble, jsonText } from './fleet.ts';
import type { Fleet } from './fleet.ts';

type Value = string | readonly string[] | { readonly [key: string]: readonly string[] } | undefined;

/** A YAML document of one level, in the order given; undefined members are left out. */
export function yamlText(fields: readonly (readonly [string, Value])[]): string {
  return fields.flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${valueText(value)}\n`])).join('');
}

function valueText(value: Exclude<Value, undefined>): string {
  if (typeof value === 'string') return scalarText(value);
  if (Array.isArray(value)) return `[${value.map(scalarText).join(', ')}]`;
  const entries = Object.entries(value as Readonly<Record<string, readonly string[]>>);
  return `{ ${entries.map(([key, list]) => `${key}: [${list.map(scalarText).join(', ')}]`).join(', ')} }`;
}

/** Plain where YAML reads it back as it stands, in double quotes otherwise. */
function scalarText(text: string): string {
  return /^[\p{L}\p{N}][\p{L}\p{N} ._/()+@-]*$/u.test(text) && !text.endsWith(' ') ? text : JSON.stringify(text);
}

export async function authorOf(context: CliContext, dir: string): Promise<{ readonly name: string; readonly email: string }> {
  const author = await readAuthor({ dir, env: context.cli.env });
  if (author !== null) return author;
  throw new CliTrouble('NO_AUTHOR', 'git does not know who you are: git config --global user.name "…" and user.email …');
}

export interface DocumentRequest {
  readonly path: string;
  readonly text: string;
  readonly message: string;
  readonly json: boolean;
  /** The text need not be shown: nobody can read it. */
  readonly quiet?: boolean;
}

/** Writes one file of the fleet repo and commits it, as a person would. Answers the exit code. */
export async function commitDocument(context: CliContext, fleet: Fleet, request: DocumentRequest): Promise<number> {
  const author = await authorOf(context, fleet.repo);
  const answer = await commitFiles({
    dir: fleet.repo,
    author,
    message: request.message,
    files: { [request.path]: new TextEncoder().encode(request.text) },
    at: fleet.world.clock.now(),
  });
  if (!answer.ok) throw new CliTrouble(answer.error.code, answer.error.message);
  if (request.json) fleet.out(jsonText({ file: request.path, commit: answer.value }));
  else {
    const shown = request.quiet === true ? '' : `${request.text.trimEnd()}\n\n`;
    fleet.out(`${shown}${shortDigest(answer.value)} ${request.path}: push it, and the next pass reads it`);
  }
  return 0;
}
