import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { renderConfig } from './config.ts';
import { hasSealedFlag } from './connect.ts';
import { encryptField, fieldKey, fieldVector, privateScalar, readKpub } from './secrets.ts';
import { fieldProblems, plainFields, plainSecrets, withEncrypted } from './secrets-fields.ts';

export interface EncryptRequest {
  /** The device's public key: 64 bytes X‖Y in base64. */
  readonly kpub: string;
  /** 48 bytes that nobody can guess, used for this once: the operator's private key is made of them and thrown away. */
  readonly random: Uint8Array;
}

/**
 * A config whose protected fields stand in the clear, as exact bytes with all of them encrypted to one device
 * (docs/protocols/canedge-s3.md §8.2): flags set, the operator's public key beside them. The error says why not, and never a
 * value. For a card or a bucket by hand; what git declares is encrypted by the engine.
 */
export function encryptConfig(
  document: Json,
  { kpub, random }: EncryptRequest,
): Result<{ readonly bytes: Uint8Array; readonly fields: readonly string[] }, string> {
  const key = readKpub(kpub);
  if (!key.ok) return err(`the public key of the device ${key.error}`);
  if (hasSealedFlag(document)) return err('some of its fields are marked as encrypted: begin with the plain values');
  const secrets = plainSecrets(document);
  if (secrets.size === 0) return err('it holds no password, PIN or key to encrypt');
  const [problem] = fieldProblems(document, secrets);
  if (problem !== undefined) return err(problem.message);
  const fields = plainFields(document, secrets);
  const { operatorKpub, symmetric } = fieldKey(privateScalar(random), key.value);
  const values = new Map(fields.map(({ path, plain }) => [path, encryptField(symmetric, fieldVector(symmetric, path, plain), plain)]));
  const bytes = renderConfig(withEncrypted(document, { secrets, values, operatorKpub }));
  return bytes.ok ? ok({ bytes: bytes.value, fields: fields.map(({ path }) => path) }) : err(bytes.error.message);
}
