import type { Json } from '#kit/canonical.ts';
import { at, listAt, numberAt, objectOf, textAt, type JsonObject } from './json.ts';
import type { CanedgeModel } from './models.ts';

/** What changed between two neighbouring config series: docs/protocols/canedge-s3.md §4.3. Each step is pure. */
export interface MigrationStep {
  readonly from: string;
  readonly to: string;
  apply(document: JsonObject, model: CanedgeModel): StepResult;
}

export interface StepResult {
  readonly document: Json;
  readonly notes: readonly string[];
}

export const MIGRATION_STEPS: readonly MigrationStep[] = [
  { from: '00.06', to: '00.07', apply: to0007 },
  { from: '00.07', to: '01.01', apply: to0101 },
  { from: '01.01', to: '01.02', apply: to0102 },
  { from: '01.02', to: '01.03', apply: (document) => silently(withRequestStyle(document)) },
  { from: '01.03', to: '01.04', apply: to0104 },
  { from: '01.04', to: '01.06', apply: (document) => silently(withErrorFrames(document)) },
  { from: '01.06', to: '01.07', apply: to0107 },
  { from: '01.07', to: '01.08', apply: to0108 },
  { from: '01.08', to: '01.09', apply: to0109 },
];

const CHANNELS = ['can_1', 'can_2'] as const;
const LIN_DEFAULT: Json = { phy: { mode: 0, bit_rate: 19200 } };

function silently(document: JsonObject): StepResult {
  return { document, notes: [] };
}

/** The document with a member changed in its place, or added at the end; left out by `undefined`. */
function withMember(document: Json | undefined, [name, ...rest]: readonly string[], value: Json | undefined): JsonObject {
  const object = objectOf(document) ?? {};
  if (name === undefined) return object;
  const inner = rest.length === 0 ? value : withMember(object[name], rest, value);
  const members = Object.entries(object).map(([key, member]): [string, Json | undefined] => [key, key === name ? inner : member]);
  if (!Object.hasOwn(object, name)) members.push([name, inner]);
  return Object.fromEntries(members.filter(([, member]) => member !== undefined));
}

function has(document: Json | undefined | JsonObject, ...path: readonly string[]): boolean {
  return at(document, ...path) !== undefined;
}

function to0007(document: JsonObject): StepResult {
  const power = at(document, 'secondaryport', 'power');
  const schedule: Json = power === 0 ? [] : [{ from: '00:00', to: '00:00' }];
  let next = power === undefined ? document : withMember(document, ['secondaryport'], { power_schedule: schedule });
  for (const channel of CHANNELS) {
    next = withMember(next, [channel, 'general'], { rx_state: 1, tx_state: 1 });
    next = withMember(next, [channel, 'heartbeat'], { state: 0, id_format: 1, id: '00435353' });
    next = withMember(next, [channel, 'control'], EARLY_CONTROL);
  }
  return silently(withMember(withMember(next, ['lin_1'], LIN_DEFAULT), ['lin_2'], LIN_DEFAULT));
}

const EARLY_MASKS = { id_format: 1, id: '00435354', id_mask: '1FFFFFFF', data_mask: 'FFFFFFFFFFFFFFFF' } as const;

/** Control by one message, as series 00.07 to 01.06 have it. */
const EARLY_CONTROL: Json = {
  control_rx_state: 0,
  control_tx_state: 0,
  start: { ...EARLY_MASKS, data_high: '0100000000000000', data_low: '0100000000000000' },
  stop: { ...EARLY_MASKS, data_high: '0000000000000000', data_low: '0000000000000000' },
};

function to0101(document: JsonObject): StepResult {
  const log = at(document, 'log') ?? {};
  const moved: Json = has(log, 'file') ? log : { file: log, compression: { level: 0 }, encryption: { state: 0 } };
  const next = withMember(document, ['log'], moved);
  const server = ['connect', 's3', 'server'] as const;
  if (!has(next, ...server, 'endpoint') || has(next, ...server, 'signed_payload')) return silently(next);
  return silently(withMember(next, [...server, 'signed_payload'], 0));
}

function to0102(document: JsonObject): StepResult {
  let next = document;
  for (const channel of CHANNELS) {
    if (!Array.isArray(at(next, channel, 'filter'))) continue;
    next = withMember(next, [channel, 'filter'], listAt(next, channel, 'filter').map(withPrescalerType));
  }
  return silently(next);
}

