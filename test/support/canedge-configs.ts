import type { Json } from '#kit/canonical.ts';

/**
 * Default configs as the vendor's firmware writes them, made of their parts: what differs between series and models is
 * told here apart from the code that migrates them (docs/protocols/canedge-s3.md §4.3).
 */
export interface DefaultConfig {
  readonly model: string;
  readonly series: string;
  readonly config: Json;
}

type Series = '01.06' | '01.07' | '01.08' | '01.09';

export function defaultConfigs(): readonly DefaultConfig[] {
  return [
    { model: 'CANedge2', series: '01.06', config: earlyConfig() },
    ...(['01.07', '01.08', '01.09'] as const).flatMap((series) =>
      ['CANedge2', 'CANedge2 GNSS', 'CANedge3 GNSS'].map((model) => ({ model, series, config: lateConfig(model, series) })),
    ),
  ];
}

/** The same with a network and a server, so that a device could live with it. */
export function livingConfig(model: string, series: Series): Json {
  const config = structuredClone(series === '01.06' ? earlyConfig() : lateConfig(model, series)) as { connect: Record<string, Json> };
  const { connect } = config;
  if (model.startsWith('CANedge3')) connect['cellular'] = { keyformat: 0, pin: '', apn: 'iot.example', roaming: 0 };
  else connect['wifi'] = { mode: 0, keyformat: 0, accesspoint: [{ ssid: 'depot', pwd: 'not-a-secret', minrssi: 0 }] };
  connect['s3'] = {
    sync: { ota: 600, heartbeat: 300, logfiles: 1 },
    server: {
      endpoint: 'http://s3.example.org',
      port: 80,
      bucket: 'vehicle-logs',
      region: 'eu-central-1',
      request_style: 0,
      accesskey: 'EXAMPLEKEY',
      keyformat: 0,
      secretkey: 'not-a-secret',
      signed_payload: 0,
    },
  };
  return config;
}

const SERVER: Json = { request_style: 0, keyformat: 0, signed_payload: 0 };
const SYNC: Json = { ota: 600, heartbeat: 300, logfiles: 1 };
const LIN: Json = { phy: { mode: 0, bit_rate: 19200 } };

function lateConfig(model: string, series: Exclude<Series, '01.06'>): Json {
  const gnss = model.endsWith('GNSS');
  const cellular = model.startsWith('CANedge3');
  const restart = series === '01.07' ? {} : { restart_timer: cellular ? 24 : 120 };
  const heartbeat = series === '01.09' ? {} : { heartbeat: { state: 0, id_format: 1, id: '00435353' } };
  const can = (channel: number): Json => ({
    general: { rx_state: 1, tx_state: 1 },
    phy: { mode: 1, retransmission: 1, fd_spec: 0, bit_rate_cfg_mode: 0 },
    filter: { remote_frames: 0, id: [filter('AllStandardID', '0', '7FF'), filter('AllExtendedID', '0', '1FFFFFFF', 1)] },
    ...heartbeat,
    control: control(channel),
  });
  return {
    general: { device: {}, security: {}, debug: { syslog: series === '01.07' ? 0 : 1, ...restart } },
    log: LOG,
    rtc: { sync: 2, timezone: 0, adjustment: 0, tolerance: 30, ...(cellular ? {} : { ntp_server: '*.pool.ntp.org' }) },
    secondaryport: { power_schedule: [] },
    can_internal: { general: { rx_state: 1, tx_state: 1 }, filter: { id: internalFilters(series, gnss) }, control: control(0) },
    can_1: can(1),
    can_2: can(2),
    lin_1: LIN,
    lin_2: LIN,
    connect: {
      ...(cellular ? { cellular: { keyformat: 0, pin: '', apn: '', roaming: 0 } } : { wifi: { mode: 0, keyformat: 0, accesspoint: [] } }),
      ...(series === '01.07' ? {} : { protocol: 0 }),
      s3: { sync: SYNC, server: SERVER },
    },
    ...(gnss ? { gnss: { system: 5, invalid_signals: 0, alignment: { method: 0, z: 0, y: 0, x: 0 }, geofence: [], dyn_model: 0 } } : {}),
  };
}

