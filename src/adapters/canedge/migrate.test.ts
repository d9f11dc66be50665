import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { defaultConfigs } from '#test/support/canedge-configs.ts';
import { at } from './json.ts';
import { migrateConfig } from './migrate.ts';

function migrated(document: Json, from: string, to: string, model = 'CANedge2'): Json {
  const answer = migrateConfig(document, { from, to, model });
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value.document;
}

function notes(document: Json, from: string, to: string): readonly string[] {
  const answer = migrateConfig(document, { from, to, model: 'CANedge2' });
  return answer.ok ? answer.value.notes : [];
}

describe('single steps (docs/protocols/canedge-s3.md §4.3)', () => {
  const rows: readonly (readonly [string, string, string, Json, readonly string[], Json])[] = [
    ['power off becomes an empty schedule', '00.06', '00.07', { secondaryport: { power: 0 } }, ['secondaryport'], { power_schedule: [] }],
    [
      'power on becomes one entry',
      '00.06',
      '00.07',
      { secondaryport: { power: 1 } },
      ['secondaryport', 'power_schedule'],
      [{ from: '00:00', to: '00:00' }],
    ],
    ['LIN is added', '00.06', '00.07', {}, ['lin_2'], { phy: { mode: 0, bit_rate: 19200 } }],
    ['CAN gets a general section', '00.06', '00.07', { can_1: { phy: 1 } }, ['can_1', 'general'], { rx_state: 1, tx_state: 1 }],
    [
      'log moves to log.file',
      '00.07',
      '01.01',
      { log: { split_size: 10 } },
      ['log'],
      { file: { split_size: 10 }, compression: { level: 0 }, encryption: { state: 0 } },
    ],
    [
      'a server with an endpoint signs no payload',
      '00.07',
      '01.01',
      { connect: { s3: { server: { endpoint: 'http://a' } } } },
      ['connect', 's3', 'server', 'signed_payload'],
      0,
    ],
    ['no prescaler', '01.01', '01.02', { can_1: { filter: [{ name: 'a' }] } }, ['can_1', 'filter'], [{ name: 'a', prescaler_type: 0 }]],
    ['a prescaler of 1', '01.01', '01.02', { can_1: { filter: [{ prescaler: 1 }] } }, ['can_1', 'filter'], [{ prescaler_type: 0 }]],
    [
      'a prescaler of 5',
      '01.01',
      '01.02',
      { can_2: { filter: [{ prescaler: 5 }] } },
      ['can_2', 'filter'],
      [{ prescaler_type: 1, prescaler_value: 5 }],
    ],
    [
      'request style',
      '01.02',
      '01.03',
      { connect: { s3: { server: { endpoint: 'http://a' } } } },
      ['connect', 's3', 'server', 'request_style'],
      0,
    ],
    [
      'filters move into an object',
      '01.03',
      '01.04',
      { can_1: { filter: [{ name: 'a' }] } },
      ['can_1', 'filter'],
      { remote_frames: 0, id: [{ name: 'a' }] },
    ],
    ['error frames', '01.03', '01.04', { log: { file: {} } }, ['log'], { file: {}, error_frames: { state: 0 } }],
    ['LIN is required', '01.03', '01.04', {}, ['lin_1'], { phy: { mode: 0, bit_rate: 19200 } }],
    ['error frames are reset', '01.04', '01.06', { log: { error_frames: { state: 1 } } }, ['log', 'error_frames', 'state'], 0],
    ['ntp_fallback goes', '01.06', '01.07', { rtc: { sync: 2, ntp_fallback: 0 } }, ['rtc'], { sync: 2 }],
    [
      'own filters stay',
      '01.06',
      '01.07',
      { can_1: { filter: { id: [{ name: 'mine' }] } } },
      ['can_1', 'filter', 'id'],
      [{ name: 'mine' }],
    ],
    ['restart timer', '01.07', '01.08', { general: { debug: { syslog: 2 } } }, ['general', 'debug'], { syslog: 2, restart_timer: 120 }],
    [
      'a restart timer that is set stays',
      '01.07',
      '01.08',
      { general: { debug: { restart_timer: 3 } } },
      ['general', 'debug', 'restart_timer'],
      3,
    ],
    ['protocol before s3', '01.07', '01.08', { connect: { wifi: {}, s3: {} } }, ['connect'], { wifi: {}, protocol: 0, s3: {} }],
    [
      'the temporary power cycle goes',
      '01.07',
      '01.08',
      { secondaryport: { power_schedule: [], power_cycle: 1 } },
      ['secondaryport'],
      { power_schedule: [] },
    ],
    ['the heartbeat of a channel goes', '01.08', '01.09', { can_1: { heartbeat: { state: 0 } } }, ['can_1'], {}],
  ];

  it.each(rows)('%s', (_name, from, to, document, path, wanted) => {
    expect(at(migrated(document, from, to), ...path)).toEqual(wanted);
  });

  it('turns the default filters by mask into ranges, per channel', () => {
    const filters = [{ name: 'Ch2AllStandard' }, { name: 'Ch2AllExtended' }];
    const after = migrated({ can_1: { filter: { id: filters } }, can_2: { filter: { id: filters } } }, '01.06', '01.07');
    expect(at(after, 'can_1', 'filter', 'id')).toEqual(filters);
    expect(at(after, 'can_2', 'filter', 'id')).toMatchObject([
      { f1: '0', f2: '7FF' },
      { f1: '0', f2: '1FFFFFFF', id_format: 1 },
    ]);
  });

  it('keeps four access points and names the one that goes', () => {
    const points = ['a', 'b', 'c', 'd', 'e'].map((ssid) => ({ ssid }));
    const before = { connect: { wifi: { accesspoint: points } } };
    expect(at(migrated(before, '01.06', '01.07'), 'connect', 'wifi', 'accesspoint')).toEqual(points.slice(0, 4));
    expect(notes(before, '01.06', '01.07')).toEqual(['01.06 to 01.07: connect.wifi keeps 4 access points: "e" is dropped']);
  });

  it('says that control signals which were used are not carried over, and is silent about unused ones', () => {
    expect(notes({ can_1: { control: { control_tx_state: 1 } } }, '01.06', '01.07')).toHaveLength(1);
    expect(notes({ can_1: { control: { control_tx_state: 0 } } }, '01.06', '01.07')).toEqual([]);
  });

  it('enables the internal heartbeat where a channel had one', () => {
    const after = migrated({ can_2: { heartbeat: { state: 1 } }, can_internal: { filter: { id: [] } } }, '01.08', '01.09');
    expect(at(after, 'can_internal', 'filter', 'id')).toMatchObject([
      { name: 'Heartbeat', f1: '2', state: 1 },
      { f1: '3', state: 0 },
      { f1: '5', state: 0 },
    ]);
  });

  it('leaves a filter alone that already listens to a dedicated id', () => {
    const own = { name: 'mine', f1: '3', state: 1 };
    const after = migrated({ can_internal: { filter: { id: [own] } } }, '01.08', '01.09');
    expect(at(after, 'can_internal', 'filter', 'id')).toMatchObject([{ f1: '2' }, own, { f1: '5' }]);
  });

  it('sets the restart timer and the distance filter by the model', () => {
    const internal = { can_internal: { filter: { id: [] } } };
    expect(at(migrated({}, '01.07', '01.08', 'CANedge3 GNSS'), 'general', 'debug', 'restart_timer')).toBe(24);
    expect(at(migrated(internal, '01.07', '01.08', 'CANedge2 GNSS'), 'can_internal', 'filter', 'id')).toMatchObject([
      { name: 'GnssDistance', f1: '6A' },
    ]);
    expect(at(migrated(internal, '01.07', '01.08'), 'can_internal', 'filter', 'id')).toEqual([]);
  });
});

