import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CampbellWorld, programText } from '#test/support/campbell.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import type { SimDevice } from '#ports/sim.ts';
import { parseOsVersion, sameOsVersion } from './os-version.ts';
import { buildOsImage, parseOsImage } from './sim-image.ts';
import type { CampbellSimOptions } from './sim-options.ts';

type Pair = readonly [string, unknown];
const HOUR = 3_600_000;
let world: CampbellWorld;
let sender: MessageBus;

beforeEach(async () => {
  world = new CampbellWorld();
  sender = await world.run(world.connect('sender', { clean: true, marker: false }));
  world.files.put('CR1000X.obj', buildOsImage({ model: 'CR1000X', version: '8.2.1' }));
  world.files.put('page.html', Buffer.from('<!DOCTYPE html><html></html>'));
  world.files.put('t.crb', programText('t'));
});

afterEach(async () => world.close());

/** Sends a command and gives all that the logger said within the hour, statusInfo and periodic messages left out. */
async function saidAfter(topic: string, payload: unknown): Promise<readonly Pair[]> {
  const before = world.said.length;
  await world.run(sender.publish(topic, Buffer.from(JSON.stringify(payload)), { qos: 0 }));
  await world.clock.advance(HOUR);
  return world.said
    .slice(before)
    .filter((one) => one.clientId !== 'sender' && !one.topic.endsWith('statusInfo'))
    .map((one) => [one.topic, JSON.parse(one.text)]);
}

async function loggerFor(topic: string, more: Partial<CampbellSimOptions> = {}): Promise<SimDevice> {
  const legacy = topic.includes('cr6/ABCDEF');
  const quiet = { stateIntervalMs: 0, ...more };
  if (!legacy) return await world.logger(quiet);
  const program = { name: 'simple.CR6', bytes: programText('simple') };
  const files = { 'WatchdogInfo.txt': new Uint8Array() };
  return await world.logger({
    ...quiet,
    model: 'CR6',
    serial: '966',
    address: 'cr6/ABCDEF',
    dialect: 'legacy',
    os: 'CR6.10.02',
    program,
    files,
  });
}

describe('an OS update', () => {
  const url = 'http://files.example.org/CR1000X.obj';

  it('is flashed once, survives power, and is told in statusInfo', async () => {
    const logger = await loggerFor('');
    await saidAfter('cs/v2/cc/QU8Q-9JTY-HVP8/OS', { url });
    expect(logger.truth()).toEqual({ firmware: 'CR1000X.8.2.1', program: 'CPU:met_v1.CR1X' });
    expect(logger.effects.map(({ kind, detail }) => `${kind} ${detail}`)).toEqual([
      `download ${buildOsImage({ model: 'CR1000X', version: '8.2.1' }).length} bytes`,
      'flash CR1000X.8.1.0 → CR1000X.8.2.1',
      'erase stored tables',
    ]);
    await world.run(logger.powerOff());
    expect(logger.powered).toBe(false);
    await world.run(logger.powerOn());
    expect(logger.truth()['firmware']).toBe('CR1000X.8.2.1');
    const status = world.said.findLast((one) => one.topic.endsWith('statusInfo'));
    expect(status?.text).toContain('"OS_Version":"CR1000X.8.2.1"');
  });

  it('takes at least two seconds of restart, without a word', async () => {
    await loggerFor('', { timings: { rebootMs: 2000 } });
    const times: number[] = [];
    world.broker.onPublish((topic) => topic.includes('/state/') && times.push(world.clock.now()));
    await saidAfter('cs/v2/cc/QU8Q-9JTY-HVP8/OS', { url });
    const longest = Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? time)));
    expect(longest).toBeGreaterThanOrEqual(2000);
  });

  it.each([
    ['another model', buildOsImage({ model: 'CR6', version: '14.2.0' })],
    ['a cut file', buildOsImage({ model: 'CR1000X', version: '8.2.1' }).subarray(0, 2000)],
    ['a program', programText('x')],
    ['nothing', new Uint8Array()],
  ])('of %s is refused and changes nothing', async (_name, bytes) => {
    const logger = await loggerFor('');
    world.files.put('CR1000X.obj', bytes);
    const said = await saidAfter('cs/v2/cc/QU8Q-9JTY-HVP8/OS', { url });
    expect(said.at(-1)).toEqual(['cs/v2/cr/QU8Q-9JTY-HVP8/OS', { error: 'OS File Check Failed' }]);
    expect(logger.truth()['firmware']).toBe('CR1000X.8.1.0');
  });

  it('that loses its power half way leaves a dead logger', async () => {
    const logger = await loggerFor('', { timings: { osDownloadMs: 1000, flashMs: 60_000 } });
    await world.run(sender.publish('cs/v2/cc/QU8Q-9JTY-HVP8/OS', Buffer.from(JSON.stringify({ url })), { qos: 0 }));
    await world.clock.advance(20_000);
    await world.run(logger.powerOff());
    const before = world.said.length;
    await world.run(logger.powerOn());
    await world.clock.advance(HOUR);
    expect(world.said.length).toBe(before);
    expect(logger.effects.at(-1)).toMatchObject({ kind: 'brick' });
  });

  it.each([
    ['bootBack', true, 'CR1000X.8.1.0', ['download', 'flash', 'erase', 'boot-back']],
    ['ackWithoutFlash', true, 'CR1000X.8.1.0', ['download']],
    ['osCheckFails', true, 'CR1000X.8.1.0', ['download']],
    ['downloadFails', true, 'CR1000X.8.1.0', []],
    ['brickOnOs', true, 'CR1000X.8.1.0', ['download', 'brick']],
    ['brickAfter', 1000, 'CR1000X.8.2.1', ['download', 'flash', 'erase', 'brick']],
  ])('with the fault %s ends as it says', async (fault, value, ...end) => {
    const logger = await loggerFor('');
    logger.fault(fault, value);
    await saidAfter('cs/v2/cc/QU8Q-9JTY-HVP8/OS', { url });
    expect([logger.truth()['firmware'], logger.effects.map(({ kind }) => kind)]).toEqual(end);
  });

  it('may carry its fate in the image', async () => {
    const logger = await loggerFor('');
    world.files.put('CR1000X.obj', buildOsImage({ model: 'CR1000X', version: '8.6.0', extra: { bootsBack: true } }));
    await saidAfter('cs/v2/cc/QU8Q-9JTY-HVP8/OS', { url });
    expect(logger.truth()['firmware']).toBe('CR1000X.8.1.0');
    world.files.put('CR1000X.obj', buildOsImage({ model: 'CR1000X', version: '8.6.0', extra: { bricks: true } }));
    await saidAfter('cs/v2/cc/QU8Q-9JTY-HVP8/OS', { url });
    expect(logger.effects.at(-1)).toMatchObject({ kind: 'brick' });
  });
});

