import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { Secret, SECRET_TEXT } from '#kit/secret.ts';
import type { DeclaredItem } from '#model/declared.ts';
import { emptyReport, type ReportedDevice } from '#model/reported.ts';
import type { PinnedItem } from '#ports/family.ts';
import { declaredTruck, ID } from '#test/support/canedge.ts';
import { canedgeFamily } from './family.ts';
import { at, parseJson, textAt } from './json.ts';
import { redactedConfig } from './secrets-fields.ts';
import { buildSimConfig } from './sim-schema.ts';
import { keysOf, takenSecrets } from './sim-secrets.ts';

const WIFI = '/connect/wifi/accesspoint/0/pwd';
const KEY = '/connect/s3/server/secretkey';
const PLAIN = { [WIFI]: 'plain-of-the-wifi', [KEY]: 'plain-of-the-bucket' };
const RENDER = new Secret(new TextEncoder().encode('0123456789abcdef'));
const keys = keysOf(ID);
const device = declaredTruck();

const secret = (text: string): Secret => new Secret(new TextEncoder().encode(text));

function withTexts(document: Json, texts: Readonly<Record<string, Json>>): Json {
  const copy = JSON.parse(JSON.stringify(document)) as Record<string, Json>;
  for (const [pointer, value] of Object.entries(texts)) {
    const names = pointer.slice(1).split('/');
    const last = names.pop() ?? '';
    let member: Record<string, Json> = copy;
    for (const name of names) member = member[name] as Record<string, Json>;
    member[last] = value;
  }
  return copy;
}

function pinOf(secrets: Readonly<Record<string, string>> = PLAIN, change: Partial<PinnedItem> = {}): PinnedItem {
  const marks = Object.fromEntries(Object.keys(secrets).map((pointer) => [pointer, SECRET_TEXT]));
  return {
    item: 'config',
    artifact: null,
    content: null,
    document: withTexts(buildSimConfig('01.09', 'CANedge2'), marks),
    firmware: '01.09.03',
    certificates: [],
    secrets: new Map(Object.entries(secrets).map(([pointer, text]) => [pointer, secret(text)])),
    renderKey: RENDER,
    ...change,
  };
}

function expectation(pin: PinnedItem) {
  return canedgeFamily.expectation({ ...device, id: device.id }, pin);
}

function itemOf(pin = pinOf()): DeclaredItem {
  const answer = expectation(pin);
  if (!answer.ok) throw new Error(`${answer.error.code} ${answer.error.summary}`);
  const place = { file: 'groups/vans.yaml', line: 1, column: 1 };
  const needs = { firmware: null, neverBelow: null };
  return { item: 'config', place, artifact: null, part: 'config layers', needs, drift: 'correct', ...answer.value };
}

function reporting(kpub: string): ReportedDevice {
  const file = { id: ID, type: '0000001F', firmware: '01.09.03', series: '01.09', kpub };
  return { ...emptyReport(device.id), serial: ID, memo: { file } };
}

function complete(
  item: DeclaredItem,
  context: { readonly kpub?: string; readonly pinned?: Json; readonly options?: Readonly<Record<string, Json>> } = {},
) {
  return canedgeFamily.complete?.(item, {
    device: { ...device, options: context.options ?? {} },
    reported: context.kpub === '' ? undefined : reporting(context.kpub ?? keys.kpub),
    pinned: context.pinned ?? null,
  });
}

function completed(item: DeclaredItem, kpub = keys.kpub): DeclaredItem {
  const answer = complete(item, { kpub });
  if (answer?.ok !== true) throw new Error(answer?.error.evidence);
  return answer.value;
}

function documentOf(item: DeclaredItem): Json {
  return (item.content?.kind === 'bytes' ? parseJson(item.content.bytes) : undefined) ?? null;
}

