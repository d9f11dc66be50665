import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CampbellWorld, programText } from '#test/support/campbell.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import { runBench, type BenchAction, type BenchParts } from './driver-bench.ts';
import type { CampbellSimOptions } from './sim-options.ts';
import type { CampbellSimDevice } from './sim.ts';
import { DIALECTS, type Dialect } from './wire-commands.ts';

const MINUTE = 60_000;
const ADDRESS = 'QU8Q-9JTY-HVP8';
const TABLES = new TextEncoder().encode('Public PTemp, Flag1\r\nBeginProg\r\nEndProg\r\n');

let world: CampbellWorld;
let bus: MessageBus;

beforeEach(async () => {
  world = new CampbellWorld();
  bus = await world.run(world.connect('bench', { clean: true }));
});

afterEach(async () => world.close());

interface Done {
  readonly ok: boolean;
  readonly out: readonly string[];
  readonly notes: readonly string[];
}

async function bench(action: BenchAction, dialect: Dialect = 'os80', change: Partial<BenchParts> = {}): Promise<Done> {
  const out: string[] = [];
  const notes: string[] = [];
  const parts: BenchParts = {
    bus,
    clock: world.clock,
    signal: new AbortController().signal,
    baseTopic: 'cs/v2',
    address: ADDRESS,
    dialect,
    offer: (name, bytes) => Promise.resolve(world.files.put(name, bytes)),
    tell: (line) => out.push(line),
    note: (line) => notes.push(line),
    ...change,
  };
  const ok = await world.run(runBench(action, parts));
  return { ok, out, notes };
}

function logger(dialect: Dialect, more: Partial<CampbellSimOptions> = {}): Promise<CampbellSimDevice> {
  return world.logger({
    dialect,
    stateIntervalMs: 0,
    program: { name: 'met_v1.CR1X', bytes: TABLES },
    files: { 'old.CR1X': programText('old') },
    settings: { PakBusAddress: '1' },
    ...more,
  });
}

describe.each(DIALECTS)('one logger by hand, dialect %s', (dialect) => {
  it('lists the files of a drive', async () => {
    await logger(dialect);
    const { ok, out, notes } = await bench({ kind: 'ls', drive: 'CPU:' }, dialect);
    expect({ ok, out: out.toSorted(), notes }).toEqual({ ok: true, out: ['CPU:met_v1.CR1X', 'CPU:old.CR1X'], notes: [] });
    expect(await bench({ kind: 'ls', drive: 'USR' }, dialect)).toMatchObject({ ok: false, out: [expect.stringContaining("'USR:'")] });
  });

  it('says that a list was cut', async () => {
    const device = await logger(dialect);
    device.fault('listCut', 60);
    expect(await bench({ kind: 'ls', drive: 'CPU' }, dialect)).toMatchObject({ notes: [expect.stringContaining('cut at 4800')] });
  });

  it('sends a program, tells how far it is, and believes the report alone', async () => {
    const device = await logger(dialect);
    const { ok, out, notes } = await bench({ kind: 'put', file: 'met_v2.CR1X', bytes: programText('v2') }, dialect);
    expect({ ok, last: out.at(-1) }).toEqual({ ok: true, last: 'it reports CPU:met_v2.CR1X' });
    expect(notes.length).toBeGreaterThan(0);
    expect(device.truth()['program']).toBe('CPU:met_v2.CR1X');
    const page = await bench({ kind: 'put', file: 'met_v3.CR1X', bytes: new TextEncoder().encode('<html>') }, dialect);
    expect({ ok: page.ok, last: page.out.at(-1) }).toEqual({ ok: false, last: 'it reports that no program runs' });
    expect(device.effects.filter(({ kind }) => kind === 'program')).toHaveLength(2);
  });

  it('deletes a file, and runs another', async () => {
    const device = await logger(dialect);
    expect(await bench({ kind: 'run', file: 'old.CR1X' }, dialect)).toMatchObject({ ok: true });
    expect(device.truth()['program']).toBe('CPU:old.CR1X');
    expect(await bench({ kind: 'rm', file: 'met_v1.CR1X' }, dialect)).toMatchObject({ ok: true });
    expect(await bench({ kind: 'rm', file: 'met_v1.CR1X' }, dialect)).toMatchObject({ ok: false });
    expect(await bench({ kind: 'run', file: 'met_v1.CR1X' }, dialect)).toMatchObject({ ok: false });
  });

  it('reads a setting trimmed, sets it, and reads it back', async () => {
    const device = await logger(dialect);
    expect(await bench({ kind: 'setting', name: 'PakBusAddress', value: null }, dialect)).toMatchObject({
      ok: true,
      out: ['PakBusAddress = 1'],
    });
    const set = await bench({ kind: 'setting', name: 'PakBusAddress', value: '7' }, dialect);
    expect({ ok: set.ok, last: set.out.at(-1) }).toEqual({ ok: true, last: 'PakBusAddress = 7' });
    const ignored = await bench({ kind: 'setting', name: 'PakBusAddress', value: 'many' }, dialect);
    expect({ ok: ignored.ok, last: ignored.out.at(-1) }).toEqual({ ok: false, last: 'it took the value and ignored it' });
    expect(device.settings()['PakBusAddress']).toBe('7');
    expect(await bench({ kind: 'setting', name: 'Nonsense', value: '1' }, dialect)).toMatchObject({ ok: false });
  });

  it('reads and sets a variable', async () => {
    await logger(dialect);
    expect(await bench({ kind: 'setvar', name: 'Flag1', value: '1' }, dialect)).toMatchObject({ ok: true });
    expect(await bench({ kind: 'getvar', name: 'Flag1' }, dialect)).toMatchObject({ ok: true, out: ['Flag1 = 1'] });
    expect(await bench({ kind: 'getvar', name: 'Nothing' }, dialect)).toMatchObject({ ok: false });
  });

  it('restarts it', async () => {
    const device = await logger(dialect);
    expect(await bench({ kind: 'reboot' }, dialect)).toMatchObject({ ok: true });
    expect(device.effects.filter(({ kind }) => kind === 'reboot')).toHaveLength(1);
  });

  it('gets the history of a table, and says so when there is none', async () => {
    await logger(dialect, { dataIntervalMs: MINUTE });
    await world.clock.advance(60 * MINUTE);
    const range = { start: '2026-11-23T08:10:00', end: '2026-11-23T08:30:00' };
    const { ok, out } = await bench({ kind: 'history', table: 'Hourly', range }, dialect);
    expect(ok).toBe(true);
    const times = out.flatMap((line) => (JSON.parse(line) as { readonly data: readonly { readonly time: string }[] }).data);
    expect(out.length).toBeGreaterThan(1);
    expect(times).toHaveLength(21);
    expect(await bench({ kind: 'history', table: 'Daily', range }, dialect)).toMatchObject({ ok: false });
    expect((await bench({ kind: 'history', table: 'Hourly', range: null }, dialect)).ok).toBe(dialect === 'v2');
  });
});

