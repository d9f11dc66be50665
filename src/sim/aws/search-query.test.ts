import { describe, expect, it } from 'vitest';
import { AwsError } from './errors.ts';
import { matchesQuery, readQuery } from './search-query.ts';

const LOGGER = {
  thingName: 'CR300-7',
  thingGroupNames: ['wave1', 'moor'],
  attributes: { model: 'CR300', site: 'north moor', 'fw.line': 'a' },
  connectivity: { connected: true, timestamp: 1_767_225_600_000 },
  shadow: {
    name: {
      fleet: { hasDelta: true, reported: { os: 'CR300.Std.10.06', prog: { sig: '1f0a' }, batt: 12.6, tables: ['Daily', 'Hourly'] } },
    },
  },
};

describe('queries of fleet indexing', () => {
  it.each([
    ['*', true],
    ['thingName:CR300-7', true],
    ['thingName:cr300-7', true],
    ['thingname:CR300-7', false],
    ['thingName:CR3*', true],
    ['thingName:CR?00-7', true],
    ['thingName:CR?00', false],
    ['thingName:C*0-*', true],
    ['thingName:C?????-7', false],
    ['attributes.site:"a*b*c*d*"', false],
    ['CR300', true],
    ['CR6', false],
    ['shadow.name.fleet.hasDelta:true AND connectivity.connected:true', true],
    ['shadow.name.fleet.hasDelta:true connectivity.connected:false', false],
    ['attributes.model:CR300 AND NOT shadow.name.fleet.reported.os:"CR300.Std.11.00"', true],
    ['attributes.model:CR300 AND NOT shadow.name.fleet.reported.os:"CR300.Std.10.06"', false],
    ['attributes.model:CR300 -shadow.name.fleet.reported.os:CR300.Std.10.06', false],
    ['thingGroupNames:wave1 AND connectivity.connected:false', false],
    ['thingGroupNames:moor', true],
    ['attributes.site:"north moor"', true],
    ['attributes.site:"north*"', false],
    [String.raw`attributes.site:north\ moor`, true],
    ['attributes.fw.line:a', true],
    ['shadow.name.fleet.reported.batt:[12 TO 13]', true],
    ['shadow.name.fleet.reported.batt:{12.6 TO 13]', false],
    ['shadow.name.fleet.reported.batt:[* TO 12.6]', true],
    ['shadow.name.fleet.reported.batt<13', false],
    ['shadow.name.fleet.reported.batt:<13', true],
    ['shadow.name.fleet.reported.batt:>=12.6', true],
    ['shadow.name.fleet.reported.batt:>12.6', false],
    ['shadow.name.fleet.reported.tables:Hourly', true],
    ['shadow.name.fleet.reported.prog:1f0a', false],
    ['(attributes.model:CR6 OR attributes.model:CR300) AND thingGroupNames:moor', true],
    ['attributes.model:CR6 OR attributes.model:CR300 AND thingGroupNames:none', false],
    ['NOT (attributes.model:CR6 OR thingGroupNames:wave2)', true],
    ['shadow.name.fleet.reported.missing:x', false],
    ['NOT shadow.name.fleet.reported.missing:x', true],
  ])('%s: %s', (query, expected) => {
    expect(matchesQuery(readQuery(query), LOGGER)).toBe(expected);
  });

  it.each([
    '',
    '   ',
    'AND',
    'a AND',
    'a OR',
    '(a',
    'a)',
    'NOT',
    '*x',
    'a:?x',
    'a:x*y*z*',
    'a:x??????',
    '"open',
    `a:${'x'.repeat(1000)}`,
    Array.from({ length: 13 }, () => 'a').join(' '),
  ])('refuses %s', (query) => {
    expect(() => readQuery(query)).toThrow(AwsError);
  });

  it('takes 12 terms and 1000 bytes', () => {
    expect(matchesQuery(readQuery(Array.from({ length: 12 }, () => 'CR300').join(' ')), LOGGER)).toBe(true);
    expect(matchesQuery(readQuery(`thingName:${'é'.repeat(495)}`), LOGGER)).toBe(false);
  });
});
