import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createPrivateKey, randomUUID, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sha256 } from '#kit/digest.ts';
import { ended } from './child.ts';

const run = promisify(execFile);
const START_LIMIT_MS = 20_000;
const SERVICE = 'registry.test';
const ISSUER = 'tokens.test';

export interface Layer {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** Debian's docker-registry on a free port of 127.0.0.1, which lets nobody in without a token. */
export interface Registry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** `user:password` in base64, for which the token server gives tokens. */
  readonly auth: string;
  /** How often a token was given. */
  tokens(): number;
  push(repository: string, tag: string, layers: readonly Layer[]): Promise<void>;
  close(): Promise<void>;
}

export async function startRegistry(): Promise<Registry> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-registry-'));
  const key = join(dir, 'key.pem');
  const cert = join(dir, 'cert.pem');
  const subject = ['-subj', `/CN=${ISSUER}`, '-days', '2'];
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject]);
  const auth = Buffer.from(`puller:${randomUUID()}`).toString('base64');
  const tokens = await startTokens({ key: createPrivateKey(await readFile(key)), cert: new X509Certificate(await readFile(cert)), auth });
  const host = `127.0.0.1:${await freePort()}`;
  const conf = join(dir, 'config.yml');
  await writeFile(
    conf,
    `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${join(dir, 'data')} } }
http: { addr: '${host}' }
auth: { token: { realm: '${tokens.url}/token', service: ${SERVICE}, issuer: ${ISSUER}, rootcertbundle: ${cert} } }
`,
  );
  const child = spawn('docker-registry', ['serve', conf], { cwd: dir, stdio: 'ignore' });
  await answering(`http://${host}/v2/`, child);
  return {
    host,
    auth,
    tokens: () => tokens.given(),
    push: (repository, tag, layers) => push({ host, repository, token: tokens.make(repository, ['pull', 'push']) }, tag, layers),
    close: async () => {
      await ended(child);
      await tokens.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

interface Tokens {
  readonly url: string;
  given(): number;
  make(repository: string, actions: readonly string[]): string;
  close(): Promise<void>;
}

/** Gives whoever has the password a token for what he asks. */
async function startTokens(options: { readonly key: KeyObject; readonly cert: X509Certificate; readonly auth: string }): Promise<Tokens> {
  const { key, cert, auth } = options;
  let given = 0;
  const make = (repository: string, actions: readonly string[]): string => {
    const now = Math.floor(Date.now() / 1000);
    const header = { alg: 'RS256', typ: 'JWT', x5c: [cert.raw.toString('base64')] };
    const access = [{ type: 'repository', name: repository, actions }];
    const claims = { iss: ISSUER, sub: 'puller', aud: SERVICE, exp: now + 300, nbf: now - 30, iat: now, jti: randomUUID(), access };
    const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
  };
  const server: Server = createServer((request, response) => {
    const asked = new URL(request.url ?? '/', 'http://tokens');
    const [, repository] = /^repository:(.+):pull$/.exec(asked.searchParams.get('scope') ?? '') ?? [];
    if (request.headers.authorization !== `Basic ${auth}` || repository === undefined || asked.searchParams.get('service') !== SERVICE) {
      response.writeHead(401).end();
      return;
    }
    given += 1;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token: make(repository, ['pull']) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { url: `http://127.0.0.1:${port}`, given: () => given, make, close };
}

interface Target {
  readonly host: string;
  readonly repository: string;
  readonly token: string;
}

/** As `oras push` does: docs/protocols/drogue-dfu.md §8.3. */
async function push(target: Target, tag: string, layers: readonly Layer[]): Promise<void> {
  const config = new TextEncoder().encode('{}');
  for (const bytes of [config, ...layers.map((layer) => layer.bytes)]) await pushBlob(target, bytes);
  const described = (mediaType: string, bytes: Uint8Array) => ({ mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length });
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: described('application/vnd.unknown.config.v1+json', config),
    layers: layers.map(({ mediaType, bytes }) => described(mediaType, bytes)),
  };
  const { host, repository, token } = target;
  const headers = { authorization: `Bearer ${token}`, 'content-type': manifest.mediaType };
  const answer = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers,
    body: JSON.stringify(manifest),
  });
  if (answer.status !== 201) throw new Error(`the registry takes no manifest: ${answer.status} ${await answer.text()}`);
}

async function pushBlob({ host, repository, token }: Target, bytes: Uint8Array): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const begun = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers });
  const place = new URL(begun.headers.get('location') ?? '', `http://${host}`);
  place.searchParams.set('digest', `sha256:${sha256(bytes)}`);
  const body = Uint8Array.from(bytes);
  const answer = await fetch(place, { method: 'PUT', headers: { ...headers, 'content-type': 'application/octet-stream' }, body });
  if (answer.status !== 201) throw new Error(`the registry takes no blob: ${begun.status}, ${answer.status} ${await answer.text()}`);
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  const end = Date.now() + START_LIMIT_MS;
  for (;;) {
    const answer = await fetch(url).catch(() => null);
    if (answer !== null) return;
    if (child.exitCode !== null || Date.now() > end) throw new Error('docker-registry does not come up');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function freePort(): Promise<number> {
  const server = createSocket();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
