import { describe, expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import { Secret } from '#kit/secret.ts';
import type { MemoryFleet } from '#test/support/memory-fleet.ts';
import { mongooseFiles, type MongooseFiles } from '#test/support/mongoose-fleet.ts';
import { happened, merged, ONE, passesUntil, runs, story, TWO } from '#test/support/mongoose-story.ts';

/** What is kept of the URL of the newest attempt. */
async function urlOf(fleet: MemoryFleet): Promise<string> {
  const records = await fleet.ledger.read();
  const text = JSON.stringify(records.findLast(({ body }) => JSON.stringify(body).includes('"url":"')) ?? null);
  return /"url":"([^"]*)"/.exec(text)?.[1] ?? '';
}

it('asks a board that forbids its update again later, and not with each pass', async () => {
  const fleet = await merged({ options: '{ ota: rpc }' });
  fleet.device('b0').fault('forbids', true);
  const lines = await story(fleet, 20, 5 * MINUTE_MS);
  const attempts = lines.filter((line) => /^update \d/.test(line));
  expect(attempts).toEqual(['update 1', 'update 2', 'update 3']);
  expect(lines).toContain('update: trouble the board does not say whether it is committed');
  expect(lines).toContain('quarantined ATTEMPTS_SPENT');
  expect(happened(fleet)).toEqual([]);
  await fleet.close();
});

describe.each<{ readonly way: string; readonly written: MongooseFiles }>([
  { way: 'the shadow, and commits by calls', written: { options: '{ ota: shadow }' } },
  { way: 'calls alone', written: { options: '{ ota: rpc }' } },
  { way: 'a hub: its twin, and direct methods', written: { via: 'hub' } },
])('a board that is reached by $way', ({ written }) => {
  it('is updated, tried, committed and then converged', async () => {
    const fleet = await merged(written);
    expect(await story(fleet, 4)).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
    expect(happened(fleet)).toEqual(['download', 'flash', 'reboot', 'commit']);
    expect(runs(fleet)).toBe(TWO);
    await fleet.close();
  });

  it('goes back by itself when nobody commits in time: a verdict, and no second attempt', async () => {
    const fleet = await merged(written);
    await fleet.pass();
    await fleet.clock.advance(15 * MINUTE_MS);
    const lines = await story(fleet, 4, 15 * MINUTE_MS);
    expect(lines.filter((line) => line.startsWith('update'))).toEqual([]);
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });

  it('is not committed while it is not well, and goes back', async () => {
    const health = '{ freeMemory: ">= 30000" }';
    const fleet = await merged({ ...written, health }, { hardware: { ram: '20000' } });
    const lines = await story(fleet, 14);
    expect(lines.slice(0, 2)).toEqual(['update 1', 'held CONDITIONS_NOT_MET: on trial, and freeMemory is 20000, must be at least 30000']);
    expect(lines.filter((line) => line.startsWith('commit'))).toEqual([]);
    expect(lines).toContain('failed ROLLED_BACK');
    expect(happened(fleet)).toContain('rollback');
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });

  it('that crashes in its trial is rolled back, and not told again', async () => {
    const fleet = await merged(written);
    fleet.device('b0').fault('crash', 5);
    const lines = await story(fleet, 6);
    expect(lines.filter((line) => /^(update|failed)/.test(line))).toEqual(['update 1', 'failed ROLLED_BACK']);
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });

  it('is given another URL after a download that failed', async () => {
    const fleet = await merged(written);
    fleet.device('b0').fault('downloadFails', true);
    const lines = await story(fleet, 2);
    expect(lines.filter((line) => line.startsWith('held')).at(-1)).toMatch(/^held RETRY_LATER: attempt 1 met DOWNLOAD_FAILED: /);
    const first = await urlOf(fleet);
    fleet.device('b0').fault('downloadFails', false);
    expect(await passesUntil(fleet, 'update 2')).toBe(true);
    expect(await urlOf(fleet)).not.toBe(first);
    expect(await passesUntil(fleet, 'succeeded')).toBe(true);
    expect(runs(fleet)).toBe(TWO);
    await fleet.close();
  });

  it('goes back on its trial when the old release is declared again', async () => {
    const health = '{ freeMemory: ">= 30000" }';
    const fleet = await merged({ ...written, health }, { hardware: { ram: '20000' } });
    await story(fleet, 2);
    fleet.repo.commit(mongooseFiles({ ...written, health }), 'Take it back');
    expect(await story(fleet, 3)).toEqual(['revert 1', 'superseded ROLLED_BACK', 'succeeded']);
    expect(happened(fleet)).toEqual(['download', 'flash', 'reboot', 'reboot', 'rollback']);
    await fleet.close();
  });

  it('that is committed goes back by another update', async () => {
    const fleet = await merged(written);
    await story(fleet, 4);
    fleet.repo.commit(mongooseFiles(written), 'Take it back');
    expect((await story(fleet, 4)).filter((line) => !line.startsWith('held'))).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });

  it('that answers another version than it was told is not converged', async () => {
    const fleet = await merged(written);
    fleet.device('b0').fault('wrongVersion', '2.0.9');
    const lines = await story(fleet, 4);
    expect(lines).toContain('failed WRONG_RESULT');
    await fleet.close();
  });
});

