/** The bytes of the field `file` of a form (RFC 7578); null where the body is no form, or has no such field. */
export function fileIn(contentType: string, body: Uint8Array): Uint8Array | null {
  const [, quoted, plain] = /^multipart\/form-data\s*;.*?\bboundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) return null;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const mark = Buffer.from(`--${boundary}`);
  for (let at = bytes.indexOf(mark); at >= 0;) {
    const start = at + mark.length + 2;
    const next = bytes.indexOf(`\r\n--${boundary}`, at + mark.length);
    if (next < 0) return null;
    const head = bytes.indexOf('\r\n\r\n', start);
    if (head >= 0 && head < next && /;\s*name="?file"?(?=[;\s]|$)/i.test(bytes.toString('latin1', start, head)))
      return bytes.subarray(head + 4, next);
    at = next + 2;
  }
  return null;
}
