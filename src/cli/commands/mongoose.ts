import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CliContext } from '#cli/context.ts';
import type { JsonFlags } from '#cli/flags.ts';
import { CliTrouble, jsonText, outputs, withTroubles } from '#cli/fleet.ts';
import { sha256 } from '#kit/digest.ts';
import { readBundle, verifySignatures, type Bundle, type BundleProblem } from '#world.ts';

export interface BundleFlags extends JsonFlags {
  readonly platform?: string;
  readonly key?: readonly string[];
}

/** More than any bundle: a disk image was named by mistake. Bytes. */
const LARGEST_FILE = 128 * 1024 * 1024;

/** What a firmware bundle holds. Exit 1 when no board takes it, or it is not signed by a key that was given. */
export function mongooseBundle(context: CliContext, flags: BundleFlags, path: string): Promise<void> {
  return withTroubles(context, async () => {
    const keys = await keysOf(context, flags.key ?? []);
    const bytes = await bytesOf(context, path);
    const bundle = readBundle(bytes, flags.platform === undefined ? undefined : { platform: flags.platform });
    const { out } = outputs(context);
    const file = { size: bytes.length, sha256: sha256(bytes) };
    if (!bundle.ok) {
      out(flags.json ? jsonText({ file, problem: bundle.error }) : problemText(bundle.error, file));
      return 1;
    }
    const facts = factsOf(bundle.value, file, keys);
    out(flags.json ? jsonText(facts) : bundleText(facts));
    return facts.signatures.every(({ verdict }) => verdict === 'VERIFIED' || verdict === 'NO_KEY') ? 0 : 1;
  });
}

async function keysOf(context: CliContext, written: readonly string[]): Promise<readonly (string | null)[]> {
  const keys: (string | null)[] = Array.from({ length: 8 }, () => null);
  for (const text of written) {
    const [, slot, path] = /^([0-7])=(.+)$/.exec(text) ?? [];
    if (slot === undefined || path === undefined) throw new CliTrouble('BAD_KEY', `--key ${text}: write SLOT=FILE, the slot from 0 to 7`);
    keys[Number(slot)] = new TextDecoder().decode(await bytesOf(context, path));
  }
  return keys;
}

async function bytesOf({ cli }: CliContext, path: string): Promise<Uint8Array> {
  const bytes = await readFile(resolve(cli.cwd, path)).catch(() => {
    throw new CliTrouble('NOT_FOUND', `cannot read ${path}`);
  });
  if (bytes.length > LARGEST_FILE) throw new CliTrouble('TOO_LARGE', `${path} has ${bytes.length} bytes, more than any bundle`);
  return bytes;
}

interface FileFacts {
  readonly size: number;
  readonly sha256: string;
}

function factsOf(bundle: Bundle, file: FileFacts, keys: readonly (string | null)[]) {
  const { manifest, files } = bundle;
  const used = new Set(manifest.parts.map(({ src }) => src));
  return {
    file,
    name: manifest.name,
    platform: manifest.platform,
    version: manifest.version,
    buildId: manifest.buildId,
    buildTimestamp: manifest.buildTimestamp,
    description: manifest.description,
    reportsAs: `${manifest.version} ${manifest.buildId}`,
    parts: manifest.parts.map(({ name, type, src, sha1, sha256: sum }) => ({
      name,
      type,
      src,
      size: src === null ? null : (files.get(src)?.bytes.length ?? null),
      sha1,
      sha256: sum,
    })),
    unused: [...files.keys()].filter((name) => !used.has(name)),
    signatures: signaturesOf(bundle, keys),
  };
}

/** Its signatures, and the keys that were given for none of them. */
function signaturesOf(bundle: Bundle, keys: readonly (string | null)[]) {
  const unsigned = keys.flatMap((key, slot) =>
    key === null || bundle.signatures.some((one) => one.slot === slot) ? [] : [{ slot, verdict: 'UNSIGNED' as const }],
  );
  return [...verifySignatures(bundle, keys), ...unsigned].toSorted((a, b) => a.slot - b.slot);
}

type Facts = ReturnType<typeof factsOf>;

const VERDICTS = {
  VERIFIED: 'verified',
  WRONG: 'not by that key',
  NO_KEY: 'no key given',
  BAD_KEY: 'the key given is no key on P-256',
  UNSIGNED: 'not signed for the key given',
} as const;

function bundleText(facts: Facts): string {
  const { file, name, platform, version, buildId, buildTimestamp, parts, unused, signatures } = facts;
  return [
    `firmware ${version} for ${platform}${name === null ? '' : ` (${name})`}, build ${buildId}`,
    `  size       ${file.size} bytes`,
    `  sha256     ${file.sha256}`,
    ...(buildTimestamp === null ? [] : [`  built      ${buildTimestamp}`]),
    `  reportsAs  "${facts.reportsAs}"`,
    ...parts.flatMap((part) => [
      `  part ${part.name}   ${[part.type, part.src ?? 'filled', part.size === null ? null : `${part.size} bytes`].filter((one) => one !== null).join(', ')}`,
      ...(part.sha1 === null ? [] : [`    sha1     ${part.sha1}`]),
      ...(part.sha256 === null ? [] : [`    sha256   ${part.sha256}`]),
    ]),
    ...(unused.length === 0 ? [] : [`  not used   ${unused.join(', ')}`]),
    signatures.length === 0 ? '  unsigned' : signatures.map(({ slot, verdict }) => `  sig${slot}       ${VERDICTS[verdict]}`).join('\n'),
  ].join('\n');
}

function problemText({ code, text, deviceText }: BundleProblem, { size, sha256: sum }: FileFacts): string {
  return [
    `no board takes it: ${code} ${text}`,
    ...(deviceText === null ? [] : [`  it says    ${deviceText}`]),
    `  size       ${size} bytes`,
    `  sha256     ${sum}`,
  ].join('\n');
}
