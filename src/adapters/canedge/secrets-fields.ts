import type { Json } from '#kit/canonical.ts';
import { Secret, SECRET_TEXT, secretText } from '#kit/secret.ts';
import { at, listAt, objectOf, textAt } from './json.ts';

/** The fields of a config that may be encrypted: docs/protocols/canedge-s3.md §8.1. */

interface SecretSection {
  readonly flag: readonly string[];
  readonly sealedWhen: number;
  /** Pointers of its values; `*` stands for the members of a list. */
  readonly values: string;
  /** Plain bytes that still fit, encrypted, into the field. */
  readonly maxBytes: number;
  readonly minBytes: number;
}

const SECTIONS: readonly SecretSection[] = [
  { flag: ['log', 'encryption', 'keyformat'], sealedWhen: 1, values: '/log/encryption/pwd', maxBytes: 64, minBytes: 0 },
  { flag: ['connect', 'wifi', 'keyformat'], sealedWhen: 1, values: '/connect/wifi/accesspoint/*/pwd', maxBytes: 32, minBytes: 0 },
  // An empty PIN would be shorter, encrypted, than the field may be.
  { flag: ['connect', 'cellular', 'keyformat'], sealedWhen: 1, values: '/connect/cellular/pin', maxBytes: 8, minBytes: 4 },
  { flag: ['connect', 's3', 'server', 'keyformat'], sealedWhen: 1, values: '/connect/s3/server/secretkey', maxBytes: 95, minBytes: 1 },
  { flag: ['connect', 'webserver', 'security'], sealedWhen: 2, values: '/connect/webserver/password', maxBytes: 32, minBytes: 0 },
];

export interface FieldProblem {
  readonly code: 'SECRET_MISPLACED' | 'SECRET_TOO_LONG' | 'SECRET_TOO_SHORT' | 'SECRET_NOT_ASCII' | 'SECRETS_MIXED';
  readonly message: string;
  readonly fix?: string;
}

/** One field to be encrypted. */
export interface PlainField {
  readonly path: string;
  readonly plain: Uint8Array;
}

function sectionOf(pointer: string): SecretSection | undefined {
  return SECTIONS.find(({ values }) => new RegExp(`^${values.replace('*', String.raw`\d+`)}$`).test(pointer));
}

/** The pointers of the values that a section of this document sets, with their texts. */
function valuesOf(document: Json, section: SecretSection): readonly { readonly path: string; readonly text: string }[] {
  if (!section.values.includes('*')) {
    const text = textAt(document, ...section.values.slice(1).split('/'));
    return text === undefined ? [] : [{ path: section.values, text }];
  }
  return listAt(document, 'connect', 'wifi', 'accesspoint').flatMap((point, index) => {
    const text = textAt(point, 'pwd');
    return text === undefined ? [] : [{ path: section.values.replace('*', String(index)), text }];
  });
}

/** What keeps these secrets from being rendered into this document. No text of a secret is in the answer. */
export function fieldProblems(document: Json, secrets: ReadonlyMap<string, Secret>): readonly FieldProblem[] {
  return [...[...secrets].flatMap(([path, secret]) => secretProblems(path, secret)), ...mixedProblems(document, secrets)];
}

function secretProblems(path: string, secret: Secret): readonly FieldProblem[] {
  const section = sectionOf(path);
  if (section === undefined) {
    const fix = 'passwords, the PIN and the secret key are the fields that a CANedge keeps encrypted';
    return [{ code: 'SECRET_MISPLACED', message: `${path} would hold a secret in the clear`, fix }];
  }
  const text = secretText(secret);
  if (text === null || !/^[\x20-\x7e]*$/.test(text)) {
    return [{ code: 'SECRET_NOT_ASCII', message: `the secret of ${path} is not printable ASCII` }];
  }
  if (text.length > section.maxBytes) {
    const message = `the secret of ${path} has ${text.length} bytes, at most ${section.maxBytes} fit when it is encrypted`;
    return [{ code: 'SECRET_TOO_LONG', message }];
  }
  if (text.length < section.minBytes) {
    return [{ code: 'SECRET_TOO_SHORT', message: `the secret of ${path} has ${text.length} bytes, it needs at least ${section.minBytes}` }];
  }
  return [];
}

/**
 * One operator key serves all encrypted fields of a file, and one flag all access points: what is encrypted by hand or
 * left in the clear beside a secret would be read with the wrong key, or as the literal password (§8.1, §8.3).
 */
