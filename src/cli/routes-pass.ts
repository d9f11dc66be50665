import { buildCommand } from '@stricli/core';
import { parseDuration } from '#kit/duration.ts';
import type { CliContext } from './context.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';
import type { ApplyFlags } from './commands/apply.ts';
import type { DevicesFlags } from './commands/devices.ts';
import type { ObserveFlags } from './commands/observe.ts';
import type { PlanFlags } from './commands/plan.ts';
import type { ValidateFlags } from './commands/validate.ts';
import { jsonFlag, parseDurationFlag, parseInstant, refFlag, repoFlag, text } from './flags.ts';

const listenFlag = {
  kind: 'parsed',
  parse: parseDurationFlag(parseDuration),
  brief: 'Listen that long for what devices say by themselves',
  placeholder: '35m',
  optional: true,
} as const;

const atFlag = {
  kind: 'parsed',
  parse: parseInstant,
  brief: 'Decide as if it were that time',
  placeholder: 'TIME',
  optional: true,
} as const;

const reportedFlag = {
  kind: 'parsed',
  parse: text,
  brief: 'Reports from a file made by `headgate observe`, rather than from the devices',
  placeholder: 'FILE',
  optional: true,
} as const;

const baseFlag = {
  kind: 'parsed',
  parse: text,
  brief: 'Revision to compare published versions with: the target of a pull request',
  placeholder: 'REV',
  optional: true,
} as const;

export const validateCommand = buildCommand<ValidateFlags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/validate.ts')).validate),
  parameters: { flags: { repo: repoFlag, ref: refFlag, base: baseFlag, at: atFlag, json: jsonFlag } },
  docs: {
    brief: BRIEFS.validate,
    fullDescription: [
      'Checks schemas, references, overlaps, digests and guards of a fleet repo, without any network. All mistakes are reported at',
      'once. With --base also what is declared otherwise than there. Exit 0: valid. Exit 1: mistakes.',
      '',
      'Examples:',
      '  headgate validate',
      '  headgate validate --repo ../fleet --ref main --json',
    ].join('\n'),
  },
});

export const devicesCommand = buildCommand<DevicesFlags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/devices.ts')).devices),
  parameters: {
    flags: {
      repo: repoFlag,
      ref: refFlag,
      json: jsonFlag,
      select: {
        kind: 'parsed',
        parse: text,
        brief: 'Only devices for which it holds: family, model, group, site, id or a label; may be repeated',
        placeholder: 'k=v',
        variadic: true,
        optional: true,
      },
    },
  },
  docs: {
    brief: BRIEFS.devices,
    fullDescription: [
      'Lists declared devices. All that is given must hold.',
      '',
      'Example:',
      '  headgate devices --select catchment=tees --select model=CR6',
    ].join('\n'),
  },
});

export const planCommand = buildCommand<PlanFlags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/plan.ts')).plan),
  parameters: {
    flags: {
      repo: repoFlag,
      ref: refFlag,
      base: baseFlag,
      at: atFlag,
      reported: reportedFlag,
      listen: listenFlag,
      out: { kind: 'parsed', parse: text, brief: 'Save the plan, so that exactly it can be applied', placeholder: 'FILE', optional: true },
      comment: {
        kind: 'parsed',
        parse: text,
        brief: 'Write the comment of a pull request to a file, as markdown: below 60,000 bytes',
        placeholder: 'FILE',
        optional: true,
      },
      links: {
        kind: 'parsed',
        parse: text,
        brief: 'Where the lines of the comment link to, with {file} and {line} in it',
        placeholder: 'URL',
        optional: true,
      },
      json: jsonFlag,
    },
  },
  docs: {
    brief: BRIEFS.plan,
    fullDescription: [
      'Compares a revision with what the devices report, and prints the operations that would close the difference. Changes nothing.',
      'Exit 0: nothing to do. Exit 2: changes. Exit 1: failed.',
      '',
      'Examples:',
      '  headgate plan',
      '  headgate plan --ref my-branch --base main --out plan.json',
      '  headgate plan --base main --comment plan.md --links "https://git.example.org/fleet/-/blob/main/{file}#L{line}"',
      '  headgate plan --reported reports.ndjson --at 2026-11-24T08:00Z --json',
    ].join('\n'),
  },
});

export const observeCommand = buildCommand<ObserveFlags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/observe.ts')).observe),
  parameters: {
    flags: {
      repo: repoFlag,
      ref: refFlag,
      listen: listenFlag,
      out: { kind: 'parsed', parse: text, brief: 'File to write; - is standard output', placeholder: 'FILE', default: '-' },
    },
  },
  docs: {
    brief: BRIEFS.observe,
    fullDescription: [
      'Asks all devices and writes one report a line. Changes nothing.',
      '',
      'Example:',
      '  headgate observe --out reports.ndjson',
    ].join('\n'),
  },
});

export const applyCommand = buildCommand<ApplyFlags, [string?], CliContext>({
  loader: lazy(async () => (await import('./commands/apply.ts')).apply),
  parameters: {
    flags: {
      repo: repoFlag,
      ref: refFlag,
      wait: {
        kind: 'boolean',
        brief: 'Go on with passes until the fleet has converged or a rollout has halted',
        default: false,
        withNegated: false,
      },
      watch: { kind: 'boolean', brief: 'The same, with live progress on a terminal', default: false, withNegated: false },
      listen: listenFlag,
      newLedger: {
        kind: 'boolean',
        brief: 'Begin an empty ledger: what is reported becomes the present state, nothing is sent',
        default: false,
        withNegated: false,
      },
      acceptEngine: { kind: 'boolean', brief: 'Let a newer Headgate plan more than the last one did', default: false, withNegated: false },
      json: jsonFlag,
    },
    positional: {
      kind: 'tuple',
      parameters: [
        { brief: 'A plan saved by `headgate plan --out`: applied exactly, or refused', parse: text, placeholder: 'FILE', optional: true },
      ],
    },
  },
  docs: {
    brief: BRIEFS.apply,
    fullDescription: [
      'One pass: reads the declared branch, observes, plans, decides, and carries out what may be done now. Never waits for a device.',
      'Exit 0: converged. Exit 2: under way. Exit 3: halted. Exit 1: failed. Exit 75: another runner holds the lease.',
      '',
      'Examples:',
      '  headgate apply --new-ledger      the first pass of a new fleet: adopts, sends nothing',
      '  headgate apply --watch           until converged or halted, with live progress',
      '  headgate apply plan.json         exactly that plan, or nothing',
    ].join('\n'),
  },
});
