import { unlessAborted } from '#kit/aborted.ts';
import type { ConnectionDeclaration } from '#model/declared.ts';
import { WireError } from '#ports/wire-error.ts';

/** Bytes of certificates by their length and text: a changed connection must be opened anew. */
export function connectionKey(connection: ConnectionDeclaration | undefined): unknown {
  if (connection === undefined) return null;
  return Object.fromEntries(
    Object.entries(connection).map(([name, value]) => [name, value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value]),
  );
}

/** The declaration, when it is of that type. Throws WireError NO_CONNECTION for none and for another. */
export function typed<Type extends ConnectionDeclaration['type']>(
  connection: ConnectionDeclaration | undefined,
  name: string,
  type: Type,
): Extract<ConnectionDeclaration, { type: Type }> {
  if (connection === undefined || connection.type !== type)
    throw new WireError('NO_CONNECTION', 'never', `no ${type} connection is declared as ${name}`);
  return connection as Extract<ConnectionDeclaration, { type: Type }>;
}

/** One connection for all who ask; one that failed to open is tried again by the next who asks. */
export function shared<T>(kept: Map<string, Promise<T>>, name: string, open: () => Promise<T>): Promise<T> {
  const known = kept.get(name);
  if (known !== undefined) return known;
  const opening = open();
  kept.set(name, opening);
  opening.catch(() => kept.delete(name));
  return opening;
}

/** One that is still being opened is not waited for: a server that never answers must not keep a run from its end. */
export async function closeOpened(opened: Promise<{ close(): Promise<void> } | null>, closing: AbortSignal): Promise<void> {
  const closed = opened.then(
    (one) => one?.close(),
    () => undefined,
  );
  const standing = await unlessAborted(opened, closing).then(
    () => true,
    () => false,
  );
  if (standing) await closed;
}