describe('one logger by hand', () => {
  it('says at once that no file can be fetched, and sends nothing', async () => {
    await logger('v2');
    const before = world.said.length;
    expect(await bench({ kind: 'get', file: 'met_v1.CR1X' })).toMatchObject({ ok: false, out: [expect.stringContaining('no command')] });
    expect(world.said.slice(before)).toEqual([]);
  });

  it.each<BenchAction>([
    { kind: 'put', file: 'a/b.CR1X', bytes: TABLES },
    { kind: 'put', file: `${'x'.repeat(56)}.CR1X`, bytes: TABLES },
    { kind: 'rm', file: 'CPU:a' },
  ])('refuses what no logger takes: $kind $file', async (action) => {
    await logger('os80');
    expect((await bench(action)).ok).toBe(false);
    expect(world.said.filter(({ topic }) => topic.includes('/cc/'))).toEqual([]);
  });

  it('gives up on a logger that is silent', async () => {
    expect(await bench({ kind: 'ls', drive: 'CPU' })).toMatchObject({ ok: false, out: [expect.stringContaining('did not answer')] });
    expect(await bench({ kind: 'history', table: 'T', range: { start: '2026-01-01T00:00:00', end: '2026-01-02T00:00:00' } })).toMatchObject(
      {
        ok: false,
      },
    );
  });

  it('does not take the program of before for the new one when the new one is not reported', async () => {
    const device = await logger('os80');
    device.fault('silentStatus', true);
    const { ok, notes } = await bench({ kind: 'put', file: 'met_v2.CR1X', bytes: programText('v2') });
    expect(ok).toBe(true);
    expect(notes.at(-1)).toContain('the answer alone proves nothing');
  });

  it('shows what it says until it is stopped, control characters left out', async () => {
    const stop = new AbortController();
    const watching = bench({ kind: 'watch' }, 'os80', { signal: stop.signal });
    await world.clock.settled();
    const device = await logger('os80');
    await world.run(bus.publish(`cs/v2/state/${ADDRESS}/`, Buffer.from('{"a":"\u001b[31m"}'), { qos: 0 }));
    await world.run(bus.publish('cs/v2/state/other/', Buffer.from('{}'), { qos: 0 }));
    await world.clock.settled();
    await world.run(device.powerOff());
    await world.clock.settled();
    stop.abort();
    const { ok, out } = await watching;
    expect(ok).toBe(true);
    expect(out.some((line) => line.includes('/statusInfo'))).toBe(true);
    expect(out.some((line) => line.includes('"lwt"'))).toBe(true);
    expect(out.filter((line) => /\p{Cc}/u.test(line) || line.includes('/other/'))).toEqual([]);
  });
});
