import { buildCommand } from '@stricli/core';
import type { CliContext } from './context.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';
import type { HistoryFlags } from './commands/history.ts';
import type { StatusFlags } from './commands/status.ts';
import type { LookFlags } from './flags.ts';
import { freshFlag, jsonFlag, parseCount, refFlag, repoFlag, text } from './flags.ts';

const lookFlags = { repo: repoFlag, ref: refFlag, json: jsonFlag } as const;

export const statusCommand = buildCommand<StatusFlags, [string?], CliContext>({
  loader: lazy(async () => (await import('./commands/status.ts')).status),
  parameters: {
    flags: { ...lookFlags, fresh: freshFlag },
    positional: {
      kind: 'tuple',
      parameters: [{ brief: 'A group: shows its devices one by one', parse: text, placeholder: 'GROUP', optional: true }],
    },
  },
  docs: {
    brief: BRIEFS.status,
    fullDescription: [
      'Reads the ledger and the last reports.',
      '',
      'Examples:',
      '  headgate status',
      '  headgate status upland-met --fresh',
    ].join('\n'),
  },
});

export const explainCommand = buildCommand<StatusFlags, [string], CliContext>({
  loader: lazy(async () => (await import('./commands/explain.ts')).explain),
  parameters: {
    flags: { ...lookFlags, fresh: freshFlag },
    positional: { kind: 'tuple', parameters: [{ brief: 'Id of a device', parse: text, placeholder: 'DEVICE' }] },
  },
  docs: {
    brief: BRIEFS.explain,
    fullDescription: [
      'Says what is declared, what is reported, and what stands between the two.',
      '',
      'Example:',
      '  headgate explain trout-beck',
    ].join('\n'),
  },
});

export const rolloutsCommand = buildCommand<LookFlags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/rollouts.ts')).rollouts),
  parameters: { flags: lookFlags },
  docs: {
    brief: BRIEFS.rollouts,
    fullDescription: ['Waves, outcomes and halts, from the ledger.', '', 'Example:', '  headgate rollouts'].join('\n'),
  },
});

export const historyCommand = buildCommand<HistoryFlags, [string?], CliContext>({
  loader: lazy(async () => (await import('./commands/history.ts')).history),
  parameters: {
    flags: {
      ...lookFlags,
      last: { kind: 'parsed', parse: parseCount, brief: 'Only that many lines from the end', placeholder: 'N', optional: true },
    },
    positional: { kind: 'tuple', parameters: [{ brief: 'Id of a device', parse: text, placeholder: 'DEVICE', optional: true }] },
  },
  docs: {
    brief: BRIEFS.history,
    fullDescription: ['The ledger in words.', '', 'Examples:', '  headgate history --last 50', '  headgate history moor-house'].join('\n'),
  },
});
