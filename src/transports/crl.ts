import { createPrivateKey, webcrypto, X509Certificate, type KeyObject } from 'node:crypto';
import { WireError } from '#ports/wire-error.ts';

/** A CA that may revoke, with its key. */
export interface RevokingCa {
  readonly certificate: Uint8Array;
  /** PEM, or DER as PKCS#8. */
  readonly key: Uint8Array;
}

/** Serial numbers of a revocation list, in lower-case hex without leading zeros, and what a new one must follow on. */
interface ReadList {
  readonly serials: ReadonlySet<string>;
  readonly issuer: string;
}

const CRL_NUMBER = '2.5.29.20';
const AUTHORITY_KEY_ID = '2.5.29.35';
const SUBJECT_KEY_ID = '2.5.29.14';
const SHA_256 = 'SHA-256';
/** A list that is not valid yet by the broker's clock lets nobody in: it is dated back by more than clocks differ. */
const SKEW_MS = 24 * 3_600_000;

/** The serial number as it stands in lists here. */
export function serialOf(certificate: X509Certificate): string {
  return plainHex(certificate.serialNumber);
}

function plainHex(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}

/** Reads a list in PEM or DER. Throws WireError BAD_CRL where it is none, or is several. */
export async function readCrl(bytes: Uint8Array): Promise<ReadList> {
  const list = await parse(bytes);
  const serials = (list.revokedCertificates ?? []).map((one) =>
    plainHex(Buffer.from(one.userCertificate.valueBlock.valueHexView).toString('hex')),
  );
  return { serials: new Set(serials), issuer: Buffer.from(list.issuer.toSchema().toBER(false)).toString('hex') };
}

async function parse(bytes: Uint8Array) {
  const { CertificateRevocationList } = await import('pkijs');
  const blocks = Buffer.from(bytes)
    .toString('latin1')
    .match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g);
  if (blocks !== null && blocks.length > 1) throw new WireError('BAD_CRL', 'never', 'the file holds several revocation lists');
  const der = blocks === null ? bytes : Buffer.from((blocks[0] ?? '').replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  try {
    return CertificateRevocationList.fromBER(new Uint8Array(der).slice().buffer);
  } catch {
    throw new WireError('BAD_CRL', 'never', 'the file holds no revocation list in PEM or DER');
  }
}

/**
 * The list with one certificate more, signed by its CA, in PEM; null when it is in it already. All that was in it stays.
 * It ends with the CA and not before: brokers let nobody in by a list that has run out, and that would strand every
 * device. Throws WireError CRL_OTHER_CA for a certificate, or a list, of another CA.
 */
export async function withRevoked(
  before: Uint8Array | null,
  revoke: { readonly certificate: Uint8Array; readonly ca: RevokingCa; readonly at: number },
): Promise<string | null> {
  const { Certificate, CertificateRevocationList, CryptoEngine, Extension, Extensions, RevokedCertificate, Time, getCrypto, setEngine } =
    await import('pkijs');
  const { Integer } = await import('asn1js');
  if (getCrypto() === null) setEngine('node', new CryptoEngine({ name: 'node', crypto: globalThis.crypto }));
  const [authority, revoked] = [new X509Certificate(revoke.ca.certificate), new X509Certificate(revoke.certificate)];
  if (!revoked.verify(authority.publicKey)) {
    throw new WireError('CRL_OTHER_CA', 'never', 'the certificate to withdraw was not signed by the CA of the revocation list');
  }
  const ca = Certificate.fromBER(new Uint8Array(authority.raw).slice().buffer);
  const known = before === null ? null : await parse(before);
  if (known !== null && !known.issuer.isEqual(ca.subject)) {
    throw new WireError('CRL_OTHER_CA', 'never', 'the revocation list is that of another CA');
  }
  const own = Certificate.fromBER(new Uint8Array(revoked.raw).slice().buffer).serialNumber;
  const listed = known?.revokedCertificates ?? [];
  if (listed.some(({ userCertificate }) => userCertificate.isEqual(own))) return null;
  const extension = (id: string, value: ArrayBuffer): InstanceType<typeof Extension> =>
    new Extension({ extnID: id, critical: false, extnValue: value });
  const list = new CertificateRevocationList({
    version: 1,
    issuer: ca.subject,
    thisUpdate: new Time({ type: 0, value: new Date(Math.max(authority.validFromDate.getTime(), revoke.at - SKEW_MS)) }),
    nextUpdate: new Time({ type: authority.validToDate.getUTCFullYear() < 2050 ? 0 : 1, value: authority.validToDate }),
    revokedCertificates: [
      ...listed,
      new RevokedCertificate({ userCertificate: own, revocationDate: new Time({ type: 0, value: new Date(revoke.at) }) }),
    ],
  });
  const number = known === null ? 0 : numberOf(known.crlExtensions?.extensions ?? []);
  const keyId = keyIdOf(ca.extensions ?? []);
  list.crlExtensions = new Extensions({
    extensions: [
      ...(keyId === null ? [] : [extension(AUTHORITY_KEY_ID, authorityKeyId(keyId))]),
      extension(CRL_NUMBER, new Integer({ value: number + 1 }).toBER(false)),
    ],
  });
  await list.sign(await signingKey(revoke.ca.key), SHA_256);
  return pem(Buffer.from(list.toSchema(true).toBER(false)));
}

