import { expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { deviceId, type DeviceId } from '#model/ids.ts';
import { emptyReport, type ReportedItem } from '#model/reported.ts';
import type { DriverPorts } from '#ports/driver.ts';
import type { Mdash } from '#ports/mdash.ts';
import { WireError } from '#ports/wire-error.ts';
import { VirtualClock } from '#sim/clock.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';
import { mongooseFiles } from '#test/support/mongoose-fleet.ts';
import { askBoards } from './driver-ask.ts';

const BOARDS = Array.from({ length: 40 }, (_, index) => `a${String(index).padStart(3, '0')}`);

const TRIAL: ReportedItem = { kind: 'value', value: '2.0.0 b (on trial)', facts: null, madeNotBefore: 0, source: 'Sys.GetInfo' };

it('a board on trial is asked before those that are silent, however many they are', async () => {
  const clock = new VirtualClock(0);
  const asked: string[] = [];
  const mdash: Mdash = {
    devices: () => Promise.resolve([]),
    upload: () => Promise.resolve('silent'),
    close: () => Promise.resolve(),
    call: async ({ device, timeoutMs, signal }) => {
      asked.push(device);
      await clock.sleep(timeoutMs, signal);
      return 'silent';
    },
  };
  const ports = { clock, connection: () => ({ type: 'mdash' }), mdash: () => Promise.resolve(mdash) } as unknown as DriverPorts;
  const boards = [...BOARDS, 'y', 'z'].map((id) => ({
    device: { id, address: null, options: {}, items: [], via: { connection: 'dash', to: null } } as unknown as DeclaredDevice,
    report: { ...emptyReport(deviceId(id)), items: id === 'y' ? { firmware: TRIAL } : {} },
  }));
  const isOpen = (id: DeviceId): boolean => id === 'z';
  await clock.run(askBoards(ports, boards, { isOpen, signal: new AbortController().signal }));
  expect(asked.slice(0, 3)).toEqual(['y', 'z', BOARDS[0]]);
});

it('a board that its wire cannot serve does not keep the others from being asked', async () => {
  const boards = BOARDS;
  const asked = new Set<string>();
  const breaking = (own: Mdash): Mdash => ({
    devices: (signal) => own.devices(signal),
    upload: (upload) => own.upload(upload),
    close: () => own.close(),
    call: (call) => {
      asked.add(call.device);
      return call.device === 'esp32_a000' ? Promise.reject(new WireError('MDASH_500', 'later', 'a page')) : own.call(call);
    },
  });
  const fleet = await MemoryFleet.start({
    files: mongooseFiles({ via: 'dash', boards }),
    nextPassMs: MINUTE_MS,
    wires: (wires) => ({
      ...wires,
      mdash: async (connection) => {
        if (wires.mdash === undefined) throw new Error('no mDash here');
        return breaking(await wires.mdash(connection));
      },
    }),
  });
  for (const id of boards) await fleet.add(id);
  await fleet.clock.advance(MINUTE_MS);
  const { result } = await fleet.pass({ newLedger: true });
  expect(asked.size).toBe(boards.length);
  expect(result?.troubles).toMatchObject([{ connection: 'dash', code: 'MDASH_500' }]);
  await fleet.close();
});
