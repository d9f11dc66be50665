import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#model/shadow.ts';
import { clientTokenOf, readOta, type OtaReport } from './shadow-wire.ts';

const PAGE = readFileSync('docs/protocols/shadow-devices.md', 'utf8');
const URL = 'https://fw.example/a/2.0.zip?attempt=1';

describe('the client token of a board (§3.3)', () => {
  it.each([
    ['logger-07', 'c9ff4fe5'],
    ['esp32_AABBCC', '88713090'],
  ])('of %s is %s', (thing, token) => {
    expect(clientTokenOf(thing)).toBe(token);
    expect(PAGE).toContain(`\`${thing}\` → \`${token}\``);
  });
});

describe('what a board reports of its update (§3.2)', () => {
  it.each<[string, JsonObject, Partial<OtaReport>]>([
    ['nothing', {}, { generation: null, url: null }],
    ['other things', { stats: { ram_total: 1 } }, { generation: null }],
    [
      'flat keys',
      { ota_url: URL, ota_code: -10, ota_message: 'Failed to connect' },
      { generation: 'flat', url: URL, code: -10, message: 'Failed to connect' },
    ],
    [
      'those of the README',
      { ota: { url: URL, code: 1, message: 'ok' } },
      { generation: 'readme', url: URL, code: 1, message: 'ok', status: null },
    ],
    ['a URL alone', { ota: { url: URL } }, { generation: '2018', url: URL }],
    [
      'those of 2018 and later',
      {
        ota: {
          fw_version: '1.0',
          fw_id: '20180716-150324/lsm@23146fe+',
          mac: '5ECF7F060046',
          device_id: 'esp8266_060046',
          app: 'demo-js',
          arch: 'esp8266',
          message: 'idle',
          status: 0,
          is_committed: true,
          commit_timeout: 600,
          partition: 0,
          progress_percent: 100,
        },
      },
      {
        generation: '2018',
        fwVersion: '1.0',
        fwId: '20180716-150324/lsm@23146fe+',
        mac: '5ECF7F060046',
        deviceId: 'esp8266_060046',
        app: 'demo-js',
        arch: 'esp8266',
        message: 'idle',
        status: 'idle',
        isCommitted: true,
        commitTimeout: 600,
        partition: 0,
        progressPercent: 100,
      },
    ],
    ['the rest of an error', { ota: { status: 2, message: 'Wrong platform' } }, { status: 'error', message: 'Wrong platform' }],
  ])('is read from %s', (_what, reported, expected) => {
    expect(readOta(reported)).toMatchObject({ ...expected, problems: [] });
  });

  it.each<[string, JsonObject, string]>([
    ['a list for the whole', { ota: [1] }, 'ota is no object'],
    ['a number for a version', { ota: { fw_version: 2 } }, 'ota.fw_version is no text'],
    ['a version without end', { ota: { fw_version: 'x'.repeat(300) } }, 'ota.fw_version has 300 characters'],
    ['control characters', { ota: { fw_id: 'a\nb' } }, 'ota.fw_id has control characters'],
    ['a text for the truth', { ota: { is_committed: 'yes' } }, 'ota.is_committed is neither true nor false'],
    ['another status', { ota: { status: 7 } }, 'ota.status is none of 0 to 3'],
    ['half a partition', { ota: { partition: 0.5 } }, 'ota.partition is no whole number'],
    ['less than no time', { ota: { commit_timeout: -1 } }, 'ota.commit_timeout is below zero'],
    ['a flat number', { ota_url: 7 }, 'ota_url is no text'],
  ])('has a problem with %s', (_what, reported, problem) => {
    expect(readOta(reported).problems).toEqual([problem]);
  });

  it('takes nothing from what every object has', () => {
    expect(readOta(JSON.parse('{"ota":{"__proto__":{"fw_version":"9"}}}') as JsonObject).fwVersion).toBe(null);
  });

  it('takes whatever is reported: texts are short and clean, the rest is a problem', () => {
    const names = [
      'url',
      'fw_version',
      'fw_id',
      'status',
      'is_committed',
      'partition',
      'message',
      'code',
      'commit_timeout',
      'progress_percent',
    ];
    const ota = fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 2 }));
    fc.assert(
      fc.property(
        fc.oneof(fc.record({ ota }), fc.dictionary(fc.constantFrom('ota_url', 'ota_code', 'ota_message', 'ota'), fc.jsonValue())),
        (some) => {
          const { problems, ...read } = readOta(some);
          const said = Object.values((some as { readonly ota?: object }).ota ?? {}).filter((value) => value !== null).length;
          const known = Object.entries(read).filter(([name, value]) => value !== null && name !== 'generation').length;
          if (typeof some['ota'] === 'object' && some['ota'] !== null && !Array.isArray(some['ota']))
            expect(known + problems.length).toBeLessThanOrEqual(said);
          for (const value of Object.values(read)) if (typeof value === 'string') expect(value).toMatch(/^[^\p{Cc}]{0,2048}$/u);
        },
      ),
    );
  });
});
