import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle, bundleText, parseBundle, type BundleCertificate } from '#adapters/canedge/bundle.ts';

/** The recipe of docs/protocols/canedge-s3.md §7.2, both ways: openssl judges what we write, and we read what it writes. */
const NAMES = ['Fleet Root A', 'Fleet Root B', 'Würzburg/Süd, "Depot"', 'Fleet Root D'];

let dir = '';

function openssl(...args: readonly string[]): Buffer {
  return execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'canedge-bundle-'));
  for (const [index, name] of NAMES.entries()) {
    const key = index === 1 ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['rsa:2048'];
    const subject = `/O=Fleet/CN=${name.replaceAll('/', String.raw`\/`)}`;
    const out = ['-keyout', `${index}.key`, '-out', `${index}.pem`];
    openssl('req', '-x509', '-newkey', ...key, '-nodes', '-utf8', '-days', '90', '-subj', subject, ...out);
    openssl('x509', '-in', `${index}.pem`, '-outform', 'DER', '-out', `${index}.der`);
  }
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function read(file: string): readonly BundleCertificate[] {
  const parsed = parseBundle(readFileSync(join(dir, file)));
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

const all = (): readonly BundleCertificate[] => NAMES.flatMap((_, index) => read(`${index}.der`));
const hashesOf = (list: readonly BundleCertificate[]): readonly string[] => list.map(({ hashes }) => hashes.sha1).toSorted();

function fingerprint(file: string, digest: 'sha1' | 'md5'): string {
  const said = openssl('x509', '-in', file, '-noout', '-fingerprint', `-${digest}`).toString();
  return (said.split('=')[1] ?? '').trim().replaceAll(':', '');
}

describe('what openssl writes', () => {
  it.each(NAMES.map((_, index) => index))('certificate %i is read with the hashes that openssl tells', (index) => {
    for (const file of [`${index}.pem`, `${index}.der`]) {
      const [one, ...more] = read(file);
      expect(more).toEqual([]);
      expect(one?.hashes.sha1).toBe(fingerprint(`${index}.pem`, 'sha1'));
      expect(one?.hashes.md5).toBe(fingerprint(`${index}.pem`, 'md5'));
    }
    const subject = openssl('x509', '-in', `${index}.pem`, '-noout', '-subject', '-nameopt', 'RFC2253,-esc_msb,utf8').toString();
    expect(subject).toContain(`CN=${(read(`${index}.der`)[0]?.name ?? '').slice(0, 8)}`);
    const dates = openssl('x509', '-in', `${index}.pem`, '-noout', '-enddate').toString();
    expect(Date.parse(dates.split('=')[1] ?? '')).toBe(read(`${index}.der`)[0]?.notAfter);
  });

  it.each(['DER', 'PEM'])('bundles in %s of one to four certificates are read', (form) => {
    for (let count = 1; count <= NAMES.length; count += 1) {
      const files = Array.from({ length: count }, (_, index) => ['-certfile', `${index}.pem`]).flat();
      openssl('crl2pkcs7', '-nocrl', ...files, '-outform', form, '-out', 'theirs.p7b');
      expect(hashesOf(read('theirs.p7b'))).toEqual(hashesOf(all().slice(0, count)));
    }
  });

  it('a bundle without certificates and one with a signer are no bundles', () => {
    openssl('crl2pkcs7', '-nocrl', '-outform', 'DER', '-out', 'none.p7b');
    expect(parseBundle(readFileSync(join(dir, 'none.p7b')))).toMatchObject({ ok: false });
    writeFileSync(join(dir, 'text'), 'text');
    openssl('smime', '-sign', '-in', 'text', '-signer', '0.pem', '-inkey', '0.key', '-outform', 'DER', '-out', 'signed.p7b');
    expect(parseBundle(readFileSync(join(dir, 'signed.p7b'))).ok).toBe(false);
  });
});

describe('what we write', () => {
  it.each([1, 2, 3, 4])('openssl takes %i certificates, and finds the same ones', (count) => {
    const wanted = all().slice(0, count);
    const built = buildBundle(wanted, { distinctSubjects: true });
    if (!built.ok) throw new Error(built.error.message);
    writeFileSync(join(dir, 'ours.der'), built.value);
    writeFileSync(join(dir, 'ours.pem'), bundleText(built.value, count));
    for (const [form, file] of [
      ['DER', 'ours.der'],
      ['PEM', 'ours.pem'],
    ] as const) {
      // One alone is the certificate itself (§7.2).
      const listed =
        count === 1 ? openssl('x509', '-inform', form, '-in', file) : openssl('pkcs7', '-inform', form, '-in', file, '-print_certs');
      writeFileSync(join(dir, 'listed.pem'), listed);
      const pems = listed.toString().match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
      const found = pems.map((pem) => {
        writeFileSync(join(dir, 'one.pem'), pem);
        return fingerprint('one.pem', 'sha1');
      });
      expect(found.toSorted()).toEqual(hashesOf(wanted));
    }
  });

  it('is byte for byte what openssl makes of the same certificates in the same order', () => {
    const built = buildBundle(all(), { distinctSubjects: true });
    if (!built.ok) throw new Error(built.error.message);
    const order = [...NAMES.keys()].toSorted((a, b) =>
      Buffer.compare(readFileSync(join(dir, `${a}.der`)), readFileSync(join(dir, `${b}.der`))),
    );
    openssl('crl2pkcs7', '-nocrl', ...order.flatMap((index) => ['-certfile', `${index}.pem`]), '-outform', 'DER', '-out', 'same.p7b');
    expect(Buffer.compare(built.value, readFileSync(join(dir, 'same.p7b')))).toBe(0);
  });

  it('the bundle of the protocol page is taken as it is', () => {
    const pem = readFileSync('src/adapters/canedge/fixtures/bundle-two-roots.pem');
    writeFileSync(join(dir, 'page.pem'), pem);
    const listed = openssl('pkcs7', '-inform', 'PEM', '-in', 'page.pem', '-print_certs', '-noout').toString();
    expect(listed).toContain('Fleet Test Root 1');
    expect(listed).toContain('Fleet Test Root 2');
  });
});
