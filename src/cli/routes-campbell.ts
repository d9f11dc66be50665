import { buildCommand, buildRouteMap } from '@stricli/core';
import type { BenchAction } from '#world.ts';
import type { CampbellFlags, HistoryFlags, PutFlags } from './commands/campbell.ts';
import type { CliContext } from './context.ts';
import { parseCount, repoFlag, text } from './flags.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';

const optional = { kind: 'parsed', parse: text, optional: true } as const;

const flags = {
  repo: repoFlag,
  url: { ...optional, brief: 'The broker, for a logger that no fleet repo declares', placeholder: 'URL' },
  base: { ...optional, brief: 'Its setting MQTTBaseTopic, cs/v2 by default', placeholder: 'TOPIC' },
  dialect: { kind: 'enum', values: ['legacy', 'os80', 'v2'], brief: 'How it speaks, os80 by default', optional: true },
  user: { ...optional, brief: 'User name at the broker', placeholder: 'NAME' },
  password: { ...optional, brief: "Password, best as '${env:NAME}'", placeholder: 'TEXT' },
  ca: { ...optional, brief: 'CA certificates of the broker, PEM', placeholder: 'FILE' },
  force: { kind: 'boolean', brief: 'Even while a rollout is changing this logger', default: false, withNegated: false },
} as const;

const loggerParameter = {
  brief: 'A device of the fleet repo, or with --url an address: the UID, or model/serial',
  parse: text,
  placeholder: 'LOGGER',
} as const;

interface Named {
  readonly brief: string;
  readonly more?: readonly string[];
  readonly example: string;
  readonly names: readonly { readonly brief: string; readonly placeholder: string; readonly optional?: true }[];
  make(...rest: readonly string[]): BenchAction;
}

function named({ brief, more = [], example, names, make }: Named) {
  const words = ['LOGGER', ...names.map(({ placeholder, optional: may }) => (may === true ? `[${placeholder}]` : placeholder))];
  return buildCommand<CampbellFlags, string[], CliContext>({
    loader: lazy(async () => (await import('./commands/campbell.ts')).campbellAction(make)),
    parameters: {
      flags,
      positional: {
        kind: 'array',
        parameter: {
          brief: [loggerParameter.brief, ...names.map((one) => `${one.placeholder}: ${one.brief}`)].join('; '),
          parse: text,
          placeholder: words.join(' '),
        },
        minimum: 1 + names.filter(({ optional: may }) => may !== true).length,
        maximum: 1 + names.length,
      },
    },
    docs: { brief, fullDescription: [brief, ...more, '', 'Example:', `  ${example}`].join('\n') },
  });
}

const file = { brief: 'Name of the file on CPU:', placeholder: 'FILE' } as const;
const name = { brief: 'Its name', placeholder: 'NAME' } as const;

const putCommand = buildCommand<PutFlags, [string, string], CliContext>({
  loader: lazy(async () => (await import('./commands/campbell.ts')).campbellPut),
  parameters: {
    flags: {
      ...flags,
      runs: { kind: 'boolean', brief: 'Yes, it runs at once and erases stored tables', default: false, withNegated: false },
      host: {
        kind: 'parsed',
        parse: text,
        brief: 'Address of this machine that the logger can reach',
        placeholder: 'HOST',
        default: '127.0.0.1',
      },
      port: {
        kind: 'parsed',
        parse: parseCount,
        brief: 'Port to serve the file at; 0 takes a free one',
        placeholder: 'PORT',
        default: '0',
      },
      publicUrl: { ...optional, brief: 'The URL in front of it, behind a proxy', placeholder: 'URL' },
    },
    positional: { kind: 'tuple', parameters: [loggerParameter, { brief: 'The program', parse: text, placeholder: 'PATH' }] },
  },
  docs: {
    brief: 'Sends a program, which runs at once',
    fullDescription: [
      'Serves the file to the logger, has it fetched, and says which program the logger reports afterwards: its answer alone proves',
      'nothing. Over MQTT no file can be brought that does not run.',
      '',
      'Example:',
      '  headgate campbell put moor-house met_v15.CR1X --runs --host 192.0.2.10',
    ].join('\n'),
  },
});

