import { describe, expect, it } from 'vitest';
import { groupName } from '#model/ids.ts';
import type { OperationDraft } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { reportedFor } from '#observe/reported.ts';
import { makeWorld, MINUTE, modelledFamily, revision } from '#test/support/rollout-world.ts';
import { makeDraft } from './draft.ts';
import { guard } from './guards.ts';
import type { Refusal } from './draft.ts';
import type { DecideInput } from './input.ts';

const HOUR = 60 * MINUTE;
const spec = (firmware: string) => ({
  commit: firmware,
  devices: [{ id: 'd0' }],
  groups: { met: { versions: { firmware }, silenceMs: 6 * HOUR } },
});

/** What stands against sending a change to a device that was last heard so long ago. */
function against(
  heardMsAgo: number,
  change: Partial<ReportedDevice>,
  { heardWithinMs, ...process }: Pick<DecideInput, 'elsewhere'> & Pick<OperationDraft, 'heardWithinMs'> = {},
): Refusal | null {
  const world = makeWorld(spec('1'));
  world.tick(MINUTE);
  world.pass({ genesis: true });
  world.commit(spec('2'));
  world.tick(MINUTE);
  const { plan } = world.look();
  const declared = revision(spec('2'));
  const device = declared.deviceAt(0);
  const group = declared.groups.get(groupName('met'));
  const operation = plan.devices[0]?.operations[0];
  if (group === undefined || operation === undefined) throw new Error('nothing is planned');
  const bare = { device: device.id, serial: null, model: null, problem: null, items: {}, measures: {}, signs: [], memo: {} };
  const report: ReportedDevice = { ...bare, heardAt: world.now - heardMsAgo, online: null, gapMs: null, ...change };
  const families = new Map([['modelled', modelledFamily('push')]]);
  const reported = reportedFor(declared, [report]);
  const now = { view: world.view, now: world.now, nextPassMs: null, genesis: false };
  const draft = makeDraft({ plan, declared, reported, families, ...now, ...process });
  return guard(draft, { group, device, operation: heardWithinMs === undefined ? operation : { ...operation, heardWithinMs } });
}

it('is left to the process that can carry it out', () => {
  const elsewhere = (): string => 'nobody answers its devices here';
  const left = { reason: 'UNSUPPORTED', evidence: 'nobody answers its devices here', until: null, person: 'run the daemon' };
  expect(against(0, { online: true }, { elsewhere })).toEqual(left);
  expect(against(0, { online: true }, { elsewhere: () => null })).toBe(null);
});

describe('a push', () => {
  it('goes to a device that is there, however long ago it was heard', () => {
    expect(against(48 * HOUR, { online: true })).toBe(null);
  });

  it('does not go to one that is gone', () => {
    expect(against(MINUTE, { online: false })).toMatchObject({ reason: 'OFFLINE' });
  });

  it('waits for one of which nobody knows, once it has been silent for three of its usual gaps', () => {
    expect(against(2 * MINUTE, { gapMs: MINUTE })).toBe(null);
    expect(against(40 * MINUTE, { gapMs: MINUTE })).toMatchObject({ reason: 'OFFLINE', evidence: 'last heard 40m ago' });
    expect(against(40 * HOUR, { gapMs: 24 * HOUR })).toBe(null);
  });

  it('says for itself how lately its device must have been heard: news that came close together are no rhythm', () => {
    expect(against(10 * MINUTE, { gapMs: MINUTE }, { heardWithinMs: 15 * MINUTE })).toBe(null);
    expect(against(20 * MINUTE, { gapMs: HOUR }, { heardWithinMs: 15 * MINUTE })).toMatchObject({ reason: 'OFFLINE' });
    expect(against(MINUTE, { online: false }, { heardWithinMs: 15 * MINUTE })).toMatchObject({ reason: 'OFFLINE' });
  });

  it('needs nobody there where it is done at a service', () => {
    expect(against(48 * HOUR, { online: false, gapMs: MINUTE }, { heardWithinMs: null })).toBe(null);
  });

  it('takes the silence of the group where no gap is known', () => {
    expect(against(5 * HOUR, {})).toBe(null);
    expect(against(7 * HOUR, {})).toMatchObject({ reason: 'OFFLINE' });
  });
});
