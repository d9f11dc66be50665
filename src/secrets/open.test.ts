import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { armor, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { beforeAll, describe, expect, it } from 'vitest';
import { Secret, secretText } from '#kit/secret.ts';
import type { OpenedSecret, SealedFile } from '#ports/secrets.ts';
import { makeSecretOpener } from './open.ts';
import { sealSecret } from './seal.ts';

const PLAIN = 'correct horse battery staple';
const keys = { identity: '', recipient: '', stranger: '', strangersRecipient: '' };

beforeAll(async () => {
  keys.identity = await generateX25519Identity();
  keys.recipient = await identityToRecipient(keys.identity);
  keys.stranger = await generateX25519Identity();
  keys.strangersRecipient = await identityToRecipient(keys.stranger);
});

async function encrypted(plain: string | Uint8Array, ...recipients: readonly string[]): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return encrypter.encrypt(plain);
}

const file = (bytes: SealedFile['bytes'], oid = 'oid'): SealedFile => ({ path: 'secrets/wifi.age', oid, bytes });

async function opened(bytes: SealedFile['bytes'], env: Readonly<Record<string, string>> = { AGE: keys.identity }): Promise<OpenedSecret> {
  const answer = await makeSecretOpener({ env }).open({ identity: '${env:AGE}', files: [file(bytes)] });
  const one = answer.of('oid');
  if (one === undefined) throw new Error('the file was not looked at');
  return one;
}

function textOf(one: OpenedSecret): string | null {
  return one.kind === 'opened' ? secretText(one.secret) : one.code;
}

describe('opening age files', () => {
  it('opens the binary form and the armored one', async () => {
    const binary = await encrypted(PLAIN, keys.recipient);
    expect(textOf(await opened(binary))).toBe(PLAIN);
    expect(textOf(await opened(new TextEncoder().encode(armor.encode(binary))))).toBe(PLAIN);
    expect(textOf(await opened(new TextEncoder().encode(`\r\n${armor.encode(binary).replaceAll('\n', '\r\n')}\r\n`)))).toBe(PLAIN);
  });

  it('opens what is sealed to several recipients, with any of several identities', async () => {
    const shared = await encrypted(PLAIN, keys.strangersRecipient, keys.recipient);
    expect(textOf(await opened(shared))).toBe(PLAIN);
    const mine = await encrypted(PLAIN, keys.recipient);
    const both = `# made by age-keygen\n${keys.stranger}\n\n${keys.identity}\n`;
    expect(textOf(await opened(mine, { AGE: both }))).toBe(PLAIN);
  });

  it.each([
    ['an identity that is no recipient', () => encrypted(PLAIN, keys.strangersRecipient), 'WRONG_IDENTITY'],
    ['a text', () => Promise.resolve(new TextEncoder().encode('hello')), 'BAD_AGE_FILE'],
    ['nothing', () => Promise.resolve(new Uint8Array()), 'BAD_AGE_FILE'],
    ['only the first line', () => Promise.resolve(new TextEncoder().encode('age-encryption.org/v1\n')), 'BAD_AGE_FILE'],
    ['a broken armor', () => Promise.resolve(new TextEncoder().encode('-----BEGIN AGE ENCRYPTED FILE-----\n!\n')), 'BAD_AGE_FILE'],
    [
      'a changed byte of the payload',
      async () => (await encrypted(PLAIN, keys.recipient)).map((byte, at, all) => (at === all.length - 1 ? byte ^ 1 : byte)),
      'BAD_AGE_FILE',
    ],
    ['a cut end', async () => (await encrypted(PLAIN, keys.recipient)).slice(0, -3), 'BAD_AGE_FILE'],
    ['more than a secret holds', () => encrypted(new Uint8Array(300_000), keys.recipient), 'BAD_AGE_FILE'],
    ['a file too large to be read', () => Promise.resolve('tooLarge' as const), 'BAD_AGE_FILE'],
  ])('says of %s what is wrong', async (_name, make, code) => {
    const answer = await opened(await make());
    expect(answer).toMatchObject({ kind: 'problem', code });
    expect(JSON.stringify(answer)).not.toContain(keys.identity);
  });

  it('refuses a passphrase with words that say so', async () => {
    const encrypter = new Encrypter();
    encrypter.setPassphrase('hunter2');
    encrypter.setScryptWorkFactor(4);
    const answer = await opened(await encrypter.encrypt(PLAIN));
    expect(answer).toMatchObject({ kind: 'problem', code: 'BAD_AGE_FILE' });
    expect(answer.kind === 'problem' && answer.message).toContain('passphrase');
  });
});

