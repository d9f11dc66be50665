import { createServer as createHttpServer } from 'node:http';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { makeAwsCa, openAwsCa, type AwsCa, type AwsCaFiles } from '#sim/aws/ca.ts';
import { closed, converse, listeningBoth, shownCertificateOf } from '#sim/tls-wire.ts';
import type { HubPolicy } from './access.ts';
import { makeAzureHub, type AzureHub, type AzureHubOptions } from './hub.ts';

export interface AzureServerOptions extends Pick<AzureHubOptions, 'clock' | 'switches' | 'policies' | 'quotas'> {
  /** 0, the default, takes a free one. A hub has 8883. */
  readonly mqttPort?: number;
  /** The same; a hub has 443. */
  readonly httpsPort?: number;
  /** 127.0.0.1 by default. */
  readonly host?: string;
  /** What user names and tokens name; `localhost` when left out. The certificate is for it, too. */
  readonly hostName?: string;
  readonly ca?: AwsCaFiles;
}

export interface AzureServer extends AzureHub {
  /** `mqtts://127.0.0.1:PORT`. */
  readonly mqttUrl: string;
  /** `https://127.0.0.1:PORT`. */
  readonly httpsUrl: string;
  /** What clients must trust. */
  readonly caCertificate: string;
  /** A device with a certificate that the CA signed, its id as common name. */
  certify(device: string): Promise<{ readonly certificate: string; readonly key: string }>;
}

/** Base64 of what nobody keeps secret: for trials on one machine. */
const SIM_HUB_KEY = Buffer.from('key of the simulated hub').toString('base64');

/** The policies that a new hub has (docs/protocols/shadow-devices.md §8.4), all with one key. */
export function usualPolicies(key: string): ReadonlyMap<string, HubPolicy> {
  return new Map<string, HubPolicy>([
    ['iothubowner', { keys: [key], permissions: ['ServiceConnect', 'DeviceConnect'] }],
    ['service', { keys: [key], permissions: ['ServiceConnect'] }],
    ['device', { keys: [key], permissions: ['DeviceConnect'] }],
  ]);
}

/** A hub on TLS at ports of this machine; tokens are checked. Rejects when a port is taken. */
export async function startAzureHub(options: AzureServerOptions): Promise<AzureServer> {
  const { clock, host = '127.0.0.1', hostName = 'localhost', policies = usualPolicies(SIM_HUB_KEY), switches, quotas } = options;
  const files = options.ca ?? (await makeAwsCa(Date.now()));
  const ca: AwsCa = await openAwsCa(files);
  const hub = makeAzureHub({
    clock,
    host: hostName,
    policies,
    ...(switches === undefined ? {} : { switches }),
    ...(quotas === undefined ? {} : { quotas }),
  });
  const own = await ca.forServer([...new Set([hostName, host, 'localhost'])], Date.now());
  const tls = { cert: own.certificate, key: own.key, ca: files.certificate, minVersion: 'TLSv1.2' as const };
  // Who shows no certificate has a token; a certificate of its own is told by its thumbprint.
  const mqtt = createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false }, (socket) => attach(hub, socket));
  const http = createHttpServer((incoming, outgoing) => void converse((request) => hub.endpoint.handle(request), { incoming, outgoing }));
  http.keepAliveTimeout = 60_000;
  const https = createTlsServer({ ...tls, ALPNProtocols: ['http/1.1'] }, (socket) => http.emit('connection', socket));
  const close = async (): Promise<void> => {
    await hub.close();
    http.closeAllConnections();
    await Promise.all([closed(mqtt), closed(https)]);
  };
  const [mqttPort, httpsPort] = await listeningBoth(host, [mqtt, options.mqttPort ?? 0], [https, options.httpsPort ?? 0]).catch(
    async (error: unknown) => {
      await close();
      throw error;
    },
  );
  return {
    ...hub,
    mqttUrl: `mqtts://${host}:${mqttPort}`,
    httpsUrl: `https://${host}:${httpsPort}`,
    caCertificate: files.certificate,
    certify: (device) => ca.withKey(Date.now(), device),
    close,
  };
}

function attach(hub: AzureHub, socket: TLSSocket): void {
  socket.setNoDelay(true);
  const certificate = shownCertificateOf(socket);
  // Only the CA's own word makes a common name worth anything.
  hub.broker.attach(socket, certificate === null || socket.authorized ? certificate : { ...certificate, subject: '' });
}
