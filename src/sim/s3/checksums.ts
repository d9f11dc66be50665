import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html */
export const CHECKSUM_ALGORITHMS = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

const CHECKSUM_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = { crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32 };

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64, as it stands in `x-amz-checksum-*`. */
  readonly value: string;
}

/** The checksum of the bytes in base64, big-endian for the CRCs. */
export function checksumOf(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  if (algorithm === 'sha1' || algorithm === 'sha256') return createHash(algorithm).update(bytes).digest('base64');
  if (algorithm === 'crc64nvme') return crc64Nvme(bytes).toString('base64');
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(algorithm === 'crc32' ? crc32(bytes) : crc32c(bytes));
  return sum.toString('base64');
}

export function isChecksumValue(algorithm: ChecksumAlgorithm, value: string): boolean {
  const decoded = Buffer.from(value, 'base64');
  return decoded.length === CHECKSUM_BYTES[algorithm] && decoded.toString('base64') === value;
}

/** The algorithm of `x-amz-checksum-crc32`, `CRC32` and the like; undefined for any other text. */
export function checksumAlgorithm(text: string): ChecksumAlgorithm | undefined {
  const name = text.toLowerCase().replace(/^x-amz-checksum-/, '');
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === name);
}

/** CRC-32C (Castagnoli, reflected 0x82F63B78): RFC 3720 appendix B.4. */
const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f6_3b78 : value >>> 1;
  return value;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC32C_TABLE[(crc ^ byte) & 0xff] ?? 0);
  return ~crc >>> 0;
}

/** CRC-64/NVME, reflected 0x9A6C9329AC4BC9B5, as two 32-bit halves: BigInt would be a hundred times slower. */
const CRC64_HIGH = new Uint32Array(256);
const CRC64_LOW = new Uint32Array(256);
for (let index = 0; index < 256; index++) {
  let high = 0;
  let low = index;
  for (let bit = 0; bit < 8; bit++) {
    const odd = low & 1;
    low = (low >>> 1) | ((high & 1) << 31);
    high >>>= 1;
    if (odd) {
      high ^= 0x9a6c_9329;
      low ^= 0xac4b_c9b5;
    }
  }
  CRC64_HIGH[index] = high;
  CRC64_LOW[index] = low;
}

function crc64Nvme(bytes: Uint8Array): Buffer {
  let high = 0xffff_ffff;
  let low = 0xffff_ffff;
  for (const byte of bytes) {
    const index = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (CRC64_LOW[index] ?? 0);
    high = (high >>> 8) ^ (CRC64_HIGH[index] ?? 0);
  }
  const sum = Buffer.alloc(8);
  sum.writeUInt32BE(~high >>> 0, 0);
  sum.writeUInt32BE(~low >>> 0, 4);
  return sum;
}
