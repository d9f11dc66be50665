import { describe, expect, it } from 'vitest';
import type { Declared, DeclaredDevice, FleetDeclaration } from '#model/declared.ts';
import { digest } from '#model/ids.ts';
import { revision } from '#test/support/rollout-world.ts';
import type { DeviceSpec, RevisionSpec } from '#test/support/rollout-world.ts';
import { declaredDifference } from './declared-difference.ts';

const MET = { met: { versions: { firmware: '1.0.0', program: 'a' } }, vans: { versions: { firmware: '7' } } } as const;
const DEVICES: readonly DeviceSpec[] = [
  { id: 'alder', group: 'met', model: 'A' },
  { id: 'birch', group: 'met', model: 'B' },
  { id: 'cedar', group: 'met', model: 'B' },
  { id: 'van', group: 'vans' },
];

function declared(change: Partial<RevisionSpec> = {}): Declared {
  return revision({ commit: 'c', devices: DEVICES, groups: MET, ...change });
}

/** Some devices of a revision, otherwise declared. */
function withDevices(base: Declared, change: (device: DeclaredDevice) => DeclaredDevice): Declared {
  return { ...base, deviceAt: (row) => change(base.deviceAt(row)) };
}

describe('declaredDifference', () => {
  it('is nothing of a revision and itself', () => {
    const difference = declaredDifference(declared(), declared());
    expect(difference).toMatchObject({ changing: 0, devices: 4, joining: [], leaving: [], replaced: [], moving: [] });
    expect([difference.groups, difference.rules, difference.onlyByMerge]).toEqual([[], [], []]);
  });

  it('tells per group what changes from which version to which, and how many of each model', () => {
    const head = declared({ groups: { ...MET, met: { versions: { firmware: '2.0.0', program: 'a' } } } });
    const [group, ...others] = declaredDifference(declared(), head).groups;
    expect(others).toEqual([]);
    expect(group).toMatchObject({ group: 'met', sign: 'changes', devices: 3, changing: 3, rules: [] });
    expect(group?.items).toMatchObject([
      {
        item: 'firmware',
        from: '1.0.0',
        to: '2.0.0',
        models: [
          ['B', 2],
          ['A', 1],
        ],
        examples: ['alder', 'birch', 'cedar'],
      },
    ]);
    expect(group?.parts.map(({ sign }) => sign).toSorted()).toEqual(['joins', 'leaves']);
    expect(group?.from).not.toBe(group?.to);
  });

  it('tells content that changed under the same name', () => {
    const base = declared();
    const head = withDevices(base, (device) =>
      device.id === 'alder'
        ? { ...device, items: device.items.map((item) => (item.item === 'firmware' ? { ...item, value: 'other' } : item)) }
        : device,
    );
    expect(declaredDifference(base, head)).toMatchObject({
      changing: 1,
      groups: [{ items: [{ item: 'firmware', from: '1.0.0', to: '1.0.0 (other value)' }] }],
    });
  });

  it('lists who joins, leaves, moves and has new hardware, in order of id', () => {
    const [, ...rest] = DEVICES;
    const joined = [...rest, { id: 'elder', group: 'met' }, { id: 'dogwood', group: 'met' }];
    const devices = joined.map((device) => (device.id === 'birch' ? { ...device, group: 'vans' } : device));
    const head = withDevices(declared({ devices }), (device) => {
      return device.id === 'cedar' ? { ...device, hardware: digest('f'.repeat(64)), serial: 'new' } : device;
    });
    const difference = declaredDifference(declared(), head);
    expect(difference.joining.map(({ device }) => device)).toEqual(['dogwood', 'elder']);
    expect(difference.leaving).toMatchObject([{ device: 'alder', group: 'met', model: 'A' }]);
    expect(difference.moving).toMatchObject([{ device: 'birch', from: 'met', to: 'vans' }]);
    expect(difference.replaced).toMatchObject([{ device: 'cedar', to: expect.stringContaining('serial new') as string }]);
    expect(difference.changing).toBe(2);
  });

  it('tells groups that come and go', () => {
    const only = declared({ devices: DEVICES.slice(0, 3), groups: { met: MET.met } });
    expect(declaredDifference(only, declared()).groups).toMatchObject([
      { group: 'vans', sign: 'joins', from: null, devices: 1, changing: 0 },
    ]);
    expect(declaredDifference(declared(), only).groups).toMatchObject([{ group: 'vans', sign: 'leaves', to: null }]);
  });

  it('tells rules from what they were to what they are', () => {
    const head = declared({
      rollouts: { careful: { onFailure: 'revert', windows: ['nights'] } },
      approvals: [{ reason: 'checked by hand', wave: 'rest' }],
      groups: { ...MET, met: { ...MET.met, silenceMs: 60_000 } },
    });
    const difference = declaredDifference(declared(), head);
    const rollout = difference.rules.find(({ kind }) => kind === 'rollout');
    expect(rollout).toMatchObject({ name: 'careful', sign: 'changes', details: ['windows any → nights', 'on failure halt → revert'] });
    expect(difference.rules.find(({ kind }) => kind === 'approval')).toMatchObject({ sign: 'joins', details: ['reason checked by hand'] });
    expect(difference.groups).toMatchObject([{ group: 'met', parts: [], items: [], rules: [expect.stringMatching(/^silence .* → 1m$/)] }]);
  });

  it('tells a freeze from another override, by the devices that it holds', () => {
    const base = declared();
    const place = { file: 'overrides/a.yaml', line: 1, column: 1 };
    const override = { name: 'tracer', place, reason: 'dye', starts: null, reviewBy: Date.UTC(2027, 3, 1), until: null, devices: [] };
    const freeze = { override: 'tracer', reason: 'dye', until: null };
    const frozen = withDevices({ ...base, overrides: [override] }, (device) => (device.id === 'alder' ? { ...device, freeze } : device));
    expect(declaredDifference(base, frozen).rules).toMatchObject([{ kind: 'freeze', name: 'tracer', sign: 'joins' }]);
    expect(declaredDifference(base, frozen).rules[0]?.details).toContain('review by 2027-03-31');
    expect(declaredDifference({ ...base, overrides: [override] }, base).rules).toMatchObject([{ kind: 'override', sign: 'leaves' }]);
  });

  it('keeps apart what only a merge changes, and shows no address of it', () => {
    const base = declared();
    const place = { file: 'fleet.yaml', line: 1, column: 1 };
    const field = (url: string): FleetDeclaration['connections'] =>
      new Map([
        [
          'field',
          {
            name: 'field',
            place,
            type: 'mqtt',
            url,
            username: null,
            password: null,
            clientId: null,
            ca: null,
            cert: null,
            key: null,
            presence: null,
            withdraw: null,
          },
        ],
      ]);
    const was = { ...base, fleet: { ...base.fleet, connections: field('mqtts://user:one@a.example.org') } };
    const fleet = { ...base.fleet, connections: field('mqtts://user:two@b.example.org'), limits: { ...base.fleet.limits, leave: 7 } };
    const { rules, onlyByMerge } = declaredDifference(was, { ...base, fleet });
    expect(rules).toEqual([]);
    expect(onlyByMerge).toMatchObject([
      { kind: 'connection', name: 'field', sign: 'changes', details: ['url'] },
      { kind: 'limits', details: [expect.stringMatching(/^leave \d+ → 7$/)] },
    ]);
    expect(JSON.stringify(declaredDifference(base, { ...base, fleet }))).not.toContain('example.org');
  });
});
