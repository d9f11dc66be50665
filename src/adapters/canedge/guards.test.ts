import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { connectSummary, type SecretMarks } from './connect.ts';
import {
  changeGuards,
  flipGuards,
  isKey,
  linkSummary,
  ownGuards,
  sealedSecretGuards,
  standing,
  touchesLink,
  withoutFlawsOf,
} from './guards.ts';
import { buildSimConfig } from './sim-schema.ts';

const KEY = 'H9kKt/7054OcUzd5jrkJtKiD9ostgC5nrAV6ydN4UGZa9LuQdNgLsIoaFBHqBgGfUbn8dqh9Lncb1uH88tvhBQ==';
const SEALED = 'AAECAwQFBgcICQoLDA0OD2N3fnegKtjB9XWcvcPFZcAzedp9aQWoVihBOqoRUykRZEI867qX2dQ=';
const WIFI = buildSimConfig('01.09', 'CANedge2');
const CELLULAR = buildSimConfig('01.09', 'CANedge3 GNSS');

function changed(document: Json, path: string, value: Json | undefined): Json {
  const copy = JSON.parse(JSON.stringify(document)) as Record<string, Json>;
  const names = path.split('.');
  const last = names.pop() ?? '';
  let member: Record<string, Json> = copy;
  for (const name of names) member = member[name] as Record<string, Json>;
  if (value === undefined) delete member[last];
  else member[last] = value;
  return copy;
}

/** The same config with its bucket key encrypted for the device. */
function sealed(): Json {
  const flagged = changed(changed(WIFI, 'connect.s3.server.keyformat', 1), 'connect.s3.server.secretkey', SEALED);
  return changed(flagged, 'general.security.kpub', KEY);
}

describe('a config by itself', () => {
  it.each([
    ['F3: never polls', 'CANedge2', changed(WIFI, 'connect.s3.sync.ota', 0), 'ota-off'],
    ['F4: never reports', 'CANedge2', changed(WIFI, 'connect.s3.sync.heartbeat', 0), 'heartbeat-off'],
    ['F2: leaves S3', 'CANedge2', changed(WIFI, 'connect.protocol', 1), 'web-server'],
    ['F2: no endpoint', 'CANedge2', changed(WIFI, 'connect.s3.server.endpoint', undefined), 'endpoint'],
    [
      'F2: an endpoint that the loose pattern lets through',
      'CANedge2',
      changed(WIFI, 'connect.s3.server.endpoint', 'httpss://x'),
      'endpoint',
    ],
    ['F2: an endpoint without a port', 'CANedge2', changed(WIFI, 'connect.s3.server.port', undefined), 'endpoint'],
    ['F2: no connect at all', 'CANedge2', changed(WIFI, 'connect', undefined), 'endpoint'],
    ['F2: no access point', 'CANedge2', changed(WIFI, 'connect.wifi.accesspoint', []), 'access-points'],
    ['F2: a blank APN', 'CANedge3 GNSS', changed(CELLULAR, 'connect.cellular.apn', ' '), 'apn'],
    ['F2: an APN with a space', 'CANedge3 GNSS', changed(CELLULAR, 'connect.cellular.apn', 'iot.example '), 'apn'],
    ['a flag without a key', 'CANedge2', changed(sealed(), 'general.security', {}), null],
    ['a flag with a cleared key', 'CANedge2', changed(sealed(), 'general.security.kpub', ''), null],
    ['a flag with a key of zeros', 'CANedge2', changed(sealed(), 'general.security.kpub', Buffer.alloc(64).toString('base64')), null],
    ['a flag over a plain value', 'CANedge2', changed(sealed(), 'connect.s3.server.secretkey', 'not-a-secret'), null],
    ['a flag over too short a value', 'CANedge2', changed(sealed(), 'connect.s3.server.secretkey', 'QUJD'), null],
  ])('%s', (_name, model, document, code) => {
    const guards = ownGuards(document, model);
    expect(guards.map((guard) => guard.code)).toContain(code);
    expect(standing(guards, code === null ? ['endpoint'] : [code])).toEqual(
      code === null ? guards : guards.filter((guard) => guard.code !== code),
    );
  });

  it.each([
    ['a plain one', 'CANedge2', WIFI],
    ['an encrypted one', 'CANedge2', sealed()],
    ['one over the mobile network', 'CANedge3 GNSS', CELLULAR],
  ])('passes %s', (_name, model, document) => {
    expect(ownGuards(document, model)).toEqual([]);
  });

  it('never says a secret', () => {
    const document = changed(sealed(), 'connect.s3.server.secretkey', 'pässwort');
    expect(JSON.stringify(ownGuards(document, 'CANedge2'))).not.toContain('pässwort');
  });
});

