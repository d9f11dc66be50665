import { describe, expect, it } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';
import { mongooseFiles, type MongooseFiles } from '#test/support/mongoose-fleet.ts';
import { happened, merged, ONE, runs, story, TWO } from '#test/support/mongoose-story.ts';
import { requestText, requestTopic } from './rpc.ts';

const SHADOW: MongooseFiles = { options: '{ ota: shadow }' };
const CALLS: MongooseFiles = { options: '{ ota: rpc }' };
const FLAT: MongooseFiles = { options: '{ ota: shadow, shadow: { generation: flat } }' };
const BAD = 'Malformed archive';

/** Lines that say what was begun and how it ended. */
function acts(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => !line.startsWith('held'));
}

/** A board that could not read the bundle of 2.0.0, says so as long as it is asked, and is to have 3.0.0. */
async function failedBefore(written: MongooseFiles, options: Parameters<typeof merged>[1] = {}): Promise<MemoryFleet> {
  const fleet = await merged(written, options);
  fleet.device('b0').fault('downloadFails', BAD);
  expect(acts(await story(fleet, 3))).toEqual(['update 1', 'failed BAD_BUNDLE']);
  fleet.device('b0').fault('downloadFails', false);
  fleet.repo.commit(mongooseFiles({ ...written, firmware: '3.0.0' }), 'Built again');
  return fleet;
}

describe('an error of the update before', () => {
  it('is no word on the next one, though the board answers it, and tells it again when it connects', async () => {
    const fleet = await failedBefore(SHADOW);
    const deaf = requestText({ id: 1, src: 'person', method: 'Config.Set', params: { config: { shadow: { ota_enable: false } } } });
    fleet.sim.broker('field').publish({ topic: requestTopic('esp32_b0'), payload: new TextEncoder().encode(deaf), qos: 1 });
    await fleet.clock.advance(SECOND_MS);
    expect(acts(await story(fleet, 2))).toEqual(['update 1']);
    fleet.sim.broker('field').dropClient('esp32_b0');
    await fleet.clock.advance(MINUTE_MS);
    expect(acts(await story(fleet, 8))).toEqual(['update 2', 'update 3']);
    await fleet.close();
  });

  it('is no word on one that was written down, and never begun', async () => {
    let armed = false;
    const appended = (): void => {
      if (!armed) return;
      armed = false;
      throw new Error('the power is gone');
    };
    const fleet = await failedBefore(CALLS, { checkpoints: { appended } });
    armed = true;
    await expect(fleet.pass()).rejects.toThrow('the power is gone');
    await fleet.restart(() => fleet.clock.advance(MINUTE_MS));
    expect(acts(await story(fleet, 16))).toEqual(['update 2', 'commit 1', 'succeeded', 'succeeded']);
    expect(happened(fleet)).toEqual(['download', 'flash', 'reboot', 'commit']);
    await fleet.close();
  });
});

describe('a board of the flat generation', () => {
  const hardware = { generation: 'flat' };

  it('is offered a URL before it has a shadow, tried, committed and brought back', async () => {
    const fleet = await merged(FLAT, { hardware });
    expect(acts(await story(fleet, 4))).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
    expect(runs(fleet)).toBe(TWO);
    fleet.repo.commit(mongooseFiles(FLAT), 'Take it back');
    expect(acts(await story(fleet, 4))).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });

  it.each([true, 90])('is told once a firmware that it goes back from (%s)', async (crash) => {
    const health = '{ freeMemory: ">= 300000" }';
    const fleet = await merged({ ...FLAT, health }, { hardware });
    fleet.device('b0').fault(crash === true ? 'bootsBack' : 'crash', crash);
    expect(acts(await story(fleet, 12))).toEqual(['update 1', 'failed ROLLED_BACK']);
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });
});

it('a host that is known by calls stays known when the shadow of its module says something else', async () => {
  const options = '{ ota: shadow, host: { method: Host.Info } }';
  const fleet = await merged({ options, host: '1.0.0' }, { next: { firmware: '1.0.0', host: '1.0.0' } });
  for (let change = 0; change < 3; change += 1) {
    fleet.sim.broker('field').dropClient('esp32_b0');
    await fleet.clock.advance(MINUTE_MS);
    expect(await story(fleet, 1)).toEqual([]);
  }
  await fleet.close();
});

it('a download that stands still is given up though the board goes on answering', async () => {
  const fleet = await merged({ options: '{ ota: rpc, updateTimeout: 2m }' });
  fleet.device('b0').fault('stalls', 40);
  const lines = await story(fleet, 9);
  expect(acts(lines).slice(0, 3)).toEqual(['update 1', 'update 2', 'update: trouble the board is still at the update before']);
  expect(lines.filter((line) => line.includes('BUSY'))).not.toEqual([]);
  await fleet.close();
});

it('a MAC may be declared with separators', async () => {
  const apart = (firmware: string): Readonly<Record<string, string | Uint8Array>> => {
    const files = mongooseFiles({ ...SHADOW, firmware });
    return { ...files, 'devices/boards.yaml': String(files['devices/boards.yaml']).replace('5ECF7F060040', '5e:cf:7f:06:00:40') };
  };
  const fleet = await MemoryFleet.start({ files: apart('1.0.0'), nextPassMs: MINUTE_MS });
  await fleet.add('b0');
  await fleet.clock.advance(MINUTE_MS);
  await fleet.pass({ newLedger: true });
  fleet.repo.commit(apart('2.0.0'), 'The change');
  expect(acts(await story(fleet, 4))).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
  await fleet.close();
});

describe('an attempt of which no outcome was recorded, after one that failed', () => {
  const written: MongooseFiles = { via: 'cloud', options: '{ commit: self }' };
  const offered = (fleet: MemoryFleet): unknown =>
    fleet.sim.aws('cloud').shadows.contentOf({ thing: 'esp32_b0', shadow: null })?.state['desired'];

  /** The engine ends at this point of the second attempt. Gives what lay in desired before and after that. */
  async function cutAt(
    point: 'appended' | 'performed',
  ): Promise<{ readonly fleet: MemoryFleet; readonly before: unknown; readonly after: unknown }> {
    let armed = false;
    const cut = (): void => {
      if (!armed) return;
      armed = false;
      throw new Error('the power is gone');
    };
    const fleet = await merged(written, { checkpoints: { [point]: cut }, hardware: { bytesPerSecond: '1000' } });
    fleet.device('b0').fault('downloadFails', true);
    expect((await story(fleet, 2)).at(-1)).toMatch(/^held RETRY_LATER/);
    fleet.device('b0').fault('downloadFails', false);
    const before = offered(fleet);
    armed = true;
    await expect(story(fleet, 5)).rejects.toThrow('the power is gone');
    const after = offered(fleet);
    await fleet.restart(() => fleet.clock.advance(2 * SECOND_MS));
    return { fleet, before, after };
  }

  it('has its URL found again', async () => {
    const { fleet, before, after } = await cutAt('performed');
    expect(after).not.toEqual(before);
    await fleet.pass();
    expect(offered(fleet)).toEqual(after);
    expect((await story(fleet, 6)).at(-1)).toBe('succeeded');
    expect(happened(fleet)).toEqual(['download', 'flash', 'reboot', 'commit']);
    await fleet.close();
  });

  it('is not taken for the one before, whose URL still lies there', async () => {
    const { fleet, before, after } = await cutAt('appended');
    expect(after).toEqual(before);
    await fleet.pass();
    expect(offered(fleet)).not.toEqual(before);
    expect((await story(fleet, 6)).at(-1)).toBe('succeeded');
    await fleet.close();
  });
});
