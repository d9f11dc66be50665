import type { CliContext } from '#cli/context.ts';
import { CliTrouble, nearestRepo, outputs, withTroubles } from '#cli/fleet.ts';

export interface DaemonFlags {
  readonly repo?: string;
  readonly branch?: string;
  readonly schedule?: string;
  readonly listen?: string;
  readonly state?: string;
  readonly only?: string;
  readonly instance?: string;
  readonly webhookSecretFile?: string;
  readonly logLevel?: string;
}

/** Runs until SIGTERM or Ctrl-C; the log goes to standard error, one JSON object a line. */
export function daemon(context: CliContext, flags: DaemonFlags): Promise<void> {
  const { cli } = context;
  return withTroubles(context, async () => {
    const { readSettings } = await import('#daemon/settings.ts');
    const { runDaemon } = await import('#daemon/daemon.ts');
    const { keepHeapSmall } = await import('#daemon/heap.ts');
    const { makeLog } = await import('#daemon/log.ts');
    const { systemClock } = await import('#world.ts');
    const settings = readSettings(flags, cli.env, nearestRepo(cli.cwd));
    if (!settings.ok) throw new CliTrouble('BAD_SETTINGS', settings.error.join('\n'));
    keepHeapSmall();
    const code = await runDaemon({
      settings: settings.value,
      env: cli.env,
      log: makeLog(cli.stderr, settings.value.logLevel),
      clock: cli.clock ?? systemClock,
      signal: cli.signal,
      onListening: (url) => outputs(context).out(`listens at ${url}`),
      ...(cli.onReload === undefined ? {} : { onReload: cli.onReload }),
      ...(cli.wires === undefined ? {} : { wires: cli.wires }),
    });
    // The drain has its deadline; whatever still holds the process after it must not.
    cli.exit?.(code);
    return code;
  });
}
