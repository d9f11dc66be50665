import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface IssuedKeys {
  readonly cert: string;
  /** PKCS#1, as loggers have it. */
  readonly key: string;
}

/** A CA for devices by the openssl program, with an empty revocation list, and a server certificate for 127.0.0.1. */
export interface RotationCa {
  readonly dir: string;
  readonly ca: string;
  file(name: string): string;
  issue(name: string, validity: { readonly from: string; readonly to: string }): Promise<IssuedKeys>;
  remove(): Promise<void>;
}

const CONFIG = `[ca]
default_ca = own
[own]
dir = .
database = index.txt
new_certs_dir = .
serial = serial
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
default_crl_days = 365
[any]
commonName = supplied
[crl_ext]
`;

export async function makeRotationCa(): Promise<RotationCa> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-ca-'));
  const file = (name: string): string => join(dir, name);
  const openssl = (...args: readonly string[]): Promise<unknown> => run('openssl', [...args], { cwd: dir });
  const subject = ['-subj', '/CN=devices of the test'];
  await openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', ...subject, '-keyout', 'ca.key', '-out', 'ca.pem');
  await writeFile(file('ca.cnf'), CONFIG);
  await writeFile(file('index.txt'), '');
  await writeFile(file('index.txt.attr'), 'unique_subject = no\n');
  await writeFile(file('serial'), '1001\n');
  await openssl('ca', '-config', 'ca.cnf', '-gencrl', '-out', 'crl.pem');
  await writeFile(file('server.ext'), 'subjectAltName=IP:127.0.0.1\n');
  await openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=broker', '-keyout', 'server.key', '-out', 'server.csr');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'server.ext'];
  await openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signed);
  return {
    dir,
    ca: await readFile(file('ca.pem'), 'utf8'),
    file,
    async issue(name, { from, to }) {
      await openssl('genrsa', '-traditional', '-out', `${name}.key`, '2048');
      await openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
      const period = ['-startdate', from, '-enddate', to];
      await openssl('ca', '-batch', '-config', 'ca.cnf', ...period, '-in', `${name}.csr`, '-notext', '-out', `${name}.pem`);
      return { cert: await readFile(file(`${name}.pem`), 'utf8'), key: await readFile(file(`${name}.key`), 'utf8') };
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
