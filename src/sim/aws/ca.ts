import { createPrivateKey, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { DAY_MS } from '#kit/duration.ts';
import { AwsError } from './errors.ts';

/** A certificate authority with its key, both PEM. */
export interface AwsCaFiles {
  readonly certificate: string;
  readonly key: string;
}

interface IssuedPair {
  readonly certificate: string;
  readonly key: string;
}

/** The small CA that signs what devices get: P-256, SHA-256, X.509 v3. `at` in ms. */
export interface AwsCa {
  readonly certificate: string;
  /** Over a key of the device's own. Throws AwsError InvalidRequestException for what is no CSR, or not signed by its key. */
  fromCsr(csr: string, at: number): Promise<string>;
  /** With a new key; the common name is AWS's own when left out. */
  withKey(at: number, name?: string): Promise<IssuedPair>;
  /** For a server of these names: DNS names or IPv4 addresses. */
  forServer(names: readonly string[], at: number): Promise<IssuedPair>;
}

/** AWS signs device certificates until the end of 2049. */
const END = Date.UTC(2049, 11, 31, 23, 59, 59);
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const OID = {
  commonName: '2.5.4.3',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;
/** Bits of keyUsage, RFC 5280 §4.2.1.3. */
const SIGN_CERTIFICATES = 0x06;
const SIGN = 0x80;

/** A new CA, valid from a day before `at`. */
export async function makeAwsCa(at: number): Promise<AwsCaFiles> {
  const pair = await newPair();
  const subject = 'Headgate simulated AWS IoT CA';
  const certificate = await signed({ subject, publicKey: pair.publicKey, at, ca: true }, { subject, key: pair.privateKey, keyId: null });
  return { certificate, key: await keyPem(pair.privateKey) };
}

/** Throws a RangeError for files that are no CA of an EC P-256 key. */
export async function openAwsCa(files: AwsCaFiles): Promise<AwsCa> {
  const issuer = await readIssuer(files);
  const issue = (leaf: Omit<Leaf, 'ca'>): Promise<string> => signed({ ...leaf, ca: false }, issuer);
  return {
    certificate: files.certificate,
    fromCsr: async (csr, at) => issue({ subject: 'AWS IoT Certificate', publicKey: await keyOfCsr(csr), at }),
    withKey: async (at, name = 'AWS IoT Certificate') => {
      const pair = await newPair();
      const certificate = await issue({ subject: name, publicKey: pair.publicKey, at });
      return { certificate, key: await keyPem(pair.privateKey) };
    },
    forServer: async (names, at) => {
      const pair = await newPair();
      const certificate = await issue({ subject: names[0] ?? 'localhost', publicKey: pair.publicKey, at, names });
      return { certificate, key: await keyPem(pair.privateKey) };
    },
  };
}

interface Issuer {
  readonly subject: string | Uint8Array;
  readonly key: webcrypto.CryptoKey;
  readonly keyId: ArrayBuffer | null;
}

interface Leaf {
  readonly subject: string;
  readonly publicKey: webcrypto.CryptoKey;
  readonly at: number;
  readonly ca: boolean;
  /** Of a server; none for a client. */
  readonly names?: readonly string[];
}

async function pki() {
  const pkijs = await import('pkijs');
  if (pkijs.getCrypto() === null) pkijs.setEngine('node', new pkijs.CryptoEngine({ name: 'node', crypto: globalThis.crypto }));
  return { ...pkijs, asn1: await import('asn1js') };
}

async function readIssuer(files: AwsCaFiles): Promise<Issuer> {
  const { Certificate } = await pki();
  try {
    const own = new X509Certificate(files.certificate);
    const key = createPrivateKey(files.key);
    if (!own.checkPrivateKey(key)) throw new RangeError('certificate and key of the CA do not belong together');
    const der = key.export({ type: 'pkcs8', format: 'der' });
    const parsed = Certificate.fromBER(new Uint8Array(own.raw).slice().buffer);
    const { subject, subjectPublicKeyInfo } = parsed;
    return {
      subject: new Uint8Array(subject.toSchema().toBER(false)),
      key: await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']),
      keyId: await webcrypto.subtle.digest('SHA-1', subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView.slice()),
    };
  } catch (error) {
    throw error instanceof RangeError ? error : new RangeError('the CA is no certificate with its EC P-256 key, both PEM');
  }
}

async function signed(leaf: Leaf, issuer: Issuer): Promise<string> {
  const { Certificate, RelativeDistinguishedNames, Time, asn1 } = await pki();
  const certificate = new Certificate();
  certificate.version = 2;
  // Positive, and never twice (RFC 5280 §4.1.2.2).
  certificate.serialNumber = new asn1.Integer({ valueHex: Uint8Array.from([0x40, ...randomBytes(15)]).buffer });
  const name = async (subject: string | Uint8Array) =>
    typeof subject === 'string'
      ? await commonName(subject)
      : new RelativeDistinguishedNames({ schema: asn1.fromBER(new Uint8Array(subject).slice().buffer).result });
  certificate.issuer = await name(issuer.subject);
  certificate.subject = await name(leaf.subject);
  certificate.notBefore = new Time({ type: 0, value: wholeSeconds(leaf.at - DAY_MS) });
  certificate.notAfter = new Time({ type: 0, value: new Date(END) });
  await certificate.subjectPublicKeyInfo.importKey(leaf.publicKey);
  certificate.extensions = await extensionsOf(
    leaf,
    issuer,
    certificate.subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView.slice(),
  );
  await certificate.sign(issuer.key, 'SHA-256');
  return pem('CERTIFICATE', Buffer.from(certificate.toSchema(true).toBER(false)));
}

async function commonName(text: string) {
  const { AttributeTypeAndValue, RelativeDistinguishedNames, asn1 } = await pki();
  return new RelativeDistinguishedNames({
    typesAndValues: [new AttributeTypeAndValue({ type: OID.commonName, value: new asn1.Utf8String({ value: text }) })],
  });
}

async function extensionsOf(leaf: Leaf, issuer: Issuer, key: Uint8Array) {
  const { AltName, AuthorityKeyIdentifier, BasicConstraints, ExtKeyUsage, Extension, GeneralName, asn1 } = await pki();
  const extension = (extnID: string, critical: boolean, value: { toBER(sizeOnly?: boolean): ArrayBuffer }) =>
    new Extension({ extnID, critical, extnValue: value.toBER(false) });
  const keyId = await webcrypto.subtle.digest('SHA-1', new Uint8Array(key));
  const usage = Uint8Array.of(leaf.ca ? SIGN_CERTIFICATES : SIGN);
  const list = [
    extension(OID.basicConstraints, true, new BasicConstraints({ cA: leaf.ca }).toSchema()),
    extension(OID.keyUsage, true, new asn1.BitString({ valueHex: usage.buffer, unusedBits: leaf.ca ? 1 : 7 })),
    extension(OID.subjectKeyId, false, new asn1.OctetString({ valueHex: keyId })),
    extension(
      OID.authorityKeyId,
      false,
      new AuthorityKeyIdentifier({ keyIdentifier: new asn1.OctetString({ valueHex: issuer.keyId ?? keyId }) }).toSchema(),
    ),
  ];
  if (leaf.ca) return list;
  const purpose = leaf.names === undefined ? OID.clientAuth : OID.serverAuth;
  list.push(extension(OID.extendedKeyUsage, false, new ExtKeyUsage({ keyPurposes: [purpose] }).toSchema()));
  if (leaf.names === undefined) return list;
  const altNames = leaf.names.map((name) =>
    /^\d+(\.\d+){3}$/.test(name)
      ? new GeneralName({ type: 7, value: new asn1.OctetString({ valueHex: Uint8Array.from(name.split('.').map(Number)).buffer }) })
      : new GeneralName({ type: 2, value: name }),
  );
  list.push(extension(OID.subjectAltName, false, new AltName({ altNames }).toSchema()));
  return list;
}

async function keyOfCsr(text: string): Promise<webcrypto.CryptoKey> {
  const { CertificationRequest } = await pki();
  const refuse = (why: string): AwsError => new AwsError('InvalidRequestException', `The certificate signing request ${why}`);
  const [, body] = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([^-]+)-----END/.exec(text) ?? [];
  if (body === undefined) throw refuse('is no PEM');
  try {
    const request = CertificationRequest.fromBER(new Uint8Array(Buffer.from(body, 'base64')).slice().buffer);
    if (!(await request.verify())) throw refuse('is not signed by its own key');
    const spki = Buffer.from(request.subjectPublicKeyInfo.toSchema().toBER(false));
    return await importPublic(spki);
  } catch (error) {
    throw error instanceof AwsError ? error : refuse('could not be read');
  }
}

/** RSA from 2048 bits, P-256 or P-384, as AWS takes them (docs/protocols/aws-iot.md §11.1). */
async function importPublic(spki: Buffer): Promise<webcrypto.CryptoKey> {
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) >= 2048) {
    return await webcrypto.subtle.importKey('spki', spki, { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, true, ['verify']);
  }
  const namedCurve = { prime256v1: 'P-256', secp384r1: 'P-384' }[details?.namedCurve ?? ''];
  if (key.asymmetricKeyType === 'ec' && namedCurve !== undefined) {
    return await webcrypto.subtle.importKey('spki', spki, { name: 'ECDSA', namedCurve }, true, ['verify']);
  }
  throw new AwsError(
    'InvalidRequestException',
    'The key of the certificate signing request is neither RSA of 2048 bits nor P-256 or P-384',
  );
}

async function newPair(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  return pem('PRIVATE KEY', Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)));
}

function wholeSeconds(at: number): Date {
  return new Date(Math.floor(at / 1000) * 1000);
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
