import { join } from 'node:path';
import { openSqliteLedger } from '#ledger/stores/sqlite.ts';
import type { RecordBody } from '#model/records.ts';
import type { Clock } from '#ports/clock.ts';
import type { FromEngine, PlayOrder, RunEnded } from '#test/short-runs/messages.ts';
import { openWorld } from '#world.ts';
import { Checkpoints } from './checkpoints.ts';
import { play } from './play.ts';
import { LEDGER_FILE } from './repo.ts';
import { STORIES } from './stories.ts';

interface Playing {
  readonly order: PlayOrder;
  readonly clock: Clock;
  readonly wireClock: Clock;
  say(message: FromEngine): void;
}

/** What a process does that tells a story as `headgate apply --watch` would, and kills itself right after the checkpoint `killAt`. */
export async function playStory({ order, clock, wireClock, say }: Playing): Promise<RunEnded> {
  const { dir, commits, killAt } = order;
  const story = STORIES.find(({ name }) => name === order.story);
  if (story === undefined) throw new Error(`no such story: ${order.story}`);
  const checkpoints = new Checkpoints();
  const reached = (names: readonly string[]): void => {
    say({ kind: 'checkpoint', what: names[0] ?? '' });
    if (killAt !== null && names.includes(killAt)) process.kill(process.pid, 'SIGKILL');
  };
  let appending: readonly RecordBody[] = [];
  const ledger = openSqliteLedger({ path: join(dir, LEDGER_FILE), clock: wireClock });
  const engine = openWorld({
    repo: dir,
    env: process.env,
    clock,
    wireClock,
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
  return { kind: 'ended', exit: 0, said: null, errors: '' };
}
