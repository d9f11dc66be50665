import { afterEach, describe, expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import { type Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { buildNodeImage } from './sim-image.ts';

function files(version = '0.1.0'): Files {
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: alone
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: alone, lasting: true }
connections:
  field: { type: mqtt, url: 'mqtt://127.0.0.1:1883' }
limits: { change: 100%, operationsPerMinute: 120 }
`,
    'devices/nodes.yaml': `kind: Devices
family: drogue
via: field
defaults: { model: nrf52, options: { telemetry: 'tele/{device}' } }
devices:
  n1: {}
  v1: { options: { gateway: barn, correlation: 1, telemetry: 'tele/{device}/1' } }
  v2: { options: { gateway: barn, correlation: 2, telemetry: 'tele/{device}/2' } }
`,
    'artifacts/node.yaml': `kind: Artifact
name: node
item: firmware
fits: { family: drogue }
versions: { 0.1.0: { from: files/0.bin }, 0.1.1: { from: files/1.bin } }
`,
    'groups/all.yaml': `kind: Group\nname: all\nselect: all\npins: { firmware: node@${version} }\nrollout: all\nsilence: 6h\n`,
    'rollouts/all.yaml': 'kind: Rollout\nname: all\nwaves: [{ name: all }]\nbudget: [{ max: 100% }]\nwindows: any\n',
    'files/0.bin': buildNodeImage({ version: '0.1.0', size: 100 }),
    'files/1.bin': buildNodeImage({ version: '0.1.1', size: 2000 }),
  };
}

let fleet: MemoryFleet | null = null;
afterEach(() => fleet?.close());

async function begun(options: Readonly<Record<string, string>> = {}): Promise<MemoryFleet> {
  const made = (fleet = await MemoryFleet.start({ files: files() }));
  for (const device of ['n1', 'v1', 'v2']) await made.add(device, options);
  await made.pass({ newLedger: true, listenMs: 2 * MINUTE_MS });
  return made;
}

describe('where no responder runs', () => {
  it('devices are heard, each behind its gateway by its id', async () => {
    const made = await begun({ telemetryMs: '30000' });
    const { result } = await made.pass({ listenMs: 2 * MINUTE_MS });
    expect(result?.plan.groups.map(({ converged }) => converged)).toEqual([3]);
    const reported = result?.reported.deviceAt(0);
    expect(reported?.items.firmware).toMatchObject({ kind: 'value', value: '0.1.0' });
    expect(reported?.measures['selfTest']?.value).toBe('ok');
  });

  it('nothing is offered: who would answer them?', async () => {
    const made = await begun();
    made.repo.commit(files('0.1.1'), 'Nodes to 0.1.1');
    for (const nextPassMs of [MINUTE_MS, null]) {
      const { result } = await made.pass({ listenMs: 2 * MINUTE_MS, nextPassMs });
      expect(result?.executed).toEqual([]);
      const held = result?.decision.held.map(({ device, reason }) => [device, reason]);
      expect(held).toEqual(['n1', 'v1', 'v2'].map((device) => [device, 'UNSUPPORTED']));
    }
    expect(made.device('n1').truth()).toEqual({ firmware: '0.1.0' });
  });

  it('a device of an older generation is told as such, with its version', async () => {
    const made = await begun();
    made.device('n1').fault('oldGeneration', true);
    const { result } = await made.pass({ listenMs: 2 * MINUTE_MS });
    const held = result?.decision.held.find(({ device }) => device === 'n1');
    expect(held).toMatchObject({ reason: 'REPORT_UNREADABLE' });
    expect(held?.evidence).toContain('too old');
  });
});