/** A count of 0 or 1 let every message through. */
function withPrescalerType(filter: Json): Json {
  const object = objectOf(filter);
  if (object === undefined || has(object, 'prescaler_type')) return filter;
  const count = numberAt(object, 'prescaler') ?? 0;
  const bare = withMember(object, ['prescaler'], undefined);
  if (count <= 1) return withMember(bare, ['prescaler_type'], 0);
  return withMember(withMember(bare, ['prescaler_type'], 1), ['prescaler_value'], count);
}

function withRequestStyle(document: JsonObject): JsonObject {
  const server = ['connect', 's3', 'server'] as const;
  if (!has(document, ...server, 'endpoint') || has(document, ...server, 'request_style')) return document;
  return withMember(document, [...server, 'request_style'], 0);
}

function withErrorFrames(document: JsonObject): JsonObject {
  return withMember(document, ['log', 'error_frames'], { state: 0 });
}

function to0104(document: JsonObject): StepResult {
  let next = withErrorFrames(document);
  for (const channel of CHANNELS) {
    const filter = at(next, channel, 'filter');
    if (Array.isArray(filter)) next = withMember(next, [channel, 'filter'], { remote_frames: 0, id: filter as Json });
  }
  for (const lin of ['lin_1', 'lin_2']) if (!has(next, lin)) next = withMember(next, [lin], LIN_DEFAULT);
  // Required with a server section from here on, whether or not it has an endpoint.
  if (has(next, 'connect', 's3', 'server') && !has(next, 'connect', 's3', 'server', 'request_style'))
    next = withMember(next, ['connect', 's3', 'server', 'request_style'], 0);
  return silently(next);
}

const MAX_ACCESS_POINTS = 4;

function to0107(document: JsonObject, model: CanedgeModel): StepResult {
  const notes: string[] = [];
  let next = withErrorFrames(document);
  if (has(next, 'rtc', 'ntp_fallback')) next = withMember(next, ['rtc', 'ntp_fallback'], undefined);
  const filters = model.gnss ? GNSS_FILTERS.filter(({ name }) => name !== 'GnssDistance') : ALL_FILTERS;
  const internal: Json = { general: { rx_state: 1, tx_state: 1 }, filter: { id: filters }, control: controlOf(0) };
  next = insertedBefore(next, 'can_1', ['can_internal', internal]);
  for (const [index, channel] of CHANNELS.entries()) {
    if (!has(next, channel)) continue;
    const control = at(next, channel, 'control');
    if (numberAt(control, 'control_rx_state') === 1 || numberAt(control, 'control_tx_state') === 1)
      notes.push(`${channel}.control is replaced by its default: control signals work differently from 01.07 on`);
    next = withMember(next, [channel, 'control'], controlOf(index + 1));
    if (isOldDefault(listAt(next, channel, 'filter', 'id'), index + 1)) next = withMember(next, [channel, 'filter', 'id'], ALL_FILTERS);
  }
  const points = listAt(next, 'connect', 'wifi', 'accesspoint');
  if (points.length > MAX_ACCESS_POINTS) {
    const dropped = points.slice(MAX_ACCESS_POINTS).map((point) => textAt(point, 'ssid') ?? '?');
    notes.push(
      `connect.wifi keeps ${MAX_ACCESS_POINTS} access points: ${dropped.map((name) => JSON.stringify(name)).join(', ')} is dropped`,
    );
    next = withMember(next, ['connect', 'wifi', 'accesspoint'], points.slice(0, MAX_ACCESS_POINTS));
  }
  if (model.gnss && !has(next, 'gnss')) next = withMember(next, ['gnss'], GNSS_DEFAULT);
  return { document: next, notes };
}

/** The two filters by mask with which a channel let everything through. */
function isOldDefault(filters: readonly Json[], channel: number): boolean {
  const [first, second] = filters;
  return (
    filters.length === 2 && textAt(first, 'name') === `Ch${channel}AllStandard` && textAt(second, 'name') === `Ch${channel}AllExtended`
  );
}

/** A new section in its place among the others. */
function insertedBefore(document: JsonObject, neighbour: string, [name, value]: readonly [string, Json]): JsonObject {
  if (Object.hasOwn(document, name)) return document;
  const members = Object.entries(document);
  const index = members.findIndex(([key]) => key === neighbour);
  return Object.fromEntries(members.toSpliced(index < 0 ? members.length : index, 0, [name, value]));
}

function filterOf(
  name: string,
  first: string,
  { last = first, state = 1, extended = false } = {},
): { readonly [key: string]: Json } & { readonly name: string; readonly f1: string } {
  return { name, state, type: 0, id_format: extended ? 1 : 0, method: 0, f1: first, f2: last, prescaler_type: 0 };
}

const ALL_FILTERS = [filterOf('AllStandardID', '0', { last: '7FF' }), filterOf('AllExtendedID', '0', { last: '1FFFFFFF', extended: true })];

