import { expect } from 'vitest';
import type { PassReport } from '#reconcile/report.ts';
import { MemoryFleet, type Files } from './memory-fleet.ts';

interface Written {
  readonly devices: number;
  readonly index: 'off' | 'all' | 'mismatches';
  readonly firmware: readonly [string, string];
}

/** Two groups with a pin each, all behind one account. */
export function shadowFiles({ devices, index, firmware: [north, south] }: Written): Files {
  const rows = Array.from({ length: devices }, (_, row) => `gw-${String(row).padStart(5, '0')},${row % 2 === 0 ? 'north' : 'south'}`);
  const group = (name: string, version: string): string => `kind: Group
name: ${name}
select: { labels: { part: ${name} } }
options: { firmware: { reported: /fw }, among: "attributes.part:${name}" }
pins: { firmware: gw@${version} }
rollout: careful
silence: 4w
`;
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: shadows
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: shadows, lasting: true }
connections:
  cloud: { type: aws-iot, region: eu-west-1, endpoint: 'https://aws.sim', index: ${index} }
limits: { change: 100%, operationsPerMinute: 100000 }
`,
    'rollouts/careful.yaml': 'kind: Rollout\nname: careful\nwaves: [{ name: first, count: 3, gate: { soak: 1h } }]\nwindows: any\n',
    'devices/gateways.yaml':
      'kind: Devices\nfamily: shadow\nvia: cloud\nfrom: devices/gateways.csv\ncolumns: { id: id, labels.part: part }\ndefaults: { model: gw }\n',
    'devices/gateways.csv': `id,part\n${rows.join('\n')}\n`,
    'artifacts/gw.yaml': `kind: Artifact
name: gw
item: firmware
fits: { family: shadow }
versions: { 1.0.0: { from: files/1 }, 2.0.0: { from: files/2 }, 2.1.0: { from: files/3 } }
`,
    'files/1': 'one',
    'files/2': 'two',
    'files/3': 'three',
    'groups/north.yaml': group('north', north),
    'groups/south.yaml': group('south', south),
  };
}

/** Things and what they last reported, without the devices themselves: nobody of them says anything more. */
export async function begunAccount(written: Written): Promise<MemoryFleet> {
  const fleet = await MemoryFleet.start({ files: shadowFiles(written) });
  const { registry, shadows } = fleet.sim.aws('cloud');
  const { declared } = fleet;
  for (let row = 0; row < declared.size; row += 1) {
    const { id, labels } = declared.deviceAt(row);
    registry.createThing(id, { attributes: { part: labels['part'] ?? '' } });
    const version = written.firmware[labels['part'] === 'north' ? 0 : 1];
    shadows.update({ thing: id, shadow: 'fleet' }, Buffer.from(JSON.stringify({ state: { reported: { fw: version } } })));
  }
  const first = await fleet.pass({ newLedger: true });
  expect(first.refusal).toBe(null);
  expect(first.result?.plan.groups.map(({ converged }) => converged)).toEqual([written.devices / 2, written.devices / 2]);
  return fleet;
}

export function shadowCallsOf({ result }: PassReport) {
  const { get = 0, update = 0, search = 0 } = result?.shadowCalls?.[0] ?? {};
  return { get, update, search };
}
