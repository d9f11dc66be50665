import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { configWarnings } from './config-warnings.ts';
import { buildSimConfig } from './sim-schema.ts';

function changed(change: Readonly<Record<string, Json>>, model = 'CANedge2'): Json {
  const base = JSON.parse(JSON.stringify(buildSimConfig('01.09', model))) as { connect: { s3: { server: Record<string, Json> } } };
  const { server = {}, ...rest } = change;
  Object.assign(base.connect.s3.server, server);
  return { ...base, ...rest };
}

const filters = (...states: readonly number[]): Json => ({ filter: { id: states.map((state) => ({ state })) } });

/** docs/protocols/canedge-s3.md §4.2: the device takes it, and loses its link or its data. */
describe('what is warned of', () => {
  it.each<[string, Json, readonly string[]]>([
    ['nothing', changed({}), []],
    [
      'https with port 80',
      changed({ server: { endpoint: 'https://s3.example.org', port: 80 } }),
      ['connect.s3.server: an https endpoint with port 80'],
    ],
    [
      'http with port 443',
      changed({ server: { endpoint: 'http://s3.example.org', port: 443 } }),
      ['connect.s3.server: an http endpoint with port 443'],
    ],
    [
      'an endpoint of AWS that is not written as devices sign it',
      changed({ server: { endpoint: 'https://vehicle-logs.s3.amazonaws.com', port: 443 } }),
      ['connect.s3.server.endpoint: an AWS endpoint is written https://s3.REGION.amazonaws.com'],
    ],
    [
      'an endpoint of AWS in another region',
      changed({ server: { endpoint: 'https://s3.eu-west-2.amazonaws.com', port: 443, region: 'eu-central-1' } }),
      ['connect.s3.server: the endpoint is in eu-west-2, region says otherwise'],
    ],
    ['an endpoint of AWS as it should be', changed({ server: { endpoint: 'https://s3.eu-central-1.amazonaws.com', port: 443 } }), []],
    [
      'a clock that is set off by more than S3 allows',
      changed({ rtc: { adjustment: -401 } }),
      ['rtc.adjustment is -401 s: S3 refuses what is signed with a clock that far off'],
    ],
    ['one that is not', changed({ rtc: { adjustment: 400 } }), []],
    [
      'a channel whose filters are all off',
      changed({ can_1: filters(1, 0), can_2: filters(0, 0) }),
      ['can_2.filter: no filter is enabled, so nothing of that bus is logged'],
    ],
  ])('%s', (_name, document, wanted) => {
    expect(configWarnings(document, 'CANedge2')).toEqual(wanted);
  });

  it('positions that are estimated, where there are any', () => {
    const document = changed({ gnss: { alignment: { method: 1 } } }, 'CANedge3 GNSS');
    expect(configWarnings(document, 'CANedge3 GNSS')).toEqual([
      'gnss.alignment.method is "estimate": the device logs no position meanwhile',
    ]);
    expect(configWarnings(document, 'CANedge2')).toEqual([]);
  });

  it('nothing in what is no config', () => {
    for (const document of [null, [], 'text', 5, { connect: 'x', can_1: [] }] as readonly Json[]) {
      expect(configWarnings(document, 'CANedge2')).toEqual([]);
    }
  });
});
