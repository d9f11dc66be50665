import { describe, expect, it } from 'vitest';
import { buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { PassReport } from '#reconcile/report.ts';
import { MemoryFleet, type Files } from '#test/support/memory-fleet.ts';

const ID = '0A000001';
const KEY = `${ID}/config-01.08.json`;
const POLICIES = ['hold', 'correct', 'adopt'] as const;

function files(policy: (typeof POLICIES)[number], meta = ''): Files {
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: vans
ledger: { store: "sqlite:ledger.sqlite", id: vans, lasting: true }
connections: { logs: { type: s3, bucket: vehicle-logs, region: eu-west-2 } }
`,
    'devices/vans.yaml': `kind: Devices
family: canedge
via: logs
defaults: { model: CANedge2, options: { sweep: 0s } }
devices:
  van-1: { serial: ${ID} }
  van-2: { serial: 0A000002 }
`,
    'groups/vans.yaml': `kind: Group
name: vans
select: all
pins: { config: { layers: [files/base-01.08.json] } }
rollout: all
drift: { config: ${policy} }
`,
    'rollouts/all.yaml': 'kind: Rollout\nname: all\nwaves: [ { name: everyone } ]\nbudget: [ { max: 100% } ]\nwindows: any\n',
    'files/base-01.08.json': JSON.stringify(buildSimConfig('01.08', 'CANedge2', { meta })),
  };
}

interface Fleet {
  readonly fleet: MemoryFleet;
  readonly bucket: ObjectStore;
}

async function begun(policy: (typeof POLICIES)[number]): Promise<Fleet> {
  const fleet = await MemoryFleet.start({ files: files(policy) });
  for (const van of ['van-1', 'van-2']) await fleet.add(van);
  await fleet.clock.advance(10 * MINUTE_MS);
  await fleet.pass({ newLedger: true });
  await fleet.clock.advance(10 * MINUTE_MS);
  await fleet.pass();
  return { fleet, bucket: fleet.sim.bucket('logs') };
}

/** Passes every ten minutes for two hours: what they wrote in all, and the last one. */
async function later({ fleet }: Fleet): Promise<{ readonly puts: number; readonly last: PassReport }> {
  let puts = 0;
  let last: PassReport | null = null;
  for (let at = 0; at < 2 * HOUR_MS; at += 10 * MINUTE_MS) {
    await fleet.clock.advance(10 * MINUTE_MS);
    last = await fleet.pass();
    puts += last.result?.objectCalls.reduce((sum, calls) => sum + calls.put, 0) ?? 0;
  }
  if (last === null) throw new Error('no pass');
  return { puts, last };
}

function reasons({ result }: PassReport): readonly string[] {
  return (result?.decision.held ?? []).map(({ device, reason }) => `${device} ${reason}`);
}

describe.each(POLICIES)('drift of a config, to be dealt with by %s:', (policy) => {
  it('somebody edited the object, and the device took it (F12)', async () => {
    const vans = await begun(policy);
    const edited = new TextEncoder().encode(JSON.stringify(buildSimConfig('01.08', 'CANedge2', { meta: 'by hand' })));
    await vans.fleet.clock.run(vans.bucket.put(KEY, edited));
    await vans.fleet.clock.advance(20 * MINUTE_MS);
    const { puts, last } = await later(vans);
    expect(puts).toBe(policy === 'correct' ? 1 : 0);
    expect(reasons(last)).toEqual(policy === 'correct' ? [] : ['van-1 DRIFT_HELD']);
    const [edits, others] = ['van-1', 'van-2'].map((van) => vans.fleet.device(van).truth()['config']);
    expect(edits === others).toBe(policy === 'correct');
    await vans.fleet.close();
  });

  it('somebody edited the SD card: the bucket wins at the next poll, and nothing is written (F10)', async () => {
    const vans = await begun(policy);
    vans.fleet.device('van-1').fault('sdEdit', 'on the card');
    const { puts, last } = await later(vans);
    expect(puts).toBe(0);
    expect(reasons(last)).toEqual([]);
    expect(vans.fleet.device('van-1').truth()).toEqual(vans.fleet.device('van-2').truth());
    await vans.fleet.close();
  });

  it('somebody deleted the object: the device puts its own back, or we do (F11)', async () => {
    const vans = await begun(policy);
    const before = await vans.fleet.clock.run(vans.bucket.get(KEY));
    await vans.fleet.clock.run(vans.bucket.delete(KEY));
    const { puts, last } = await later(vans);
    expect(puts).toBeLessThanOrEqual(policy === 'correct' ? 1 : 0);
    expect(reasons(last)).toEqual([]);
    const after = await vans.fleet.clock.run(vans.bucket.get(KEY));
    expect(typeof after === 'object' && typeof before === 'object' ? after.etag : 'gone').toBe(
      typeof before === 'object' ? before.etag : '',
    );
    await vans.fleet.close();
  });
});

describe('a bucket that is not as it should be', () => {
  it('and ignores conditions: every write is still compared with what was read right before, and verified', async () => {
    const vans = await begun('correct');
    vans.fleet.sim.s3Faults.ignoreConditions = true;
    vans.fleet.repo.commit(files('correct', 'Truck'), 'Another meta');
    const { last } = await later(vans);
    expect(reasons(last)).toEqual([]);
    expect(last.result?.plan.groups.map(({ converged }) => converged)).toEqual([2]);
    await vans.fleet.close();
  });

  it('and denies one folder: that device alone is told of, and the other goes on', async () => {
    for (const operations of [undefined, ['PutObject'] as const]) {
      const vans = await begun('correct');
      vans.fleet.sim.s3Faults.add({ kind: 'deny' }, { prefix: `${ID}/`, ...(operations === undefined ? {} : { operations }) });
      vans.fleet.repo.commit(files('correct', 'Truck'), 'Another meta');
      const { last } = await later(vans);
      expect(last.result?.plan.groups.map(({ converged }) => converged)).toEqual([1]);
      const told = [
        ...(last.result?.troubles ?? []).map(({ code, message }) => `${code} ${message}`),
        ...(last.result?.decision.held ?? []).map(({ evidence }) => evidence),
      ];
      expect(told.join('\n')).toMatch(operations === undefined ? /S3_403 device van-1/ : /S3_403/);
      await vans.fleet.close();
    }
  });
});
