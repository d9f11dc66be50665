import { afterEach, describe, expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import { CampbellWorld, contentOf, declaredItem, declaredLogger, programText } from '#test/support/campbell.ts';

const item = declaredItem({ item: 'program', value: 'CPU:met_v2.CR1X', content: contentOf('met_v2.CR1X', programText('met_v2')) });
const device = declaredLogger({ items: [item] });
const world = new CampbellWorld();

afterEach(() => world.close());

describe('a logger that downloads for longer than a status interval', () => {
  it('is not said to have ignored the command because it still reports the old program', async () => {
    const logger = await world.logger({ program: { name: 'met_v1.CR1X', bytes: programText('met_v1') } });
    logger.fault('slowDownload', 40 * MINUTE_MS);
    await world.observe([device]);
    await world.clock.advance(31 * MINUTE_MS);
    await world.observe([device]);
    const open = await world.perform(device, world.operation(device, item));
    expect(await world.follow(device, open, 36 * MINUTE_MS)).toMatchObject({ kind: 'open', phase: 'IN_FLIGHT', oldValueSeenAt: null });
    expect(await world.follow(device, open, 60 * MINUTE_MS)).toMatchObject({ kind: 'confirmed' });
  });
});
