import { Secret } from '#kit/secret.ts';
import { recipientsOf, sealSecret } from '#world.ts';
import { commitDocument } from '#cli/commit.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, withFleet } from '#cli/fleet.ts';
import type { JsonFlags, RepoFlags } from '#cli/flags.ts';

export interface SecretSetFlags extends RepoFlags, JsonFlags {
  readonly exact: boolean;
}

/** Passwords and keys; a larger value was piped in by mistake. Bytes. */
const LARGEST_VALUE = 64 * 1024;

/** Seals what standard input says to the fleet's recipients and commits the file. The value is shown nowhere. */
export function secretSet(context: CliContext, flags: SecretSetFlags, path: string): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    checkPath(path);
    const revision = await fleet.world.source.read('HEAD');
    if (!revision.ok) throw new CliTrouble(revision.error.code, revision.error.message);
    const recipients = recipientsOf(revision.value);
    if (recipients.kind === 'problem') throw new CliTrouble('NO_RECIPIENTS', recipients.message);
    const sealed = await sealSecret(new Secret(await valueOf(context, flags)), recipients.text);
    if (!sealed.ok) throw new CliTrouble('BAD_RECIPIENTS', `${recipients.path}: ${sealed.error}`);
    return commitDocument(context, fleet, { path, text: sealed.value, message: `Set the secret ${path}`, json: flags.json, quiet: true });
  });
}

function checkPath(path: string): void {
  const inside =
    !path.startsWith('/') && !path.includes('\\') && path.split('/').every((name) => name !== '' && name !== '.' && name !== '..');
  if (!inside || !path.endsWith('.age')) {
    throw new CliTrouble('BAD_PATH', 'give a path from the root of the repo that ends in .age, such as secrets/wifi.age');
  }
}

/** Without the line end that `echo` and editors leave: it is part of no password. */
async function valueOf({ cli }: CliContext, { exact }: SecretSetFlags): Promise<Uint8Array> {
  const given = (await cli.input?.()) ?? new Uint8Array();
  const lineEnd = given.at(-1) !== 0x0a ? 0 : given.at(-2) === 0x0d ? 2 : 1;
  const value = exact ? given : given.subarray(0, given.length - lineEnd);
  if (value.length === 0) throw new CliTrouble('NO_VALUE', 'standard input is empty: pipe the value in');
  if (value.length <= LARGEST_VALUE) return value;
  throw new CliTrouble('VALUE_TOO_LARGE', `the value has ${value.length} bytes, a secret at most ${LARGEST_VALUE}`);
}
