import { afterEach, describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import { Secret, SECRET_TEXT } from '#kit/secret.ts';
import type { DeclaredItem } from '#model/declared.ts';
import { CanedgeWorld, declaredTruck, ID } from '#test/support/canedge.ts';
import { canedgeFamily } from './family.ts';
import { textAt } from './json.ts';
import { completeFor } from './secrets-config.ts';
import { buildSimConfig } from './sim-schema.ts';
import { keysOf, takenSecrets } from './sim-secrets.ts';

const DEVICE_KEY = Buffer.from('84c7379c26033b905c9e44e9991ef4351b83a534d36c8c29df97d0a801cc8c8b', 'hex');
const KPUB = 'H9kKt/7054OcUzd5jrkJtKiD9ostgC5nrAV6ydN4UGZa9LuQdNgLsIoaFBHqBgGfUbn8dqh9Lncb1uH88tvhBQ==';

let world = new CanedgeWorld();

afterEach(async () => {
  for (const device of world.devices.values()) await world.run(device.powerOff());
  world = new CanedgeWorld();
});

/** The bytes of a config with both secrets, encrypted for a key; `bucket` is what works in the simulated world. */
function encryptedFor(kpub: string, bucket = 'not-a-secret'): Uint8Array {
  const document = JSON.parse(JSON.stringify(buildSimConfig('01.08', 'CANedge2'))) as {
    connect: { wifi: { accesspoint: { pwd: string }[] }; s3: { server: { secretkey: string } } };
  };
  for (const point of document.connect.wifi.accesspoint) point.pwd = SECRET_TEXT;
  document.connect.s3.server.secretkey = SECRET_TEXT;
  const text = (plain: string): Secret => new Secret(new TextEncoder().encode(plain));
  const answer = canedgeFamily.expectation(declaredTruck(), {
    item: 'config',
    artifact: null,
    content: null,
    document,
    firmware: '01.08.05',
    certificates: [],
    secrets: new Map([
      ['/connect/wifi/accesspoint/0/pwd', text('not-a-secret')],
      ['/connect/s3/server/secretkey', text(bucket)],
    ]),
    renderKey: text('a render key of the fleet'),
  });
  if (!answer.ok) throw new Error(answer.error.summary);
  const completed = completeFor(answer.value as unknown as DeclaredItem, { kpub });
  if (!completed.ok || completed.value.content?.kind !== 'bytes') throw new Error('not complete');
  return completed.value.content.bytes;
}

function heartbeat(): Json {
  return JSON.parse(world.text(`${ID}/device.json`) ?? 'null') as Json;
}

async function given(config: Uint8Array): Promise<{ readonly before: string; readonly after: string }> {
  const device = world.add();
  await world.run(device.powerOn());
  await world.clock.advance(20 * MINUTE_MS);
  const before = textAt(heartbeat(), 'cfg_crc32') ?? '';
  world.write(`${ID}/config-01.08.json`, config);
  await world.clock.advance(2 * HOUR_MS);
  return { before, after: textAt(heartbeat(), 'cfg_crc32') ?? '' };
}

describe('a simulated device and its secrets', () => {
  it('has a real key pair, the vector’s when it is given', () => {
    expect(keysOf(ID, DEVICE_KEY).kpub).toBe(KPUB);
    expect(keysOf(ID).kpub).toBe(keysOf(ID.toLowerCase()).kpub);
    expect(keysOf(ID).kpub).not.toBe(keysOf('0A0A0A0A').kpub);
  });

  it('stays in reach with a config that is encrypted to it', async () => {
    const { before, after } = await given(encryptedFor(keysOf(ID).kpub));
    expect(after).not.toBe(before);
  });

  it.each([
    ['a config that is encrypted to another device', () => encryptedFor(keysOf('0A0A0A0A').kpub)],
    ['a wrong password, well encrypted', () => encryptedFor(keysOf(ID).kpub, 'another')],
    [
      'an operator key that is exchanged',
      () =>
        Buffer.from(
          Buffer.from(encryptedFor(keysOf(ID).kpub))
            .toString()
            .replace(/"kpub": "[^"]*"/, `"kpub": "${KPUB}"`),
        ),
    ],
    [
      'a cleared operator key',
      () =>
        Buffer.from(
          Buffer.from(encryptedFor(keysOf(ID).kpub))
            .toString()
            .replace(/"kpub": "[^"]*"/, '"kpub": ""'),
        ),
    ],
    [
      'a flag that says plain over the ciphertext',
      () => {
        const document = JSON.parse(Buffer.from(encryptedFor(keysOf(ID).kpub)).toString()) as {
          connect: { s3: { server: { keyformat: number } } };
        };
        document.connect.s3.server.keyformat = 0;
        return Buffer.from(JSON.stringify(document));
      },
    ],
  ])('goes offline with %s', async (_name, make) => {
    const { before, after } = await given(make());
    // Taken, and never heard of again: the last heartbeat is the one before.
    expect(after).toBe(before);
    expect(world.devices.get(ID)?.truth()['config']).not.toContain(before);
  });

  it('takes garbage for a wrong key, as there is no check of it', () => {
    const document = JSON.parse(Buffer.from(encryptedFor(keysOf('0A0A0A0A').kpub)).toString()) as Json;
    const taken = takenSecrets(document, keysOf(ID)).get('/connect/s3/server/secretkey');
    expect(taken).toHaveLength('not-a-secret'.length);
    expect(taken).not.toBe('not-a-secret');
  });
});
