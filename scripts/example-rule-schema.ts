import type { Json } from '#kit/canonical.ts';

/**
 * A Rule Schema (draft-07, as devices mean it) for the configs of the example network: its sections, the limits of
 * docs/protocols/canedge-s3.md §4 and §4.1, and what differs between the series (§4.3). Closed at the top, open in the parts
 * that the example does not use.
 */
export function ruleSchema(series: string, model: string): Json {
  const gnss = model.endsWith('GNSS');
  const sections: Record<string, Json> = {
    general: general(),
    log: log(),
    rtc: open(['sync', 'timezone', 'adjustment', 'tolerance', 'ntp_server']),
    secondaryport: {
      ...open(['power_schedule']),
      properties: { power_schedule: { type: 'array', maxItems: 5, items: open(['from', 'to']) } },
    },
    can_internal: open(['filter']),
    can_1: channel(series),
    can_2: channel(series),
    lin_1: open(['phy', 'filter']),
    lin_2: open(['phy', 'filter']),
    connect: connect(model),
  };
  if (gnss) sections['gnss'] = open(['system']);
  const required = Object.keys(sections);
  if (series >= '01.09') sections['routing'] = { type: 'array', maxItems: 32 };
  return { type: 'object', additionalProperties: false, required, properties: sections };
}

function open(required: readonly string[]): { readonly [key: string]: Json } {
  return { type: 'object', required };
}

function general(): Json {
  return {
    ...open(['device', 'security', 'debug']),
    properties: {
      device: { ...open(['meta']), properties: { meta: { type: 'string', maxLength: 30, pattern: '^[A-Za-z0-9; ]*$' } } },
      debug: {
        type: 'object',
        properties: { syslog: { type: 'integer', minimum: 0, maximum: 3 }, restart_timer: { type: 'integer', minimum: 0, maximum: 168 } },
      },
    },
  };
}

function log(): Json {
  const file = {
    ...open(['split_size', 'split_time_period', 'split_time_offset', 'cyclic']),
    properties: { split_size: { type: 'integer', minimum: 1, maximum: 512 }, cyclic: { enum: [0, 1] } },
  };
  return { ...open(['file', 'compression', 'encryption', 'error_frames']), properties: { file } };
}

/** 01.09 moved the heartbeat of a channel to the internal one. */
function channel(series: string): Json {
  const names = ['phy', 'filter', 'transmit', 'control', ...(series < '01.09' ? ['heartbeat'] : [])];
  return { ...open(names), additionalProperties: false, properties: Object.fromEntries(names.map((name) => [name, {}])) };
}

function connect(model: string): Json {
  const period = { type: 'integer', minimum: 0, maximum: 86_400, multipleOf: 5 };
  const link = model.startsWith('CANedge2') ? 'wifi' : 'cellular';
  return {
    ...open(['protocol', 's3', link]),
    properties: {
      protocol: { enum: link === 'wifi' ? [0, 1] : [0] },
      wifi: {
        ...open(['mode', 'keyformat', 'accesspoint']),
        properties: {
          accesspoint: {
            type: 'array',
            maxItems: 4,
            items: {
              ...open(['ssid', 'pwd']),
              properties: { ssid: { type: 'string', maxLength: 32 }, pwd: { type: 'string', maxLength: 64 } },
            },
          },
        },
      },
      cellular: { ...open(['keyformat', 'pin', 'apn', 'roaming']), properties: { apn: { type: 'string', maxLength: 62 } } },
      s3: {
        ...open(['sync', 'server']),
        properties: {
          sync: { ...open(['ota', 'heartbeat', 'logfiles']), properties: { ota: period, heartbeat: period, logfiles: { enum: [0, 1] } } },
          server: {
            ...open(['endpoint', 'port', 'bucket', 'region', 'request_style', 'accesskey', 'keyformat', 'secretkey', 'signed_payload']),
            properties: {
              endpoint: { type: 'string', maxLength: 128, pattern: '^https?://' },
              bucket: { type: 'string', pattern: '^[a-z0-9.-]{2,64}$' },
              accesskey: { type: 'string', pattern: '^[A-Za-z0-9_-]{3,128}$' },
              secretkey: { type: 'string', minLength: 1, maxLength: 150 },
            },
          },
        },
      },
    },
  };
}
