import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { JsonObject } from '#model/shadow.ts';
import { WireError } from '#ports/wire-error.ts';
import type { HttpAnswer } from '#ports/wires.ts';
import { BOARD, BUNDLE, bundleOf, onBench, SERVED, type MongooseBench } from '#test/support/mongoose-bench.ts';

const OLD = '1.0 20260101-120000';
const NEW = '2.0 20261101-120000';
const TRIED = `${NEW} (on trial)`;
const URL = `${SERVED}?attempt=1`;
const SMALL = bundleOf();

/** A call of OTA.Update, until it is over and the board is back. */
async function update(bench: MongooseBench, params: JsonObject = { url: URL, commit_timeout: 300 }, waitMs = 30 * SECOND_MS) {
  return (await bench.call('OTA.Update', params, waitMs)).map(({ body }) => outcome(body));
}

/** `result` or `error` of a reply. */
function outcome(body: unknown): unknown {
  const { result, error } = body as JsonObject;
  return error ?? result;
}

async function said(bench: MongooseBench, method: string, params: JsonObject = {}): Promise<unknown> {
  return outcome((await bench.call(method, params))[0]?.body);
}

function kinds({ board }: MongooseBench): readonly string[] {
  return board.effects.map(({ kind, detail }) => `${kind} ${detail}`.replace(`download ${SERVED}`, 'download'));
}

describe('a download (§3.4, §3.5)', () => {
  const page = (status: number, headers: Readonly<Record<string, string>> = { 'content-length': '0' }): HttpAnswer => ({
    status,
    headers,
    bytes: new Uint8Array(),
  });
  const cut = BUNDLE.slice(0, 100_000);
  const spoilt = SMALL.map((byte, index) => (index === SMALL.indexOf('f'.charCodeAt(0), 600) ? byte ^ 1 : byte));

  it.each<readonly [string, Uint8Array | HttpAnswer | WireError, number, string]>([
    ['another platform', bundleOf({ platform: 'esp8266' }), -1, 'Wrong platform'],
    ['a login page', new TextEncoder().encode('<!DOCTYPE html>'), -1, 'Malformed archive (invalid file header)'],
    ['no version', bundleOf({ manifest: { version: undefined } }), -1, 'Required manifest field missing'],
    ['404', page(404), -1, 'Invalid HTTP response code'],
    ['500', page(500), -1, 'Invalid HTTP response code'],
    ['no length', page(200, {}), -1, 'Invalid content-length, perhaps chunked-encoding'],
    ['nobody', new WireError('ECONNREFUSED', 'later', 'nobody'), -1, 'Failed to connect'],
    ['a cut', new WireError('ECONNRESET', 'later', 'cut'), -1, 'Update failed'],
    ['304', page(304), 0, 'Not Modified'],
  ])('of %s', (_what, served, code, message) =>
    onBench(async (bench) => {
      bench.serve(SERVED, served);
      expect(await update(bench)).toEqual([{ code, message }]);
      expect(await said(bench, 'OTA.Status')).toMatchObject({ state: code === 0 ? 3 : 2, message, is_committed: true, partition: 0 });
      expect(bench.board.truth()).toEqual({ firmware: OLD });
      expect(kinds(bench)).toEqual(['download']);
    }),
  );

  it('that is broken is not taken, whatever it says of it', async () => {
    for (const bytes of [cut, spoilt]) {
      await onBench(async (bench) => {
        bench.serve(SERVED, bytes);
        const [answer] = await update(bench);
        expect(answer).toMatchObject({ code: -1 });
        expect(bench.board.truth()).toEqual({ firmware: OLD });
      });
    }
  });

  it('follows a redirect, says who asks, and ends after a few', () =>
    onBench(async (bench) => {
      bench.serve(SERVED, { status: 302, headers: { location: 'https://cdn.example/2.zip' }, bytes: new Uint8Array() });
      bench.serve('https://cdn.example/2.zip', SMALL);
      expect(await update(bench)).toEqual([{ code: 0, message: 'Update applied, finalizing' }]);
      expect(bench.fetched.map(({ url }) => url)).toEqual([URL, 'https://cdn.example/2.zip']);
      expect(bench.fetched[0]?.headers).toEqual({
        'x-mgos-device-id': `${BOARD} A4CF12AABBCC`,
        'x-mgos-fw-version': 'esp32 1.0 20260101-120000',
        'user-agent': 'logger/1.0 (MongooseOS/2.20.0; esp32)',
      });
      await said(bench, 'OTA.Commit');
      bench.serve(SERVED, { status: 301, headers: { location: SERVED }, bytes: new Uint8Array() });
      expect(await update(bench)).toEqual([{ code: -1, message: 'Invalid HTTP response code' }]);
    }));

  it('of the network alone is known by its fault: stalled for update.timeout, or never begun', async () => {
    await onBench(
      async (bench) => {
        bench.serve(SERVED, BUNDLE);
        await bench.want(URL);
        await bench.clock.advance(9 * MINUTE_MS);
        expect(await said(bench, 'OTA.Status')).toMatchObject({ state: 1 });
        await bench.clock.advance(2 * MINUTE_MS);
        expect(await said(bench, 'OTA.Status')).toMatchObject({ state: 2, message: 'Update failed' });
      },
      { faults: { stalls: 60 } },
    );
    await onBench(async (bench) => expect(await update(bench)).toEqual([{ code: -1, message: 'Failed to connect' }]), {
      faults: { downloadFails: true },
    });
  });

  it('reports every 50,000 bytes, or every 5 s of a slow link', async () => {
    const percents = async (bytesPerSecond: number): Promise<readonly unknown[]> => {
      let seen: readonly unknown[] = [];
      await onBench(
        async (bench) => {
          bench.serve(SERVED, BUNDLE);
          bench.published();
          await bench.want(URL);
          await bench.clock.advance(5 * MINUTE_MS);
          seen = bench.reported().flatMap(({ ota }) => {
            const { status, progress_percent: percent } = ota as JsonObject;
            return status === 1 ? [percent] : [];
          });
        },
        { hardware: { timings: { bytesPerSecond } } },
      );
      return seen;
    };
    expect(await percents(100_000)).toEqual([27, 54, 81]);
    expect(await percents(7000)).toEqual([18, 37, 56, 75, 94]);
  });
});

