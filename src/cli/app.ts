import { buildApplication, buildRouteMap, run, text_en } from '@stricli/core';
import type { CliProcess } from './context.ts';
import { PURPOSE, VERSION } from './help.ts';
import { daemonCommand } from './routes-daemon.ts';
import { demoCommand, initCommand } from './routes-local.ts';
import { campbellRoutes } from './routes-campbell.ts';
import { canedgeRoutes } from './routes-canedge.ts';
import { mongooseRoutes } from './routes-mongoose.ts';
import { simRoutes } from './routes-sim.ts';
import { applyCommand, devicesCommand, observeCommand, planCommand, validateCommand } from './routes-pass.ts';
import { explainCommand, historyCommand, rolloutsCommand, statusCommand } from './routes-look.ts';
import { secretRoutes } from './routes-secret.ts';
import { approveCommand, freezeCommand, rollbackCommand } from './routes-write.ts';

const root = buildRouteMap({
  routes: {
    init: initCommand,
    validate: validateCommand,
    devices: devicesCommand,
    plan: planCommand,
    observe: observeCommand,
    apply: applyCommand,
    daemon: daemonCommand,
    status: statusCommand,
    explain: explainCommand,
    rollouts: rolloutsCommand,
    history: historyCommand,
    approve: approveCommand,
    freeze: freezeCommand,
    secret: secretRoutes,
    rollback: rollbackCommand,
    campbell: campbellRoutes,
    canedge: canedgeRoutes,
    mongoose: mongooseRoutes,
    sim: simRoutes,
    demo: demoCommand,
  },
  docs: { brief: PURPOSE },
});

const app = buildApplication(root, {
  name: 'headgate',
  versionInfo: { currentVersion: VERSION },
  scanner: { caseStyle: 'allow-kebab-for-camel' },
  documentation: { caseStyle: 'convert-camel-to-kebab', disableAnsiColor: true },
  localization: {
    text: {
      ...text_en,
      // Expected troubles were printed by the command itself; what comes here is a bug, and its stack says where.
      exceptionWhileRunningCommand: (error) =>
        `headgate failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    },
  },
});

/** Runs a command by its name; negative codes are those of wrong arguments. */
export async function runApp(args: readonly string[], cli: CliProcess): Promise<number> {
  const process = {
    stdout: { write: (text: string) => void cli.stdout.write(text) },
    stderr: { write: (text: string) => void cli.stderr.write(text) },
    env: { ...cli.env, STRICLI_NO_COLOR: '1' },
    exitCode: null as number | string | null,
  };
  await run(app, args, { process, cli });
  return typeof process.exitCode === 'number' ? process.exitCode : 0;
}
