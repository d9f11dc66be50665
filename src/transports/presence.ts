import type { SigningCredentials } from '#kit/sigv4.ts';
import type { Clock } from '#ports/clock.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { Presence, Revocation } from '#ports/presence.ts';
import { WireError } from '#ports/wire-error.ts';
import type { MqttConnection } from '#ports/wires.ts';
import { openAwsPresence } from './presence-aws.ts';
import { openLogPresence } from './presence-log.ts';
import { openAwsRevocation, regionOf } from './revocation-aws.ts';
import { openCrlRevocation } from './revocation-crl.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** `presence:` of a connection; over its bus for `aws`. Null for `none`; WireError UNSUPPORTED for a source that is not built in. */
export async function openPresence({ name, presence }: MqttConnection, bus: () => Promise<MessageBus>): Promise<Presence | null> {
  if (presence === null || presence === 'none') return null;
  if (presence.startsWith('mosquitto-log:')) return openLogPresence(presence.slice('mosquitto-log:'.length));
  if (presence === 'aws') return await openAwsPresence(await bus());
  throw new WireError('UNSUPPORTED', 'never', `${name}: presence from ${presence} is not built in`);
}

interface RevocationContext {
  readonly env: Environment;
  readonly clock: Clock;
  readonly credentials: SigningCredentials | null;
}

function account(env: Environment, credentials: SigningCredentials | null) {
  const controlEndpoint = env['AWS_ENDPOINT_URL_IOT'] ?? '';
  return { ...(credentials === null ? {} : { credentials }), ...(controlEndpoint === '' ? {} : { controlEndpoint }) };
}

/** As its endpoint says; a custom domain says none. */
function regionFor({ name, url, env }: { readonly name: string; readonly url: string; readonly env: Environment }): string {
  const region = regionOf(url) ?? (env['AWS_REGION'] || null);
  if (region !== null) return region;
  throw new WireError(
    'MISSING_ENV',
    'never',
    `connection ${name}: the environment variable AWS_REGION is not set, and its URL names no region`,
  );
}

/**
 * `withdraw:` of a connection. Null for `manual`. For `aws` the account is that of the environment, its region that of the
 * URL. For `crl:PATH` the environment says what git must not hold:
 * HEADGATE_CRL_CA and HEADGATE_CRL_KEY name the files of the CA and its key, HEADGATE_BROKER_PID that of the broker's
 * process id; with `_NAME` of the connection behind it where brokers differ.
 */
export async function openRevocation(
  { name, withdraw, url }: MqttConnection,
  { env, clock, credentials }: RevocationContext,
): Promise<Revocation | null> {
  if (withdraw === null || withdraw === 'manual') return null;
  if (withdraw === 'aws') return await openAwsRevocation({ region: regionFor({ name, url, env }), clock, ...account(env, credentials) });
  if (!withdraw.startsWith('crl:')) throw new WireError('UNSUPPORTED', 'never', `${name}: withdrawal by ${withdraw} is not built in`);
  const suffix = `_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`;
  const file = (variable: string): string | null => env[`${variable}${suffix}`] || env[variable] || null;
  return openCrlRevocation({
    connection: name,
    path: withdraw.slice('crl:'.length),
    caFile: file('HEADGATE_CRL_CA'),
    keyFile: file('HEADGATE_CRL_KEY'),
    pidFile: file('HEADGATE_BROKER_PID'),
    clock,
  });
}