const LOG: Json = {
  file: { split_size: 50, split_time_period: 0, split_time_offset: 0, cyclic: 1 },
  compression: { level: 0 },
  encryption: { state: 0 },
  error_frames: { state: 0 },
};

/** Up to 01.06: control by one message, filters by mask, no internal channel. */
function earlyConfig(): Json {
  const can = (channel: number): Json => ({
    general: { rx_state: 1, tx_state: 1 },
    phy: { mode: 1, retransmission: 1, fd_spec: 0, bit_rate_cfg_mode: 0 },
    filter: {
      remote_frames: 0,
      id: [
        { ...(filter(`Ch${channel}AllStandard`, '0', '0') as object), method: 1 },
        { ...(filter(`Ch${channel}AllExtended`, '0', '0', 1) as object), method: 1 },
      ],
    },
    heartbeat: { state: 0, id_format: 1, id: '00435353' },
    control: {
      control_rx_state: 0,
      control_tx_state: 0,
      start: {
        id_format: 1,
        id: '00435354',
        id_mask: '1FFFFFFF',
        data_mask: 'FFFFFFFFFFFFFFFF',
        data_high: '0100000000000000',
        data_low: '0100000000000000',
      },
      stop: {
        id_format: 1,
        id: '00435354',
        id_mask: '1FFFFFFF',
        data_mask: 'FFFFFFFFFFFFFFFF',
        data_high: '0000000000000000',
        data_low: '0000000000000000',
      },
    },
  });
  return {
    general: { device: {}, security: {}, debug: { syslog: 0 } },
    log: LOG,
    rtc: { sync: 2, timezone: 0, adjustment: 0, tolerance: 30, ntp_server: '*.pool.ntp.org', ntp_fallback: 0 },
    secondaryport: { power_schedule: [] },
    can_1: can(1),
    can_2: can(2),
    lin_1: LIN,
    lin_2: LIN,
    connect: { wifi: { mode: 0, keyformat: 0, accesspoint: [] }, s3: { sync: SYNC, server: SERVER } },
  };
}

function internalFilters(series: Series, gnss: boolean): Json {
  const own = gnss ? GNSS.filter(([name]) => series !== '01.07' || name !== 'GnssDistance').map(([name, id]) => filter(name, id, id)) : [];
  if (series === '01.09') return [...DEDICATED.map(([name, id]) => ({ ...(filter(name, id, id) as object), state: 0 })), ...own];
  // 01.07 has the second with the wrong format.
  return gnss ? own : [filter('AllStandardID', '0', '7FF'), filter('AllExtendedID', '0', '1FFFFFFF', series === '01.07' ? 0 : 1)];
}

const DEDICATED = [
  ['Heartbeat', '2'],
  ['TimeCalendar', '3'],
  ['TimeExternal', '5'],
] as const;

const GNSS = [
  ['GnssStatus', '65'],
  ['GnssTime', '66'],
  ['GnsssPosition', '67'],
  ['GnssAltitude', '68'],
  ['GnssAttitude', '69'],
  ['GnssDistance', '6A'],
  ['GnssSpeed', '6B'],
  ['GnssGeofence', '6C'],
  ['ImuAlign', '6E'],
  ['ImuAcc', '6F'],
] as const;

function filter(name: string, first: string, last: string, format = 0): Json {
  return { name, state: 1, type: 0, id_format: format, method: 0, f1: first, f2: last, prescaler_type: 0 };
}

function control(channel: number): Json {
  const part = {
    message: { chn: channel, id_format: 0, id: '0', id_mask: '7FF' },
    signal: { type: 0, byteorder: 0, bitpos: 0, length: 0, factor: 0, offset: 0 },
    trigger_high: 0,
    trigger_low: 0,
  };
  return { control_rx_state: 0, control_tx_state: 0, start: part, stop: part };
}
