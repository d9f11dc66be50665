import { describe, expect, it } from 'vitest';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { planComment } from '#view/comment.ts';
import { planJson } from '#view/plan-json.ts';
import { planText } from '#view/plan-text.ts';
import { DEVICE, filesOf } from '#test/conformance/family.ts';
import { SHADOW_TRIALS } from '#test/conformance/shadow.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';
import { begunAccount, shadowCallsOf, shadowFiles } from '#test/support/shadow-account.ts';

describe('what a pass asks of AWS IoT', { timeout: 60_000 }, () => {
  it('is a page of the index for a hundred devices, and one query for each distinct pin when only mismatches are asked for', async () => {
    for (const [index, search] of [
      ['all', 4],
      ['mismatches', 2],
    ] as const) {
      const fleet = await begunAccount({ devices: 400, index, firmware: ['1.0.0', '2.0.0'] });
      expect(shadowCallsOf(await fleet.pass())).toEqual({ get: 0, update: 0, search });
      await fleet.close();
    }
  });

  it('is a get for each device where there is no index, held to the quota', async () => {
    const devices = 300;
    const fleet = await begunAccount({ devices, index: 'off', firmware: ['1.0.0', '2.0.0'] });
    const report = await fleet.pass();
    expect(shadowCallsOf(report)).toEqual({ get: devices, update: 0, search: 0 });
    await fleet.close();
  });

  it('stands with its cost in every plan', async () => {
    const fleet = await begunAccount({ devices: 400, index: 'all', firmware: ['1.0.0', '2.0.0'] });
    fleet.repo.commit(shadowFiles({ devices: 400, index: 'all', firmware: ['1.0.0', '2.1.0'] }), 'The south gets 2.1.0');
    const { result } = await fleet.pass({ mode: 'plan' });
    if (result === null) throw new Error('no plan');
    expect(planText(result)).toContain(
      '  aws             cloud: 4 calls to look, less than $0.0001, 1s at the least · 800 calls for 200 changes, $0.0029, 1s at the least\n' +
        '                  (list prices of 2026-09, default quotas of 2024-02)',
    );
    const comment = planComment(result, { links: () => null });
    expect(comment).toContain('AWS IoT: `cloud` 4 calls to look, less than $0.0001, 1s at the least · 800 calls for 200 changes, $0.0029');
    expect(planJson(result)).toMatchObject({
      summary: {
        aws: {
          prices: '2026-09',
          quotas: '2024-02',
          connections: [{ connection: 'cloud', devices: 400, changes: 200, look: { calls: 4 }, tell: { calls: 800 } }],
        },
      },
    });
    await fleet.close();
  });

  it('is nothing over MQTT once each was read: the service tells what changes', async () => {
    const [trial] = SHADOW_TRIALS;
    if (trial === undefined) throw new Error('no trial');
    const fleet = await MemoryFleet.start({ files: filesOf(trial.files) });
    await fleet.add(DEVICE);
    await fleet.clock.advance(MINUTE_MS);
    expect(shadowCallsOf(await fleet.pass({ newLedger: true }))).toEqual({ get: 1, update: 0, search: 0 });
    const before = (await fleet.pass()).result;
    expect(before?.shadowCalls).toBe(undefined);
    await fleet.clock.advance(11 * MINUTE_MS);
    const { result } = await fleet.pass();
    expect(result?.shadowCalls).toBe(undefined);
    expect(result?.reported.deviceAt(0)?.heardAt).toBeGreaterThan(before?.reported.deviceAt(0)?.heardAt ?? Number.POSITIVE_INFINITY);
    await fleet.clock.advance(6 * HOUR_MS);
    expect(shadowCallsOf(await fleet.pass())).toEqual({ get: 1, update: 0, search: 0 });
    await fleet.close();
  });
});
