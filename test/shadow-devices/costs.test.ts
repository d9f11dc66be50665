import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildSimBundle } from '#adapters/mongoose/sim-image.ts';
import { runCli } from '#cli/run.ts';
import type { JsonObject } from '#model/shadow.ts';
import { ScaledClock } from '#sim/clock.ts';
import { SIM_AWS_CREDENTIALS, startAwsIot, type AwsServer } from '#sim/aws/server.ts';
import { fakeProcess } from '#test/support/fake-process.ts';
import { trustAlso } from '#test/support/wired-account.ts';
import { AWS_IOT } from '#model/aws-quotas.ts';
import { commitFiles, createRepository } from '#world.ts';

const AUTHOR = { name: 'Field Team', email: 'field@example.org' };
const DEVICES = 5;

interface Family {
  readonly name: string;
  readonly shadow: string | null;
  readonly options: string;
  readonly model: string;
  reported(version: string): JsonObject;
  file(version: string): string | Uint8Array;
}

const image = (version: string): string => `image ${version}`;

const FAMILIES: readonly Family[] = [
  {
    name: 'chariot',
    shadow: null,
    options: '{}',
    model: 'gw2',
    reported: (version) => ({ firmware: { running: version, state: 'ok' }, config: {} }),
    file: image,
  },
  {
    name: 'mongoose',
    shadow: null,
    options: '{ commit: self }',
    model: 'esp32',
    reported: (version) => ({ ota: { fw_version: version, fw_id: `build-${version}`, is_committed: true, status: 0, message: 'idle' } }),
    file: (version) => buildSimBundle({ platform: 'esp32', version, buildId: `build-${version}` }),
  },
  {
    name: 'shadow',
    shadow: 'fleet',
    options: '{ firmware: { reported: /fw } }',
    model: 'gw2',
    reported: (version) => ({ fw: version }),
    file: image,
  },
];

let aws: AwsServer;
let dir: string;
let distrust: () => void;

beforeAll(async () => {
  aws = await startAwsIot({ clock: new ScaledClock(Date.now(), 1) });
  distrust = trustAlso(aws.caCertificate);
  dir = await mkdtemp(join(tmpdir(), 'headgate-costs-'));
  for (const [path, content] of Object.entries(filesOf('1.0.0'))) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), content);
  }
  await createRepository({ dir, branch: 'main', message: 'The fleet as it stands', author: AUTHOR, at: Date.now() });
  for (const { name, shadow, reported } of FAMILIES)
    for (let count = 1; count <= DEVICES; count += 1)
      aws.shadows.update({ thing: `${name}-${count}`, shadow }, Buffer.from(JSON.stringify({ state: { reported: reported('1.0.0') } })));
});

afterAll(async () => {
  distrust();
  await aws.close();
  await rm(dir, { recursive: true, force: true });
});

/** One account for each family, so that each has a line of its own. */
function filesOf(version: string): Readonly<Record<string, string | Uint8Array>> {
  const connections = FAMILIES.map(({ name }) => `  ${name}: { type: aws-iot, region: eu-central-1, endpoint: '${aws.httpsUrl}' }`);
  const files = FAMILIES.flatMap(({ name, options, model, file }): readonly (readonly [string, string | Uint8Array])[] => {
    const rows = Array.from({ length: DEVICES }, (_, index) => `${name}-${index + 1}: {}`);
    return [
      [
        `devices/${name}.yaml`,
        `kind: Devices\nfamily: ${name}\nvia: ${name}\ndefaults: { model: ${model} }\ndevices: { ${rows.join(', ')} }\n`,
      ],
      [
        `artifacts/${name}.yaml`,
        `kind: Artifact\nname: ${name}\nitem: firmware\nfits: { family: ${name} }\nversions: { 1.0.0: { from: files/${name}-1 }, 1.1.0: { from: files/${name}-2 } }\n`,
      ],
      [
        `groups/${name}.yaml`,
        `kind: Group\nname: ${name}\nselect: { family: ${name} }\noptions: ${options}\npins: { firmware: ${name}@${version} }\nrollout: whole\n`,
      ],
      [`files/${name}-1`, file('1.0.0')],
      [`files/${name}-2`, file('1.1.0')],
    ];
  });
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: costs
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: costs, lasting: true }
connections:
${connections.join('\n')}
  depot: { type: s3, bucket: depot, region: eu-central-1, endpoint: 'http://127.0.0.1:9' }
artifacts: { via: depot, urls: presigned }
limits: { change: 100%, operationsPerMinute: 120 }
`,
    'rollouts/whole.yaml': 'kind: Rollout\nname: whole\nwaves: [{ name: all }]\nwindows: any\n',
    ...Object.fromEntries(files),
  };
}

async function headgate(...args: readonly string[]): Promise<string> {
  const { accessKeyId, secretAccessKey } = SIM_AWS_CREDENTIALS;
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const process = fakeProcess({ cwd: dir, env });
  const code = await runCli(args, process);
  expect([0, 2], process.err() + process.out()).toContain(code);
  return process.out();
}

it('says what AWS costs and how long it takes in every plan of a fleet behind it, of each family', async () => {
  await headgate('apply', '--new-ledger');
  const still = await headgate('plan');
  for (const { name } of FAMILIES) expect(still).toContain(`${name}: ${DEVICES} calls to look, less than $0.0001, 1s at the least\n`);
  expect(still).toContain(`(list prices of ${AWS_IOT.prices.at}, default quotas of ${AWS_IOT.quotas.at})`);
  const files = Object.fromEntries(Object.entries(filesOf('1.1.0')).map(([path, content]) => [path, Buffer.from(content)]));
  expect(await commitFiles({ dir, author: AUTHOR, message: 'All to 1.1.0', files })).toMatchObject({ ok: true });
  const plan = await headgate('plan');
  const line = `${DEVICES} calls to look, less than $0.0001, 1s at the least · 20 calls for ${DEVICES} changes, less than $0.0001, 1s at the least`;
  for (const { name } of FAMILIES) expect(plan).toContain(`${name}: ${line}\n`);
  const { summary } = JSON.parse(await headgate('plan', '--json')) as {
    readonly summary: { readonly aws: { readonly connections: unknown } };
  };
  expect(summary.aws.connections).toMatchObject(
    FAMILIES.map(({ name }) => ({
      connection: name,
      devices: DEVICES,
      changes: DEVICES,
      look: { calls: DEVICES },
      tell: { calls: 4 * DEVICES },
    })),
  );
  await headgate('plan', '--comment', 'plan.md');
  const comment = await readFile(join(dir, 'plan.md'), 'utf8');
  for (const { name } of FAMILIES) expect(comment).toContain(`\`${name}\` ${line}`);
});
