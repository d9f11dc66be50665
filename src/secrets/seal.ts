import { armor, Encrypter } from 'age-encryption';
import { err, ok, type Result } from '#kit/result.ts';
import type { Secret } from '#kit/secret.ts';

/**
 * Encrypts to the recipients that a file of the repo lists, one `age1…` a line, `#` comments left out; the answer is an
 * armored age file. The error says which line is no recipient.
 */
export async function sealSecret(secret: Secret, recipientsFile: string): Promise<Result<string, string>> {
  const encrypter = new Encrypter();
  let recipients = 0;
  for (const [index, raw] of recipientsFile.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (!addRecipient(encrypter, line)) return err(`line ${index + 1} is no age recipient: age1…`);
    recipients += 1;
  }
  if (recipients === 0) return err('it lists no age recipient: age1…');
  return ok(armor.encode(await encrypter.encrypt(secret.reveal())));
}

function addRecipient(encrypter: Encrypter, line: string): boolean {
  // A private key here would be published by the next commit; it is refused like anything else that is no recipient.
  try {
    encrypter.addRecipient(line);
    return true;
  } catch {
    return false;
  }
}
