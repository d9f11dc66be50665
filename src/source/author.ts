import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findRepository } from './repository.ts';

export interface Author {
  readonly name: string;
  readonly email: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Who commits in that repository: GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL, else `user.name` and `user.email` of the
 * repository, else of the user's own configuration. Null when git would ask too. `include` directives are not followed.
 */
export async function readAuthor(request: { readonly dir: string; readonly env: Env }): Promise<Author | null> {
  const { dir, env } = request;
  const home = env['HOME'] ?? env['USERPROFILE'] ?? '';
  const found = await findRepository(dir);
  const paths = [
    ...(found.ok ? [join(found.value.gitdir, 'config')] : []),
    join(home, '.gitconfig'),
    join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'git', 'config'),
  ];
  let name = env['GIT_AUTHOR_NAME'];
  let email = env['GIT_AUTHOR_EMAIL'];
  for (const path of paths) {
    const user = userSection(await readFile(path, 'utf8').catch(() => ''));
    name ??= user.get('name');
    email ??= user.get('email');
  }
  return name === undefined || email === undefined ? null : { name, email };
}

/** The keys of `[user]`; the last one counts, as for git. */
function userSection(text: string): ReadonlyMap<string, string> {
  const user = new Map<string, string>();
  let section = '';
  for (const line of text.split(/\r?\n/)) {
    const [, heading] = /^\s*\[([^\]]*)\]/.exec(line) ?? [];
    if (heading !== undefined) section = heading.trim().toLowerCase();
    const [, key, value] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (section === 'user' && key !== undefined && value !== undefined) user.set(key.toLowerCase(), unquoted(value));
  }
  return user;
}

function unquoted(value: string): string {
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"/.exec(value) ?? [];
  return quoted === undefined ? value.replace(/\s+[#;].*$/, '') : quoted.replaceAll(/\\(.)/g, '$1');
}
