import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ended } from './child.ts';

const run = promisify(execFile);
const START_LIMIT_MS = 30_000;

export interface MosquittoOptions {
  /** mqtts with client certificates required; the certificate's name is the user. */
  readonly tls?: Certificates;
  /** Access rules in mosquitto's own words; everything is allowed without. */
  readonly acl?: string;
  /** False: as it is by default, so that every burst waits for 40 ms. */
  readonly nodelay?: boolean;
  /** Further lines of its configuration. */
  readonly config?: readonly string[];
}

/** A mosquitto of the machine on a free loopback port, ended by its pid. */
export interface Mosquitto {
  readonly url: string;
  readonly port: number;
  log(): string;
  stop(): Promise<void>;
  /** On the same port, with the sessions and retained messages it had. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** A CA, and what it signed; `stranger` is signed by another CA, `expired` ended long ago. */
export interface Certificates {
  readonly dir: string;
  readonly ca: string;
  readonly otherCa: string;
  readonly client: KeyPair;
  readonly stranger: KeyPair;
  readonly expired: KeyPair;
  remove(): Promise<void>;
}

/** Starts a mosquitto with its own folder. Throws with its log when it does not come up. */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-mosquitto-'));
  const port = await freePort();
  await writeFile(join(dir, 'mosquitto.conf'), await configuration(dir, port, options));
  const running = new Running(dir, port);
  await running.start();
  return {
    url: `${options.tls === undefined ? 'mqtt' : 'mqtts'}://127.0.0.1:${port}`,
    port,
    log: () => running.log,
    start: () => running.start(),
    stop: () => running.stop(),
    close: async () => {
      await running.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function configuration(dir: string, port: number, { tls, acl, nodelay = true, config = [] }: MosquittoOptions): Promise<string> {
  const lines = [
    `listener ${port} 127.0.0.1`,
    `set_tcp_nodelay ${nodelay ? 'true' : 'false'}`,
    'persistence true',
    `persistence_location ${dir}/`,
    'log_dest stderr',
    'max_queued_messages 10000',
    ...(process.getuid?.() === 0 ? ['user root'] : []),
  ];
  if (acl !== undefined) {
    await writeFile(join(dir, 'acl'), acl, { mode: 0o600 });
    lines.push(`acl_file ${dir}/acl`);
  }
  if (tls === undefined) lines.push('allow_anonymous true');
  else {
    const file = (name: string): string => join(tls.dir, name);
    lines.push(`cafile ${file('ca.pem')}`, `certfile ${file('server.pem')}`, `keyfile ${file('server.key')}`);
    lines.push('require_certificate true', 'use_identity_as_username true', 'allow_anonymous false');
  }
  return `${[...lines, ...config].join('\n')}\n`;
}

class Running {
  log = '';
  readonly #dir: string;
  readonly #port: number;
  #child: ChildProcess | null = null;

  constructor(dir: string, port: number) {
    this.#dir = dir;
    this.#port = port;
  }

  async start(): Promise<void> {
    const child = spawn('mosquitto', ['-c', join(this.#dir, 'mosquitto.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` },
    });
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => (this.log += chunk.toString('utf8')));
    const failed = new Promise<never>((_resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`mosquitto ended with ${code}: ${this.log}`)));
    });
    failed.catch(() => undefined);
    await Promise.race([failed, listening(this.#port)]);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child !== null) await ended(child);
  }
}

async function listening(port: number): Promise<void> {
  const end = performance.now() + START_LIMIT_MS;
  for (;;) {
    if (await reachable(port)) return;
    if (performance.now() > end) throw new Error(`mosquitto does not listen on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function reachable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Keys and certificates by the openssl program, in a temporary folder. */
export async function makeCertificates(): Promise<Certificates> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-certificates-'));
  const file = (name: string): string => join(dir, name);
  const openssl = (...args: readonly string[]): Promise<unknown> => run('openssl', [...args]);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const ca of ['ca', 'other']) {
    await openssl(
      'req',
      '-x509',
      ...newKey,
      '-days',
      '2',
      '-subj',
      `/CN=headgate ${ca}`,
      '-keyout',
      file(`${ca}.key`),
      '-out',
      file(`${ca}.pem`),
    );
  }
  await writeFile(file('server.ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const issue = async (name: string, ca: string, more: readonly string[]): Promise<KeyPair> => {
    await openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`));
    const signed = ['-CA', file(`${ca}.pem`), '-CAkey', file(`${ca}.key`), '-CAcreateserial', ...more];
    await openssl('x509', '-req', '-in', file(`${name}.csr`), '-out', file(`${name}.pem`), ...signed);
    return { cert: await readFile(file(`${name}.pem`), 'utf8'), key: await readFile(file(`${name}.key`), 'utf8') };
  };
  await issue('server', 'ca', ['-days', '2', '-extfile', file('server.ext')]);
  const client = await issue('headgate', 'ca', ['-days', '2']);
  const stranger = await issue('stranger', 'other', ['-days', '2']);
  const expired = await issue('expired', 'ca', ['-days', '-1']);
  return {
    dir,
    ca: await readFile(file('ca.pem'), 'utf8'),
    otherCa: await readFile(file('other.pem'), 'utf8'),
    client,
    stranger,
    expired,
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
