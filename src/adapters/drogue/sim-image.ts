import { sha256 } from '#kit/digest.ts';

/** An image that is nobody's: so many bytes, all of them fixed by the version. */
export function buildNodeImage({ version, size }: { readonly version: string; readonly size: number }): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0, block = Buffer.from(version); at < size; at += block.length) {
    block = Buffer.from(sha256(`${version} ${at}`), 'hex');
    bytes.set(block.subarray(0, size - at), at);
  }
  return bytes;
}
