/** What the bytes of a text file are: text without its byte order mark, or the place of the first byte that is none. */
export type Decoded =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'not-text'; readonly line: number; readonly column: number; readonly utf16: boolean };

/** Decodes UTF-8 strictly: a wrong byte is found here, not as a strange sign on a device. */
export function decodeText(bytes: Uint8Array): Decoded {
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (utf16) return { kind: 'not-text', line: 1, column: 1, utf16 };
  try {
    return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    const text = new TextDecoder('utf-8').decode(bytes);
    return { kind: 'not-text', ...lineAndColumn(text, text.indexOf('\uFFFD')), utf16 };
  }
}

/** The line and column (from 1, in UTF-16 code units) of an offset in a text. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) {
    line += 1;
    start = at + 1;
  }
  return { line, column: offset - start + 1 };
}

const LFS_MARK = 'version https://git-lfs.github.com/spec/';

/** Whether the bytes are a Git LFS pointer instead of the file itself. */
export function isLfsPointer(bytes: Uint8Array): boolean {
  if (bytes.length > 1024 || bytes[0] !== 0x76) return false;
  return new TextDecoder('latin1').decode(bytes.subarray(0, LFS_MARK.length)) === LFS_MARK;
}