describe('a board at AWS IoT, over HTTP', () => {
  const written: MongooseFiles = { via: 'cloud', options: '{ commit: self }' };

  it('commits by itself, so that a single run may update it', async () => {
    const fleet = await merged(written, { nextPassMs: null });
    expect(await story(fleet, 3)).toEqual(['update 1', 'succeeded']);
    expect(runs(fleet)).toBe(TWO);
    await fleet.close();
  });

  it('that is away is offered the URL, and the offer is taken back with the change', async () => {
    const fleet = await merged(written);
    await fleet.clock.run(fleet.device('b0').powerOff());
    await fleet.pass();
    const place = { thing: 'esp32_b0', shadow: null };
    const desired = () => JSON.stringify(fleet.sim.aws('cloud').shadows.contentOf(place)?.state['desired'] ?? null);
    expect(desired()).toContain('board-2.0.0.zip');
    fleet.repo.commit(mongooseFiles(written), 'Take it back');
    await story(fleet, 2);
    expect(desired()).toBe('null');
    await fleet.clock.run(fleet.device('b0').powerOn());
    await story(fleet, 2);
    expect(happened(fleet)).toEqual([]);
    await fleet.close();
  });

  it('that takes the URL in the moment of its withdrawal is followed to its end, and then brought back', async () => {
    const fleet = await merged(written);
    await fleet.pass();
    fleet.repo.commit(mongooseFiles(written), 'Take it back');
    const lines = await story(fleet, 8);
    expect(lines.filter((line) => /^(withdraw|update|revert)/.test(line))).toEqual(['update 1']);
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });
});

describe('a single run', () => {
  it('begins nothing that it would have to commit', async () => {
    const fleet = await merged({ options: '{ ota: rpc }' }, { nextPassMs: null });
    expect(await story(fleet, 1)).toEqual([
      'held UNSUPPORTED: the device needs a second step from us within 10m: needs the daemon or apply --watch',
    ]);
    await fleet.close();
  });

  it('plans what the daemon of the fleet will begin, and leaves it to that', async () => {
    const fleet = await merged({ options: '{ ota: rpc }' }, { nextPassMs: null });
    const files = mongooseFiles({ options: '{ ota: rpc }', firmware: '2.0.0' });
    fleet.repo.commit({ ...files, 'fleet.yaml': `${String(files['fleet.yaml'])}daemon: { schedule: '* * * * *' }\n` }, 'A daemon');
    const planned = await fleet.pass({ mode: 'plan' });
    expect(planned.result?.decision.admitted.map(({ operation }) => operation.step)).toEqual(['update']);
    const { result } = await fleet.pass();
    expect(result?.decision.held.map(({ reason }) => reason)).toEqual(['UNSUPPORTED']);
    await fleet.close();
  });
});

describe('calls', () => {
  const written: MongooseFiles = { options: '{ ota: rpc }' };

  it.each([
    { fault: 'duplicateDelivery', value: true, why: 'the broker hands each request over twice' },
    { fault: 'replyLost', value: 'OTA.Update', why: 'the answer to the update is lost' },
    { fault: 'replyLost', value: 'OTA.Commit', why: 'the answer to the commit is lost' },
    { fault: 'slow', value: 20, why: 'it takes a minute to start again' },
    { fault: 'rpcOnly', value: true, why: 'it has no shadow' },
  ])('end well though $why', async ({ fault, value }) => {
    const fleet = await merged(written);
    fleet.device('b0').fault(fault, value);
    expect((await story(fleet, 6)).filter((line) => !line.startsWith('held'))).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
    expect(happened(fleet).filter((kind) => kind === 'flash' || kind === 'commit')).toEqual(['flash', 'commit']);
    await fleet.close();
  });

  it('wait for a board that is away, and are not spent on it', async () => {
    const fleet = await merged(written);
    await fleet.clock.run(fleet.device('b0').powerOff());
    const lines = await story(fleet, 30);
    expect(lines.filter((line) => line.startsWith('update'))).toEqual(['update 1', 'update: trouble the board does not answer calls']);
    expect(lines.at(-1)).toMatch(/^held OFFLINE/);
    await fleet.clock.run(fleet.device('b0').powerOn());
    await fleet.clock.advance(MINUTE_MS);
    expect(await passesUntil(fleet, 'succeeded')).toBe(true);
    expect(runs(fleet)).toBe(TWO);
    await fleet.close();
  });

  it('follow a board that is silent in its trial until it goes back', async () => {
    const fleet = await merged(written);
    await fleet.pass();
    await fleet.clock.advance(MINUTE_MS / 2);
    fleet.device('b0').fault('mute', true);
    expect((await story(fleet, 12)).at(-1)).toMatch(/^held IN_FLIGHT|^held VERIFYING/);
    fleet.device('b0').fault('mute', false);
    expect(await passesUntil(fleet, 'failed ROLLED_BACK')).toBe(true);
    expect(runs(fleet)).toBe(ONE);
    await fleet.close();
  });

  it('say who calls where the board asks', async () => {
    const fleet = await merged(
      { options: '{ ota: rpc, rpc: { user: fleet } }', rpcPassword: '${env:BOARDS}' },
      { hardware: { password: 's3cret' }, wires: (wires) => ({ ...wires, rpcPassword: () => new Secret('s3cret') }) },
    );
    expect(await story(fleet, 3)).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
    await fleet.close();
  });

  it('are refused by a board that asks who calls and is not told', async () => {
    const fleet = await merged(written, { hardware: { password: 's3cret' } });
    const lines = await story(fleet, 2);
    expect(lines.at(-1)).toMatch(/^held (REPORT_UNREADABLE|NEVER_REPORTED)/);
    expect(happened(fleet)).toEqual([]);
    await fleet.close();
  });

  it('bring nothing to a board of another platform than its bundle', async () => {
    const fleet = await merged(written);
    fleet.device('b0').fault('wrongPlatform', 'esp8266');
    const evidence = 'WRONG_PLATFORM: the board is esp8266, and the bundle is for esp32';
    expect((await story(fleet, 1, 10 * MINUTE_MS))[1]).toBe(`update: refused ${evidence}`);
    expect((await story(fleet, 1)).at(-1)).toBe(`held INCOMPATIBLE: ${evidence}`);
    expect(happened(fleet)).toEqual([]);
    await fleet.close();
  });
});

