import { createHmac, timingSafeEqual } from 'node:crypto';

/** A shared access signature of Azure (docs/protocols/shadow-devices.md §8.4), taken apart. */
export interface Sas {
  /** What it opens, as it was written: percent-encoded. The signature is over this text. */
  readonly encodedResource: string;
  readonly resource: string;
  /** Base64. */
  readonly signature: string;
  /** Seconds since 1970. */
  readonly expiry: number;
  /** Null for a token that a device's own key signed. */
  readonly policy: string | null;
}

export interface SasRequest {
  /** Host name and path, without a scheme. */
  readonly resource: string;
  /** Base64. */
  readonly key: string;
  /** Seconds since 1970. */
  readonly expiry: number;
  readonly policy: string | null;
}

/** `SharedAccessSignature sr=…&sig=…&se=…&skn=…`. */
export function makeSas({ resource, key, expiry, policy }: SasRequest): string {
  const encoded = encodeURIComponent(resource);
  const signature = encodeURIComponent(signatureOf(encoded, { key, expiry }));
  const name = policy === null ? '' : `&skn=${encodeURIComponent(policy)}`;
  return `SharedAccessSignature sr=${encoded}&sig=${signature}&se=${expiry}${name}`;
}

/** Takes a token apart; its fields come in any order. Null for what is none. */
export function readSas(text: string): Sas | null {
  const [, fields] = /^SharedAccessSignature (\S{1,4096})$/.exec(text) ?? [];
  if (fields === undefined) return null;
  const pairs = new Map(
    fields.split('&').map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)] as const),
  );
  const encodedResource = pairs.get('sr');
  const resource = decoded(encodedResource);
  // Base64 has a plus of its own, which some leave as it is.
  const signature = decoded(pairs.get('sig')?.replaceAll('+', '%2B'));
  const expiry = pairs.get('se') ?? '';
  const policy = pairs.get('skn') ?? '';
  if (encodedResource === undefined || resource === null || signature === null || !/^\d{1,12}$/.test(expiry)) return null;
  return { encodedResource, resource, signature, expiry: Number(expiry), policy: policy === '' ? null : decoded(policy) };
}

/** Whether that key, base64, signed it. */
export function isSignedBy({ encodedResource, signature, expiry }: Sas, key: string): boolean {
  const [wanted, given] = [Buffer.from(signatureOf(encodedResource, { key, expiry })), Buffer.from(signature)];
  return wanted.length === given.length && timingSafeEqual(wanted, given);
}

/** HMAC-SHA256 over the encoded resource, a line feed and the expiry; the key is what the base64 stands for. */
function signatureOf(encodedResource: string, { key, expiry }: Pick<SasRequest, 'key' | 'expiry'>): string {
  return createHmac('sha256', Buffer.from(key, 'base64')).update(`${encodedResource}\n${expiry}`).digest('base64');
}

function decoded(text: string | undefined): string | null {
  if (text === undefined) return null;
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'));
  } catch {
    return null;
  }
}
