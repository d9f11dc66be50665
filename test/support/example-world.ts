import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '#ports/clock.ts';
import type { SimDevice } from '#ports/sim.ts';
import { addDeclaredDevice, connectionsOf } from '#sim/fleet.ts';
import { SIM_CREDENTIALS } from '#sim/s3/store.ts';
import { startSimWorld } from '#sim/world.ts';
import { makeDeclareState, readRevision } from '#reconcile/revision.ts';
import { commitFiles, createRepository, networkClients, openWorld } from '#world.ts';

/** The example network as a repository in a temporary folder, with its eighteen devices on real sockets. */
export interface ExampleWorld {
  readonly dir: string;
  /** What fleet.yaml refers to, and who commits. */
  readonly env: Readonly<Record<string, string>>;
  readonly devices: ReadonlyMap<string, SimDevice>;
  /** Replaces texts in a file and commits; gives the commit. */
  change(file: string, replace: readonly (readonly [string, string])[]): Promise<string>;
  close(): Promise<void>;
}

const AUTHOR = { name: 'Field Team', email: 'field@example.org' };

export async function startExampleWorld(clock: Clock): Promise<ExampleWorld> {
  const dir = await mkdtemp(join(tmpdir(), 'headgate-example-'));
  await cp('fleet-example', dir, { recursive: true });
  // On a clock that runs fast, a minute is too short for real sockets.
  const fleet = await readFile(join(dir, 'fleet.yaml'), 'utf8');
  await writeFile(join(dir, 'fleet.yaml'), fleet.replace('operationsPerMinute: 120', 'operationsPerMinute: 120, observeDeadline: 60m'));
  await createRepository({ dir, branch: 'main', message: 'The network as it stands', author: AUTHOR, at: clock.now() });
  const world = openWorld({ repo: dir, env: {} });
  const loaded = await readRevision(world, makeDeclareState(), { mode: 'plan', at: clock.now() });
  await world.close();
  if (loaded.kind === 'refused') throw new Error('the example is not valid');
  const { declared } = loaded;
  const sim = await startSimWorld({ clock, seed: 1, transport: 'tcp', clients: networkClients, connections: connectionsOf(declared) });
  for (let row = 0; row < declared.size; row += 1)
    await addDeclaredDevice(sim, declared, { device: declared.deviceAt(row).id, options: {} });
  return {
    dir,
    devices: sim.devices,
    env: {
      MQTT_URL: sim.url('field') ?? '',
      MQTT_PASSWORD: 'nobody-checks-it',
      S3_ENDPOINT: sim.url('logs') ?? '',
      AWS_ACCESS_KEY_ID: SIM_CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: SIM_CREDENTIALS.secretAccessKey,
      GIT_AUTHOR_NAME: AUTHOR.name,
      GIT_AUTHOR_EMAIL: AUTHOR.email,
    },
    change: async (file, replace) => {
      let text = await readFile(join(dir, file), 'utf8');
      for (const [from, to] of replace) text = text.replace(from, to);
      const answer = await commitFiles({
        dir,
        author: AUTHOR,
        message: `Change ${file}`,
        files: { [file]: new TextEncoder().encode(text) },
      });
      if (!answer.ok) throw new Error(answer.error.message);
      return answer.value;
    },
    close: async () => {
      await sim.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
