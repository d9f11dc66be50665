import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeImages } from '#test/support/images.ts';

export interface FleetShape {
  readonly loggers: number;
  readonly vans: number;
  /** What fleet.yaml says of the ledger: `{ store: git, id: short }`. */
  readonly ledger: string;
  /** One of the rollouts below. */
  readonly rollout: 'waves' | 'all';
  readonly soak: string;
  /** The bucket of the connection `ledgers`; there is none when left out. */
  readonly ledgerBucket?: string;
}

const CRASH_FLEET = join(import.meta.dirname, '..', 'crash', 'fleet');

/** Writes a fleet of loggers and vans into a new folder, of the artifacts and files of the crash suite. */
export async function writeFleet(shape: FleetShape): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-short-fleet-'));
  for (const part of ['files', 'artifacts', 'images.json']) await cp(join(CRASH_FLEET, part), join(dir, part), { recursive: true });
  await writeImages(dir);
  const fleet = await readFile(join(CRASH_FLEET, 'fleet.yaml'), 'utf8');
  const files = {
    'fleet.yaml': fleet
      .replace('name: crash', 'name: short')
      .replace(/^ledger: .*$/m, `ledger: ${shape.ledger}`)
      .replace('artifacts:', `${ledgersText(shape.ledgerBucket)}artifacts:`),
    'devices/loggers.yaml': loggersText(shape.loggers),
    'devices/vans.yaml': vansText(shape.vans),
    'groups/met.yaml': metText(shape.rollout),
    'groups/vans.yaml': vanGroupText(shape.rollout),
    'rollouts/rules.yaml': rulesText(shape.soak),
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  return dir;
}

export function loggerId(index: number): string {
  return `logger-${String(index).padStart(2, '0')}`;
}

function loggersText(count: number): string {
  const rows = Array.from({ length: count }, (_, index) => {
    const number = String(index + 1).padStart(4, '0');
    return `  ${loggerId(index + 1)}: { serial: '${1000 + index}', address: AAAA-AAAA-${number}${ring(index)} }\n`;
  });
  return `kind: Devices
family: campbell
via: field
defaults: { model: CR1000X, zone: Europe/London, options: { statusInterval: 5m, stateInterval: 3m, programDeadline: 30m } }
devices:
${rows.join('')}`;
}

function vansText(count: number): string {
  const rows = Array.from({ length: count }, (_, index) => {
    const number = String(index + 1).padStart(2, '0');
    return `  van-${number}: { serial: 0A0000${number}${ring(index)} }\n`;
  });
  return `kind: Devices
family: canedge
via: logs
defaults: { model: CANedge2, zone: Europe/London, options: { deadlineFactor: 6 } }
devices:
${rows.join('')}`;
}

function ledgersText(bucket: string | undefined): string {
  if (bucket === undefined) return '';
  const keys = "accessKeyId: '${env:LEDGER_KEY}', secretAccessKey: '${env:LEDGER_SECRET}'";
  return `  ledgers: { type: s3, bucket: ${bucket}, region: us-east-1, endpoint: '\${env:LEDGER_URL}', ${keys} }\n`;
}

function ring(index: number): string {
  return index === 0 ? ', labels: { ring: canary }' : '';
}

function metText(rollout: string): string {
  return `kind: Group
name: met
select: { family: campbell }
pins:
  firmware: cr1000x-os@8.1.0
  program: { file: files/programs/MET_v1.CR1X }
rollout: ${rollout}
silence: 6h
`;
}

function vanGroupText(rollout: string): string {
  return `kind: Group
name: vans
select: { family: canedge }
pins:
  firmware: canedge2@01.08.04
  config: { layers: ['files/can/base-\${series}.json', files/can/wifi.json] }
rollout: ${rollout}
silence: 3d
`;
}

function rulesText(soak: string): string {
  const canary = `{ name: canary, select: { labels: { ring: canary } }, gate: { success: 100%, soak: ${soak} } }`;
  return `kind: Rollout
name: waves
waves:
  - ${canary}
  - { name: half, share: 50%, gate: { success: 100%, soak: ${soak} } }
  - { name: rest }
gate: { quorum: 100%, patience: 14d, then: ask, minimum: 1 }
windows: any
rollback: { waves: [{ name: all }], windows: any }
---
kind: Rollout
name: all
waves: [{ name: all }]
gate: { quorum: 100%, patience: 14d, then: ask, minimum: 1 }
windows: any
rollback: { waves: [{ name: all }], windows: any }
`;
}
