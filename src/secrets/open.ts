import { readFile } from 'node:fs/promises';
import { armor, Decrypter } from 'age-encryption';
import pLimit from 'p-limit';
import { err, ok, type Result } from '#kit/result.ts';
import { Secret } from '#kit/secret.ts';
import type { OpenedSecret, OpenedSecrets, OpenRequest, SealedFile, SecretOpener } from '#ports/secrets.ts';

/** A sealed secret is a password or a key; what is larger is not read as one. Bytes of ciphertext. */
const MAX_SEALED_BYTES = 256 * 1024;
const MAX_IDENTITY_BYTES = 64 * 1024;
/** Kept between passes; beyond this the oldest go and are opened again. */
const MOST_KEPT = 20_000;
const PARALLEL = 8;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Opens age files with the identity that the environment or a file gives, and keeps what it opened by git blob. */
export function makeSecretOpener(options: { readonly env: Environment }): SecretOpener {
  const kept = new Map<string, OpenedSecret>();
  const holder = { identity: '' };
  return {
    async open(request) {
      if (request.files.length === 0) return answers(null, new Map());
      const identity = await readIdentity(request, options.env);
      if (!identity.ok) return answers(identity.error.problem, sealedAll(request.files, identity.error.why));
      // Another identity opens other files: what the one before could not open is tried again.
      if (holder.identity !== identity.value.join('\n')) kept.clear();
      holder.identity = identity.value.join('\n');
      return answers(null, await openAll(request.files, identity.value, kept));
    },
  };
}

function answers(identityProblem: string | null, byOid: ReadonlyMap<string, OpenedSecret>): OpenedSecrets {
  return { identityProblem, of: (oid) => byOid.get(oid) };
}

function sealedAll(files: readonly SealedFile[], message: string): ReadonlyMap<string, OpenedSecret> {
  return new Map(files.map(({ oid }) => [oid, { kind: 'problem', code: 'SEALED', message }]));
}

interface NoIdentity {
  /** Why nothing can be opened: for the evidence of what is held. */
  readonly why: string;
  /** Set where that is a mistake, not merely an identity that is not here. */
  readonly problem: string | null;
}

/** The identities, one per line of the text, comments left out; sealed when the environment does not give any. */
async function readIdentity(request: OpenRequest, env: Environment): Promise<Result<readonly string[], NoIdentity>> {
  const source = request.identity;
  if (source === null) return err({ why: 'fleet.yaml names no age identity', problem: null });
  const name = /^\$\{env:([^}]+)\}$/.exec(source)?.[1];
  const path = /^\$\{file:([^}]+)\}$/.exec(source)?.[1];
  const text = name === undefined ? await textOfFile(path ?? '') : (env[name] ?? '');
  const why = `needs the age identity ${name === undefined ? `in the file ${path ?? source}` : `in ${name}`}, which is not given here`;
  if (text.trim() === '') return err({ why, problem: null });
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const bad = lines.length === 0 || lines.some((line) => !isIdentity(line));
  if (!bad) return ok(lines);
  return err({ why, problem: `what ${name ?? path ?? source} holds is no age identity: lines of AGE-SECRET-KEY-1…` });
}

async function textOfFile(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    return bytes.length > MAX_IDENTITY_BYTES ? 'too large' : bytes.toString('utf8');
  } catch {
    return '';
  }
}

function isIdentity(line: string): boolean {
  try {
    new Decrypter().addIdentity(line);
    return true;
  } catch {
    return false;
  }
}

async function openAll(
  files: readonly SealedFile[],
  identities: readonly string[],
  kept: Map<string, OpenedSecret>,
): Promise<ReadonlyMap<string, OpenedSecret>> {
  const limit = pLimit(PARALLEL);
  const distinct = new Map(files.map((file) => [file.oid, file]));
  const found = new Map<string, OpenedSecret>();
  const opening = [...distinct.values()].map((file) =>
    limit(async () => {
      const opened = kept.get(file.oid) ?? (await openFile(file, identities));
      found.set(file.oid, opened);
      keep(kept, file.oid, opened);
    }),
  );
  await Promise.all(opening);
  return found;
}

function keep(kept: Map<string, OpenedSecret>, oid: string, opened: OpenedSecret): void {
  kept.set(oid, opened);
  if (kept.size <= MOST_KEPT) return;
  const oldest = kept.keys().next();
  if (oldest.done !== true) kept.delete(oldest.value);
}

/** The words of the library's errors are not passed on: none of them is worth the risk that one quotes what it read. */
async function openFile(file: SealedFile, identities: readonly string[]): Promise<OpenedSecret> {
  const read = readAge(file);
  if (!read.ok) return problem('BAD_AGE_FILE', read.error);
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  // Identities are tried in order, so the last one is asked exactly when none of ours is a recipient.
  const unmatched = { seen: false };
  decrypter.addIdentity({
    unwrapFileKey: () => {
      unmatched.seen = true;
      return null;
    },
  });
  try {
    return { kind: 'opened', secret: new Secret(await decrypter.decrypt(read.value)) };
  } catch {
    if (unmatched.seen) return problem('WRONG_IDENTITY', `\`${file.path}\` is not encrypted to the identity that is given here`);
    return problem('BAD_AGE_FILE', `\`${file.path}\` is damaged: it does not decrypt`);
  }
}

function problem(code: 'WRONG_IDENTITY' | 'BAD_AGE_FILE', message: string): OpenedSecret {
  return { kind: 'problem', code, message };
}

const ARMOR = '-----BEGIN AGE ENCRYPTED FILE-----';
const MAGIC = 'age-encryption.org/v1\n';

/** The binary form of an age file that is one, and is encrypted to keys. */
function readAge(file: SealedFile): Result<Uint8Array, string> {
  const { bytes, path } = file;
  if (bytes === 'tooLarge' || bytes.length > MAX_SEALED_BYTES) {
    return err(`\`${path}\` is larger than a sealed secret may be (${MAX_SEALED_BYTES} bytes)`);
  }
  const binary = dearmored(bytes);
  if (binary === null || !startsWith(binary, MAGIC)) return err(`\`${path}\` is no age file`);
  if (startsWith(binary.subarray(MAGIC.length), '-> scrypt ')) {
    return err(`\`${path}\` is encrypted under a passphrase; encrypt it to the fleet's recipients`);
  }
  return ok(binary);
}

function dearmored(bytes: Uint8Array): Uint8Array | null {
  const text = Buffer.from(bytes).toString('latin1').trim();
  if (!text.startsWith(ARMOR)) return bytes;
  try {
    return armor.decode(text);
  } catch {
    return null;
  }
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(bytes.subarray(0, text.length)).toString('latin1') === text;
}
