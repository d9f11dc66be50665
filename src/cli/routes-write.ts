import { buildCommand } from '@stricli/core';
import type { CliContext } from './context.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';
import type { ApproveFlags } from './commands/approve.ts';
import type { FreezeFlags } from './commands/freeze.ts';
import type { RollbackFlags } from './commands/rollback.ts';
import { jsonFlag, parseCount, repoFlag, text } from './flags.ts';

const reasonFlag = { kind: 'parsed', parse: text, brief: 'Why: it stands in the file and in the commit', placeholder: 'TEXT' } as const;

export const approveCommand = buildCommand<ApproveFlags, [string?], CliContext>({
  loader: lazy(async () => (await import('./commands/approve.ts')).approve),
  parameters: {
    flags: {
      repo: repoFlag,
      reason: reasonFlag,
      wave: {
        kind: 'parsed',
        parse: text,
        brief: 'Open this wave though the gate before it is not met',
        placeholder: 'WAVE',
        optional: true,
      },
      unblock: { kind: 'boolean', brief: 'Lift the blocks and resume a halted rollout', default: false, withNegated: false },
      again: {
        kind: 'parsed',
        parse: text,
        brief: 'Let this device try the release once more; may be repeated',
        placeholder: 'DEVICE',
        variadic: true,
        optional: true,
      },
      release: {
        kind: 'parsed',
        parse: text,
        brief: 'Release, at least 7 digits; the one under way when left out',
        placeholder: 'RELEASE',
        optional: true,
      },
      merge: {
        kind: 'boolean',
        brief: 'Approve the present commit as a whole, with --change and --leave',
        default: false,
        withNegated: false,
      },
      change: { kind: 'parsed', parse: parseCount, brief: 'Devices that the merge may change', placeholder: 'N', optional: true },
      leave: { kind: 'parsed', parse: parseCount, brief: 'Devices that the merge may remove', placeholder: 'N', optional: true },
      json: jsonFlag,
    },
    positional: { kind: 'tuple', parameters: [{ brief: 'The group', parse: text, placeholder: 'GROUP', optional: true }] },
  },
  docs: {
    brief: BRIEFS.approve,
    fullDescription: [
      'Writes approvals/… for the release that is under way, and commits it on the present branch. Inert for any other release.',
      '',
      'Examples:',
      '  headgate approve upland-met --wave rest --reason "gauges checked by hand"',
      '  headgate approve upland-met --unblock --reason "the modem was the cause"',
      '  headgate approve upland-met --again trout-beck --reason "battery changed"',
      '  headgate approve --merge --change 96 --reason "the yearly upgrade"',
    ].join('\n'),
  },
});

export const freezeCommand = buildCommand<FreezeFlags, string[], CliContext>({
  loader: lazy(async () => (await import('./commands/freeze.ts')).freeze),
  parameters: {
    flags: {
      repo: repoFlag,
      reason: reasonFlag,
      until: { kind: 'parsed', parse: text, brief: 'Day on which it ends by itself', placeholder: '2027-03-31', optional: true },
      reviewBy: { kind: 'parsed', parse: text, brief: 'Day from which it asks to be looked at', placeholder: '2027-03-31', optional: true },
      name: { kind: 'parsed', parse: text, brief: 'Name of the override', placeholder: 'NAME', optional: true },
      json: jsonFlag,
    },
    positional: { kind: 'array', parameter: { brief: 'Id of a device', parse: text, placeholder: 'DEVICE' }, minimum: 1 },
  },
  docs: {
    brief: BRIEFS.freeze,
    fullDescription: [
      'A frozen device is sent nothing and counts nowhere. Give --until or --review-by.',
      '',
      'Example:',
      '  headgate freeze trout-beck --reason "dye tracing" --until 2027-03-31',
    ].join('\n'),
  },
});

export const rollbackCommand = buildCommand<RollbackFlags, [string?], CliContext>({
  loader: lazy(async () => (await import('./commands/rollback.ts')).rollback),
  parameters: {
    flags: { repo: repoFlag, json: jsonFlag },
    positional: {
      kind: 'tuple',
      parameters: [
        {
          brief: 'The commit to take back; that of the rollout under way when left out, else the last one',
          parse: text,
          placeholder: 'COMMIT',
          optional: true,
        },
      ],
    },
  },
  docs: {
    brief: BRIEFS.rollback,
    fullDescription: ['The next pass brings the devices home.', '', 'Examples:', '  headgate rollback', '  headgate rollback 3f9c2d1'].join(
      '\n',
    ),
  },
});