describe('a board that only mDash reaches', () => {
  it('is handed its bundle, tried and committed', async () => {
    const fleet = await merged({ via: 'dash' });
    expect((await story(fleet, 5)).filter((line) => !line.startsWith('held'))).toEqual(['update 1', 'commit 1', 'succeeded', 'succeeded']);
    expect(runs(fleet)).toBe(TWO);
    await fleet.close();
  });
});

describe('an update by a call', () => {
  const written: MongooseFiles = { options: '{ ota: rpc }' };

  it.each([0, 3, 20])('is found again when its record was lost, %i minutes later', async (minutes) => {
    let armed = true;
    const performed = (): void => {
      if (!armed) return;
      armed = false;
      throw new Error('the power is gone');
    };
    const fleet = await merged(written, { checkpoints: { performed } });
    await expect(fleet.pass()).rejects.toThrow('the power is gone');
    await fleet.restart(() => fleet.clock.advance(minutes * MINUTE_MS));
    await story(fleet, 8);
    expect(runs(fleet)).toBe(TWO);
    expect(happened(fleet).filter((kind) => kind === 'flash').length).toBeLessThanOrEqual(minutes === 20 ? 2 : 1);
    await fleet.close();
  });

  it('that is under way is not begun again', async () => {
    const fleet = await merged(written, { hardware: { bytesPerSecond: '1000' } });
    await fleet.pass();
    const { result } = await fleet.pass();
    const [open] = [...(result?.view.open.values() ?? [])].flat();
    const drivers = await fleet.clock.run(fleet.engine.drivers(fleet.declared, 'holder', fleet.ledger.blobs));
    const device = fleet.declared.deviceAt(0);
    if (open === undefined || result === null) throw new Error('nothing is under way');
    const operation = { ...open.operation, content: device.items[0]?.content ?? null };
    const context = {
      device,
      reported: result.reported.deviceAt(0),
      content: operation.content,
      fencing: 1,
      signal: new AbortController().signal,
    };
    const unrecorded = { ...open, reference: null, undo: null };
    for (const known of [open, unrecorded]) {
      expect(await fleet.clock.run(drivers.of('mongoose').precheck(operation, known, context))).toMatchObject({ kind: 'already' });
      expect(await fleet.clock.run(drivers.of('mongoose').perform(operation, known, context))).toMatchObject({ kind: 'already' });
    }
    const strange = await fleet.clock.run(drivers.of('mongoose').precheck(operation, null, context));
    expect(strange).toEqual({ kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: 'BUSY: the board is at another update' });
    expect(happened(fleet)).toEqual(['download']);
    await fleet.close();
  });
});

describe('the host behind a module', () => {
  it.each([
    { options: '{ ota: rpc, host: { method: Host.Info } }', way: 'a call' },
    { options: '{ ota: shadow, host: { reported: /host } }', way: 'the shadow' },
  ])('has a firmware of its own, reported by $way', async ({ options }) => {
    const fleet = await merged({ options, host: '1.0.0' }, { next: { firmware: '1.0.0', host: '2.0.0' } });
    expect((await story(fleet, 4)).filter((line) => !line.startsWith('held'))).toEqual(['update 1', 'succeeded']);
    expect(fleet.device('b0').truth()).toEqual({ firmware: ONE, 'firmware.host': TWO });
    await fleet.close();
  });
});
