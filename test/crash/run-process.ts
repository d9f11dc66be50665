import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import type { RecordBody } from '#model/records.ts';
import { ScaledClock } from '#sim/clock.ts';
import { systemClock } from '#transports/clock.ts';
import { openWorld } from '#world.ts';
import { Checkpoints } from './checkpoints.ts';
import { play } from './play.ts';
import { CHECKPOINTS_FILE, LEASE_SCALE, LEDGER_FILE, SCALE, wallMs } from './processes.ts';
import type { RunRequest } from './processes.ts';
import { STORIES } from './stories.ts';

/** One engine, as `headgate apply --watch` would run it, that kills itself right after the checkpoint of the name `killAt`. */
const request = JSON.parse(process.argv[2] ?? '') as RunRequest;
const { dir, commits, origin, killAt } = request;
const story = STORIES.find(({ name }) => name === request.story);
if (story === undefined) throw new Error(`no such story: ${request.story}`);
// The clock of the world, seen from another process.
const clock = new ScaledClock(Math.round(origin.instant + (wallMs() - origin.wallMs) * SCALE), SCALE);
const checkpoints = new Checkpoints();
let appending: readonly RecordBody[] = [];
// The lease of a killed process is waited for: faster than by the clock on the wall.
const ledger = openSqliteLedger({ path: join(dir, LEDGER_FILE), clock: new ScaledClock(0, LEASE_SCALE) });
const engine = openWorld({
  repo: dir,
  env: process.env,
  clock,
  wireClock: systemClock,
  ledger: {
    ...ledger,
    append: (bodies, fencing) => {
      appending = bodies;
      return ledger.append(bodies, fencing);
    },
  },
  holder: `crash ${process.pid}`,
  checkpoints: {
    appended: () => reached(checkpoints.appended(appending)),
    performed: (operation) => reached(checkpoints.performed(operation)),
  },
});
await play({ story, repo: { dir, commits }, engine, clock, run: (work) => work });
await engine.close();

function reached(names: readonly string[]): void {
  appendFileSync(join(dir, CHECKPOINTS_FILE), `${names[0]}\n`);
  if (killAt !== null && names.includes(killAt)) process.kill(process.pid, 'SIGKILL');
}