/** The names are the vendor's, the third with its three s. */
const GNSS_FILTERS = [
  filterOf('GnssStatus', '65'),
  filterOf('GnssTime', '66'),
  filterOf('GnsssPosition', '67'),
  filterOf('GnssAltitude', '68'),
  filterOf('GnssAttitude', '69'),
  filterOf('GnssDistance', '6A'),
  filterOf('GnssSpeed', '6B'),
  filterOf('GnssGeofence', '6C'),
  filterOf('ImuAlign', '6E'),
  filterOf('ImuAcc', '6F'),
];

const DEDICATED_FILTERS = [
  filterOf('Heartbeat', '2', { state: 0 }),
  filterOf('TimeCalendar', '3', { state: 0 }),
  filterOf('TimeExternal', '5', { state: 0 }),
];

const GNSS_DEFAULT: Json = {
  system: 5,
  invalid_signals: 0,
  alignment: { method: 0, z: 0, y: 0, x: 0 },
  geofence: [],
  dyn_model: 0,
};

function controlOf(channel: number): Json {
  const part = {
    message: { chn: channel, id_format: 0, id: '0', id_mask: '7FF' },
    signal: { type: 0, byteorder: 0, bitpos: 0, length: 0, factor: 0, offset: 0 },
    trigger_high: 0,
    trigger_low: 0,
  };
  return { control_rx_state: 0, control_tx_state: 0, start: part, stop: part };
}

const RESTART_HOURS: Readonly<Record<CanedgeModel['network'], number>> = { none: 0, wifi: 120, cellular: 24 };

function to0108(document: JsonObject, model: CanedgeModel): StepResult {
  let next = document;
  if (!has(next, 'general', 'debug', 'restart_timer'))
    next = withMember(next, ['general', 'debug', 'restart_timer'], RESTART_HOURS[model.network]);
  const filters = listAt(next, 'can_internal', 'filter', 'id');
  if (has(next, 'can_internal', 'filter', 'id')) {
    const fixed = model.gnss
      ? withDistance(filters)
      : filters.map((filter) => (textAt(filter, 'name') === 'AllExtendedID' ? withMember(filter, ['id_format'], 1) : filter));
    next = withMember(next, ['can_internal', 'filter', 'id'], fixed);
  }
  const connect = objectOf(at(next, 'connect'));
  if (connect !== undefined && model.network !== 'none')
    next = withMember(next, ['connect'], insertedBefore(connect, 's3', ['protocol', 0]));
  if (has(next, 'secondaryport', 'power_cycle')) next = withMember(next, ['secondaryport', 'power_cycle'], undefined);
  return silently(next);
}

const DISTANCE_AT = 5;

function withDistance(filters: readonly Json[]): readonly Json[] {
  if (filters.some((filter) => textAt(filter, 'name') === 'GnssDistance')) return filters;
  return filters.toSpliced(DISTANCE_AT, 0, filterOf('GnssDistance', '6A'));
}

function to0109(document: JsonObject, model: CanedgeModel): StepResult {
  const notes: string[] = [];
  const kept = listAt(document, 'can_internal', 'filter', 'id').filter(
    (filter) => !['AllStandardID', 'AllExtendedID'].includes(textAt(filter, 'name') ?? ''),
  );
  const there = new Set(kept.map((filter) => textAt(filter, 'f1')));
  const dedicated = [...DEDICATED_FILTERS, ...(model.gnss ? GNSS_FILTERS : [])].filter(({ f1 }) => !there.has(f1));
  const sorted = [...kept, ...dedicated].toSorted((a, b) => compareFirst(textAt(a, 'f1') ?? '', textAt(b, 'f1') ?? ''));
  const beats = CHANNELS.some((channel) => numberAt(document, channel, 'heartbeat', 'state') === 1);
  const filters = sorted.map((filter) => (beats && textAt(filter, 'name') === 'Heartbeat' ? withMember(filter, ['state'], 1) : filter));
  let next = has(document, 'can_internal')
    ? document
    : insertedBefore(document, 'can_1', [
        'can_internal',
        { general: { rx_state: 1, tx_state: 1 }, filter: { id: [] }, control: controlOf(0) },
      ]);
  next = withMember(next, ['can_internal', 'filter', 'id'], filters);
  for (const channel of CHANNELS) if (has(next, channel, 'heartbeat')) next = withMember(next, [channel, 'heartbeat'], undefined);
  if (beats) notes.push('the heartbeat of a CAN channel became an internal signal, which is not routed to the bus any more');
  return { document: next, notes };
}

function compareFirst(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
