import type { Json } from '#kit/canonical.ts';
import { modelByName, modelByType } from './models.ts';

/**
 * A synthetic Rule Schema with the shape that matters of the vendor's (docs/protocols/canedge-s3.md §4): closed at the
 * top, `connect` with the whole of S3 inside a `dependencies` that only draft-07 reads, other sections by their names.
 * Without a model it takes the networks of all and requires nothing. The vendor's own schemas are not ours to hand on.
 */
export function buildRuleSchema(series: string, model: string | null = null): Json {
  const kind = model === null ? undefined : (modelByName(model) ?? modelByType(model));
  const modern = series >= '01.07';
  const sections = ['log', 'rtc', 'secondaryport', 'can_1', 'can_2', 'lin_1', 'lin_2', ...(modern ? ['can_internal'] : [])];
  const extra: Record<string, Json> = {
    ...(series >= '01.09' ? { routing: { type: 'array', maxItems: 32 } } : {}),
    ...(kind?.gnss !== false && modern ? { gnss: { type: 'object' } } : {}),
  };
  const network = {
    ...(kind?.network === 'cellular' ? {} : { wifi: wifiSection(modern) }),
    ...(kind?.network === 'wifi' ? {} : { cellular: CELLULAR }),
  };
  return {
    type: 'object',
    definitions: { toggle: { type: 'integer', enum: [0, 1] } },
    properties: {
      general: generalSection(series),
      ...Object.fromEntries(sections.map((name): [string, Json] => [name, { type: 'object' }])),
      ...extra,
      connect: connectSection(series, network, kind === undefined ? [] : Object.keys(network)),
    },
    additionalProperties: false,
    ...(kind === undefined ? {} : { required: ['general', 'connect'] }),
  };
}

function generalSection(series: string): Json {
  const debug = {
    syslog: { type: 'integer', minimum: 0, maximum: 3 },
    ...(series >= '01.08' ? { restart_timer: { type: 'integer', minimum: 0, maximum: 168 } } : {}),
  };
  return {
    type: 'object',
    properties: {
      device: {
        type: 'object',
        properties: { meta: { type: 'string', maxLength: 30, pattern: '^[a-zA-Z0-9; ]*$' } },
        additionalProperties: false,
      },
      security: {
        type: 'object',
        properties: { kpub: { type: 'string', maxLength: 100, pattern: '^[a-zA-Z0-9+/=]*$' } },
        additionalProperties: false,
      },
      debug: { type: 'object', properties: debug, additionalProperties: false },
    },
    additionalProperties: false,
    required: ['device', 'security', 'debug'],
  };
}

function wifiSection(modern: boolean): Json {
  const password = (pattern: string, minLength: number): Json => ({
    items: { type: 'object', properties: { pwd: { type: 'string', pattern, minLength, maxLength: 64 } } },
  });
  return {
    type: 'object',
    properties: {
      mode: { type: 'integer', enum: modern ? [0, 1] : [0] },
      keyformat: { $ref: '#/definitions/toggle' },
      accesspoint: {
        type: 'array',
        maxItems: modern ? 4 : 5,
        items: {
          type: 'object',
          properties: {
            ssid: { type: 'string', minLength: 1, maxLength: 32 },
            pwd: { type: 'string', maxLength: 64 },
            minrssi: { type: 'integer', minimum: 0, maximum: 100 },
          },
          additionalProperties: false,
          required: ['ssid', 'minrssi'],
        },
      },
    },
    dependencies: {
      keyformat: {
        oneOf: [
          { properties: { keyformat: { enum: [0] }, accesspoint: password('^[ -~]*$', 0) } },
          { properties: { keyformat: { enum: [1] }, accesspoint: password('^[a-zA-Z0-9+/=]*$', 24) } },
        ],
      },
    },
    additionalProperties: false,
    required: ['mode', 'keyformat'],
  };
}

const CELLULAR: Json = {
  type: 'object',
  properties: {
    keyformat: { $ref: '#/definitions/toggle' },
    pin: { type: 'string' },
    apn: { type: 'string', maxLength: 62 },
    roaming: { $ref: '#/definitions/toggle' },
  },
  dependencies: {
    keyformat: {
      oneOf: [
        { properties: { keyformat: { enum: [0] }, pin: { pattern: '^(|[0-9]{4,8})$' } } },
        { properties: { keyformat: { enum: [1] }, pin: { pattern: '^[a-zA-Z0-9+/=]*$', minLength: 28, maxLength: 32 } } },
      ],
    },
  },
  additionalProperties: false,
  required: ['keyformat', 'pin', 'apn', 'roaming'],
};

