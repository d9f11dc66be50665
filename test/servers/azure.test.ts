import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HUB_KEY, startAzureProcess, type AzureProcess } from '#test/support/azure-process.ts';

const run = promisify(execFile);

let hub: AzureProcess;
beforeAll(async () => {
  hub = await startAzureProcess(['logger-7', 'logger-8']);
}, 60_000);
afterAll(() => hub.close());

/** One report by mosquitto's own client, acknowledged. */
async function report(flags: readonly string[], body: string): Promise<void> {
  const topic = '$iothub/twin/PATCH/properties/reported/?$rid=1';
  await run('mosquitto_pub', [...flags, '-q', '1', '-t', topic, '-m', body], { timeout: 60_000 });
}

/** The engine's client over the network: what it answers as JSON. */
function engine(expression: string): Promise<unknown> {
  return hub.ask(`
    import { openAzureTwins } from '#transports/azure-twins.ts';
    import { systemClock } from '#transports/clock.ts';
    const place = { file: '', line: 1, column: 1 };
    const hub = { name: 'hub', place, type: 'azure-iot', host: '${hub.httpsHost}', policy: 'service', key: '${HUB_KEY}', index: 'off', indexQuery: null };
    const twins = openAzureTwins(hub, { clock: systemClock });
    console.log(JSON.stringify(await (${expression})));
    await twins.close();
  `);
}

describe('mosquitto and the engine at one hub, over TLS', () => {
  it('takes reports by a token and by a certificate, and none that a twin cannot hold', async () => {
    await report(hub.byToken('logger-7'), '{"fw":"1.0"}');
    await report(hub.byCertificate('logger-7'), '{"battery":12.5}');
    await report(hub.byToken('logger-7'), '{"fw.bin":1}');
    const read = `twins.get({ thing: 'logger-7', shadow: null }).then(({ version, reported }) => [version, reported.state])`;
    expect(await engine(read)).toEqual([5, { fw: '1.0', battery: 12.5 }]);
  });

  it('lets nobody in by the certificate or the token of another device', async () => {
    const asSeven = (flag: string): string => flag.replaceAll(/^(127\.0\.0\.1\/)?logger-8(\/|$)/g, '$1logger-7$2');
    for (const flags of [hub.byCertificate('logger-8'), hub.byToken('logger-8')])
      await expect(report(flags.map(asSeven), '{}')).rejects.toThrow(/not authori[sz]ed/i);
  });

  it('tells a device what the engine writes under the ETag that it read', async () => {
    const told = run('mosquitto_sub', [
      ...hub.byToken('logger-8'),
      '-q',
      '1',
      '-t',
      '$iothub/twin/PATCH/properties/desired/#',
      '-C',
      '1',
      '-W',
      '60',
      '-F',
      '%t %p',
    ]);
    await expect
      .poll(() =>
        engine(`twins.search({ query: "deviceId = 'logger-8'", shadow: null, next: null }).then(({ found }) => found[0].connected)`),
      )
      .toBe(true);
    const written = await engine(`(async () => {
      const place = { thing: 'logger-8', shadow: null };
      const { version } = await twins.get(place);
      const first = await twins.update({ ...place, desired: { fw: { version: '1.1' } }, version });
      return [first.version, await twins.update({ ...place, desired: { fw: { version: '1.2' } }, version })];
    })()`);
    expect(written).toEqual([4, 'conflict']);
    expect((await told).stdout.trim()).toBe('$iothub/twin/PATCH/properties/desired/?$version=2 {"fw":{"version":"1.1"},"$version":2}');
  });

  it('hands a call of the engine to a device, and its answer back', async () => {
    const filter = ['-q', '1', '-t', '$iothub/methods/POST/#', '-C', '1', '-W', '60', '-F', '%t %p'];
    const heard = run('mosquitto_sub', [...hub.byToken('logger-8'), ...filter]);
    // Called again until the device listens: a method waits for nobody.
    const called = hub.ask(`
      import { openAzureMethods } from '#transports/azure-methods.ts';
      import { systemClock } from '#transports/clock.ts';
      const place = { file: '', line: 1, column: 1 };
      const hub = { name: 'hub', place, type: 'azure-iot', host: '${hub.httpsHost}', policy: 'service', key: '${HUB_KEY}', index: 'off', indexQuery: null };
      const methods = openAzureMethods(hub, { clock: systemClock });
      const call = (device) => methods.invoke({ device, method: 'OTA.Commit', payload: null, timeoutMs: 60_000 }).catch(({ code }) => code);
      let answer = await call('logger-8');
      for (let more = 300; more > 0 && answer === 'DEVICE_OFFLINE'; more -= 1) {
        await systemClock.sleep(100);
        answer = await call('logger-8');
      }
      console.log(JSON.stringify([answer, await call('logger-7')]));
      await methods.close();
    `);
    const [topic = '', body] = (await heard).stdout.trim().split(' ');
    expect([topic.replace(/=.*/, ''), body]).toEqual(['$iothub/methods/POST/OTA.Commit/?$rid', 'null']);
    const answer = ['-t', topic.replace('POST/OTA.Commit', 'res/-1'), '-m', '{"code":-1}'];
    await run('mosquitto_pub', [...hub.byToken('logger-8'), ...answer], { timeout: 60_000 });
    expect(await called).toEqual([{ status: -1, payload: { code: -1 } }, 'DEVICE_OFFLINE']);
  });

  it('says by code what is wrong: no such device, a key that is none', async () => {
    expect(await engine(`twins.get({ thing: 'nobody', shadow: null })`)).toBe('missing');
    expect(
      await engine(
        `openAzureTwins({ ...hub, key: 'b3RoZXI=' }, { clock: systemClock }).get({ thing: 'logger-7', shadow: null }).catch(({ code }) => code)`,
      ),
    ).toBe('SHADOW_401');
    expect(
      await engine(
        `openAzureTwins({ ...hub, host: '127.0.0.1:9' }, { clock: systemClock }).get({ thing: 'logger-7', shadow: null }).catch(({ code }) => code)`,
      ),
    ).toBe('ECONNREFUSED');
  });
});
