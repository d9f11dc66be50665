import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Secret } from '#kit/secret.ts';
import type { SigningCredentials } from '#kit/sigv4.ts';
import type { BusOptions, NetworkClients } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AwsIotConnection, AzureIotConnection, MqttConnection, MqttSession, S3Connection, Wires } from '#ports/wires.ts';
import { openAwsIot } from './aws-iot.ts';
import { openAzureMethods } from './azure-methods.ts';
import { openAzureTwins } from './azure-twins.ts';
import { httpGet } from './http.ts';
import { openMdash } from './mdash.ts';
import { openBus } from './mqtt.ts';
import { openAwsPresence } from './presence-aws.ts';
import { openPresence, openRevocation } from './presence.ts';
import { openAwsRevocation } from './revocation-aws.ts';
import { openS3Store } from './s3.ts';
import { serverChain } from './server-chain.ts';
import { openShadowsOverBus } from './shadows-mqtt.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The clients themselves, for the simulated world, which may not know this folder. */
export const networkClients: NetworkClients = {
  openBus,
  openObjects: async (connection, credentials) => openS3Store(connection, credentials),
  get: httpGet,
  openShadows: (connection, { clock, exchange }) => openAwsIot(connection, { clock, exchange, credentials: IN_PROCESS }),
  openTwins: openAzureTwins,
  openMethods: openAzureMethods,
  openMdash,
  shadowsOverBus: openShadowsOverBus,
  presenceOverBus: openAwsPresence,
  openAwsRevocation: (options) => openAwsRevocation({ ...options, credentials: IN_PROCESS }),
};

/** The SDK signs whatever it sends. */
const IN_PROCESS: SigningCredentials = { accessKeyId: 'headgate', secretAccessKey: 'headgate' };

export interface NetworkWiresOptions {
  readonly clock: Clock;
  /** Where `${env:NAME}` in a connection is looked up, and AWS_ACCESS_KEY_ID and so on where it names no key. */
  readonly env: Environment;
}

/**
 * Connections over the network. References `${env:NAME}` and `${file:PATH}` are resolved here, when a connection is opened;
 * one that leads nowhere throws WireError MISSING_ENV or MISSING_FILE with the name of the connection and of what is missing.
 */
export function makeNetworkWires({ clock, env }: NetworkWiresOptions): Wires {
  return {
    bus: async (connection, session, signal) => openBus(busOptions(connection, session, { clock, env }), signal),
    objects: async (connection) => {
      const resolved = resolveS3(connection, env);
      return openS3Store(resolved, s3Credentials(resolved, env));
    },
    shadows: async (connection) => {
      if (connection.type === 'mqtt') return openShadowsOverBus(connection.bus, { clock });
      if (connection.type === 'azure-iot') return openAzureTwins(resolveAzure(connection, env), { clock });
      const credentials = environmentCredentials(env);
      const controlEndpoint = env['AWS_ENDPOINT_URL_IOT'] ?? '';
      return openAwsIot(resolveAws(connection, env), {
        clock,
        ...(credentials === null ? {} : { credentials }),
        ...(controlEndpoint === '' ? {} : { controlEndpoint }),
      });
    },
    methods: async (connection) => openAzureMethods(resolveAzure(connection, env), { clock }),
    mdash: async ({ name, url, key }) => openMdash({ url: resolveEnv(url, env, name), key: resolveEnv(key, env, name), clock }),
    get: (url, options, signal) => httpGet(url, options, signal),
    serverChain,
    rpcPassword: ({ name, rpcPassword }) => (rpcPassword == null ? null : new Secret(resolveEnv(rpcPassword, env, name))),
    presence: (connection, bus) => openPresence(connection, bus),
    revocation: (connection) =>
      openRevocation(
        { ...connection, url: connection.withdraw === 'aws' ? resolveEnv(connection.url, env, connection.name) : connection.url },
        { env, clock, credentials: environmentCredentials(env) },
      ),
  };
}

/**
 * Puts the environment, and the text of files of this machine, into a text. Throws WireError MISSING_ENV or MISSING_FILE; what is
 * empty counts as not there.
 */
export function resolveEnv(text: string, env: Environment, connection: string): string {
  return text.replaceAll(/\$\{(env|file):([^}]*)\}/g, (_reference, kind: string, name: string) => {
    const value = kind === 'env' ? (env[name] ?? '') : textOfFile(name);
    if (value !== '') return value;
    if (kind === 'env')
      throw new WireError('MISSING_ENV', 'never', `connection ${connection}: the environment variable ${name} is not set`);
    throw new WireError('MISSING_FILE', 'never', `connection ${connection}: the file ${name} cannot be read, or is empty`);
  });
}

/** Without the line breaks at its end; empty where it cannot be read. */
function textOfFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch {
    return '';
  }
}

function busOptions(connection: MqttConnection, session: MqttSession, { clock, env }: NetworkWiresOptions): BusOptions {
  const resolve = (text: string): string => resolveEnv(text, env, connection.name);
  const declaredId = resolve(connection.clientId ?? `headgate-${connection.name}`);
  const holder = session.role === 'holder';
  return {
    url: resolve(connection.url),
    // Two readers, or a reader beside the holder, must not push each other off the broker.
    clientId: holder ? declaredId : `headgate-${randomBytes(6).toString('hex')}`,
    clean: !holder,
    clock,
    ...(connection.username === null ? {} : { username: resolve(connection.username) }),
    ...(connection.password === null ? {} : { password: resolve(connection.password) }),
    ...(connection.ca === null ? {} : { ca: connection.ca }),
    ...(connection.cert === null ? {} : { cert: connection.cert }),
    ...(connection.key === null ? {} : { key: resolve(connection.key) }),
  };
}

function resolveS3(connection: S3Connection, env: Environment): S3Connection {
  const resolve = (text: string): string => resolveEnv(text, env, connection.name);
  const optional = (text: string | null): string | null => (text === null ? null : resolve(text));
  return {
    ...connection,
    bucket: resolve(connection.bucket),
    region: resolve(connection.region),
    endpoint: optional(connection.endpoint),
    prefix: resolve(connection.prefix),
    accessKeyId: optional(connection.accessKeyId),
    secretAccessKey: optional(connection.secretAccessKey),
  };
}

function resolveAws(connection: AwsIotConnection, env: Environment): AwsIotConnection {
  const { region, endpoint, name } = connection;
  return { ...connection, region: resolveEnv(region, env, name), endpoint: endpoint === null ? null : resolveEnv(endpoint, env, name) };
}

function resolveAzure(connection: AzureIotConnection, env: Environment): AzureIotConnection {
  const { host, key, name } = connection;
  return { ...connection, host: resolveEnv(host, env, name), key: resolveEnv(key, env, name) };
}

/** The connection's own key, or the one in the environment; null leaves the search (profile, role) to the SDK. */
function s3Credentials(connection: S3Connection, env: Environment): SigningCredentials | null {
  const { accessKeyId, secretAccessKey } = connection;
  if (accessKeyId !== null && secretAccessKey !== null) return { accessKeyId, secretAccessKey };
  return environmentCredentials(env);
}

function environmentCredentials(env: Environment): SigningCredentials | null {
  const [id, secret, token] = [env['AWS_ACCESS_KEY_ID'], env['AWS_SECRET_ACCESS_KEY'], env['AWS_SESSION_TOKEN']];
  if (id === undefined || id === '' || secret === undefined || secret === '') return null;
  return { accessKeyId: id, secretAccessKey: secret, ...(token === undefined || token === '' ? {} : { sessionToken: token }) };
}
