import type { Clock } from '#ports/clock.ts';
import type { Presence, Revocation } from '#ports/presence.ts';
import { WireError } from '#ports/wire-error.ts';
import type { MqttConnection } from '#ports/wires.ts';
import { openLogPresence } from './presence-log.ts';
import { openCrlRevocation } from './revocation-crl.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** `presence:` of a connection. Null for `none`; WireError UNSUPPORTED for a source that is not built in. */
export function openPresence({ name, presence }: MqttConnection): Presence | null {
  if (presence === null || presence === 'none') return null;
  if (presence.startsWith('mosquitto-log:')) return openLogPresence(presence.slice('mosquitto-log:'.length));
  throw new WireError('UNSUPPORTED', 'never', `${name}: presence from ${presence} is not built in`);
}

/**
 * `withdraw:` of a connection. Null for `manual`. For `crl:PATH` the environment says what git must not hold:
 * HEADGATE_CRL_CA and HEADGATE_CRL_KEY name the files of the CA and its key, HEADGATE_BROKER_PID that of the broker's
 * process id; with `_NAME` of the connection behind it where brokers differ.
 */
export function openRevocation(
  { name, withdraw }: MqttConnection,
  { env, clock }: { readonly env: Environment; readonly clock: Clock },
): Revocation | null {
  if (withdraw === null || withdraw === 'manual') return null;
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