describe('a change', () => {
  const running = linkSummary(WIFI, 'CANedge2');
  it.each([
    ['another endpoint', changed(WIFI, 'connect.s3.server.endpoint', 'http://other.example.org'), ['endpoint']],
    [
      'another bucket and port',
      changed(changed(WIFI, 'connect.s3.server.bucket', 'other'), 'connect.s3.server.port', 81),
      ['endpoint', 'endpoint'],
    ],
    ['all access points gone', changed(WIFI, 'connect.wifi.accesspoint', [{ ssid: 'new', minrssi: 0 }]), ['access-points']],
    [
      'one access point more',
      changed(WIFI, 'connect.wifi.accesspoint', [
        { ssid: 'new', minrssi: 0 },
        { ssid: 'depot', minrssi: 0 },
      ]),
      [],
    ],
    ['another period', changed(WIFI, 'connect.s3.sync.ota', 900), []],
    ['nothing', WIFI, []],
  ])('%s', (_name, document, codes) => {
    expect(changeGuards(running, document).map((guard) => guard.code)).toEqual(codes);
  });

  it('of the APN is held', () => {
    const guards = changeGuards(connectSummary(CELLULAR), changed(CELLULAR, 'connect.cellular.apn', 'other'));
    expect(guards.map((guard) => guard.code)).toEqual(['apn']);
  });

  it('of the flag alone is held, in both directions', () => {
    const unflagged = changed(sealed(), 'connect.s3.server.keyformat', 0);
    expect(changeGuards(connectSummary(sealed()), unflagged)).toMatchObject([
      { code: null, text: expect.stringContaining('/connect/s3/server/secretkey') as string },
    ]);
    expect(flipGuards(sealed(), unflagged)).toHaveLength(1);
    expect(flipGuards(unflagged, sealed())).toHaveLength(1);
    expect(flipGuards(WIFI, sealed())).toEqual([]);
    expect(changeGuards(connectSummary(WIFI), sealed())).toEqual([]);
  });

  describe('of secrets that are encrypted', () => {
    const marks = (...texts: readonly string[]): SecretMarks => ({
      key: 'k',
      marks: Object.fromEntries(texts.map((text) => text.split('=') as [string, string])),
    });
    const [depot, yard, key, pin] = [
      '/connect/wifi/accesspoint/depot/pwd',
      '/connect/wifi/accesspoint/yard/pwd',
      '/connect/s3/server/secretkey',
      '/connect/cellular/pin',
    ];
    const runs = marks(`${depot}=1`, `${yard}=1`, `${key}=1`, `${pin}=1`);
    const both = ['depot', 'yard'];
    it.each<[string, SecretMarks | null, SecretMarks | null, readonly string[], readonly (string | null)[]]>([
      ['the same texts', runs, runs, both, []],
      ['another password of one network', runs, marks(`${depot}=2`, `${yard}=1`), both, []],
      ['other passwords of both', runs, marks(`${depot}=2`, `${yard}=2`), both, ['access-points']],
      ['another password of the one that stays', runs, marks(`${depot}=2`), ['depot', 'new'], ['access-points']],
      ['the password of a network that comes', runs, marks(`${depot}=1`, '/connect/wifi/accesspoint/new/pwd=2'), ['depot', 'new'], []],
      ['another secret key', runs, marks(`${depot}=1`, `${key}=2`), both, ['credentials']],
      ['another PIN', runs, marks(`${pin}=2`), [], ['pin']],
      ['marks under another render key', runs, { ...marks(`${key}=2`), key: 'other' }, both, []],
      ['a device of which none are known', null, marks(`${key}=2`), both, []],
      ['a config that holds none of ours', runs, null, both, []],
    ])('%s', (_name, before, secrets, ssids, codes) => {
      const guards = sealedSecretGuards({ ...running, ssids: both, secrets: before }, { ssids, secrets });
      expect(guards.map(({ code }) => code)).toEqual(codes);
    });
  });

  it('is no worse than what the device runs and reports with', () => {
    const odd = changed(changed(WIFI, 'connect.s3.server.endpoint', undefined), 'connect.wifi.accesspoint', []);
    const meta = changed(odd, 'general.device.meta', 'x');
    expect(withoutFlawsOf(linkSummary(odd, 'CANedge2'), ownGuards(meta, 'CANedge2'))).toEqual([]);
    expect(withoutFlawsOf(running, ownGuards(meta, 'CANedge2'))).toHaveLength(2);
    const deaf = changed(odd, 'connect.s3.sync.ota', 0);
    expect(withoutFlawsOf(linkSummary(deaf, 'CANedge2'), ownGuards(deaf, 'CANedge2')).map((guard) => guard.code)).toEqual(['ota-off']);
  });

  it('touches the link or does not', () => {
    expect(touchesLink(running, changed(WIFI, 'general.device.meta', 'x'))).toBe(false);
    expect(touchesLink(running, changed(WIFI, 'connect.s3.sync.ota', 900))).toBe(true);
    expect(touchesLink(null, WIFI)).toBe(true);
  });

  it('leaves no plain secret in the summary', () => {
    expect(JSON.stringify(linkSummary(WIFI, 'CANedge2'))).not.toContain('not-a-secret');
    expect(JSON.stringify(linkSummary(sealed(), 'CANedge2'))).not.toContain(SEALED);
  });
});

describe('a public key', () => {
  it.each([
    [KEY, true],
    ['', false],
    ['A'.repeat(88), false],
    [KEY.slice(1), false],
    [Buffer.alloc(64).toString('base64'), false],
  ])('%s', (text, good) => {
    expect(isKey(text)).toBe(good);
  });
});
