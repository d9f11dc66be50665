import { runDaemon } from '#daemon/daemon.ts';
import { keepHeapSmall } from '#daemon/heap.ts';
import { makeLog } from '#daemon/log.ts';
import { readSettings } from '#daemon/settings.ts';
import { systemClock } from '#transports/clock.ts';
import { serveUsage } from './dfu-process.ts';

/** The responder as it is hosted, with its journal on the disk. */
async function main(): Promise<void> {
  const [, , repo = '', state = ''] = process.argv;
  const settings = readSettings({ repo, state, only: 'responder', listen: '0', logLevel: 'warn' }, {}, repo);
  if (!settings.ok) throw new Error(settings.error.join('\n'));
  keepHeapSmall();
  const stop = new AbortController();
  process.once('disconnect', () => stop.abort(new Error('the bench has ended')));
  await runDaemon({
    settings: settings.value,
    env: process.env,
    log: makeLog(process.stderr, 'warn'),
    clock: systemClock,
    signal: stop.signal,
    onListening: (url) => void whenReady(url),
  });
  process.exit(0);
}

async function whenReady(url: string): Promise<void> {
  while (!(await fetch(`${url}/readyz`)).ok) await new Promise((resolve) => setTimeout(resolve, 50));
  serveUsage();
}

await main();