/** From 01.08 all of S3 lies inside the dependency of `protocol`; before, it is a section like the others (§4.2). */
function connectSection(series: string, network: Readonly<Record<string, Json>>, required: readonly string[]): Json {
  if (series < '01.08') {
    return { type: 'object', properties: { ...network, s3: S3 }, additionalProperties: false, required };
  }
  return {
    type: 'object',
    properties: { ...network, protocol: { type: 'integer', enum: 'wifi' in network ? [0, 1] : [0] } },
    dependencies: {
      protocol: {
        oneOf: [
          { properties: { protocol: { enum: [0] }, s3: S3 } },
          { properties: { protocol: { enum: [1] }, webserver: { type: 'object' } } },
        ],
      },
    },
    additionalProperties: false,
    patternProperties: { s3: {}, webserver: {} },
    required,
  };
}

const SECONDS: Json = { type: 'integer', minimum: 0, maximum: 86400, multipleOf: 5 };

const S3: Json = {
  type: 'object',
  properties: {
    sync: {
      type: 'object',
      properties: { ota: SECONDS, heartbeat: SECONDS, logfiles: { $ref: '#/definitions/toggle' } },
      additionalProperties: false,
      required: ['ota', 'heartbeat', 'logfiles'],
    },
    server: {
      type: 'object',
      properties: {
        endpoint: { type: 'string', pattern: '^https*://[a-zA-Z0-9_/\\.-]+$', maxLength: 128 },
        port: { type: 'integer', minimum: 0, maximum: 65535 },
        bucket: { type: 'string', pattern: '^[a-z0-9]{1}[a-z0-9\\.\\-]{0,62}[a-z0-9]{1}$' },
        region: { type: 'string', pattern: '^[a-z0-9-]*$', maxLength: 32 },
        request_style: { $ref: '#/definitions/toggle' },
        accesskey: { type: 'string', pattern: '^[a-zA-Z0-9_-]+$', minLength: 3, maxLength: 128 },
        keyformat: { $ref: '#/definitions/toggle' },
        secretkey: { type: 'string' },
        signed_payload: { $ref: '#/definitions/toggle' },
      },
      dependencies: {
        endpoint: ['port', 'bucket', 'region', 'request_style', 'accesskey', 'keyformat', 'secretkey', 'signed_payload'],
        keyformat: {
          oneOf: [
            { properties: { keyformat: { enum: [0] }, secretkey: { pattern: '^[ -~]*$', minLength: 1, maxLength: 128 } } },
            { properties: { keyformat: { enum: [1] }, secretkey: { pattern: '^[a-zA-Z0-9+/=]*$', minLength: 24, maxLength: 150 } } },
          ],
        },
      },
      additionalProperties: false,
    },
  },
  additionalProperties: false,
  required: ['sync'],
};

export interface SimConfigOptions {
  readonly meta?: string;
  readonly ota?: number;
  readonly heartbeat?: number;
  readonly restartHours?: number;
  /** `http://s3.example.org`, port 80 and `vehicle-logs` where nothing is said. */
  readonly endpoint?: string;
  readonly port?: number;
  readonly bucket?: string;
  readonly logfiles?: 0 | 1;
}

/** A config that a simulated device of that model and series takes, with a network and a bucket of its own world. */
export function buildSimConfig(series: string, model: string, options: SimConfigOptions = {}): Json {
  const cellular = (modelByName(model) ?? modelByType(model))?.network === 'cellular';
  const debug = { syslog: 1, ...(series >= '01.08' ? { restart_timer: options.restartHours ?? 0 } : {}) };
  return {
    general: { device: { meta: options.meta ?? '' }, security: {}, debug },
    connect: {
      ...(cellular
        ? { cellular: { keyformat: 0, pin: '', apn: 'iot.example', roaming: 0 } }
        : { wifi: { mode: 0, keyformat: 0, accesspoint: [{ ssid: 'depot', pwd: 'not-a-secret', minrssi: 0 }] } }),
      ...(series >= '01.08' ? { protocol: 0 } : {}),
      s3: {
        sync: { ota: options.ota ?? 600, heartbeat: options.heartbeat ?? 300, logfiles: options.logfiles ?? 0 },
        server: {
          endpoint: options.endpoint ?? 'http://s3.example.org',
          port: options.port ?? 80,
          bucket: options.bucket ?? 'vehicle-logs',
          region: 'eu-central-1',
          request_style: 0,
          accesskey: 'EXAMPLEKEY',
          keyformat: 0,
          secretkey: 'not-a-secret',
          signed_payload: 0,
        },
      },
    },
  };
}
