import type { ConnectionDeclaration, Declared } from '#model/declared.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const ALWAYS = ['ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'GITHUB_TOKEN', 'HEADGATE_GIT_TOKEN'];

/** A mask of a character or two would star out half of every line. */
const SHORTEST_MASK = 4;

const REFERENCE = /\$\{env:([^}]*)\}/g;

/** A reference of fleet.yaml whose name says what it holds, wherever it stands. */
const TELLING_NAME = /PASSW|SECRET|TOKEN|KEY(?!_?ID$)|IDENTITY|CREDENTIAL|PRIVATE/i;

/**
 * Values that are never printed: what secret fields of connections refer to, what names in `text` (fleet.yaml, even one with
 * mistakes) say they hold, passwords within URLs, and the credentials of AWS. Each with the forms in which it travels.
 */
export function secretValues(declared: Declared | null, env: Environment, text = ''): readonly string[] {
  const names = new Set(ALWAYS);
  for (const name of referencesIn(text)) if (TELLING_NAME.test(name)) names.add(name);
  for (const name of secretNames(declared)) names.add(name);
  const found = [...names].toSorted().flatMap((name) => secretForms(env[name] ?? ''));
  for (const name of ['HEADGATE_LEDGER_REMOTE', ...referencesIn(text)]) found.push(...urlSecrets(env[name] ?? ''));
  for (const connection of declared?.fleet.connections.values() ?? []) found.push(...connectionForms(connection, env));
  return [...new Set(found)];
}

/** Names of keys: no secrets, but nobody wants them in a log. They can be words of the text, so they are masked there only. */
export function keyIds(declared: Declared | null, env: Environment): readonly string[] {
  const names = new Set(['AWS_ACCESS_KEY_ID']);
  for (const connection of declared?.fleet.connections.values() ?? []) {
    if (connection.type === 's3') for (const name of referencesIn(connection.accessKeyId ?? '')) names.add(name);
  }
  return [...names].toSorted().flatMap((name) => {
    const value = env[name] ?? '';
    return value.length < SHORTEST_MASK ? [] : [value];
  });
}

/** Names of the environment that secret fields of connections refer to, sorted. */
export function secretNames(declared: Declared | null): readonly string[] {
  const names = new Set<string>();
  for (const connection of declared?.fleet.connections.values() ?? []) {
    for (const text of secretTexts(connection)) for (const name of referencesIn(text)) names.add(name);
  }
  return [...names].toSorted();
}

/**
 * A secret and what becomes of it on its way: in a URL, as base64, in JSON, line by line. The longest first, so that a mask
 * of a part leaves nothing of the whole.
 */
export function secretForms(value: string): readonly string[] {
  const lines = value.split(/\r?\n/).map((line) => line.trim());
  const forms = [
    value,
    value.trim(),
    encodeURIComponent(value.toWellFormed()),
    new URLSearchParams({ '': value }).toString().slice(1),
    JSON.stringify(value).slice(1, -1),
    ...base64Forms(value),
    ...(lines.length > 1 ? lines : []),
  ];
  return [...new Set(forms)].filter((form) => form.length >= SHORTEST_MASK).toSorted((a, b) => b.length - a.length);
}

/** Stars in the place of each secret: for what leaves by other ways than the log, which the runner masks. */
export function redact(text: string, secrets: Iterable<string>): string {
  let clean = text;
  for (const secret of [...secrets].toSorted((a, b) => b.length - a.length)) clean = clean.replaceAll(secret, '***');
  return clean;
}

/** User name and password as the header of basic authentication carries them. */
function basicForms(username: string, password: string): readonly string[] {
  return password.length < SHORTEST_MASK ? [] : base64Forms(`${username}:${password}`);
}

function base64Forms(value: string): readonly string[] {
  if (value.length < SHORTEST_MASK) return [];
  const bytes = Buffer.from(value);
  const [padded, url] = [bytes.toString('base64'), bytes.toString('base64url')];
  return [padded, padded.replace(/=+$/, ''), url];
}

function connectionForms(connection: ConnectionDeclaration, env: Environment): readonly string[] {
  const resolve = (text: string): string => text.replaceAll(REFERENCE, (_reference, name: string) => env[name] ?? '');
  if (connection.type === 'aws-iot' || connection.type === 'azure-iot') return [];
  if (connection.type === 'mdash') return urlSecrets(resolve(connection.url));
  if (connection.type === 's3') return connection.endpoint === null ? [] : urlSecrets(resolve(connection.endpoint));
  const { url, username, password } = connection;
  const basic = username === null || password === null ? [] : basicForms(resolve(username), resolve(password));
  return [...urlSecrets(resolve(url)), ...basic];
}

/** The password of a URL, as written and as meant. */
function urlSecrets(text: string): readonly string[] {
  const [, user = '', raw = ''] = /^[a-z][a-z0-9+.-]*:\/\/([^:@/?#]*):([^@/?#]*)@/i.exec(text) ?? [];
  if (raw === '') return [];
  const meant = decoded(raw);
  return [...secretForms(raw), ...secretForms(meant), ...basicForms(decoded(user), meant)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function referencesIn(text: string): readonly string[] {
  return [...text.matchAll(REFERENCE)].map(([, name = '']) => name);
}

/** User names, addresses and regions are no secrets. */
function secretTexts(connection: ConnectionDeclaration): readonly string[] {
  switch (connection.type) {
    case 'mqtt':
      return [connection.password, connection.key, connection.rpcPassword].flatMap((text) => text ?? []);
    case 's3':
      return [connection.secretAccessKey].filter((text) => text !== null);
    case 'aws-iot':
      return [];
    case 'azure-iot':
    case 'mdash':
      return [connection.key];
  }
}