it('that the power cuts is gone: the old firmware starts, and only another URL begins anew', () =>
  onBench(async (bench) => {
    bench.serve(SERVED, BUNDLE);
    await bench.want(URL);
    await bench.clock.advance(5 * SECOND_MS);
    expect(await said(bench, 'OTA.Status')).toMatchObject({ state: 1, progress_percent: 54 });
    await bench.clock.run(bench.board.powerOff());
    await bench.clock.advance(MINUTE_MS);
    await bench.clock.run(bench.board.powerOn());
    await bench.clock.advance(MINUTE_MS);
    expect(await said(bench, 'OTA.Status')).toMatchObject({ state: 0, is_committed: true, partition: 0 });
    await bench.want(URL);
    await bench.clock.advance(MINUTE_MS);
    expect(kinds(bench)).toEqual(['download']);
    await bench.want(`${SERVED}?attempt=2`);
    await bench.clock.advance(MINUTE_MS);
    expect(bench.board.truth()['firmware']).toBe(TRIED);
  }));

describe('signatures (§3.1, §7)', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const signed = bundleOf({ sign: (manifest) => ({ sig0: sign('sha256', manifest, privateKey).toString('base64') }) });

  it.each<readonly [string, Uint8Array, number, boolean]>([
    ['nothing is asked', SMALL, -1, true],
    ['nothing is good enough', signed, 0, false],
    ['slot 0 is asked and has signed', signed, 1, true],
    ['slot 0 is asked and nobody signed', SMALL, 1, false],
    ['slots 0 and 1 are asked', signed, 3, false],
  ])('where %s', (_what, bytes, signatureMask, isTaken) =>
    onBench(
      async (bench) => {
        bench.serve(SERVED, bytes);
        await update(bench);
        expect(bench.board.truth()['firmware']).toBe(isTaken ? TRIED : OLD);
      },
      { hardware: { signatureMask, keys: [pem] } },
    ),
  );
});

