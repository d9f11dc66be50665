import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ended, firstWords } from './child.ts';

/** `headgate sim aws` in a process of its own, on free ports, with a folder of certificates. */
export interface AwsProcess {
  readonly dir: string;
  readonly mqttUrl: string;
  readonly httpsUrl: string;
  readonly caCertificate: string;
  /** Flags of mosquitto's clients for this server with the certificate of that name, by the port of MQTT or of HTTPS. */
  flags(name: string, port?: 'mqtt' | 'https'): readonly string[];
  close(): Promise<void>;
}

/** Throws with what it said when it does not come up. */
export async function startAwsProcess(things: readonly string[], more: readonly string[] = []): Promise<AwsProcess> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-aws-'));
  const args = ['sim', 'aws', '--mqtt-port', '0', '--https-port', '0', '--ca', dir, ...more, ...things];
  const child = spawn('bin/headgate', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = await firstWords(child, 'headgate sim aws', /MQTT at (mqtts:\S+), HTTPS at (https:\S+).*\n.*certificates in/);
  const [, mqttUrl = '', httpsUrl = ''] = said;
  return {
    dir,
    mqttUrl,
    httpsUrl,
    caCertificate: await readFile(join(dir, 'ca.pem'), 'utf8'),
    flags(name, port = 'mqtt') {
      const url = new URL(port === 'mqtt' ? mqttUrl : httpsUrl);
      const own = ['--cafile', join(dir, 'ca.pem'), '--cert', join(dir, `${name}.pem`), '--key', join(dir, `${name}.key`)];
      const alpn = port === 'mqtt' ? [] : ['--tls-alpn', 'x-amzn-mqtt-ca'];
      return ['-h', url.hostname, '-p', url.port, '-V', 'mqttv311', ...own, ...alpn];
    },
    close: async () => {
      await ended(child);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
