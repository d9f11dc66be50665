import { createPrivateKey, type KeyObject } from 'node:crypto';
import { err, ok, type Result } from '#kit/result.ts';
import { Secret } from '#kit/secret.ts';
import { identityJson, type IdentityFacts } from '#model/identity.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { CONFIG_ID, type MqttConfigEntry } from './mqtt-config.ts';
import { campbellOptions } from './options.ts';

/** Longest key and certificate, in bytes of PEM (docs/protocols/campbell-mqtt.md §2, §10). */
const LONGEST_PEM = 4096;

/** What the driver needs to make the file of: PEM texts as they go to the logger. */
export interface LoggerKeys {
  readonly certificate: string;
  readonly key: string;
}

/**
 * The identity of a logger: what must be seen at the broker is the SHA-256 of its certificate. Certificate and key go as
 * PEM with LF and a final newline, the key as PKCS#1 RSA, which is the documented example; other keys need `options.keys`
 * (docs/protocols/campbell-mqtt.md §2, §6.1).
 */
export function expectedIdentity(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  if (pin.issued !== undefined) {
    const summary = `a logger makes no keys: ${pin.issued.use.name} cannot be the identity of ${device.id}`;
    return err({
      code: 'IDENTITY_FORM',
      summary,
      fix: 'pin a version with `cert` and `key`; `issuedAfter` is for devices that provision themselves',
    });
  }
  if (pin.versions === undefined || pin.versions === null || pin.identity === undefined || pin.identity === null || pin.artifact === null) {
    return err({ code: 'CONTENT_MISSING', summary: 'an identity is pinned as an artifact', fix: 'write { use: name@version }' });
  }
  const clientId = clientIdOf(device);
  if (clientId === null) {
    const fix = 'give the logger its serial, or options: { clientId: … }';
    return err({ code: 'CLIENT_ID_MISSING', summary: `nothing says by which client id the broker knows ${device.id}`, fix });
  }
  const keys = loggerKeys(device, pin.identity);
  if (!keys.ok) return keys;
  const { use } = pin.versions;
  const facts: IdentityFacts = { ...pin.versions, clientId };
  return ok({
    value: use.fingerprint,
    version: pin.artifact.version,
    facts: identityJson(facts),
    content: null,
    secret: new Secret<LoggerKeys>(keys.value),
  });
}

/** The declared client id, or the vendor's default `<MODEL>_<serial>` (docs/protocols/campbell-mqtt.md §1.1). */
export function clientIdOf(device: Pick<DeviceFacts, 'model' | 'serial' | 'options'>): string | null {
  return campbellOptions(device.options).clientId ?? (device.serial === null ? null : `${device.model}_${device.serial}`);
}

function loggerKeys(device: DeviceFacts, identity: NonNullable<PinnedItem['identity']>): Result<LoggerKeys, FamilyProblem> {
  const certificate = pemOf('CERTIFICATE', identity.certificate);
  if (certificate === null) {
    const fix = 'a chain has no documented place in a logger: write the one certificate';
    return err({ code: 'CERTIFICATE_CHAIN', summary: `the certificate of ${device.id} is not a single one`, fix });
  }
  const key = keyPem(identity.key, campbellOptions(device.options).keys);
  if (key === null) {
    return err({
      code: 'KEY_KIND',
      summary: `the key of ${device.id} is no RSA key, and that is all that is documented for these loggers`,
      fix: 'make an RSA key of 2048 bits, or write options: { keys: any } where a logger on the bench took this kind',
    });
  }
  for (const [what, pem] of [['certificate', certificate] as const, ['key', key] as const]) {
    if (pem.length <= LONGEST_PEM) continue;
    const summary = `the ${what} of ${device.id} has ${pem.length} bytes in PEM; a logger takes ${LONGEST_PEM}`;
    return err({ code: 'PEM_TOO_LONG', summary, fix: 'issue a smaller one: RSA with 2048 bits and few extensions' });
  }
  return ok({ certificate, key });
}

/** One block of PEM with LF and a final newline, made of PEM or DER; null for several blocks. */
function pemOf(label: string, bytes: Uint8Array): string | null {
  const text = Buffer.from(bytes).toString('latin1');
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g)];
  if (blocks.length > 1) return null;
  const body = blocks[0]?.[2];
  const base64 = body === undefined ? Buffer.from(bytes).toString('base64') : body.replaceAll(/\s/g, '');
  return `-----BEGIN ${label}-----\n${(base64.match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`;
}

/** RSA as PKCS#1 whatever it came as; any other kind only where the options take it. */
function keyPem(secret: Secret, accepted: 'rsa' | 'any'): string | null {
  const key = readKey(secret);
  if (key === null) return null;
  if (key.asymmetricKeyType === 'rsa') return key.export({ type: 'pkcs1', format: 'pem' }).toString();
  if (accepted !== 'any') return null;
  return key.export({ type: key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs8', format: 'pem' }).toString();
}

function readKey(secret: Secret): KeyObject | null {
  const bytes = Buffer.from(secret.reveal());
  try {
    return bytes.includes('-----BEGIN') ? createPrivateKey(bytes) : createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' });
  } catch {
    return null;
  }
}

/** The entries of the file that gives a logger another key and certificate (§6.2, §7 step 3). */
export function keyEntries({ key, certificate }: LoggerKeys): readonly MqttConfigEntry[] {
  return [
    { id: CONFIG_ID.privateKey, value: key },
    { id: CONFIG_ID.certificate, value: certificate },
  ];
}
