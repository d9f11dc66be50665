import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeSas } from '#kit/sas.ts';
import { ended, firstWords } from './child.ts';

const run = promisify(execFile);

export const HUB_KEY = Buffer.from('key of a hub on this machine').toString('base64');

/** `headgate sim azure` in a process of its own, on free ports, with a folder of certificates. */
export interface AzureProcess {
  readonly dir: string;
  /** `127.0.0.1:PORT`. */
  readonly httpsHost: string;
  /** Flags of mosquitto's clients for a device, with a token. */
  byToken(device: string): readonly string[];
  /** The same with its certificate, and no password. */
  byCertificate(device: string): readonly string[];
  /** Asks the hub over the network by the engine's own client, in a process that trusts its CA; gives what it printed. */
  ask(script: string): Promise<unknown>;
  close(): Promise<void>;
}

/** Throws with what it said when it does not come up. */
export async function startAzureProcess(devices: readonly string[]): Promise<AzureProcess> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-azure-'));
  const args = ['sim', 'azure', '--mqtt-port', '0', '--https-port', '0', '--ca', dir, '--key', HUB_KEY, '--host-name', '127.0.0.1'];
  const child: ChildProcess = spawn('bin/headgate', [...args, ...devices], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [, mqttUrl = '', httpsUrl = ''] = await firstWords(
    child,
    'headgate sim azure',
    /MQTT at (mqtts:\S+), HTTPS at (https:[^\s,]+).*\n.*certificates in/,
  );
  const ca = join(dir, 'ca.pem');
  const flags = (device: string): readonly string[] => {
    const { hostname, port } = new URL(mqttUrl);
    const user = ['-i', device, '-u', `127.0.0.1/${device}/?api-version=2021-04-12`];
    return ['-h', hostname, '-p', port, '-V', 'mqttv311', '--cafile', ca, ...user];
  };
  return {
    dir,
    httpsHost: new URL(httpsUrl).host,
    byToken: (device) => {
      const expiry = Math.floor(Date.now() / 1000) + 3600;
      return [...flags(device), '-P', makeSas({ resource: `127.0.0.1/devices/${device}`, key: HUB_KEY, policy: null, expiry })];
    },
    byCertificate: (device) => [...flags(device), '--cert', join(dir, `${device}.pem`), '--key', join(dir, `${device}.key`)],
    ask: async (script) => {
      const env = { ...process.env, NODE_EXTRA_CA_CERTS: ca };
      const { stdout } = await run(process.execPath, ['--input-type=module-typescript', '-e', script], { env, timeout: 60_000 });
      return JSON.parse(stdout) as unknown;
    },
    close: async () => {
      await ended(child);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
