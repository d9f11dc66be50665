import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';

/** A self-signed certificate and its key for tests: P-256, X.509 v3 without extensions, DER built by hand. */
export interface TestIdentity {
  readonly certificate: string;
  readonly key: string;
}

export function testIdentity(commonName: string): TestIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const der = selfSigned(commonName, { privateKey, publicKey });
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return { certificate: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`, key };
}

function selfSigned(commonName: string, pair: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }): Buffer {
  const algorithm = sequence(oid('2a8648ce3d040302'));
  const name = sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(commonName)))));
  const validity = sequence(tlv(0x17, Buffer.from('260101000000Z')), tlv(0x17, Buffer.from('460101000000Z')));
  const serial = tlv(0x02, Buffer.concat([Buffer.from([1]), Buffer.from(commonName).subarray(0, 15)]));
  const spki = pair.publicKey.export({ type: 'spki', format: 'der' });
  const body = sequence(tlv(0xa0, tlv(0x02, Buffer.from([2]))), serial, algorithm, name, validity, name, spki);
  const signature = createSign('sha256').update(body).sign(pair.privateKey);
  return sequence(body, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])));
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function tlv(tag: number, value: Buffer): Buffer {
  const { length } = value;
  const header = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...header]), value]);
}
