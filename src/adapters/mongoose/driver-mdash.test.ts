import { describe, expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import type { PassResult } from '#reconcile/report.ts';
import { MemoryFleet, type Files } from '#test/support/memory-fleet.ts';
import { BUILD, mongooseFiles, type MongooseFiles } from '#test/support/mongoose-fleet.ts';

/** Boards that mDash alone reaches. */
function behindMdash(written: MongooseFiles): Files {
  return mongooseFiles({ ...written, via: 'dash' });
}

/** A fleet that runs 1.0.0, with 2.0.0 just merged. */
async function merged(boards: readonly string[] = ['b0']): Promise<MemoryFleet> {
  const fleet = await MemoryFleet.start({ files: behindMdash({ boards }), nextPassMs: MINUTE_MS });
  for (const id of boards) await fleet.add(id, {});
  await fleet.clock.advance(MINUTE_MS);
  await fleet.pass({ newLedger: true });
  fleet.repo.commit(behindMdash({ boards, firmware: '2.0.0' }), 'The change');
  return fleet;
}

async function story(fleet: MemoryFleet, passes: number): Promise<readonly string[]> {
  const lines: string[] = [];
  for (let pass = 0; pass < passes; pass += 1) {
    const { result } = await fleet.pass();
    if (result === null) throw new Error('the pass was refused');
    lines.push(...linesOf(result));
    await fleet.clock.advance(MINUTE_MS);
  }
  return lines;
}

function linesOf({ decision, executed }: PassResult): readonly string[] {
  return [
    ...decision.closed.map(({ closing, code }) => `${closing}${code === null ? '' : ` ${code}`}`),
    ...decision.admitted.map(({ operation, attempt }) => `${operation.device} ${operation.step} ${attempt}`),
    ...executed.flatMap(({ result }) =>
      result.kind === 'refused' || result.kind === 'trouble' ? [`${result.kind}: ${result.evidence}`] : [],
    ),
    ...decision.held.map(({ reason }) => `held ${reason}`),
  ];
}

describe('a board that mDash alone reaches', () => {
  it('is uploaded to, tried, committed by a call, and then converged', async () => {
    const fleet = await merged();
    expect(await story(fleet, 4)).toEqual(['b0 update 1', 'b0 commit 1', 'succeeded', 'succeeded']);
    const board = fleet.device('b0');
    expect(board.effects.map(({ kind }) => kind)).toEqual(['flash', 'reboot', 'commit']);
    expect(board.truth()['firmware']).toBe(`2.0.0 ${BUILD}`);
    const acts = fleet.sim.mdash('dash').requests.filter((asked) => asked.startsWith('POST') || asked.includes('OTA.Commit'));
    expect(acts).toEqual(['POST /devices/esp32_b0/ota', 'GET /devices/esp32_b0/rpc/OTA.Commit']);
    await fleet.close();
  });

  it('is left as it is by an mDash that takes no uploads any more, with a word on why', async () => {
    const fleet = await merged();
    fleet.sim.mdash('dash').set({ ota: 'gone' });
    const lines = await story(fleet, 10);
    expect(lines.filter((line) => line.startsWith('trouble'))).toEqual([
      'trouble: mDash at dash.mdash.sim takes no upload for esp32_b0 (404): it does not know the device, or has no /ota any more',
    ]);
    expect(lines.at(-1)).toBe('held RETRY_LATER');
    expect(fleet.sim.mdash('dash').requests.filter((asked) => asked.endsWith('/ota'))).toHaveLength(1);
    expect(fleet.device('b0').effects).toEqual([]);
    await fleet.close();
  });

  it('does not wait for one that is off', async () => {
    const fleet = await merged(['b0', 'b1']);
    await fleet.clock.run(fleet.device('b0').powerOff());
    const lines = await story(fleet, 4);
    expect(lines.filter((line) => / (update|commit) /.test(line)).filter((line) => line.startsWith('b1'))).toEqual([
      'b1 update 1',
      'b1 commit 1',
    ]);
    expect(fleet.device('b1').truth()['firmware']).toBe(`2.0.0 ${BUILD}`);
    expect(fleet.device('b0').effects).toEqual([]);
    await fleet.close();
  });

  it('that takes longer than anybody waits is not uploaded to twice', async () => {
    const fleet = await merged();
    fleet.sim.mdash('dash').set({ latencyMs: 400 });
    const lines = await story(fleet, 4);
    expect(lines).toEqual(['b0 update 1', 'b0 commit 1', 'succeeded', 'succeeded']);
    expect(fleet.device('b0').effects.map(({ kind }) => kind)).toEqual(['flash', 'reboot', 'commit']);
    await fleet.close();
  });

  it('is refused a bundle for another board before anything is sent', async () => {
    const fleet = await merged();
    fleet.device('b0').fault('wrongPlatform', 'esp8266');
    await fleet.clock.run(fleet.device('b0').powerOff());
    await fleet.clock.run(fleet.device('b0').powerOn());
    const lines = await story(fleet, 2);
    expect(lines).toContain('refused: WRONG_PLATFORM: the board is esp8266, and the bundle is for esp32');
    expect(fleet.sim.mdash('dash').requests.filter((asked) => asked.endsWith('/ota'))).toEqual([]);
    expect(fleet.device('b0').effects).toEqual([]);
    await fleet.close();
  });

  it('that was uploaded to and never committed goes back', async () => {
    const fleet = await merged();
    await fleet.pass();
    await fleet.clock.advance(20 * MINUTE_MS);
    const lines = await story(fleet, 2);
    expect(lines.filter((line) => /update|failed/.test(line))).toEqual(['failed ROLLED_BACK']);
    expect(fleet.device('b0').truth()['firmware']).toBe(`1.0.0 ${BUILD}`);
    await fleet.close();
  });
});
