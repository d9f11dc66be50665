import { parseCount, text } from './flags.ts';

/** What every simulated device takes. */
export const deviceFlags = {
  scale: {
    kind: 'parsed',
    parse: parseScale,
    brief: 'How many times as fast the time of the devices passes',
    placeholder: 'N',
    default: '1',
  },
  seed: { kind: 'parsed', parse: parseCount, brief: 'The same seed gives the same chances', placeholder: 'N', default: '1' },
  fault: {
    kind: 'parsed',
    parse: text,
    brief: "A misbehaviour of the family's readme, with a value where it takes one; may be repeated",
    placeholder: 'NAME[=VALUE]',
    variadic: true,
    optional: true,
  },
} as const;

function parseScale(input: string): number {
  const scale = Number(input);
  if (!(scale > 0 && scale <= 100_000)) throw new RangeError(`${JSON.stringify(input)} is no scale: write 1, 60 or 3600`);
  return scale;
}

/** The key of each device at `headgate sim azure`: base64 of what nobody keeps secret. */
export const SIM_DEVICE_KEY = 'a2V5IG9mIHRoZSBzaW11bGF0ZWQgaHVi';

export const deviceKeyFlag = {
  kind: 'parsed',
  parse: text,
  brief: 'Key of each device at the hub, base64, unless it has a certificate; that of headgate sim azure when left out',
  placeholder: 'KEY',
  optional: true,
} as const;

export const brokerFlag = {
  kind: 'parsed',
  parse: text,
  brief: 'The broker, mqtt:// or mqtts://',
  placeholder: 'URL',
  default: 'mqtt://127.0.0.1:1883',
} as const;

const caFlag = { kind: 'parsed', parse: text, brief: 'CA certificates of the broker, PEM', placeholder: 'FILE', optional: true } as const;

/** Of devices that log in at their broker, where it asks. */
export const loginFlags = {
  user: { kind: 'parsed', parse: text, brief: 'User name', placeholder: 'NAME', optional: true },
  password: { kind: 'parsed', parse: text, brief: 'Password', placeholder: 'TEXT', optional: true },
  ca: caFlag,
} as const;

/** Of devices that show their broker a certificate. */
export const certificateFlags = {
  ca: caFlag,
  cert: { kind: 'parsed', parse: text, brief: 'Client certificate, PEM', placeholder: 'FILE', optional: true },
  key: { kind: 'parsed', parse: text, brief: 'Its private key, PEM', placeholder: 'FILE', optional: true },
} as const;

/** What the embedded S3 server and AWS IoT take for keys, and devices show them. */
export const accessKeyFlags = {
  accessKey: { kind: 'parsed', parse: text, brief: 'Access key', placeholder: 'KEY', default: 'headgate' },
  secretKey: { kind: 'parsed', parse: text, brief: 'Secret key', placeholder: 'KEY', default: 'headgate-secret' },
} as const;

export const portFlag = { kind: 'parsed', parse: parseCount, brief: 'Port', placeholder: 'PORT' } as const;
export const hostFlag = { kind: 'parsed', parse: text, brief: 'Address to listen on', placeholder: 'HOST', default: '127.0.0.1' } as const;