interface AnyExtension {
  readonly extnID: string;
  readonly extnValue: { readonly valueBlock: { readonly valueHexView: Uint8Array } };
}

function valueOf(extensions: readonly AnyExtension[], id: string): Buffer | null {
  const found = extensions.find(({ extnID }) => extnID === id);
  return found === undefined ? null : Buffer.from(found.extnValue.valueBlock.valueHexView);
}

/** An INTEGER of at most six bytes; a number that is larger begins anew. */
function numberOf(extensions: readonly AnyExtension[]): number {
  const value = valueOf(extensions, CRL_NUMBER);
  return value === null || value.length < 3 || value.length > 8 ? 0 : value.readUIntBE(2, value.length - 2);
}

/** The OCTET STRING within the extension. */
function keyIdOf(extensions: readonly AnyExtension[]): Buffer | null {
  const value = valueOf(extensions, SUBJECT_KEY_ID);
  return value === null || value.length < 3 || value.length > 100 ? null : value.subarray(2);
}

/** SEQUENCE { [0] keyIdentifier }: RFC 5280 §4.2.1.1. */
function authorityKeyId(keyId: Buffer): ArrayBuffer {
  const inner = Buffer.concat([Buffer.from([0x80, keyId.length]), keyId]);
  return new Uint8Array(Buffer.concat([Buffer.from([0x30, inner.length]), inner])).slice().buffer;
}

/** The key of the CA for signing with SHA-256: RSA or ECDSA over a NIST curve. Says nothing of the key when it is none. */
async function signingKey(bytes: Uint8Array): Promise<webcrypto.CryptoKey> {
  const key = readKey(bytes);
  const der = key.export({ type: 'pkcs8', format: 'der' });
  if (key.asymmetricKeyType === 'rsa')
    return await webcrypto.subtle.importKey('pkcs8', der, { name: 'RSASSA-PKCS1-v1_5', hash: SHA_256 }, false, ['sign']);
  const curve = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' }[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType !== 'ec' || curve === undefined)
    throw new WireError('BAD_CRL_KEY', 'never', 'the key of the CA is neither RSA nor EC');
  return await webcrypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve: curve }, false, ['sign']);
}

function readKey(bytes: Uint8Array): KeyObject {
  const input = Buffer.from(bytes);
  try {
    if (input.includes('-----BEGIN')) return createPrivateKey({ key: input, format: 'pem' });
    return createPrivateKey({ key: input, format: 'der', type: 'pkcs8' });
  } catch {
    throw new WireError('BAD_CRL_KEY', 'never', 'what is to be the key of the CA is no private key');
  }
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN X509 CRL-----\n${lines.join('\n')}\n-----END X509 CRL-----\n`;
}