describe('a program', () => {
  const send = (fileName: string, file = fileName): Promise<readonly Pair[]> =>
    saidAfter('cs/v2/cc/QU8Q-9JTY-HVP8/program', { url: `http://files.example.org/${file}`, fileName });

  it('that is a 404 page is answered with success and runs nothing', async () => {
    const logger = await loggerFor('');
    world.files.misbehave('met_v2.CR1X', { kind: 'not-found' });
    const said = await send('met_v2.CR1X');
    expect(said).toContainEqual(['cs/v2/cr/QU8Q-9JTY-HVP8/program', { success: 'Program loaded successfully' }]);
    expect(logger.truth()['program']).toBe('none');
    const status = world.said.findLast((one) => one.topic.endsWith('statusInfo'));
    expect(status?.text).toContain('"Program_Name":"","Program_Signature":"43690","Compile_Errors":"1"');
  });

  it('that does not compile leaves the default program, never the one of before', async () => {
    const logger = await loggerFor('', { files: { 'default.CR1X': programText('default') } });
    world.files.put('met_v2.CR1X', Buffer.from('Public Oops'));
    await send('met_v2.CR1X');
    expect(logger.truth()['program']).toBe('CPU:default.CR1X');
    await world.run(logger.powerOff());
    await world.run(logger.powerOn());
    expect(logger.truth()['program']).toBe('CPU:default.CR1X');
  });

  it.each([
    ['noProgramReply', 'CPU:t.crb', false],
    ['lostReply', 'CPU:t.crb', false],
    ['compileError', 'none', true],
    ['ackWithoutFlash', 'CPU:met_v1.CR1X', true],
  ])('with the fault %s ends as it says', async (fault, program, replied) => {
    const logger = await loggerFor('');
    logger.fault(fault, true);
    const said = await send('t.crb');
    expect(logger.truth()['program']).toBe(program);
    expect(said.some(([topic]) => topic.includes('/cr/'))).toBe(replied);
  });

  it('is answered on state in the legacy dialect', async () => {
    await loggerFor('cr6/ABCDEF');
    const topic = 'cs/v2/cc/cr6/ABCDEF/program';
    const failed = await saidAfter(topic, { url: 'nowhere', fileName: 't.CR6' });
    expect(failed.map(([, body]) => (body as { readonly fileTransfer?: string }).fileTransfer)).toEqual([
      'CRBasic file transfer started',
      'CRBasic file transfer error',
    ]);
    const loaded = await saidAfter(topic, { url: 'http://files.example.org/t.crb', fileName: 't.CR6' });
    expect(loaded.map(([where]) => where)).toEqual(loaded.map(() => 'cs/v2/state/cr6/ABCDEF/'));
    expect(loaded.map(([, body]) => (body as { readonly fileTransfer?: string }).fileTransfer ?? null)).toEqual([
      'CRBasic file transfer started',
      'Loading CRBasic file',
      null,
    ]);
  });

  it('waits while another command runs', async () => {
    const logger = await loggerFor('');
    world.files.put('a.CR1X', programText('a'));
    const url = 'http://files.example.org';
    await world.run(sender.publish('cs/v2/cc/QU8Q-9JTY-HVP8/OS', Buffer.from(JSON.stringify({ url: `${url}/CR1000X.obj` })), { qos: 0 }));
    await send('a.CR1X');
    expect(logger.effects.map(({ kind }) => kind)).toEqual(['download', 'flash', 'erase', 'download', 'program', 'erase']);
  });

  it('is executed once per command that arrives', async () => {
    const logger = await loggerFor('');
    await world.broker.faults({ duplicate: true });
    await send('t.crb');
    expect(logger.effects.filter(({ kind }) => kind === 'program')).toHaveLength(2);
  });
});