describe('a config with secrets', () => {
  it('is not known before the device has told its key, and shows no secret', () => {
    const item = itemOf();
    expect(item.content).toBeNull();
    expect(item.secret).toBeDefined();
    for (const shown of [JSON.stringify(item), inspect(item, { depth: 9, showHidden: true })]) {
      for (const text of [...Object.values(PLAIN), '0123456789abcdef']) expect(shown).not.toContain(text);
    }
  });

  it('is rendered to the device: it reads the plain texts, and its flags and the operator’s key are set', () => {
    const document = documentOf(completed(itemOf()));
    expect(takenSecrets(document, keys)).toEqual(
      new Map([
        ['/connect/wifi/accesspoint/depot/pwd', PLAIN[WIFI]],
        [KEY, PLAIN[KEY]],
      ]),
    );
    expect(document).toMatchObject({ connect: { wifi: { keyformat: 1 }, s3: { server: { keyformat: 1 } } } });
    expect(textAt(document, 'general', 'security', 'kpub')).toHaveLength(88);
    expect(JSON.stringify(document)).not.toContain('plain-of');
    expect(takenSecrets(document, keysOf('0A0A0A0A')).get(KEY)).not.toBe(PLAIN[KEY]);
  });

  it('has no guard against it, and says to whom it is encrypted', () => {
    expect(completed(itemOf()).facts).toMatchObject({ guards: [], kpub: keys.kpub, series: '01.09' });
    expect(completed(itemOf()).secret).toBeUndefined();
  });

  it('is the same bytes each time, and others for another text, place, key of the fleet, hardware or device key', () => {
    const first = completed(itemOf());
    expect(completed(itemOf()).content?.digest).toBe(first.content?.digest);
    const others = [
      completed(itemOf(pinOf({ ...PLAIN, [WIFI]: 'another-password' }))),
      completed(itemOf(pinOf(PLAIN, { renderKey: secret('fedcba9876543210') }))),
      completed(itemOf(), keysOf('0A0A0A0A').kpub),
    ];
    expect(new Set([first, ...others].map(({ content }) => content?.digest)).size).toBe(4);
    // Another text anywhere makes another operator key: no field keeps its ciphertext.
    const [before, after] = [documentOf(first), documentOf(others[0] ?? first)];
    expect(textAt(after, 'connect', 's3', 'server', 'secretkey')).not.toBe(textAt(before, 'connect', 's3', 'server', 'secretkey'));
  });

  it('encrypts an empty password that shares the flag of another', () => {
    const points = [
      { ssid: 'depot', pwd: SECRET_TEXT, minrssi: 0 },
      { ssid: 'open', pwd: '', minrssi: 0 },
    ];
    const document = withTexts(pinOf().document, { '/connect/wifi/accesspoint': points });
    const taken = takenSecrets(documentOf(completed(itemOf(pinOf(PLAIN, { document })))), keys);
    expect(taken.get('/connect/wifi/accesspoint/open/pwd')).toBe('');
    expect(taken.get('/connect/wifi/accesspoint/depot/pwd')).toBe(PLAIN[WIFI]);
  });

  it('marks the secrets that keep it connected: by their texts and places, and for whoever has the render key alone', () => {
    const marksOf = (item: DeclaredItem): Json => at(completed(item).facts, 'secrets') ?? null;
    const first = marksOf(itemOf());
    expect(first).toMatchObject({
      marks: { '/connect/wifi/accesspoint/depot/pwd': expect.any(String) as string, [KEY]: expect.any(String) as string },
    });
    expect(marksOf(itemOf())).toEqual(first);
    const [wifi, bucket] = ['/connect/wifi/accesspoint/depot/pwd', KEY];
    const other = marksOf(itemOf(pinOf({ ...PLAIN, [WIFI]: 'another-password' })));
    expect(at(other, 'marks', wifi)).not.toBe(at(first, 'marks', wifi));
    expect(at(other, 'marks', bucket)).toBe(at(first, 'marks', bucket));
    // Equal texts in two places look different, and so does all under another render key.
    const same = marksOf(itemOf(pinOf({ [WIFI]: 'one-text', [KEY]: 'one-text' })));
    expect(at(same, 'marks', wifi)).not.toBe(at(same, 'marks', bucket));
    const elsewhere = marksOf(itemOf(pinOf(PLAIN, { renderKey: secret('fedcba9876543210') })));
    for (const path of [['key'], ['marks', wifi], ['marks', bucket]]) expect(at(elsewhere, ...path)).not.toBe(at(first, ...path));
  });

  it('tells two declarations apart before they are complete', () => {
    const values = [
      itemOf(),
      itemOf(pinOf({ ...PLAIN, [WIFI]: 'another-password' })),
      itemOf(pinOf(PLAIN, { document: withTexts(pinOf().document, { '/general/device/meta': 'x' }) })),
    ];
    expect(new Set(values.map(({ value }) => value)).size).toBe(3);
    expect(itemOf().value).toBe(values[0]?.value);
  });
});

