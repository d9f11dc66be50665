import { buffer } from 'node:stream/consumers';
import { runCli } from './run.ts';

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort(new Error(name)));

// `headgate history | head` closes the pipe early: that is no failure of ours, and nobody reads on.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  signal: interrupted.signal,
  input: () => buffer(process.stdin),
  onReload: (reload) => void process.on('SIGHUP', reload),
  exit: (code) => process.exit(code),
});
