import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encryptField, fieldKey, fieldVector, operatorKey, readKpub } from '#adapters/canedge/secrets.ts';

/**
 * Decrypts what Headgate encrypts with the `openssl` program and nothing of ours: docs/protocols/canedge-s3.md §8.2,
 * read anew from the device's side.
 */
const SCRIPT = String.raw`
set -eu
kpub=$1 stored=$2
# The operator's public key as SubjectPublicKeyInfo of P-256: a fixed head, and 04 X Y.
{ printf 'HEAD'; printf %s "$kpub" | openssl base64 -d -A; } > operator.der
openssl pkey -pubin -inform DER -in operator.der -out operator.pem
openssl pkeyutl -derive -inkey device.pem -peerkey operator.pem -out shared.bin
shared=$(od -An -v -tx1 shared.bin | tr -d ' \n')
key=$(printf config | openssl dgst -sha256 -mac HMAC -macopt hexkey:$shared -binary | head -c 16 | od -An -v -tx1 | tr -d ' \n')
printf %s "$stored" | openssl base64 -d -A > stored.bin
iv=$(head -c 16 stored.bin | od -An -v -tx1 | tr -d ' \n')
tail -c +17 stored.bin | openssl enc -d -aes-128-ctr -K $key -iv $iv
`;

let dir = '';
let kpub = '';

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'canedge-openssl-'));
  execFileSync('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', join(dir, 'device.pem')]);
  const spki = execFileSync('openssl', ['pkey', '-in', join(dir, 'device.pem'), '-pubout', '-outform', 'DER']);
  kpub = spki.subarray(-64).toString('base64');
  writeFileSync(join(dir, 'open.sh'), SCRIPT.replace('HEAD', octal('3059301306072a8648ce3d020106082a8648ce3d03010703420004')));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function octal(hex: string): string {
  return [...Buffer.from(hex, 'hex')].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}

describe('openssl, as the device', () => {
  it.each(['wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', 'correct horse battery staple 123', '1234', 'x', '', 'x'.repeat(95)])(
    'reads %j',
    (plain) => {
      const key = readKpub(kpub);
      if (!key.ok) throw new Error(key.error);
      const operator = operatorKey({ renderKey: Buffer.alloc(32, 9), hardware: '0A1B2C3D', kpub, secrets: [['/x', plain]] });
      const { symmetric, operatorKpub } = fieldKey(operator, key.value);
      const stored = encryptField(symmetric, fieldVector(symmetric, '/x', Buffer.from(plain)), Buffer.from(plain));
      const opened = execFileSync('sh', ['open.sh', operatorKpub, stored], { cwd: dir });
      expect(opened.toString()).toBe(plain);
    },
  );
});