describe('what keeps it from being rendered', () => {
  it.each([
    ['a place that is never encrypted', pinOf({ ...PLAIN, '/general/device/meta': 'x' }), 'SECRET_MISPLACED'],
    ['33 bytes of a WiFi password', pinOf({ ...PLAIN, [WIFI]: 'x'.repeat(33) }), 'SECRET_TOO_LONG'],
    ['96 bytes of a secret key', pinOf({ ...PLAIN, [KEY]: 'x'.repeat(96) }), 'SECRET_TOO_LONG'],
    ['an empty secret key', pinOf({ ...PLAIN, [KEY]: '\n' }), 'SECRET_TOO_SHORT'],
    ['a letter that is no ASCII', pinOf({ ...PLAIN, [WIFI]: 'grün' }), 'SECRET_NOT_ASCII'],
    ['a line end within', pinOf({ ...PLAIN, [WIFI]: 'a\nb' }), 'SECRET_NOT_ASCII'],
    ['a plain key beside it', pinOf({ [WIFI]: 'x' }), 'SECRETS_MIXED'],
    [
      'a key encrypted by hand beside it',
      pinOf({ [WIFI]: 'x' }, { document: withTexts(pinOf().document, { '/connect/s3/server/keyformat': 1 }) }),
      'SECRETS_MIXED',
    ],
    ['no render key', pinOf(PLAIN, { renderKey: null }), 'RENDER_KEY_MISSING'],
    ['a render key that can be guessed', pinOf(PLAIN, { renderKey: secret('short') }), 'RENDER_KEY_SHORT'],
  ])('%s', (_name, pin, code) => {
    const answer = expectation(pin);
    expect(answer).toMatchObject({ ok: false, error: { code } });
    expect(JSON.stringify(answer)).not.toContain('plain-of');
  });

  it.each([
    ['32 bytes of a WiFi password', { ...PLAIN, [WIFI]: 'x'.repeat(32) }],
    ['95 bytes of a secret key', { ...PLAIN, [KEY]: 'x'.repeat(95) }],
  ])('not %s', (_name, secrets) => {
    expect(expectation(pinOf(secrets)).ok).toBe(true);
  });

  const PWD = '/log/encryption/pwd';
  const PIN = '/connect/cellular/pin';
  const PAGE = '/connect/webserver/password';
  it.each<[string, string, string, string | null]>([
    ['64 bytes of a log password', PWD, 'x'.repeat(64), null],
    ['65 bytes of a log password, whose ciphertext would be as long', PWD, 'x'.repeat(65), 'SECRET_TOO_LONG'],
    ['32 bytes of a web password', PAGE, 'x'.repeat(32), null],
    ['33 bytes of a web password', PAGE, 'x'.repeat(33), 'SECRET_TOO_LONG'],
    ['a PIN of 8 digits', PIN, '12345678', null],
    ['a PIN of 9 digits', PIN, '123456789', 'SECRET_TOO_LONG'],
    ['a PIN of 4 digits', PIN, '1234', null],
    ['an empty PIN, which cannot be encrypted', PIN, '', 'SECRET_TOO_SHORT'],
  ])('at the edge of a field: %s', (_name, pointer, text, code) => {
    const [, section = '', name = '', member = ''] = pointer.split('/');
    const document = { general: { security: {} }, [section]: { [name]: { [member]: SECRET_TEXT } } };
    const answer = expectation(pinOf({}, { document, secrets: new Map([[pointer, secret(text)]]) }));
    expect(answer.ok ? null : answer.error.code).toBe(code);
  });

  it.each([
    ['no report', '', null, 'NEVER_REPORTED'],
    ['a key of zeros', Buffer.alloc(64).toString('base64'), null, 'UNSUPPORTED'],
    ['a key off the curve', Buffer.alloc(64, 7).toString('base64'), null, 'UNSUPPORTED'],
    ['a key that is none', 'x', null, 'UNSUPPORTED'],
    ['another key than the pinned one', keysOf('an attacker').kpub, { kpub: keys.kpub }, 'IDENTITY_MISMATCH'],
  ])('%s: held', (_name, kpub, pinned, reason) => {
    const answer = complete(itemOf(), { kpub, pinned });
    expect(answer).toMatchObject({ ok: false, error: { reason } });
    if (reason === 'IDENTITY_MISMATCH' && answer?.ok === false) expect(answer.error.evidence).toContain('ALARM');
  });

  it('a declared key outweighs the pinned one, and must be the reported one', () => {
    const other = keysOf('0A0A0A0A').kpub;
    expect(complete(itemOf(), { kpub: other, pinned: { kpub: keys.kpub }, options: { kpub: other } })?.ok).toBe(true);
    expect(complete(itemOf(), { options: { kpub: other } })).toMatchObject({ ok: false, error: { reason: 'IDENTITY_MISMATCH' } });
  });

  it('a declared key that is no point of the curve is a mistake of the fleet repo', () => {
    const kpub = Buffer.alloc(64, 7).toString('base64');
    expect(canedgeFamily.lint({ ...device, options: { kpub } }).map(({ code }) => code)).toEqual(['CANEDGE_KPUB']);
  });
});

