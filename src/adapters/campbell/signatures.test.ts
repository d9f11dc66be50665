import { describe, expect, it } from 'vitest';
import fixtures from './fixtures/signatures.json' with { type: 'json' };
import { fileChecksum } from './signatures.ts';

/** docs/protocols/campbell-mqtt.md §8.4. */
describe('checksums of files', () => {
  it.each(fixtures.vectors)('$name', ({ hex, signature, crc }) => {
    const bytes = Buffer.from(hex, 'hex');
    expect(Number.parseInt(fileChecksum('CSI_SIG', bytes), 16)).toBe(signature);
    if (crc !== null) expect(fileChecksum('CRC32', bytes)).toBe(crc);
  });

  it.each(fixtures.vectors)('change with every byte of $name', ({ hex }) => {
    const bytes = Buffer.from(hex, 'hex');
    const before = (['CRC32', 'CSI_SIG', 'MD5', 'SHA256', 'SHA512'] as const).map((one) => [one, fileChecksum(one, bytes)] as const);
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Uint8Array.from(bytes, (byte, at) => (at === index ? byte ^ 1 : byte));
      for (const [algorithm, checksum] of before) expect(fileChecksum(algorithm, changed)).not.toBe(checksum);
    }
  });

  it('are lower-case hex of the length of their kind', () => {
    const lengths = { CRC32: 8, CSI_SIG: 4, MD5: 32, SHA256: 64, SHA512: 128 } as const;
    for (const [name, length] of Object.entries(lengths)) {
      expect(fileChecksum(name as keyof typeof lengths, Buffer.from('x'))).toMatch(new RegExp(`^[0-9a-f]{${length}}$`));
    }
    expect(fileChecksum('MD5', Buffer.from('abc'))).toBe('900150983cd24fb0d6963f7d28e17f72');
    expect(fileChecksum('SHA256', new Uint8Array())).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});
