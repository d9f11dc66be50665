import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCampbellDriver } from '#adapters/campbell/driver.ts';
import { campbellFamily } from '#adapters/campbell/family.ts';
import { buildOsImage } from '#adapters/campbell/sim-image.ts';
import { makeCampbellDevice } from '#adapters/campbell/sim.ts';
import { err, ok } from '#kit/result.ts';
import { deviceId, groupName, operationId, releaseId } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { SimDevice } from '#ports/sim.ts';
import { startArtifactServer, type ArtifactServer } from '#sim/artifact-server.ts';
import { ScaledClock } from '#sim/clock.ts';
import { networkSimPorts } from '#sim/ports.ts';
import { openBus } from '#transports/mqtt.ts';
import { networkClients } from '#world.ts';
import { contentOf, declaredItem, declaredLogger, openOperation, programText } from '#test/support/campbell.ts';
import { startMosquitto, type Mosquitto } from '#test/support/mosquitto.ts';

const run = promisify(execFile);
/** A minute of the logger in 0.1 s: its commands take seconds, and the protocol is not hurried. */
const clock = new ScaledClock(Date.parse('2026-11-23T08:00:00Z'), 600);

let mosquitto: Mosquitto;
let files: ArtifactServer;
const loggers: SimDevice[] = [];

beforeAll(async () => {
  mosquitto = await startMosquitto({ config: ['log_type all'] });
  files = await startArtifactServer({ clock, errorPages: true });
});

afterAll(async () => {
  for (const logger of loggers) await logger.powerOff();
  await files.close();
  await mosquitto.close();
});

async function startLogger(serial: string): Promise<SimDevice> {
  const address = `cr1000x/${serial}`;
  const ports = networkSimPorts({ clients: networkClients, clock, seed: 1, id: serial, broker: { url: mosquitto.url } });
  const program = { name: 'met_v1.CR1X', bytes: programText('met_v1') };
  const device = makeCampbellDevice(
    { id: serial, model: 'CR1000X', serial, address, os: 'CR1000X.8.1.0', program, stateIntervalMs: 0 },
    ports,
  );
  loggers.push(device);
  await device.powerOn();
  return device;
}

describe('over mosquitto', () => {
  it('a logger answers a foreign client as observed', async () => {
    await startLogger('11');
    const url = files.put('page.html', Buffer.from('<html>'));
    const broker = ['-h', '127.0.0.1', '-p', String(mosquitto.port)];
    const listening = run('mosquitto_sub', [...broker, '-v', '-t', 'cs/v2/+/cr1000x/11/#', '-C', '3', '-W', '60', '-R']);
    await expect.poll(() => mosquitto.log()).toMatch(/Sending SUBACK to auto/);
    await run('mosquitto_pub', [...broker, '-t', 'cs/v2/cc/cr1000x/11/OS', '-m', JSON.stringify({ url })]);
    const { stdout } = await listening;
    expect(stdout.trim().split('\n')).toEqual([
      `cs/v2/cc/cr1000x/11/OS {"url":"${url}"}`,
      'cs/v2/state/cr1000x/11/ {"clientId":"CR1000X_11","state":"online","fileTransfer":"OS file download"}',
      'cs/v2/cr/cr1000x/11/OS {"error":"OS File Check Failed"}',
    ]);
  });

  it('the driver brings an OS and a program, with an expiry', async () => {
    const device = declaredLogger({ id: deviceId('x'), serial: '12', address: 'cr1000x/12' });
    const bus = await openBus({ url: mosquitto.url, clientId: 'headgate', clean: false, clock, protocol: 5 });
    const driver = makeCampbellDriver({
      clock,
      log: SILENT_LOG,
      artifacts: {
        bytes: () => Promise.resolve(err({ code: 'MISSING', message: 'unused' })),
        urlFor: (content) =>
          Promise.resolve(content.kind === 'bytes' ? ok(files.put(content.name, content.bytes)) : err({ code: 'NO_URL', message: '' })),
        close: () => Promise.resolve(),
      },
      blobs: { put: () => Promise.reject(new Error('unused')), get: () => Promise.resolve(undefined) },
      bus: () => Promise.resolve(bus),
      objects: () => Promise.reject(new Error('unused')),
      connection: () => undefined,
    });
    let report: ReportedDevice | undefined;
    const signal = new AbortController().signal;
    const observe = async (): Promise<void> => {
      const answer = await driver.observe({ devices: [device], last: () => report, isOpen: () => true, listenMs: 60_000, signal });
      report = answer.reports[0] ?? report;
    };
    await observe();
    const real = await startLogger('12');
    await observe();
    expect(bus.expires).toBe(true);
    for (const item of [
      { item: 'firmware', value: 'CR1000X.8.2.1', content: contentOf('os.obj', buildOsImage({ model: 'CR1000X', version: '8.2.1' })) },
      { item: 'program', value: 'CPU:met_v2.CR1X', content: contentOf('met_v2.CR1X', programText('met_v2')) },
    ] as const) {
      if (report === undefined) throw new Error('nothing was heard');
      const { drafts } = campbellFamily.operations({ device, items: [declaredItem(item)], reported: report, drifted: [item.item] });
      const draft = drafts[0];
      if (draft === undefined) throw new Error('nothing to do');
      const ids = { id: operationId('o'), group: groupName('g'), release: releaseId('r') };
      const more = {
        device: device.id,
        family: 'campbell',
        connection: 'field',
        hardware: device.hardware,
        occasion: 0,
        cause: 'rollout',
      } as const;
      const operation = { ...draft, ...ids, ...more };
      const context = { device, reported: report, content: draft.content, fencing: 1, signal };
      const intendedAt = clock.now();
      expect(await driver.precheck(operation, null, context)).toEqual({ kind: 'clear' });
      const outcome = await driver.perform(operation, null, context);
      if (outcome.kind !== 'performed') throw new Error(JSON.stringify(outcome));
      const open = openOperation(operation, { intendedAt, reference: outcome.reference });
      const decided = async (): Promise<string> => {
        await observe();
        return report === undefined ? '' : campbellFamily.confirm(open, report).kind;
      };
      await expect.poll(decided).toBe('confirmed');
    }
    expect(real.truth()).toEqual({ firmware: 'CR1000X.8.2.1', program: 'CPU:met_v2.CR1X' });
    expect(real.effects.filter(({ kind }) => kind === 'flash' || kind === 'program')).toHaveLength(2);
    await driver.close();
    await bus.close();
  });
});
