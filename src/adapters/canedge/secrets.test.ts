import { createECDH, createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decryptField, encryptField, fieldKey, fieldVector, operatorKey, privateScalar, readKpub } from './secrets.ts';

/** docs/protocols/canedge-s3.md §14.3. */
const DEVICE_KEY = Buffer.from('84c7379c26033b905c9e44e9991ef4351b83a534d36c8c29df97d0a801cc8c8b', 'hex');
const DEVICE_KPUB = 'H9kKt/7054OcUzd5jrkJtKiD9ostgC5nrAV6ydN4UGZa9LuQdNgLsIoaFBHqBgGfUbn8dqh9Lncb1uH88tvhBQ==';
const OPERATOR_KEY = Buffer.from('7aee8cf04617e7b038279be7815f4a4b62610515623a7a10f06e931ffd7285f0', 'hex');
const OPERATOR_KPUB = 'hHMpvZ1OQqumiTRqQW7+i3kX9t05/s1y/909nn/RtMdwpKFD9Gov0vPErPQCQ3fEGukbSg3YPu59BqrambI5sA==';
const SYMMETRIC = 'd54e1f5b9833b6896cafb5099c11e8e7';

const VECTORS = [
  [
    'A',
    '000102030405060708090a0b0c0d0e0f',
    'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    'AAECAwQFBgcICQoLDA0OD2N3fnegKtjB9XWcvcPFZcAzedp9aQWoVihBOqoRUykRZEI867qX2dQ=',
  ],
  [
    'B counter wrap',
    'ff'.repeat(16),
    'correct horse battery staple 123',
    '/////////////////////5tNwGjvEuKqsw1Y1XjIAn1x1e69DKyRUS0juavEXHDI',
  ],
  ['C empty', '00'.repeat(16), '', 'AAAAAAAAAAAAAAAAAAAAAA=='],
  ['D PIN', '101112131415161718191a1b1c1d1e1f', '1234', 'EBESExQVFhcYGRobHB0eH8UIR4I='],
] as const;

