import { describe, expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import type { MemoryFleet } from '#test/support/memory-fleet.ts';
import { mongooseFiles, type MongooseFiles } from '#test/support/mongoose-fleet.ts';
import { happened, merged, ONE, runs, story, TWO } from '#test/support/mongoose-story.ts';

const BOARD = 'esp32_b0';
const written: MongooseFiles = { via: 'hub' };

/** Desired of the twin as its board reads it. */
function wanted(fleet: MemoryFleet): string {
  return JSON.stringify(fleet.sim.azure('hub').twins.readByDevice(BOARD)['desired'] ?? null);
}

function calls(fleet: MemoryFleet): number {
  return fleet.sim.azure('hub').endpoint.calls.get('invokeMethod') ?? 0;
}

/** What begins, ends and breaks; no holds. */
function acts(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => !line.startsWith('held'));
}

describe('a board at a hub', () => {
  it('is not called while nothing is under way, because its twin says it all', async () => {
    const fleet = await merged(written);
    expect(calls(fleet)).toBe(0);
    expect(acts(await story(fleet, 4))).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
    const made = calls(fleet);
    await story(fleet, 3, 30 * MINUTE_MS);
    expect([calls(fleet), runs(fleet)]).toEqual([made, TWO]);
    await fleet.close();
  });

  it('that is away is offered the URL, takes it when it comes back, and is committed', async () => {
    const fleet = await merged(written);
    await fleet.clock.run(fleet.device('b0').powerOff());
    expect((await story(fleet, 20)).at(-1)).toMatch(/^held OFFERED/);
    expect(wanted(fleet)).toContain('board-2.0.0.zip');
    expect(happened(fleet)).toEqual([]);
    await fleet.clock.run(fleet.device('b0').powerOn());
    await fleet.clock.advance(MINUTE_MS);
    expect(acts(await story(fleet, 4))).toEqual(['commit 1', 'succeeded', 'succeeded']);
    expect(happened(fleet)).toEqual(['download', 'flash', 'reboot', 'commit']);
    await fleet.close();
  });

  it('that is away has the offer taken back with the change', async () => {
    const fleet = await merged(written);
    await fleet.clock.run(fleet.device('b0').powerOff());
    await fleet.pass();
    fleet.repo.commit(mongooseFiles(written), 'Take it back');
    await story(fleet, 2);
    expect(wanted(fleet)).not.toContain('board-2.0.0.zip');
    await fleet.clock.run(fleet.device('b0').powerOn());
    await story(fleet, 2);
    expect(happened(fleet)).toEqual([]);
    await fleet.close();
  });

  it('that nobody commits goes back, is held to have failed, and is not told again', async () => {
    const fleet = await merged(written);
    expect(acts(await story(fleet, 1))).toEqual(['update 1']);
    fleet.sim.azure('hub').faults.addToCalls({ kind: 'unavailable' }, { operations: ['invokeMethod'] });
    const lines = await story(fleet, 16);
    expect(lines).toContain('failed ROLLED_BACK');
    expect(acts(lines).filter((line) => line.startsWith('update'))).toEqual([]);
    expect(happened(fleet)).not.toContain('commit');
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });

  it.each([
    {
      kind: 'timeout',
      skip: 4,
      what: 'the look before it is not answered',
      first: ['commit 1', 'commit: trouble the board does not answer calls', 'commit 2'],
    },
    { kind: 'timeout', skip: 6, what: 'its answer comes too late for the hub', first: ['commit 1', 'succeeded', 'succeeded'] },
    {
      kind: 'reset-after',
      skip: 6,
      what: 'its answer is lost',
      first: ['commit 1', 'commit: trouble the hub: the connection was cut', 'succeeded'],
    },
  ] as const)('is committed once though $what', async ({ kind, skip, first }) => {
    const fleet = await merged(written);
    await story(fleet, 1);
    // Two questions for the report of the pass, two for the look before the act, two within the act.
    fleet.sim.azure('hub').faults.addToCalls({ kind }, { operations: ['invokeMethod'], skip, times: 1 });
    const lines = acts(await story(fleet, 6));
    expect(lines.slice(0, 3)).toEqual(first);
    expect(lines).toContain('succeeded');
    expect(happened(fleet)).toEqual(['download', 'flash', 'reboot', 'commit']);
    await fleet.close();
  });

  it('is brought its firmware by a direct method where that is declared, and no URL lies in its twin', async () => {
    const fleet = await merged({ ...written, options: '{ ota: rpc }' });
    expect(acts(await story(fleet, 4))).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
    expect(happened(fleet)).toEqual(['download', 'flash', 'reboot', 'commit']);
    expect(wanted(fleet)).not.toContain('board-2.0.0.zip');
    expect(runs(fleet)).toBe(TWO);
    await fleet.close();
  });

  it('that asks who calls is left on trial, because a direct method does not say it', async () => {
    const fleet = await merged(written, { hardware: { password: 's3cret' } });
    const lines = await story(fleet, 16);
    expect(lines).toContain('commit: trouble answers Sys.GetInfo with 401: a direct method cannot say who calls');
    expect(happened(fleet)).not.toContain('commit');
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });
});
