import { WireError } from '#ports/wire-error.ts';

type Retry = WireError['retry'];

/** CONNACK and acknowledge codes: 1 to 5 are MQTT 3.1.1 §3.2.2.3, from 128 on MQTT 5 §2.4. */
const REASONS: ReadonlyMap<number, readonly [code: string, retry: Retry, text: string]> = new Map([
  [1, ['MQTT_PROTOCOL_REFUSED', 'never', 'the broker does not speak this version of MQTT']],
  [2, ['MQTT_CLIENT_ID_REFUSED', 'never', 'the broker does not accept the client id']],
  [3, ['MQTT_UNAVAILABLE', 'later', 'the broker says that it is not available']],
  [4, ['MQTT_NOT_AUTHORIZED', 'never', 'bad user name or password']],
  [5, ['MQTT_NOT_AUTHORIZED', 'never', 'not authorized']],
  [132, ['MQTT_PROTOCOL_REFUSED', 'never', 'the broker does not speak this version of MQTT']],
  [133, ['MQTT_CLIENT_ID_REFUSED', 'never', 'the broker does not accept the client id']],
  [134, ['MQTT_NOT_AUTHORIZED', 'never', 'bad user name or password']],
  [135, ['MQTT_NOT_AUTHORIZED', 'never', 'not authorized']],
  [136, ['MQTT_UNAVAILABLE', 'later', 'the broker says that it is not available']],
  [137, ['MQTT_UNAVAILABLE', 'later', 'the broker says that it is busy']],
  [138, ['MQTT_NOT_AUTHORIZED', 'never', 'banned by the broker']],
  [139, ['MQTT_UNAVAILABLE', 'later', 'the broker is shutting down']],
  [141, ['MQTT_KEEP_ALIVE', 'later', 'the broker heard nothing for too long']],
  [142, ['MQTT_TAKEN_OVER', 'later', 'another client connected with the same client id']],
  [149, ['MQTT_PACKET_TOO_LARGE', 'never', 'the broker does not take a message of this length']],
  [150, ['MQTT_QUOTA', 'later', 'too many messages in too short a time']],
  [151, ['MQTT_QUOTA', 'later', 'a quota of the broker is used up']],
  [155, ['MQTT_QOS_REFUSED', 'never', 'the broker does not offer this quality of service']],
  [159, ['MQTT_QUOTA', 'later', 'too many connections in too short a time']],
]);

const NETWORK_CODES: ReadonlySet<string> = new Set(
  'ECONNREFUSED ECONNRESET ECONNABORTED ETIMEDOUT EPIPE EHOSTUNREACH ENETUNREACH ENETDOWN ENOTFOUND EAI_AGAIN EADDRNOTAVAIL EMFILE'.split(
    ' ',
  ),
);

const SERVER_CERTIFICATE_CODES: ReadonlySet<string> = new Set(
  (
    'DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_VERIFY_LEAF_SIGNATURE UNABLE_TO_GET_ISSUER_CERT ' +
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY CERT_SIGNATURE_FAILURE CERT_UNTRUSTED CERT_REJECTED CERT_REVOKED CERT_CHAIN_TOO_LONG INVALID_CA INVALID_PURPOSE'
  ).split(' '),
);

/** The broker's answer to CONNECT, SUBSCRIBE or PUBLISH as an error of the wire. */
export function refusal(reason: number, doing: string): WireError {
  const known = REASONS.get(reason);
  if (known === undefined) return new WireError(`MQTT_REFUSED_${reason}`, 'later', `${doing}: refused with reason code ${reason}`);
  return new WireError(known[0], known[1], `${doing}: ${known[2]}`);
}

/** An error of a socket, of TLS or of mqtt.js. Its own message is not passed on: it may quote what was sent. */
export function wireError(error: unknown, doing: string): WireError {
  if (error instanceof WireError) return error;
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (typeof code === 'number') return refusal(code, doing);
  if (typeof code !== 'string') return new WireError('MQTT_FAILED', 'later', `${doing}: the connection failed`);
  if (NETWORK_CODES.has(code)) return new WireError(code, 'later', `${doing}: ${code}`);
  if (SERVER_CERTIFICATE_CODES.has(code)) {
    return new WireError('TLS_SERVER_UNTRUSTED', 'never', `${doing}: the broker's certificate is not signed by a CA we trust (${code})`);
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return new WireError('TLS_SERVER_EXPIRED', 'never', `${doing}: the broker's certificate is not valid now (${code})`);
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new WireError('TLS_SERVER_NAME', 'never', `${doing}: the broker's certificate is for another name`);
  }
  if (code.includes('_ALERT_') || code === 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE') {
    return new WireError(
      'TLS_CLIENT_REFUSED',
      'never',
      `${doing}: the broker refused our TLS side, the client certificate most likely (${code})`,
    );
  }
  if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || code.startsWith('ERR_OSSL') || code === 'EPROTO') {
    return new WireError('TLS_FAILED', 'never', `${doing}: ${code}`);
  }
  return new WireError(code, 'later', `${doing}: ${code}`);
}
