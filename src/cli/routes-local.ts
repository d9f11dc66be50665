import { buildCommand } from '@stricli/core';
import type { CliContext } from './context.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';
import type { InitFlags } from './commands/init.ts';
import type { DemoFlags } from './demo/demo.ts';
import { parseCount, text } from './flags.ts';

const named = { kind: 'parsed', parse: text, optional: true } as const;

export const initCommand = buildCommand<InitFlags, [string?], CliContext>({
  loader: lazy(async () => (await import('./commands/init.ts')).init),
  parameters: {
    flags: {
      name: { ...named, brief: 'Name of the fleet; the name of the folder when left out', placeholder: 'NAME' },
      family: { kind: 'enum', values: ['campbell', 'canedge', 'both'], brief: 'Which devices it begins with', default: 'campbell' },
      host: {
        kind: 'enum',
        values: ['github', 'gitea', 'gitlab', 'none'],
        brief: 'Where pull requests and schedules run: workflows for it (github; none with --trial)',
        optional: true,
      },
      endpoint: { ...named, brief: 'A store like S3, with keys of its own, rather than AWS', placeholder: 'URL' },
      action: { ...named, brief: 'The action in workflows, pinned to a commit', placeholder: 'OWNER/headgate@COMMIT' },
      owner: { ...named, brief: 'Who reviews, for CODEOWNERS', placeholder: '@OWNER/TEAM' },
      trial: {
        kind: 'boolean',
        brief: 'For `headgate sim` on this machine: three simulated stations, waits of seconds',
        default: false,
        withNegated: false,
      },
      schemas: {
        kind: 'boolean',
        brief: 'Only write the schemas for editors anew, after an upgrade',
        default: false,
        withNegated: false,
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
      'Fleet, Devices, one Group, one Rollout, one Window: valid as it stands. With workflows that plan pull requests and apply merges,',
      'schemas for editors, and a page for the people at the stations. Overwrites nothing.',
      '',
      'Examples:',
      '  headgate init upland-network',
      '  headgate init upland-network --family both --host gitea --endpoint https://s3.example.org',
      '  headgate init --trial my-fleet',
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