describe('the logger', () => {
  it.each(['{', '[]', '"x"', '{"url":1}', '{}', '\u0000', `{"url":"${'x'.repeat(4800)}"}`, '{"action":"\u{d800}"}'])(
    'meets %j with silence',
    async (text) => {
      const logger = await loggerFor('');
      const before = world.said.length;
      for (const command of ['OS', 'program', 'nonsense', 'setting', 'reboot']) {
        await world.run(sender.publish(`cs/v2/cc/QU8Q-9JTY-HVP8/${command}`, Buffer.from(text), { qos: 0 }));
      }
      await world.clock.advance(60_000);
      expect(world.said.slice(before).filter((one) => one.clientId !== 'sender')).toEqual([]);
      expect(logger.effects).toEqual([]);
    },
  );

  it('refuses the name of a fault it does not have', async () => {
    const logger = await loggerFor('');
    expect(() => logger.fault('explode', true)).toThrow(RangeError);
    expect(logger.faults.length).toBeGreaterThan(20);
  });

  it('is announced as gone by its will when its power goes, and comes back', async () => {
    const logger = await loggerFor('');
    await world.run(logger.powerOff());
    await world.clock.settled();
    expect(world.said.at(-1)).toMatchObject({
      topic: 'cs/v2/state/QU8Q-9JTY-HVP8',
      text: '{"clientId":"CR1000X_70681","state":"offline","reason":"lwt"}',
    });
    await world.run(logger.powerOn());
    expect(world.said.some((one) => one.text.includes('"state":"online"'))).toBe(true);
  });

  it('connects again when the broker cut it off', async () => {
    await loggerFor('');
    world.broker.dropClient('CR1000X_70681');
    await world.clock.advance(30_000);
    expect(world.broker.clients).toContain('CR1000X_70681');
  });

  it('sleeps and wakes', async () => {
    const logger = await loggerFor('', { stateIntervalMs: 30_000 });
    logger.fault('asleep', { awakeMs: 60_000, sleepMs: 600_000 });
    await world.clock.advance(90_000);
    expect(world.broker.clients).not.toContain('CR1000X_70681');
    await world.clock.advance(600_000);
    expect(world.broker.clients).toContain('CR1000X_70681');
  });

  it('tells its versions with each data message', async () => {
    await loggerFor('', { dataIntervalMs: 60_000, os: 'CR1000X.Std.08.01' });
    await world.clock.advance(60_000);
    const data = world.said.find((one) => one.topic === 'cs/v2/data/QU8Q-9JTY-HVP8/Hourly/cj');
    expect(JSON.parse(data?.text ?? '{}')).toMatchObject({
      head: { environment: { model: 'CR1000X', serial_no: '70681', os_version: 'CR1000X.Std.08.01', prog_name: 'CPU:met_v1.CR1X' } },
    });
  });

  it('names itself to the server it downloads from', async () => {
    await loggerFor('');
    await saidAfter('cs/v2/cc/QU8Q-9JTY-HVP8/program', { url: 'http://files.example.org/t.crb', fileName: 't.crb' });
    expect(world.files.requests).toEqual([{ path: 't.crb', uid: 'QU8Q-9JTY-HVP8' }]);
  });
});

describe('OS images', () => {
  it('say what they are, and nothing else is one', () => {
    const image = buildOsImage({ model: 'CR6', version: '14.2.0', extra: { bootsBack: true, size: 100 } });
    expect(parseOsImage(image)).toEqual({ model: 'CR6', version: 'CR6.14.2.0', bootsBack: true, bricks: false });
    expect(parseOsVersion(parseOsImage(image)?.version ?? '')?.parts).toEqual([14, 2, 0]);
    expect(sameOsVersion(parseOsImage(buildOsImage({ model: 'CR6', version: 'CR6.Std.14.02' }))?.version ?? '', '14.2.0')).toBe(true);
    for (let end = 0; end < image.length; end += 7) expect(parseOsImage(image.subarray(0, end))).toBeNull();
    expect(parseOsImage(image.map((byte, index) => (index === image.length - 1 ? byte ^ 1 : byte)))).toBeNull();
  });
});
