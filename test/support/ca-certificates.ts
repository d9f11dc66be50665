import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { DER, encodeElement } from '#adapters/canedge/der.ts';

/** A certificate with its key, for tests: P-256, X.509 v3. `issuer` signs it, itself where none is given. */
export interface TestCa {
  readonly name: string;
  readonly der: Uint8Array;
  readonly pem: string;
  readonly key: KeyObject;
}

export interface CertificateTimes {
  /** `261121000000Z`: UTCTime. */
  readonly notBefore?: string;
  readonly notAfter?: string;
}

export function caCertificate(name: string, options: CertificateTimes & { readonly issuer?: TestCa } = {}): TestCa {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { issuer, notBefore = '260101000000Z', notAfter = '460101000000Z' } = options;
  const algorithm = encodeElement(DER.sequence, encodeElement(DER.oid, Buffer.from('2a8648ce3d040302', 'hex')));
  const time = (text: string): Uint8Array => encodeElement(0x17, Buffer.from(text));
  const body = encodeElement(
    DER.sequence,
    encodeElement(DER.context0, encodeElement(DER.integer, Uint8Array.of(2))),
    encodeElement(DER.integer, Buffer.concat([Buffer.from([1]), publicKey.export({ type: 'spki', format: 'der' }).subarray(-8)])),
    algorithm,
    nameElement(issuer?.name ?? name),
    encodeElement(DER.sequence, time(notBefore), time(notAfter)),
    nameElement(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    encodeElement(0xa3, encodeElement(DER.sequence, BASIC_CA)),
  );
  const signature = createSign('sha256')
    .update(body)
    .sign(issuer?.key ?? privateKey);
  const der = encodeElement(DER.sequence, body, algorithm, encodeElement(DER.bitString, Uint8Array.of(0), signature));
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return { name, der, pem: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`, key: privateKey };
}

/** basicConstraints, critical, CA. */
const BASIC_CA = Buffer.from('300f0603551d130101ff040530030101ff', 'hex');

function nameElement(commonName: string): Uint8Array {
  const attribute = encodeElement(
    DER.sequence,
    encodeElement(DER.oid, Buffer.from('550403', 'hex')),
    encodeElement(0x0c, Buffer.from(commonName)),
  );
  return encodeElement(DER.sequence, encodeElement(DER.set, attribute));
}
