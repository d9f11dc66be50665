import { createServer as createHttpServer } from 'node:http';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { SigningCredentials } from '#kit/sigv4.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { closed, converse, listeningBoth, trustedCertificate } from '#sim/tls-wire.ts';
import { makeAwsCa } from './ca.ts';
import { DEFAULT_ACCOUNT, makeAwsIot, type AwsIot, type AwsIotOptions } from './aws-iot.ts';

export interface AwsServerOptions extends Pick<AwsIotOptions, 'clock' | 'switches' | 'account' | 'ca'> {
  /** 0, the default, takes a free one. AWS has 8883. */
  readonly mqttPort?: number;
  /** The same; AWS has 443. Serves HTTPS, and MQTT to those who ask for it by ALPN `x-amzn-mqtt-ca`. */
  readonly httpsPort?: number;
  /** 127.0.0.1 by default. */
  readonly host?: string;
  /** Further names of the server in its certificate. */
  readonly names?: readonly string[];
  readonly credentials?: readonly SigningCredentials[];
}

export interface AwsServer extends AwsIot {
  /** `mqtts://127.0.0.1:PORT`. */
  readonly mqttUrl: string;
  /** `https://127.0.0.1:PORT`. */
  readonly httpsUrl: string;
  /** What clients must trust: it signed the servers' certificate and signs those of devices. */
  readonly caCertificate: string;
}

export const SIM_AWS_CREDENTIALS: SigningCredentials = { accessKeyId: 'headgate', secretAccessKey: 'headgate-secret' };
/** MQTT and HTTP by certificate on port 443 (docs/protocols/aws-iot.md §2.1). */
const ALPN_MQTT = 'x-amzn-mqtt-ca';
const ALPN_HTTP = 'x-amzn-http-ca';
/** Signatures are good for so long, by real time, as clients have it. */
const MAX_SKEW_MS = 5 * MINUTE_MS;

/** AWS IoT on TLS at ports of this machine, with client certificates. Rejects when a port is taken. */
export async function startAwsIot(options: AwsServerOptions): Promise<AwsServer> {
  const { clock, host = '127.0.0.1', names = [] } = options;
  const files = options.ca ?? (await makeAwsCa(Date.now()));
  let httpsPort = 0;
  const aws = makeAwsIot({
    clock,
    certificates: true,
    ca: files,
    credentials: options.credentials ?? [SIM_AWS_CREDENTIALS],
    signatures: { maxSkewMs: MAX_SKEW_MS, now: () => Date.now() },
    account: options.account ?? DEFAULT_ACCOUNT,
    endpoint: () => `${host}:${httpsPort}`,
    ...(options.switches === undefined ? {} : { switches: options.switches }),
  });
  const own = await (await aws.ca()).forServer([host, 'localhost', ...names], Date.now());
  const tls = { cert: own.certificate, key: own.key, ca: files.certificate, requestCert: true, minVersion: 'TLSv1.2' as const };
  // A device that AWS does not know is refused before MQTT; one that AWS does not let in, by its CONNACK.
  const mqtt = createTlsServer({ ...tls, rejectUnauthorized: true, ALPNProtocols: [ALPN_MQTT, 'mqtt'] }, (socket) => attach(aws, socket));
  const http = createHttpServer((incoming, outgoing) => void converse((request) => aws.endpoint.handle(request), { incoming, outgoing }));
  http.keepAliveTimeout = 60_000;
  const https = createTlsServer({ ...tls, rejectUnauthorized: false, ALPNProtocols: [ALPN_MQTT, ALPN_HTTP, 'http/1.1'] }, (socket) => {
    if (socket.alpnProtocol !== ALPN_MQTT) http.emit('connection', socket);
    else if (socket.authorized) attach(aws, socket);
    else socket.destroy();
  });
  const close = async (): Promise<void> => {
    await aws.close();
    http.closeAllConnections();
    await Promise.all([closed(mqtt), closed(https)]);
  };
  const [mqttPort, port] = await listeningBoth(host, [mqtt, options.mqttPort ?? 0], [https, options.httpsPort ?? 0]).catch(
    async (error: unknown) => {
      await close();
      throw error;
    },
  );
  httpsPort = port;
  return {
    ...aws,
    mqttUrl: `mqtts://${host}:${mqttPort}`,
    httpsUrl: `https://${host}:${httpsPort}`,
    caCertificate: files.certificate,
    close,
  };
}

function attach(aws: AwsIot, socket: TLSSocket): void {
  socket.setNoDelay(true);
  aws.broker.attach(socket, trustedCertificate(socket));
}
