import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startBroker, type Broker } from '#sim/broker.ts';
import { startDaemonFleet, until, type DaemonFleet, type DaemonFleetOptions } from '#test/support/daemon-fleet.ts';
import { startDaemon, untilReady, type DaemonRun, type RunFlags } from '#test/support/daemon-run.ts';

const BLOCK = 512;
const IMAGE = 20 * BLOCK;

let broker: Broker;
let fleet: DaemonFleet;
let daemons: DaemonRun[] = [];

beforeEach(async () => {
  broker = await startBroker();
});

afterEach(async () => {
  for (const one of daemons) await one.stop();
  daemons = [];
  await fleet.close();
  await broker.close();
});

async function begin(options: Partial<DaemonFleetOptions> = {}): Promise<void> {
  fleet = await startDaemonFleet({ url: broker.url ?? '', nodes: 2, imageBytes: IMAGE, options: ', verifies: true', ...options });
}

async function daemon(flags: RunFlags = {}, env: Readonly<Record<string, string>> = {}): Promise<DaemonRun> {
  const started = await startDaemon(fleet, flags, env);
  daemons.push(started);
  return started;
}

function updated(): boolean {
  return fleet.nodes.every((node) => node.imageDigest() === fleet.digest);
}

function push(url: string, body: string, headers: Readonly<Record<string, string>>): Promise<Response> {
  return fetch(`${url}/hooks/push`, { method: 'POST', body, headers });
}

function hmac(secret: string, body: string): string {
  return createHmac('sha256', secret).update(body).digest('hex');
}

describe('a daemon', () => {
  it('passes when a push is told with the right signature, and for nothing else', async () => {
    await begin();
    const run = await daemon({}, { HOOK_SECRET: 'hunter2' });
    await untilReady(run);
    // From here on the schedule of fleet.yaml holds: once a year.
    const passes = 'headgate_passes_total{result="converged"}';
    await until('the first passes are over', async () => ((await run.metrics()).get(passes) ?? 0) > 0);
    await fleet.declare('0.1.1');
    const main = JSON.stringify({ ref: 'refs/heads/main' });
    const other = JSON.stringify({ ref: 'refs/heads/topic' });
    const answers = [
      await push(run.url, main, {}),
      await push(run.url, main, { 'x-hub-signature-256': `sha256=${hmac('wrong', main)}` }),
      await push(run.url, main, { 'x-hub-signature-256': `sha256=${hmac('hunter2', other)}` }),
      await push(run.url, main, { 'x-hub-signature': `sha1=${createHmac('sha1', 'hunter2').update(main).digest('hex')}` }),
      await push(run.url, other, { 'x-gitea-signature': hmac('hunter2', other) }),
      await push(run.url, 'x'.repeat(5 * 1024 * 1024 + 1), { 'x-gitea-signature': '0'.repeat(64) }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 200, 413]);
    const before = await run.metrics();
    expect(before.get('headgate_passes_total{result="converged"}')).toBe(1);
    expect(before.get('headgate_dfu_blocks_total')).toBe(0);
    const ping = { 'x-hub-signature-256': `sha256=${hmac('hunter2', '{}')}`, 'x-github-event': 'ping' };
    expect((await push(run.url, '{}', ping)).status).toBe(200);
    expect((await push(run.url, main, { 'x-gitea-signature': hmac('hunter2', main), 'x-gitea-event': 'push' })).status).toBe(202);
    await until('all nodes run the new image', updated);
    await until('the fleet has converged', async () => (await run.metrics()).get('headgate_devices_converged{group="all"}') === 2);
    const metrics = await run.metrics();
    expect(metrics.get('headgate_operations_total{outcome="performed"}')).toBe(2);
    expect(metrics.get('headgate_dfu_bytes_total')).toBe(2 * IMAGE);
    expect(metrics.get('headgate_webhooks_total{result="refused"}')).toBe(4);
    expect(metrics.get('headgate_broker_connected{connection="field",role="reader"}')).toBe(1);
    expect(metrics.get('headgate_report_age_seconds{group="all",of="oldest"}')).toBeLessThan(10);
    expect(JSON.stringify(run.log)).not.toContain('hunter2');
  });

  it('does not begin beside another one that writes the same journal', async () => {
    await begin({ nodes: 1 });
    await daemon();
    await expect(startDaemon(fleet)).rejects.toMatchObject({ code: 'IN_USE' });
    await expect(startDaemon(fleet, { state: join(fleet.state, 'other'), listen: 'nowhere.invalid:1' })).rejects.toMatchObject({
      name: 'WireError',
    });
  });
});
