import { buildCommand, buildRouteMap } from '@stricli/core';
import type { CliContext } from './context.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';
import type { SecretSetFlags } from './commands/secret-set.ts';
import { jsonFlag, repoFlag, text } from './flags.ts';

const setCommand = buildCommand<SecretSetFlags, [string], CliContext>({
  loader: lazy(async () => (await import('./commands/secret-set.ts')).secretSet),
  parameters: {
    flags: {
      repo: repoFlag,
      exact: { kind: 'boolean', brief: 'Keep a line end at the end of the value', default: false, withNegated: false },
      json: jsonFlag,
    },
    positional: {
      kind: 'tuple',
      parameters: [{ brief: 'The file, from the root of the repo', parse: text, placeholder: 'PATH' }],
    },
  },
  docs: {
    brief: 'Seals the value on standard input to the fleet’s recipients, and commits the file',
    fullDescription: [
      'The value is read from standard input and encrypted to the recipients that fleet.yaml names; nothing shows it.',
      'What uses it changes with the next pass, under the rollout of its group.',
      '',
      'Examples:',
      '  headgate secret set secrets/wifi-2027.age < wifi.txt',
      '  head -c 32 /dev/urandom | headgate secret set secrets/render.age --exact',
    ].join('\n'),
  },
});

export const secretRoutes = buildRouteMap({
  routes: { set: setCommand },
  docs: {
    brief: BRIEFS.secret,
    fullDescription: [`${BRIEFS.secret}.`, '', 'Example:', '  headgate secret set secrets/wifi-2027.age < wifi.txt'].join('\n'),
  },
});
