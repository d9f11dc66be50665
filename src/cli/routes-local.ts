import { buildCommand, buildRouteMap } from '@stricli/core';
import type { CliContext } from './context.ts';
import { lazy } from './lazy.ts';
import type { InitFlags } from './commands/init.ts';
import type { SimBrokerFlags } from './commands/sim-broker.ts';
import type { SimS3Flags } from './commands/sim-s3.ts';
import type { DemoFlags } from './demo/demo.ts';
import { parseCount, text } from './flags.ts';

export const initCommand = buildCommand<InitFlags, [string?], CliContext>({
  loader: lazy(async () => (await import('./commands/init.ts')).init),
  parameters: {
    flags: {
      name: {
        kind: 'parsed',
        parse: text,
        brief: 'Name of the fleet; the name of the folder when left out',
        placeholder: 'NAME',
        optional: true,
      },
    },
    positional: {
      kind: 'tuple',
      parameters: [{ brief: 'Folder; this one when left out', parse: text, placeholder: 'DIR', optional: true }],
    },
  },
  docs: {
    brief: 'Writes a new fleet repo of about fifty lines',
    fullDescription: [
      'Fleet, Devices, one Group, one Rollout, one Window: valid as it stands. Overwrites nothing.',
      '',
      'Example:',
      '  headgate init upland-network',
    ].join('\n'),
  },
});

export const demoCommand = buildCommand<DemoFlags, [], CliContext>({
  loader: lazy(async () => (await import('./demo/demo.ts')).demo),
  parameters: {
    flags: {
      report: { kind: 'parsed', parse: text, brief: 'Write what happened as JSON', placeholder: 'FILE', optional: true },
      seed: { kind: 'parsed', parse: parseCount, brief: 'The same seed gives the same demo', placeholder: 'N', default: '1' },
    },
  },
  docs: {
    brief: 'All of it in one process with nothing installed',
    fullDescription: [
      'Copies the example network into a temporary git repository, starts a broker, an S3 server and eighteen simulated devices, rolls',
      'an upgrade out in waves, meets a firmware that boots back, halts, reverts the commit, and brings the fleet home.',
      '',
      'Example:',
      '  headgate demo --report out.json --seed 7',
    ].join('\n'),
  },
});

const portFlag = { kind: 'parsed', parse: parseCount, brief: 'Port', placeholder: 'PORT' } as const;
const hostFlag = { kind: 'parsed', parse: text, brief: 'Address to listen on', placeholder: 'HOST', default: '127.0.0.1' } as const;

const brokerCommand = buildCommand<SimBrokerFlags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-broker.ts')).simBroker),
  parameters: {
    flags: {
      port: { ...portFlag, default: '1883' },
      host: hostFlag,
      user: { kind: 'parsed', parse: text, brief: 'Only this user may connect', placeholder: 'NAME', optional: true },
      password: { kind: 'parsed', parse: text, brief: 'With this password', placeholder: 'TEXT', optional: true },
    },
  },
  docs: {
    brief: 'The embedded MQTT 3.1.1 broker alone, until Ctrl-C',
    fullDescription: ['Keeps retained messages and sessions in memory.', '', 'Example:', '  headgate sim broker --port 1883'].join('\n'),
  },
});

const s3Command = buildCommand<SimS3Flags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-s3.ts')).simS3),
  parameters: {
    flags: {
      port: { ...portFlag, default: '9000' },
      host: hostFlag,
      bucket: {
        kind: 'parsed',
        parse: text,
        brief: 'A bucket that exists; may be repeated',
        placeholder: 'NAME',
        variadic: true,
        default: ['headgate'],
      },
      accessKey: { kind: 'parsed', parse: text, brief: 'Access key', placeholder: 'KEY', default: 'headgate' },
      secretKey: { kind: 'parsed', parse: text, brief: 'Secret key', placeholder: 'KEY', default: 'headgate-secret' },
    },
  },
  docs: {
    brief: 'The embedded S3 server alone, until Ctrl-C',
    fullDescription: [
      'Verifies signatures, conditions and checksums as S3 does.',
      '',
      'Example:',
      '  headgate sim s3 --port 9000 --bucket vehicle-logs',
    ].join('\n'),
  },
});

export const simRoutes = buildRouteMap({
  routes: { broker: brokerCommand, s3: s3Command },
  docs: { brief: 'Embedded servers and simulated devices, for use with other programs' },
});
