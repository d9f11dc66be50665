import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '#cli/run.ts';
import { secretText } from '#kit/secret.ts';
import { makeSecretOpener } from '#secrets/open.ts';
import { fakeProcess } from '#test/support/fake-process.ts';
import { commitFiles } from '#world.ts';

const fleet = (secrets: string): string => `kind: Fleet
format: 1
name: upland
ledger: { store: git, id: upland }
connections: { field: { type: mqtt, url: "mqtts://broker.example.org:8883" } }
${secrets}`;

let dir = '';
let identity = '';
const author = { name: 'Tess', email: 'tess@example.org' };

async function commit(files: Readonly<Record<string, string>>): Promise<void> {
  const encoded = Object.fromEntries(Object.entries(files).map(([path, text]) => [path, new TextEncoder().encode(text)]));
  const answer = await commitFiles({ dir, author, message: 'As it stands', files: encoded, at: Date.UTC(2026, 10, 23) });
  if (!answer.ok) throw new Error(answer.error.message);
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'secret-set-'));
  execFileSync('git', ['init', '-q', '-b', 'main', dir]);
  identity = await generateX25519Identity();
  await commit({
    'fleet.yaml': fleet('secrets: { recipients: keys/age.txt, identity: "${env:AGE}" }\n'),
    'keys/age.txt': `# the fleet\n${await identityToRecipient(identity)}\n`,
  });
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function set(path: string, value: string | Uint8Array, ...flags: readonly string[]) {
  const input = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  const names = {
    GIT_AUTHOR_NAME: 'Tess',
    GIT_AUTHOR_EMAIL: 'tess@example.org',
    GIT_COMMITTER_NAME: 'Tess',
    GIT_COMMITTER_EMAIL: 'tess@example.org',
  };
  const process = fakeProcess({ cwd: dir, env: { ...names, HOME: dir }, input: () => Promise.resolve(input) });
  const code = await runCli(['secret', 'set', path, ...flags], process);
  return { code, out: process.out(), err: process.err() };
}

async function opened(path: string) {
  const bytes = execFileSync('git', ['-C', dir, 'show', `HEAD:${path}`]);
  const answer = await makeSecretOpener({ env: { AGE: identity } }).open({ identity: '${env:AGE}', files: [{ path, oid: 'x', bytes }] });
  const one = answer.of('x');
  return one?.kind === 'opened' ? one.secret : null;
}

describe('headgate secret set', () => {
  it('seals what is piped in, without its line end, and commits it; nothing shows the value', async () => {
    const answer = await set('secrets/wifi.age', 'correct horse\r\n');
    expect(answer.err).toBe('');
    expect(answer.code).toBe(0);
    expect(answer.out).not.toContain('correct horse');
    expect(answer.out).toContain('secrets/wifi.age');
    const secret = await opened('secrets/wifi.age');
    expect(secret === null ? null : secretText(secret)).toBe('correct horse');
    expect(readFileSync(join(dir, 'secrets/wifi.age'), 'utf8')).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----/);
    const log = execFileSync('git', ['-C', dir, 'log', '-1', '-p']).toString();
    expect(log).toContain('Set the secret secrets/wifi.age');
    expect(log).not.toContain('correct horse');
  });

  it('keeps every byte of a key with --exact, and replaces what was there', async () => {
    const key = new Uint8Array([0, 255, 10]);
    expect((await set('secrets/wifi.age', key, '--exact', '--json')).code).toBe(0);
    expect([...((await opened('secrets/wifi.age'))?.reveal() ?? [])]).toEqual([...key]);
  });

  it.each([
    ['nothing', 'secrets/a.age', '\n', 'NO_VALUE'],
    ['more than a secret', 'secrets/a.age', 'x'.repeat(70_000), 'VALUE_TOO_LARGE'],
    ['a path outside', '../a.age', 'x', 'BAD_PATH'],
    ['an absolute path', '/tmp/a.age', 'x', 'BAD_PATH'],
    ['a path that is not told for a secret', 'secrets/a.txt', 'x', 'BAD_PATH'],
  ])('refuses %s', async (_name, path, value, code) => {
    const answer = await set(path, value);
    expect(answer.code).toBe(1);
    expect(answer.err).toMatch(new RegExp(`^${code}: `));
  });

  it.each([
    ['no recipients', '', {}, 'NO_RECIPIENTS'],
    ['recipients that are not there', 'secrets: { recipients: keys/none.txt }\n', {}, 'NO_RECIPIENTS'],
    ['a line that is no recipient', 'secrets: { recipients: keys/bad.txt }\n', { 'keys/bad.txt': 'age1nobody\n' }, 'BAD_RECIPIENTS'],
  ])('a fleet with %s', async (_name, secrets, files, code) => {
    await commit({ 'fleet.yaml': fleet(secrets), ...files });
    const answer = await set('secrets/b.age', 'x');
    expect(answer.err).toMatch(new RegExp(`^${code}: `));
    expect(answer.code).toBe(1);
  });
});
