import { describe, expect, it } from 'vitest';
import { passJson } from '#cli/commands/apply.ts';
import { makeProgress } from '#cli/progress.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { painter } from '#view/table.ts';
import { begunAccount, shadowCallsOf, shadowFiles } from '#test/support/shadow-account.ts';

const DEVICES = 10_000;
/** Where half of them are read page by page, thrice. */
const FEWER = 4000;

describe('what a pass asks of AWS IoT', { timeout: 60_000 }, () => {
  it('is one page of the index for a hundred unchanged devices, and is printed', async () => {
    const fleet = await begunAccount({ devices: DEVICES, index: 'all', firmware: ['1.0.0', '2.0.0'] });
    await fleet.clock.advance(5 * MINUTE_MS);
    const report = await fleet.pass();
    expect(shadowCallsOf(report)).toEqual({ get: 0, update: 0, search: DEVICES / 100 });
    expect(DEVICES / 100).toBeLessThanOrEqual(Math.ceil(DEVICES / 100) + 1);
    expect(report.result?.executed).toEqual([]);
    const lines: string[] = [];
    const stream = { write: (text: string) => lines.push(text), isTTY: false, columns: 200 };
    makeProgress({ fleet: { paint: painter(false), world: fleet.engine }, stream, live: false, quiet: false }).pass(report);
    expect(lines.at(-1)).toMatch(/10000\/10000 converged .* · 100 shadow calls\n$/);
    expect(passJson(report)).toMatchObject({ shadowCalls: [{ connection: 'cloud', get: 0, update: 0, search: 100 }] });
    await fleet.close();
  });

  it('is one query for each distinct pin when only mismatches are asked for, and a get for each open operation alone', async () => {
    const fleet = await begunAccount({ devices: FEWER, index: 'mismatches', firmware: ['1.0.0', '2.0.0'] });
    const unchanged = await fleet.pass();
    expect(shadowCallsOf(unchanged)).toEqual({ get: 0, update: 0, search: 2 });
    fleet.repo.commit(shadowFiles({ devices: FEWER, index: 'mismatches', firmware: ['1.0.0', '2.1.0'] }), 'The south gets 2.1.0');
    // All of the south is no longer as declared: its pages are read, and three devices of the first wave are told.
    const begins = await fleet.pass();
    expect(shadowCallsOf(begins)).toEqual({ get: 3 * 2, update: 3, search: 1 + FEWER / 2 / 100 });
    expect(begins.result?.executed).toHaveLength(3);
    const told = [...(begins.result?.view.open.keys() ?? [])];
    const waits = await fleet.pass();
    expect(shadowCallsOf(waits)).toEqual({ get: 3, update: 0, search: 1 + FEWER / 2 / 100 });
    const { shadows } = fleet.sim.aws('cloud');
    await fleet.clock.advance(MINUTE_MS);
    for (const thing of told) shadows.update({ thing, shadow: 'fleet' }, Buffer.from('{"state":{"reported":{"fw":"2.1.0"}}}'));
    const proven = await fleet.pass();
    expect(proven.result?.decision.closed.map(({ device, closing }) => [device, closing])).toEqual(
      told.map((device) => [device, 'succeeded']),
    );
    await fleet.close();
  });
});
