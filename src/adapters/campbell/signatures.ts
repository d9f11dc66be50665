import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { ChecksumAlgorithm } from './wire-commands.ts';
import { csiSignature } from './wire.ts';

/**
 * What a logger answers to `fileControl checksum` of a file with these bytes: lower-case hex, 4 digits for the CSI
 * signature (docs/protocols/campbell-mqtt.md §5.5, §8.4).
 */
export function fileChecksum(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  switch (algorithm) {
    case 'CRC32':
      return crc32(bytes).toString(16).padStart(8, '0');
    case 'CSI_SIG':
      return csiSignature(bytes).toString(16).padStart(4, '0');
    case 'MD5':
      return hash('md5', bytes, 'hex');
    case 'SHA256':
      return hash('sha256', bytes, 'hex');
    case 'SHA512':
      return hash('sha512', bytes, 'hex');
  }
}