const historyCommand = buildCommand<HistoryFlags, [string, string], CliContext>({
  loader: lazy(async () => (await import('./commands/campbell.ts')).campbellHistory),
  parameters: {
    flags: {
      ...flags,
      start: { ...optional, brief: 'UTC, 2026-11-24T08:00:00', placeholder: 'TIME' },
      end: { ...optional, brief: 'UTC', placeholder: 'TIME' },
    },
    positional: {
      kind: 'tuple',
      parameters: [loggerParameter, { brief: 'A table with MQTTPublishTable', parse: text, placeholder: 'TABLE' }],
    },
  },
  docs: {
    brief: 'Stored records of a table, a JSON line a chunk, newest first',
    fullDescription: [
      'Without --start and --end all of it, where the logger speaks v2.',
      '',
      'Example:',
      '  headgate campbell history moor-house Hourly --start 2026-11-24T00:00:00 --end 2026-11-25T00:00:00',
    ].join('\n'),
  },
});

export const campbellRoutes = buildRouteMap({
  routes: {
    ls: named({
      brief: 'Files of a drive',
      more: ['Loggers cut the list at 4800 characters; it says so.'],
      example: 'headgate campbell ls moor-house',
      names: [{ brief: 'CPU, USR, CRD or USB', placeholder: 'DRIVE', optional: true }],
      make: (drive = 'CPU') => ({ kind: 'ls', drive }),
    }),
    get: named({
      brief: 'Says why no file can be fetched from a logger over MQTT',
      example: 'headgate campbell get moor-house met_v14.CR1X',
      names: [file],
      make: (one = '') => ({ kind: 'get', file: one }),
    }),
    put: putCommand,
    rm: named({
      brief: 'Deletes a file of CPU:',
      example: 'headgate campbell rm moor-house met_v12.CR1X',
      names: [file],
      make: (one = '') => ({ kind: 'rm', file: one }),
    }),
    run: named({
      brief: 'Runs a program that lies on CPU:',
      example: 'headgate campbell run moor-house met_v13.CR1X',
      names: [file],
      make: (one = '') => ({ kind: 'run', file: one }),
    }),
    setting: named({
      brief: 'Reads a setting, or sets it, applies it and reads it back',
      example: 'headgate campbell setting moor-house MQTTStatusInterval 5',
      names: [name, { brief: 'The new value', placeholder: 'VALUE', optional: true }],
      make: (one = '', value?: string) => ({ kind: 'setting', name: one, value: value ?? null }),
    }),
    getvar: named({
      brief: 'Reads a variable',
      example: 'headgate campbell getvar moor-house PTemp',
      names: [name],
      make: (one = '') => ({ kind: 'getvar', name: one }),
    }),
    setvar: named({
      brief: 'Sets a variable',
      more: ['A value that does not fit its type is answered with success, and changes nothing.'],
      example: 'headgate campbell setvar moor-house Flag1 1',
      names: [name, { brief: 'The new value', placeholder: 'VALUE' }],
      make: (one = '', value = '') => ({ kind: 'setvar', name: one, value }),
    }),
    reboot: named({
      brief: 'Restarts the logger',
      example: 'headgate campbell reboot moor-house',
      names: [],
      make: () => ({ kind: 'reboot' }),
    }),
    history: historyCommand,
    watch: named({
      brief: 'Everything that the logger says, a line each, until Ctrl-C',
      example: 'headgate campbell watch --url mqtt://127.0.0.1:1883 QU8Q-9JTY-HVP8',
      names: [],
      make: () => ({ kind: 'watch' }),
    }),
  },
  docs: {
    brief: BRIEFS.campbell,
    fullDescription: [
      'Speaks the same commands as a rollout, over a session of its own. A logger of the fleet repo is named by its id; it is refused',
      'while a rollout is changing it. Any other is named by --url, --base, --dialect and its address.',
      '',
      'Examples:',
      '  headgate campbell ls moor-house',
      '  headgate campbell setting --url mqtt://127.0.0.1:1883 --dialect v2 QU8Q-9JTY-HVP8 MQTTStatusInterval 5',
    ].join('\n'),
  },
});
