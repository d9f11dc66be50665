import { buildApplication, buildRouteMap, text_en } from '@stricli/core';
import { demoCommand, initCommand } from './routes-local.ts';
import { simRoutes } from './routes-sim.ts';
import { applyCommand, devicesCommand, observeCommand, planCommand, validateCommand } from './routes-pass.ts';
import { explainCommand, historyCommand, rolloutsCommand, statusCommand } from './routes-look.ts';
import { approveCommand, freezeCommand, rollbackCommand } from './routes-write.ts';
import { VERSION } from './version.ts';

const root = buildRouteMap({
  routes: {
    init: initCommand,
    validate: validateCommand,
    devices: devicesCommand,
    plan: planCommand,
    observe: observeCommand,
    apply: applyCommand,
    status: statusCommand,
    explain: explainCommand,
    rollouts: rolloutsCommand,
    history: historyCommand,
    approve: approveCommand,
    freeze: freezeCommand,
    rollback: rollbackCommand,
    sim: simRoutes,
    demo: demoCommand,
  },
  docs: {
    brief: 'Keeps a fleet of data loggers and IoT devices as git declares it',
    fullDescription: [
      'Keeps a fleet of data loggers and IoT devices as git declares it: compares a fleet repo with what the devices report,',
      'and closes the difference in waves. To roll back, revert the commit.',
      '',
      'Try it:  headgate demo',
      'Begin:   headgate init my-fleet',
      'Daily:   headgate plan && headgate apply --watch',
    ].join('\n'),
  },
});

export const app = buildApplication(root, {
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
