import { buildCommand, buildRouteMap } from '@stricli/core';
import type { BundleFlags } from './commands/mongoose.ts';
import type { CliContext } from './context.ts';
import { jsonFlag, text } from './flags.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';

const bundleCommand = buildCommand<BundleFlags, [string], CliContext>({
  loader: lazy(async () => (await import('./commands/mongoose.ts')).mongooseBundle),
  parameters: {
    flags: {
      json: jsonFlag,
      platform: {
        kind: 'parsed',
        parse: text,
        brief: 'What the board is: a bundle for another one is refused',
        placeholder: 'NAME',
        optional: true,
      },
      key: {
        kind: 'parsed',
        parse: text,
        brief: 'A key of the board, update.keySLOT, in PEM; may be given several times',
        placeholder: 'SLOT=FILE',
        variadic: true,
        optional: true,
      },
    },
    positional: { kind: 'tuple', parameters: [{ brief: 'The zip', parse: text, placeholder: 'FILE' }] },
  },
  docs: {
    brief: 'What a firmware bundle holds, or why a board refuses it',
    fullDescription: [
      'Manifest, parts with their sums, and who signed it; reportsAs is what an Artifact needs whose bundle lies elsewhere. Needs no',
      'fleet and no network. Exit 1 for a bundle that no board takes, and for one that is not signed by each key given.',
      '',
      'Examples:',
      '  headgate mongoose bundle build/fw.zip',
      '  headgate mongoose bundle build/fw.zip --platform esp32 --key 0=keys/fleet.pem --json',
    ].join('\n'),
  },
});

export const mongooseRoutes = buildRouteMap({
  routes: { bundle: bundleCommand },
  docs: {
    brief: BRIEFS.mongoose,
    fullDescription: [
      'For who holds a bundle in his hands; what git declares is sent by `headgate apply`.',
      '',
      'Example:',
      '  headgate mongoose bundle build/fw.zip',
    ].join('\n'),
  },
});