describe('a trial (§3.4)', () => {
  it('ends with its window, at any restart, and for good once it is committed', () =>
    onBench(async (bench) => {
      bench.serve(SERVED, SMALL);
      await update(bench);
      expect(bench.board.truth()['firmware']).toBe(TRIED);
      await bench.clock.advance(300 * SECOND_MS);
      expect(bench.board.truth()['firmware']).toBe(OLD);
      await update(bench);
      await said(bench, 'Sys.Reboot');
      await bench.clock.advance(10 * SECOND_MS);
      expect(bench.board.truth()['firmware']).toBe(OLD);
      await update(bench);
      expect(await said(bench, 'OTA.Commit')).toBe(null);
      await bench.clock.run(bench.board.powerOff());
      await bench.clock.run(bench.board.powerOn());
      await bench.clock.advance(20 * MINUTE_MS);
      expect(bench.board.truth()['firmware']).toBe(NEW);
      expect(kinds(bench)).toEqual(
        [
          ['download', 'flash 2.0', 'reboot 2.0', 'reboot 2.0', 'rollback 1.0'],
          ['download', 'flash 2.0', 'reboot 2.0', 'reboot 2.0', 'rollback 1.0'],
          ['download', 'flash 2.0', 'reboot 2.0', 'commit 2.0'],
        ].flat(),
      );
    }));

  it('refuses every further update, and OTA.Revert ends it', () =>
    onBench(async (bench) => {
      bench.serve(SERVED, SMALL);
      await update(bench);
      expect(await update(bench)).toEqual([{ code: -1, message: 'Failed to init updater' }]);
      expect(await said(bench, 'OTA.CreateSnapshot')).toEqual({ code: -1 });
      expect(await said(bench, 'OTA.Begin', { size: 9 })).toEqual({ code: -1, message: 'Failed to init updater' });
      expect(await said(bench, 'OTA.Revert')).toBe(null);
      await bench.clock.advance(10 * SECOND_MS);
      expect(bench.board.truth()['firmware']).toBe(OLD);
      expect(await said(bench, 'OTA.Revert')).toEqual({ code: -1 });
      expect(await said(bench, 'OTA.Commit')).toEqual({ code: -1 });
    }));

  it('takes the URL of another update over the shadow and does nothing, or leaves the difference open', async () => {
    const reported = async (faults: JsonObject): Promise<unknown> => {
      let url: unknown = null;
      await onBench(
        async (bench) => {
          bench.serve(SERVED, SMALL);
          await update(bench);
          await bench.want('https://fw.example/a/3.0.zip');
          await bench.clock.advance(20 * SECOND_MS);
          expect(bench.board.truth()['firmware']).toBe(TRIED);
          const { ota } = (bench.aws.shadows.contentOf({ thing: BOARD, shadow: null })?.state['reported'] ?? {}) as JsonObject;
          url = (ota as JsonObject)['url'];
        },
        { faults },
      );
      return url;
    };
    expect(await reported({})).toBe('https://fw.example/a/3.0.zip');
    expect(await reported({ refusesWhileUncommitted: true })).toBeUndefined();
  });

  it.each<readonly [string, JsonObject, number, readonly string[]]>([
    ['boots back at once', { bootsBack: true }, 30, [OLD]],
    ['crashes', { crash: 30 }, 60, [OLD]],
    ['hangs until its window is over', { hang: true }, 310, [OLD]],
    ['loses power', { powerloss: 1 }, 90, [OLD]],
    ['is never committed', { neverCommits: true, autocommit: true }, 310, [OLD]],
    ['is committed by itself', { autocommit: true }, 5, [NEW]],
    ['never comes back', { brick: true }, 400, [TRIED]],
    ['runs another version than the bundle', { wrongVersion: '2.0.9' }, 0, ['2.0.9 20261101-120000 (on trial)']],
    ['only says that it does', { echo: true }, 0, [`${OLD} (on trial)`]],
  ])('that %s', (_what, faults, seconds, [truth]) =>
    onBench(
      async (bench) => {
        bench.serve(SERVED, SMALL);
        await update(bench, { url: URL, commit_timeout: 300 }, 5 * SECOND_MS);
        await bench.clock.advance(seconds * SECOND_MS);
        expect(bench.board.truth()['firmware']).toBe(truth);
        expect(bench.board.powered).toBe(faults['brick'] === undefined);
      },
      { faults },
    ),
  );

  it('is none without a window: it commits at the end of its start', () =>
    onBench(async (bench) => {
      bench.serve(SERVED, SMALL);
      await update(bench, { url: URL });
      expect(bench.board.truth()['firmware']).toBe(NEW);
      bench.board.fault('hang', true);
      bench.serve(SERVED, bundleOf({ version: '3.0' }));
      await update(bench, { url: URL, commit_timeout: '0' }, 2 * MINUTE_MS);
      expect(bench.board.truth()['firmware']).toBe(NEW);
    }));

  it('of a push: pieces in order, and OTA.End finishes or gives up', () =>
    onBench(async (bench) => {
      const push = async (bytes: Uint8Array, size = bytes.length): Promise<unknown> => {
        expect(await said(bench, 'OTA.Begin', { timeout: 60, commit_timeout: 300, size })).toBe(null);
        for (let offset = 0; offset < bytes.length; offset += 512)
          expect(
            await said(bench, 'OTA.Write', { offset, data: Buffer.from(bytes.subarray(offset, offset + 512)).toString('base64') }),
          ).toBe(null);
        return await said(bench, 'OTA.End');
      };
      expect(await said(bench, 'OTA.Write', { offset: 0, data: 'AAAA' })).toEqual({ code: -1, message: 'Update failed' });
      expect(await said(bench, 'OTA.End')).toEqual({ code: -1 });
      expect(await push(SMALL, 9999)).toEqual({ code: -1, message: 'Incomplete update package' });
      await said(bench, 'OTA.Begin', { timeout: 60 });
      expect(await said(bench, 'OTA.Write', { offset: 512, data: 'AAAA' })).toEqual({ code: -1, message: 'Update failed' });
      expect(await said(bench, 'OTA.Write', { data: '!' })).toEqual({ code: -1, message: 'Malformed request' });
      expect(await said(bench, 'OTA.Status')).toMatchObject({ state: 1 });
      await bench.clock.advance(3 * MINUTE_MS);
      expect(await said(bench, 'OTA.Status')).toMatchObject({ state: 2, message: 'Update failed' });
      expect(await push(SMALL)).toBe(null);
      await bench.clock.advance(10 * SECOND_MS);
      expect(bench.board.truth()['firmware']).toBe(TRIED);
    }));
});