describe('several steps', () => {
  it('equal the steps one after the other', () => {
    const early = defaultConfigs().find(({ series }) => series === '01.06')?.config ?? null;
    const stepwise = migrated(migrated(migrated(early, '01.06', '01.07'), '01.07', '01.08'), '01.08', '01.09');
    expect(migrated(early, '01.06', '01.09')).toEqual(stepwise);
  });

  it('lead from the oldest published series to the newest, without touching what they were given', () => {
    const oldest: Json = {
      general: {},
      log: { split_size: 5 },
      secondaryport: { power: 1 },
      can_1: { filter: [{ prescaler: 3 }] },
      can_2: {},
    };
    const frozen = JSON.stringify(oldest);
    const newest = migrated(oldest, '00.06', '01.09');
    expect(at(newest, 'can_1', 'filter', 'id')).toEqual([{ prescaler_type: 1, prescaler_value: 3 }]);
    expect(at(newest, 'log', 'file', 'split_size')).toBe(5);
    expect(JSON.stringify(oldest)).toBe(frozen);
  });

  it('change nothing within a series', () => {
    const document = { general: {} };
    expect(migrated(document, '01.08', '01.08')).toBe(document);
  });
});

describe('what is not migrated', () => {
  it.each([
    ['01.09', '01.08', 'MIGRATION_BACKWARDS'],
    ['01.05', '01.09', 'MIGRATION_UNKNOWN'],
    ['01.09', '01.10', 'MIGRATION_UNKNOWN'],
    ['01.06', '01.065', 'MIGRATION_UNKNOWN'],
  ])('%s to %s', (from, to, code) => {
    expect(migrateConfig({}, { from, to, model: 'CANedge2' })).toMatchObject({ ok: false, error: { code } });
  });

  it('what is no object, and a model that nobody knows', () => {
    expect(migrateConfig([], { from: '01.08', to: '01.09', model: 'CANedge2' })).toMatchObject({
      error: { code: 'MIGRATION_NOT_AN_OBJECT' },
    });
    expect(migrateConfig({}, { from: '01.08', to: '01.09', model: 'CANedge9' })).toMatchObject({ error: { code: 'MIGRATION_MODEL' } });
  });

  it('takes any shape where sections should be, and never throws', () => {
    for (const odd of [null, 7, 'x', [], [[]], { filter: 3 }, { filter: { id: 'no' } }] as readonly Json[]) {
      const document = { general: odd, log: odd, rtc: odd, can_internal: odd, can_1: odd, can_2: odd, connect: odd, secondaryport: odd };
      expect(migrateConfig(document, { from: '00.06', to: '01.09', model: 'CANedge2 GNSS' }).ok).toBe(true);
    }
  });
});