describe('the identity', () => {
  it.each([
    ['a variable that is not set', {}],
    ['an empty one', { AGE: ' \n' }],
  ])('%s seals everything and is no mistake', async (_name, env) => {
    const answer = await makeSecretOpener({ env }).open({ identity: '${env:AGE}', files: [file(await encrypted(PLAIN, keys.recipient))] });
    expect(answer.identityProblem).toBeNull();
    expect(answer.of('oid')).toMatchObject({ kind: 'problem', code: 'SEALED' });
  });

  it('that is none is a mistake, which does not quote it', async () => {
    const bad = `${keys.identity}X`;
    const answer = await makeSecretOpener({ env: { AGE: bad } }).open({
      identity: '${env:AGE}',
      files: [file(await encrypted(PLAIN, keys.recipient))],
    });
    expect(answer.identityProblem).toContain('AGE');
    expect(answer.identityProblem).not.toContain(keys.identity.slice(20, 40));
    expect(answer.of('oid')).toMatchObject({ code: 'SEALED' });
  });

  it('may lie in a file', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'identity-'));
    try {
      const path = join(dir, 'key.txt');
      await writeFile(path, `${keys.identity}\n`);
      const sealed = file(await encrypted(PLAIN, keys.recipient));
      const answer = await makeSecretOpener({ env: {} }).open({ identity: `\${file:${path}}`, files: [sealed] });
      expect(textOf(answer.of('oid') ?? { kind: 'problem', code: 'SEALED', message: '' })).toBe(PLAIN);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('when it changes, what the one before could not open is tried again', async () => {
    const env: Record<string, string> = { AGE: keys.stranger };
    const opener = makeSecretOpener({ env });
    const request = { identity: '${env:AGE}', files: [file(await encrypted(PLAIN, keys.recipient))] };
    expect((await opener.open(request)).of('oid')).toMatchObject({ code: 'WRONG_IDENTITY' });
    env['AGE'] = keys.identity;
    expect((await opener.open(request)).of('oid')).toMatchObject({ kind: 'opened' });
  });

  it('keeps what it opened by the blob: it is not opened twice', async () => {
    const opener = makeSecretOpener({ env: { AGE: keys.identity } });
    const files = [file(await encrypted(PLAIN, keys.recipient))];
    const [first, again] = [await opener.open({ identity: '${env:AGE}', files }), await opener.open({ identity: '${env:AGE}', files })];
    expect(again.of('oid')).toBe(first.of('oid'));
    expect(first.of('another')).toBeUndefined();
  });
});

describe('sealing', () => {
  it('writes an armored file that the identity opens', async () => {
    const sealed = await sealSecret(
      new Secret(new TextEncoder().encode(PLAIN)),
      `# the fleet\n${keys.recipient}\n${keys.strangersRecipient}\n`,
    );
    if (!sealed.ok) throw new Error(sealed.error);
    expect(sealed.value).not.toContain(PLAIN);
    for (const identity of [keys.identity, keys.stranger]) {
      expect(textOf(await opened(new TextEncoder().encode(sealed.value), { AGE: identity }))).toBe(PLAIN);
    }
  });

  it.each([
    ['no recipient', '# nobody\n', 'no age recipient'],
    ['a line that is none', 'age1nonsense\n', 'line 1'],
    ['a private key', '\nAGE-SECRET-KEY-1XXXX\n', 'line 2'],
  ])('refuses a list with %s', async (_name, list, words) => {
    const answer = await sealSecret(new Secret(new Uint8Array([1])), list);
    expect(answer.ok ? '' : answer.error).toContain(words);
  });
});

describe('a secret', () => {
  it('shows itself nowhere', () => {
    const secret = new Secret(new TextEncoder().encode(PLAIN));
    const shown = [
      JSON.stringify({ secret }),
      String(secret),
      inspect({ secret }, { showHidden: true, depth: 9 }),
      Object.values(secret).join(),
    ];
    expect(shown.join('\n')).not.toContain(PLAIN);
    expect(shown.join('\n')).not.toContain('99, 111');
    expect(JSON.stringify(secret)).toBe('"[secret]"');
  });

  it('loses one line end as text, and is none when it is not UTF-8', () => {
    expect(secretText(new Secret(new TextEncoder().encode('a\n\n')))).toBe('a\n');
    expect(secretText(new Secret(new TextEncoder().encode('a\r\n')))).toBe('a');
    expect(secretText(new Secret(new Uint8Array([0xff])))).toBeNull();
  });
});