it('updates the microcontroller behind a module by its own bundle, and both by one with a part for it', () =>
  onBench(
    async (bench) => {
      bench.serve(SERVED, bundleOf({ platform: 'ccm_host', version: '0.2', type: 'STM32' }));
      await update(bench);
      expect(bench.board.truth()).toEqual({ firmware: OLD, 'firmware.host': '0.2 20261101-120000' });
      expect(await said(bench, 'Host.Info')).toMatchObject({ fw_version: '0.2', fw_id: '20261101-120000' });
      expect(bench.aws.shadows.contentOf({ thing: BOARD, shadow: null })?.state['reported']).toMatchObject({
        ota: { fw_version: '1.0', is_committed: true },
        host: { fw_version: '0.2' },
      });
      bench.serve(SERVED, bundleOf({ type: 'STM32' }));
      await update(bench);
      expect(bench.board.truth()).toEqual({ firmware: TRIED, 'firmware.host': NEW });
    },
    { hardware: { host: { platform: 'ccm_host', firmware: { version: '0.1', buildId: 'x' }, reported: '/host', method: 'Host.Info' } } },
  ));

describe('older generations of the shadow (§3.2)', () => {
  it('flat: ota_url, ota_code and ota_message, and no version', () =>
    onBench(
      async (bench) => {
        bench.serve(SERVED, SMALL);
        const want = (ota_url: string): Promise<void> =>
          bench.publish(`$aws/things/${BOARD}/shadow/update`, JSON.stringify({ state: { desired: { ota_url } } }));
        bench.published();
        await want(URL);
        await bench.clock.advance(20 * SECOND_MS);
        const told = [{ ota_url: URL }, { ota_code: 1, ota_message: 'Update applied, finalizing' }];
        expect(bench.reported()).toEqual([...told, { ota_url: URL }]);
        expect(bench.board.truth()['firmware']).toBe(TRIED);
      },
      { hardware: { generation: 'flat' } },
    ));

  it('README: url, code and message', () =>
    onBench(
      async (bench) => {
        bench.published();
        await bench.want(URL);
        await bench.clock.advance(20 * SECOND_MS);
        expect(bench.reported()).toEqual([{ ota: { url: URL } }, { ota: { code: -10, message: 'Failed to connect' } }]);
      },
      { hardware: { generation: 'readme' } },
    ));
});

describe('what nobody knows of the closed library (§11.1)', () => {
  it('takes the answer to its get for an order, where no delta comes', () =>
    onBench(
      async (bench) => {
        bench.serve(SERVED, SMALL);
        await bench.clock.run(bench.board.powerOff());
        await bench.want(URL);
        const power = async (): Promise<void> => {
          await bench.clock.run(bench.board.powerOn());
          await bench.clock.advance(20 * SECOND_MS);
        };
        await power();
        expect(bench.board.truth()['firmware']).toBe(OLD);
        await bench.clock.run(bench.board.powerOff());
        bench.board.fault('obeysGet', true);
        await power();
        expect(bench.board.truth()['firmware']).toBe(TRIED);
      },
      { switches: { deltaOnReportedOnly: false } },
    ));

  it('reports the URL only once it was taken', () =>
    onBench(
      async (bench) => {
        bench.published();
        await bench.want(URL);
        await bench.clock.advance(20 * SECOND_MS);
        expect(bench.reported().map(({ ota }) => (ota as JsonObject)['url'])).toEqual([undefined]);
        bench.serve(SERVED, SMALL);
        await bench.want(`${SERVED}?attempt=2`);
        await bench.clock.advance(20 * SECOND_MS);
        expect(bench.reported().map(({ ota }) => (ota as JsonObject)['url'])).toContain(`${SERVED}?attempt=2`);
      },
      { faults: { urlAfterSuccess: true } },
    ));
});