describe('the pin', () => {
  const pin = canedgeFamily.pin;

  it('is the key that is reported first, and only one that is a key', () => {
    expect(pin?.of(reporting(keys.kpub))).toEqual({ kpub: keys.kpub });
    for (const kpub of ['', 'x', Buffer.alloc(64).toString('base64')]) expect(pin?.of(reporting(kpub))).toBeNull();
    expect(pin?.of(emptyReport(device.id))).toBeNull();
  });

  it.each([
    ['the same key', keys.kpub, {}, false],
    ['another key', keysOf('an attacker').kpub, {}, true],
    ['another key that is declared', keysOf('an attacker').kpub, { kpub: keysOf('an attacker').kpub }, false],
  ])('%s', (_name, kpub, options, alarmed) => {
    const alarm = pin?.contradiction({ kpub: keys.kpub }, reporting(kpub), { ...device, options });
    expect(alarm !== null).toBe(alarmed);
    if (alarmed) expect(alarm).toContain('ALARM');
  });
});

describe('a config that is shown', () => {
  it('hides every protected value, encrypted or not', () => {
    const plain = buildSimConfig('01.09', 'CANedge2');
    for (const document of [plain, documentOf(completed(itemOf()))]) {
      const shown = redactedConfig(document);
      expect(shown).toMatchObject({
        connect: { wifi: { accesspoint: [{ ssid: 'depot', pwd: SECRET_TEXT }] }, s3: { server: { secretkey: SECRET_TEXT } } },
      });
    }
    expect(JSON.stringify(redactedConfig(plain))).not.toContain('not-a-secret');
  });

  it('keeps an empty value empty, and leaves the rest as it is', () => {
    const document = withTexts(buildSimConfig('01.09', 'CANedge3 GNSS'), { [KEY]: '' });
    expect(redactedConfig(document)).toEqual(document);
  });
});
