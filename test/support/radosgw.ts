import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SigningCredentials } from '#kit/sigv4.ts';
import { ended } from './child.ts';

const run = promisify(execFile);

export interface Radosgw {
  readonly url: string;
  readonly credentials: SigningCredentials;
  stop(): Promise<void>;
}

const CREDENTIALS: SigningCredentials = {
  accessKeyId: 'HEADGATETESTKEY00001',
  secretAccessKey: 'headgate-test-secret-headgate-test-secret',
};

/** How long each of the parts may take to come up. */
const START_LIMIT_MS = 60_000;

/**
 * Ceph's S3 on 127.0.0.1: one mon, one osd in memory, one radosgw, no mgr, about 12 s. Needs Debian's packages ceph-mon,
 * ceph-osd, radosgw and ceph-common. Everything lives below a temporary folder and is gone after stop().
 */
export async function startRadosgw(): Promise<Radosgw> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-ceph-'));
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    // rgw, osd, mon: each still needs the next to end in peace.
    for (const child of children.toReversed()) await ended(child);
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const conf = await writeConfig(dir);
    const start = (program: string, args: readonly string[]): ChildProcess => {
      const child = spawn(program, ['-c', conf, '-f', ...args], { cwd: dir, stdio: 'ignore' });
      children.push(child);
      return child;
    };
    await run('ceph-mon', ['-c', conf, '--mkfs', '-i', 'a', '--monmap', join(dir, 'monmap')], { cwd: dir });
    start('ceph-mon', ['-i', 'a']);
    const uuid = randomUUID();
    await run('ceph', ['-c', conf, '--connect-timeout', '30', 'osd', 'new', uuid], { cwd: dir });
    await run('ceph-osd', ['-c', conf, '-i', '0', '--mkfs', '--osd-uuid', uuid], { cwd: dir });
    let osd = start('ceph-osd', ['-i', '0']);
    await until('the osd is up', async () => {
      // An osd that asks before it has the monitors' map is told "wrong fsid", and ends.
      if (osd.exitCode !== null) osd = start('ceph-osd', ['-i', '0']);
      return (await run('ceph', ['-c', conf, 'osd', 'stat'], { cwd: dir })).stdout.includes('1 up');
    });
    const port = await freePort();
    const lenient = ['--auth_client_required', 'none', '--ms_mon_client_mode', 'crc'];
    start('radosgw', ['-n', 'client.rgw', ...lenient, '--rgw_frontends', `beast endpoint=127.0.0.1:${port}`]);
    const url = `http://127.0.0.1:${port}`;
    await until('radosgw answers', async () => (await fetch(url)).status < 500);
    const user = ['user', 'create', '--uid', 'headgate', '--display-name', 'headgate'];
    const keys = ['--access-key', CREDENTIALS.accessKeyId, '--secret-key', CREDENTIALS.secretAccessKey];
    await run('radosgw-admin', ['-c', conf, ...lenient, ...user, ...keys], { cwd: dir });
    return { url, credentials: CREDENTIALS, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeConfig(dir: string): Promise<string> {
  const monPort = await freePort();
  const conf = join(dir, 'ceph.conf');
  const fsid = randomUUID();
  for (const folder of ['mon', 'osd', 'run']) await mkdir(join(dir, folder));
  const lines = {
    fsid,
    mon_host: `[v1:127.0.0.1:${monPort}/0]`,
    mon_data: join(dir, 'mon'),
    osd_data: join(dir, 'osd'),
    run_dir: join(dir, 'run'),
    log_file: '/dev/null',
    mon_cluster_log_file: '/dev/null',
    admin_socket: '',
    pid_file: '',
    keyring: join(dir, 'keyring'),
    public_addr: '127.0.0.1',
    cluster_addr: '127.0.0.1',
    ms_bind_msgr2: 'false',
    auth_cluster_required: 'none',
    auth_service_required: 'none',
    auth_client_required: 'none',
    auth_supported: 'none',
    osd_objectstore: 'memstore',
    memstore_device_bytes: String(1024 * 1024 * 1024),
    osd_pool_default_size: '1',
    osd_pool_default_min_size: '1',
    osd_pool_default_pg_num: '4',
    osd_crush_chooseleaf_type: '0',
    osd_class_update_on_start: 'false',
    mon_allow_pool_size_one: 'true',
    mon_max_pg_per_osd: '1000',
    mon_data_avail_crit: '1',
    rgw_enable_usage_log: 'false',
    rgw_enable_ops_log: 'false',
  };
  await writeFile(
    conf,
    `[global]\n${Object.entries(lines)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join('')}`,
  );
  await run('monmaptool', ['--create', '--addv', 'a', `[v1:127.0.0.1:${monPort}/0]`, '--fsid', fsid, join(dir, 'monmap')]);
  return conf;
}

async function until(what: string, reached: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + START_LIMIT_MS;
  while (performance.now() < end) {
    if (await reached().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`radosgw did not start: waited in vain until ${what}`);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
