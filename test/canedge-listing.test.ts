import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { ListRequest, ObjectStore } from '#ports/object-store.ts';
import type { Wires } from '#ports/wires.ts';
import type { PassReport } from '#reconcile/report.ts';
import { MemoryFleet, type Files } from '#test/support/memory-fleet.ts';

/** Folders of others in the bucket, and logs in the folder of the first device. */
const STRANGERS = 2400;
const DEVICES = 6;
const LOGS = 50_000;
const lists: ListRequest[] = [];
let fleet: MemoryFleet;

const serial = (index: number): string => `0A00000${index + 1}`;

function files(change: { readonly meta?: string; readonly sweep?: string } = {}): Files {
  const config = buildSimConfig('01.08', 'CANedge2', { meta: change.meta ?? '' });
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: vans
ledger: { store: "sqlite:ledger.sqlite", id: vans, lasting: true }
connections: { logs: { type: s3, bucket: vehicle-logs, region: eu-west-2 } }
limits: { change: 100% }
`,
    'devices/vans.yaml': `kind: Devices
family: canedge
via: logs
defaults: { model: CANedge2, options: { sweep: ${change.sweep ?? '30m'} } }
devices:
${Array.from({ length: DEVICES }, (_, index) => `  van-${index + 1}: { serial: ${serial(index)} }\n`).join('')}`,
    'groups/vans.yaml': `kind: Group
name: vans
select: all
pins: { config: { layers: [files/base-01.08.json] } }
rollout: one-first
`,
    'rollouts/one-first.yaml': `kind: Rollout
name: one-first
waves: [ { name: first, count: 1, gate: { success: 100%, soak: 2h } }, { name: rest } ]
windows: any
`,
    'files/base-01.08.json': JSON.stringify(config),
  };
}

/** Remembers what was listed, as the engine asked it. */
function spying(wires: Wires): Wires {
  return {
    ...wires,
    objects: async (connection) => {
      const store = await wires.objects(connection);
      const list: ObjectStore['list'] = (request, signal) => {
        lists.push(request);
        return store.list(request, signal);
      };
      return { ...store, list };
    },
  };
}

interface Asked {
  readonly list: number;
  readonly head: number;
  readonly get: number;
  readonly put: number;
}

function asked({ result }: PassReport): Asked & { readonly delete: number } {
  const [calls, ...others] = result?.objectCalls ?? [];
  expect(others).toEqual([]);
  const { connection: _of, ...sums } = calls ?? { connection: '', list: 0, head: 0, get: 0, put: 0, delete: 0 };
  return sums;
}

async function passAfter(ms: number, options: Parameters<MemoryFleet['pass']>[0] = {}): Promise<PassReport> {
  lists.length = 0;
  await fleet.clock.advance(ms);
  return fleet.pass(options);
}

beforeAll(async () => {
  fleet = await MemoryFleet.start({ files: files(), wires: spying });
  const bucket = fleet.sim.bucket('logs');
  const empty = new Uint8Array();
  await fleet.clock.run(
    (async () => {
      for (let index = 0; index < STRANGERS; index += 1) await bucket.put(`F${String(index).padStart(7, '0')}/device.json`, empty);
      for (let index = 0; index < LOGS; index += 1) {
        const [session, split] = [1 + Math.floor(index / 500), 1 + (index % 500)].map((number) => String(number).padStart(8, '0'));
        await bucket.put(`${serial(0)}/${session}/${split}-6A000000.MF4`, empty);
      }
    })(),
  );
  for (let index = 0; index < DEVICES; index += 1) await fleet.add(`van-${index + 1}`);
});

afterAll(() => fleet.close());

/** One fleet through its day: each line goes on where the one before left it. */
describe('what a pass asks of a bucket of 2,406 folders, one with 50,000 logs', () => {
  it('at first: the root by the thousand, and each folder once, behind its logs', async () => {
    const first = await passAfter(10 * MINUTE_MS, { newLedger: true });
    // ceil(2,406 / 1,000) pages of the root; of each device one listing, its heartbeat and its config.
    expect(asked(first)).toEqual({ list: 3 + DEVICES, head: 0, get: 2 * DEVICES, put: 0, delete: 0 });
    expect(lists.filter(({ prefix }) => prefix === '').map(({ delimiter }) => delimiter)).toEqual(['/', '/', '/']);
    const folders = lists.filter(({ prefix }) => prefix !== '').toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1));
    expect(folders).toEqual(
      Array.from({ length: DEVICES }, (_, index) => ({ prefix: `${serial(index)}/`, delimiter: '/', startAfter: `${serial(index)}/:` })),
    );
  });

  it('when all is as declared: the heartbeat of each device, by one conditional GET', async () => {
    expect(asked(await passAfter(10 * MINUTE_MS))).toEqual({ list: 0, head: 0, get: DEVICES, put: 0, delete: 0 });
    expect(asked(await passAfter(10 * SECOND_MS))).toEqual({ list: 0, head: 0, get: DEVICES, put: 0, delete: 0 });
  });

  it('after a sweep: each folder once more, of which only what changed is read', async () => {
    const report = await passAfter(25 * MINUTE_MS);
    // No root: the folders are known.
    expect(asked(report)).toEqual({ list: DEVICES, head: 0, get: DEVICES, put: 0, delete: 0 });
  });

  it('while something is open at one device: its folder with each pass, the others only when their sweep is due', async () => {
    fleet.repo.commit(files({ meta: 'Truck' }), 'Say what they are');
    const offered = await passAfter(11 * MINUTE_MS);
    expect(offered.result?.executed.map(({ result }) => result.kind)).toEqual(['performed']);
    // Each folder, since another config is declared: heartbeat, the config in its place, its Rule Schema. The one that is
    // offered it: twice over heartbeat, config and schema before the write, and a HEAD after it.
    expect(asked(offered)).toEqual({ list: DEVICES, head: 1, get: 3 * DEVICES + 2 * 3, put: 1, delete: 0 });
    const [device = ''] = offered.result?.view.open.keys() ?? [];
    const folder = `${serial(Number(device.slice('van-'.length)) - 1)}/`;
    for (let passes = 0; passes < 3; passes += 1) {
      // Of the open one the listing tells that nothing is newer but what was written, which is read once.
      expect(asked(await passAfter(10 * SECOND_MS))).toEqual({
        list: 1,
        head: 0,
        get: DEVICES - 1 + (passes === 0 ? 1 : 0),
        put: 0,
        delete: 0,
      });
      expect(lists).toEqual([{ prefix: folder, delimiter: '/', startAfter: `${folder}:` }]);
    }
    // The others wait for their wave, and are not as declared: that alone is no reason to look at them with each pass.
    expect(asked(await passAfter(10 * MINUTE_MS))).toEqual({ list: 1, head: 0, get: DEVICES, put: 0, delete: 0 });
  });

  it('never looks among the logs', async () => {
    for (let hours = 0; hours < 6; hours += 1) await passAfter(HOUR_MS);
    expect(lists.filter(({ prefix, delimiter }) => delimiter !== '/' || (prefix !== '' && !/^[0-9A-F]{8}\/$/.test(prefix)))).toEqual([]);
  });
});
