import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canedgeFamily } from '#adapters/canedge/family.ts';
import { at, parseJson, textAt } from '#adapters/canedge/json.ts';
import { encryptField, fieldKey, fieldVector, operatorKey, readKpub } from '#adapters/canedge/secrets.ts';
import { buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import type { Json } from '#kit/canonical.ts';
import { Secret, SECRET_TEXT } from '#kit/secret.ts';
import { emptyReport } from '#model/reported.ts';
import { declaredTruck, ID } from '#test/support/canedge.ts';

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

  it('reads each field of a config as it is rendered for the bucket', () => {
    const plain: Readonly<Record<string, string>> = {
      '/log/encryption/pwd': 'p'.repeat(64),
      '/connect/wifi/accesspoint/0/pwd': 'depot password',
      '/connect/wifi/accesspoint/1/pwd': 'yard password',
      '/connect/s3/server/secretkey': 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    };
    const document = rendered(plain);
    const operator = textAt(document, 'general', 'security', 'kpub') ?? '';
    for (const [pointer, text] of Object.entries(plain)) {
      const stored = valueAt(document, pointer);
      expect(stored).not.toContain(text);
      expect(execFileSync('sh', ['open.sh', operator, stored], { cwd: dir }).toString()).toBe(text);
    }
    const flags = [at(document, 'log', 'encryption', 'keyformat'), at(document, 'connect', 'wifi', 'keyformat')];
    expect([...flags, at(document, 'connect', 's3', 'server', 'keyformat')]).toEqual([1, 1, 1]);
  });
});

/** The config that a device with openssl's key is told, with these secrets out of git. */
function rendered(plain: Readonly<Record<string, string>>): Json {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const points = ['depot', 'yard'].map((ssid) => ({ ssid, pwd: SECRET_TEXT, minrssi: 0 }));
  const base = JSON.parse(
    JSON.stringify(buildSimConfig('01.09', 'CANedge2')).replace('"secretkey":"not-a-secret"', `"secretkey":"${SECRET_TEXT}"`),
  ) as {
    readonly connect: { readonly wifi: Json };
  } & Record<string, Json>;
  const wifi = { ...(base.connect.wifi as Record<string, Json>), accesspoint: points };
  const log = { encryption: { state: 1, keyformat: 0, pwd: SECRET_TEXT } };
  const device = declaredTruck();
  const answer = canedgeFamily.expectation(device, {
    item: 'config',
    artifact: null,
    content: null,
    document: { ...base, log, connect: { ...base.connect, wifi } },
    firmware: '01.09.03',
    certificates: [],
    secrets: new Map(Object.entries(plain).map(([pointer, text]) => [pointer, new Secret(bytes(text))])),
    renderKey: new Secret(bytes('0123456789abcdef')),
  });
  if (!answer.ok) throw new Error(answer.error.summary);
  const place = { file: 'groups/vans.yaml', line: 1, column: 1 };
  const needs = { firmware: null, neverBelow: null };
  const item = { item: 'config', place, artifact: null, part: 'config', needs, drift: 'correct', ...answer.value } as const;
  const memo = { file: { id: ID, type: '0000001F', firmware: '01.09.03', series: '01.09', kpub } };
  const complete = canedgeFamily.complete?.(item, { device, reported: { ...emptyReport(device.id), serial: ID, memo }, pinned: null });
  const content = complete?.ok === true ? complete.value.content : null;
  return (content?.kind === 'bytes' ? parseJson(content.bytes) : undefined) ?? null;
}

function valueAt(document: Json, pointer: string): string {
  let value: unknown = document;
  for (const name of pointer.slice(1).split('/')) value = (value as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'string' ? value : '';
}
