import { buildCommand } from '@stricli/core';
import type { CliContext } from './context.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';
import type { InitFlags } from './commands/init.ts';
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
    brief: BRIEFS.init,
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
    brief: BRIEFS.demo,
    fullDescription: [
      'Copies the example network into a temporary git repository, starts a broker, an S3 server and eighteen simulated devices, rolls',
      'an upgrade out in waves, meets a firmware that boots back, halts, reverts the commit, and brings the fleet home.',
      '',
      'Example:',
      '  headgate demo --report out.json --seed 7',
    ].join('\n'),
  },
});
