import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#kit/digest.ts';
import { caCertificate } from '#test/support/ca-certificates.ts';
import { buildBundle, bundleText, parseBundle, type BundleCertificate } from './bundle.ts';

const PEM = readFileSync(`${import.meta.dirname}/fixtures/bundle-two-roots.pem`);
const BYTES = Buffer.from(PEM.toString('latin1').replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
const WIFI = { distinctSubjects: true };

function certificates(bytes: Uint8Array): readonly BundleCertificate[] {
  const parsed = parseBundle(bytes);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

function built(list: readonly BundleCertificate[]): Uint8Array {
  const answer = buildBundle(list, WIFI);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

/** The vectors of docs/protocols/canedge-s3.md §14.4. */
describe('the bundle of two roots', () => {
  it('is the one of the page', () => {
    expect(BYTES.length).toBe(1721);
    expect(sha256(BYTES)).toBe('f37de4ce0f9075e3e2932750609d9f494fff02fdd61bab15d51b6370daa0326c');
  });

  it.each([
    ['DER', BYTES],
    ['PEM', PEM],
  ])('is read from %s with the hashes of the page', (_encoding, bytes) => {
    expect(certificates(bytes).map(({ name, hashes }) => ({ name, ...hashes }))).toEqual([
      {
        name: 'Fleet Test Root 1',
        sha1: '4F0889D67269CA9B1BBE27A51E8B40F3CC8EC617',
        md5: '4FBB2A56F675F06100BF5E0018BBFE79',
        subjectSha1: '49FF0623E807C81360F6337DC67A6C954F861B5A',
      },
      {
        name: 'Fleet Test Root 2',
        sha1: '7952229BBA40DE9ED06CD161B7B8D6AFE076ECB9',
        md5: '19AA1996954F4FA78B45AFC93235F99F',
        subjectSha1: 'FAA3D6FD2C9E3B3640F5F6619D943A72AE4125EC',
      },
    ]);
    expect(certificates(bytes).map(({ notAfter }) => new Date(notAfter).toISOString())).toEqual([
      '2046-11-16T07:58:23.000Z',
      '2046-11-16T07:58:24.000Z',
    ]);
  });

  it('is written byte for byte, in whatever order its certificates come', () => {
    const [one, two] = certificates(BYTES);
    if (one === undefined || two === undefined) throw new Error('no certificates');
    expect(Buffer.compare(built([one, two]), BYTES)).toBe(0);
    expect(Buffer.compare(built([two, one]), BYTES)).toBe(0);
    expect(bundleText(BYTES, 2)).toBe(PEM.toString('latin1'));
  });

  it('of one certificate is that certificate', () => {
    const [one] = certificates(BYTES);
    if (one === undefined) throw new Error('no certificates');
    expect(Buffer.compare(built([one]), one.der)).toBe(0);
    expect(certificates(one.der)).toEqual([one]);
    expect(certificates(Buffer.from(bundleText(one.der, 1)))).toEqual([one]);
  });
});

describe('what is no bundle', () => {
  const wrongVersion = Uint8Array.from(BYTES);
  const at = Buffer.from(BYTES).indexOf(Buffer.from('020101', 'hex'));
  wrongVersion[at + 2] = 3;
  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'EMPTY'],
    ['text', Buffer.from('certs'), 'NOT_CERTIFICATES'],
    ['a truncated bundle', BYTES.subarray(0, 1700), 'NOT_CERTIFICATES'],
    ['a bundle with a byte behind it', Buffer.concat([BYTES, Buffer.from([0])]), 'NOT_CERTIFICATES'],
    ['another version', wrongVersion, 'NOT_CERTIFICATES'],
    ['a PEM block without an end', PEM.subarray(0, 500), 'NOT_CERTIFICATES'],
    ['a PEM block of a key', Buffer.from('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'), 'NOT_CERTIFICATES'],
    ['lengths that lead outside', Buffer.from('3084ffffffff', 'hex'), 'NOT_CERTIFICATES'],
    ['an indefinite length', Buffer.from('30800000', 'hex'), 'NOT_CERTIFICATES'],
    ['a megabyte', new Uint8Array(1_000_000), 'TOO_LARGE'],
    [
      'a bundle without certificates',
      Buffer.from('302506092a864886f70d010702a01830160201013100300b06092a864886f70d010701a0003100', 'hex'),
      'EMPTY',
    ],
  ])('%s', (_name, bytes, code) => {
    expect(parseBundle(bytes)).toMatchObject({ ok: false, error: { code } });
  });
});

describe('what no device would take', () => {
  const roots = Array.from({ length: 11 }, (_, index) => caCertificate(`Root ${index}`).der).map((der) => certificates(der)[0]);
  const list = roots.filter((one) => one !== undefined);

  it('is refused: none, eleven, one twice', () => {
    expect(buildBundle([], WIFI)).toMatchObject({ ok: false, error: { code: 'EMPTY' } });
    expect(buildBundle(list, WIFI)).toMatchObject({ ok: false, error: { code: 'TOO_MANY' } });
    expect(buildBundle(list.slice(0, 10), WIFI)).toMatchObject({ ok: true });
    expect(buildBundle([...list.slice(0, 2), ...list.slice(0, 1)], WIFI)).toMatchObject({ ok: false, error: { code: 'TWICE' } });
  });

  it('two certificates of one subject, on a CANedge2 alone', () => {
    const renewed = certificates(caCertificate('Root 0').der);
    expect(buildBundle([...list.slice(0, 1), ...renewed], WIFI)).toMatchObject({ ok: false, error: { code: 'SAME_SUBJECT' } });
    expect(buildBundle([...list.slice(0, 1), ...renewed], { distinctSubjects: false })).toMatchObject({ ok: true });
  });

  it('ten certificates come back as they were', () => {
    const ten = list.slice(0, 10);
    expect(
      certificates(built(ten))
        .map(({ hashes }) => hashes.sha1)
        .toSorted(),
    ).toEqual(ten.map(({ hashes }) => hashes.sha1).toSorted());
  });
});