function mixedProblems(document: Json, secrets: ReadonlyMap<string, Secret>): readonly FieldProblem[] {
  const sealed = SECTIONS.filter((section) => at(document, ...section.flag) === section.sealedWhen);
  const fields = SECTIONS.flatMap((section) =>
    valuesOf(document, section).map((value) => ({ ...value, sealed: sealed.includes(section) })),
  );
  return fields
    .filter(({ path, text }) => text !== '' && !secrets.has(path))
    .map(({ path, sealed: byHand }) => ({
      code: 'SECRETS_MIXED' as const,
      message: byHand
        ? `${path} is encrypted by hand, and other fields of this config by Headgate: one key serves them all`
        : `${path} stands in the clear beside fields that are encrypted`,
      fix: 'write it as ${age:PATH} too',
    }));
}

/** Every field to be encrypted: the secrets, and empty values that share a flag with one. In order of the path. */
export function plainFields(document: Json, secrets: ReadonlyMap<string, Secret>): readonly PlainField[] {
  const fields = sectionsWith(secrets).flatMap((section) =>
    valuesOf(document, section).map(({ path }) => {
      const secret = secrets.get(path);
      return { path, plain: new TextEncoder().encode(secret === undefined ? '' : (secretText(secret) ?? '')) };
    }),
  );
  return fields.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** The secrets that keep the device connected, by the paths of `protectedFields`: access points by their names. */
export function linkFields(document: Json, secrets: ReadonlyMap<string, Secret>): readonly PlainField[] {
  const points = listAt(document, 'connect', 'wifi', 'accesspoint');
  return plainFields(document, secrets)
    .filter(({ path }) => path.startsWith('/connect/') && !path.startsWith('/connect/webserver/'))
    .map(({ path, plain }) => {
      const index = /^\/connect\/wifi\/accesspoint\/(\d+)\/pwd$/.exec(path)?.[1];
      return index === undefined
        ? { path, plain }
        : { path: `/connect/wifi/accesspoint/${textAt(points[Number(index)], 'ssid') ?? ''}/pwd`, plain };
    });
}

function sectionsWith(secrets: ReadonlyMap<string, Secret>): readonly SecretSection[] {
  const paths = [...secrets.keys()];
  return SECTIONS.filter((section) => paths.some((path) => sectionOf(path) === section));
}

/** The protected values of a document in which they stand in the clear, by their pointers; empty ones are none. */
export function plainSecrets(document: Json): ReadonlyMap<string, Secret> {
  const values = SECTIONS.flatMap((section) => valuesOf(document, section)).filter(({ text }) => text !== '');
  return new Map(values.map(({ path, text }) => [path, new Secret(new TextEncoder().encode(text))]));
}

/** The document with these values in place, the flags of their sections set and the operator's key beside them (§8.2, step 7). */
export function withEncrypted(
  document: Json,
  sealed: { readonly secrets: ReadonlyMap<string, Secret>; readonly values: ReadonlyMap<string, string>; readonly operatorKpub: string },
): Json {
  const flags = sectionsWith(sealed.secrets).map((section): readonly [string, Json] => [`/${section.flag.join('/')}`, section.sealedWhen]);
  const changes: ReadonlyMap<string, Json> = new Map<string, Json>([
    ...sealed.values,
    ...flags,
    ['/general/security/kpub', sealed.operatorKpub],
  ]);
  return [...changes].reduce((tree, [pointer, value]) => withValue(tree, pointer.slice(1).split('/'), value), document);
}

/** Keys that are there keep their place; new ones come last. */
function withValue(tree: Json | undefined, [name, ...rest]: readonly string[], value: Json): Json {
  if (name === undefined) return value;
  if (Array.isArray(tree))
    return tree.map((member, index) => (String(index) === name ? withValue(member as Json, rest, value) : (member as Json)));
  const object = objectOf(tree) ?? {};
  return { ...object, [name]: withValue(object[name], rest, value) };
}

/** A config as it may be shown: every protected value, encrypted or not, is `[secret]`, an empty one stays empty. */
export function redactedConfig(document: Json): Json {
  return SECTIONS.flatMap((section) => valuesOf(document, section))
    .filter(({ text }) => text !== '')
    .reduce<Json>((tree, { path }) => withValue(tree, path.slice(1).split('/'), SECRET_TEXT), document);
}