function keyOf(base64: string): Uint8Array {
  const read = readKpub(base64);
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('the vectors of §14.3', () => {
  it('the shared secret gives the symmetric key, from either side', () => {
    const operator = fieldKey(OPERATOR_KEY, keyOf(DEVICE_KPUB));
    expect(operator.operatorKpub).toBe(OPERATOR_KPUB);
    expect(hex(operator.symmetric)).toBe(SYMMETRIC);
    const device = fieldKey(DEVICE_KEY, keyOf(OPERATOR_KPUB));
    expect(device.operatorKpub).toBe(DEVICE_KPUB);
    expect(hex(device.symmetric)).toBe(SYMMETRIC);
  });

  it('the shared secret is that of the page, and its HMAC the symmetric key', () => {
    const device = createECDH('prime256v1');
    device.setPrivateKey(DEVICE_KEY);
    const shared = device.computeSecret(Buffer.concat([Buffer.from([4]), Buffer.from(OPERATOR_KPUB, 'base64')]));
    expect(hex(shared)).toBe('f454cb570cccdfdd3a48c1b386ca4ecaf9f447a8bf6ee1fd52f680e2c80ada82');
    const symmetric = createHmac('sha256', shared).update('config').digest().subarray(0, 16);
    expect(hex(fieldKey(DEVICE_KEY, keyOf(OPERATOR_KPUB)).symmetric)).toBe(hex(symmetric));
    expect(symmetric.toString('base64')).toBe('1U4fW5gztolsr7UJnBHo5w==');
  });

  it('Z: what naive code would encrypt with is known to everybody', () => {
    const weak = createHmac('sha256', Buffer.alloc(32)).update('config').digest().subarray(0, 16);
    expect(weak.toString('base64')).toBe('8LZhOfD0SXuKqMpUQsYVkw==');
    for (const kpub of ['', Buffer.alloc(64).toString('base64')]) expect(readKpub(kpub).ok).toBe(false);
  });

  it.each(VECTORS)('%s', (_name, vector, plain, stored) => {
    const symmetric = Buffer.from(SYMMETRIC, 'hex');
    expect(encryptField(symmetric, Buffer.from(vector, 'hex'), Buffer.from(plain))).toBe(stored);
    const opened = decryptField(symmetric, stored);
    expect(opened === null ? null : Buffer.from(opened).toString()).toBe(plain);
  });

  it.each([
    [32, 64],
    [33, 68],
    [95, 148],
    [96, 152],
    [64, 108],
    [65, 108],
    [4, 28],
    [8, 32],
    [0, 24],
  ])('%i plain bytes are stored as %i characters', (bytes, length) => {
    expect(encryptField(Buffer.from(SYMMETRIC, 'hex'), new Uint8Array(16), Buffer.alloc(bytes, 97))).toHaveLength(length);
  });

  it.each([
    ['Z: an empty key', '', 'is not 64 bytes in base64'],
    ['Z: 64 zero bytes', Buffer.alloc(64).toString('base64'), 'is all zero'],
    ['88 times A', 'A'.repeat(88), 'is not 64 bytes in base64'],
    ['a point off the curve', Buffer.alloc(64, 7).toString('base64'), 'is no point of P-256'],
    ['coordinates beyond the field', Buffer.alloc(64, 255).toString('base64'), 'is no point of P-256'],
    ['one bit of Y flipped', flipped(DEVICE_KPUB), 'is no point of P-256'],
    ['87 characters', DEVICE_KPUB.slice(1), 'is not 64 bytes in base64'],
    ['63 bytes', Buffer.alloc(63, 1).toString('base64'), 'is not 64 bytes in base64'],
    [
      '65 bytes with the prefix',
      Buffer.concat([Buffer.from([4]), Buffer.from(DEVICE_KPUB, 'base64')]).toString('base64'),
      'is not 64 bytes in base64',
    ],
    ['bits behind the padding', `${DEVICE_KPUB.slice(0, -3)}R==`, 'is not 64 bytes in base64'],
    ['a line end', `${DEVICE_KPUB}\n`, 'is not 64 bytes in base64'],
  ])('refuses %s', (_name, kpub, why) => {
    expect(readKpub(kpub)).toEqual({ ok: false, error: why });
  });

  it('takes the vectors’ own keys', () => {
    expect([DEVICE_KPUB, OPERATOR_KPUB].map((kpub) => readKpub(kpub).ok)).toEqual([true, true]);
  });
});

function flipped(kpub: string): string {
  const bytes = Buffer.from(kpub, 'base64');
  bytes[63] = (bytes[63] ?? 0) ^ 1;
  return bytes.toString('base64');
}

describe('the operator key', () => {
  const base = { renderKey: Buffer.alloc(32, 1), hardware: '2B6F11C0', kpub: DEVICE_KPUB, secrets: [['/a', 'x']] as const };

  it('is the same for the same declaration, and another for any other', () => {
    const keys = [
      operatorKey(base),
      operatorKey({ ...base, renderKey: Buffer.alloc(32, 2) }),
      operatorKey({ ...base, hardware: '2B6F11C1' }),
      operatorKey({ ...base, kpub: OPERATOR_KPUB }),
      operatorKey({ ...base, secrets: [['/a', 'y']] }),
      operatorKey({ ...base, secrets: [['/b', 'x']] }),
      operatorKey({
        ...base,
        secrets: [
          ['/a', 'x'],
          ['/b', 'x'],
        ],
      }),
    ].map(hex);
    expect(new Set(keys).size).toBe(keys.length);
    expect(hex(operatorKey({ ...base }))).toBe(keys[0]);
  });

  it('does not change between versions of Headgate: a new one would restart every device', () => {
    expect(createHash('sha256').update(operatorKey(base)).digest('hex').slice(0, 16)).toMatchInlineSnapshot(`"3328dc16c4768b65"`);
  });

  it.each([
    ['zero', '00'],
    ['the order less one', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550'],
    ['the order', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'],
    ['all ones', 'ff'.repeat(48)],
  ])('out of %s is a private key', (_name, bytes) => {
    const scalar = privateScalar(Buffer.from(bytes, 'hex'));
    expect(scalar).toHaveLength(32);
    expect(scalar.some((byte) => byte !== 0)).toBe(true);
    expect(() => createECDH('prime256v1').setPrivateKey(scalar)).not.toThrow();
  });
});

describe('fields', () => {
  const texts = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)), maxLength: 95 });

  const seeds = fc.uint8Array({ minLength: 32, maxLength: 48 });

  it('what the operator encrypts the device decrypts, and nobody else', () => {
    const holds = fc.property(seeds, seeds, texts, (operatorSeed, deviceSeed, text) => {
      const [operator, device] = [privateScalar(operatorSeed), privateScalar(deviceSeed)];
      const pair = createECDH('prime256v1');
      pair.setPrivateKey(device);
      const sealing = fieldKey(operator, keyOf(pair.getPublicKey().subarray(1).toString('base64')));
      const plain = Buffer.from(text);
      const stored = encryptField(sealing.symmetric, fieldVector(sealing.symmetric, '/x', plain), plain);
      const opening = fieldKey(device, keyOf(sealing.operatorKpub));
      const stranger = fieldKey(privateScalar(Buffer.concat([deviceSeed, Buffer.from([1])])), keyOf(sealing.operatorKpub));
      expect(Buffer.from(decryptField(opening.symmetric, stored) ?? []).toString()).toBe(text);
      // A short text may come out by chance.
      expect(text.length > 3 && Buffer.from(decryptField(stranger.symmetric, stored) ?? []).toString() === text).toBe(false);
    });
    fc.assert(holds, { numRuns: 60 });
  });

  it('no two texts and no two places share a vector', () => {
    const symmetric = Buffer.from(SYMMETRIC, 'hex');
    const of = (path: string, text: string): string => hex(fieldVector(symmetric, path, Buffer.from(text)));
    const holds = fc.property(texts, texts, (one, other) => {
      expect(of('/a', one) === of('/a', other)).toBe(one === other);
      expect(of('/a', one)).not.toBe(of('/b', one));
    });
    fc.assert(holds, { numRuns: 100 });
  });

  it.each(['', 'AAAA', 'not base64!', 'AAAAAAAAAAAAAAAAAAAAA', '[secret]'])('takes %j for no ciphertext', (stored) => {
    expect(decryptField(Buffer.from(SYMMETRIC, 'hex'), stored)).toBeNull();
  });
});
