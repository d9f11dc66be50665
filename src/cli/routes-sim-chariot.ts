import { buildCommand } from '@stricli/core';
import type { SimChariotFlags } from './commands/sim-chariot.ts';
import type { CliContext } from './context.ts';
import { text } from './flags.ts';
import { lazy } from './lazy.ts';
import { certificateFlags, deviceFlags } from './sim-flags.ts';

export const chariotCommand = buildCommand<SimChariotFlags, string[], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-chariot.ts')).simChariot),
  parameters: {
    flags: {
      url: {
        kind: 'parsed',
        parse: text,
        brief: 'The broker, mqtt:// or mqtts://, which must keep shadows',
        placeholder: 'URL',
        default: 'mqtts://127.0.0.1:8883',
      },
      ...certificateFlags,
      claim: {
        kind: 'parsed',
        parse: text,
        brief: 'Claim certificate, PEM: the gateways provision certificates of their own with it',
        placeholder: 'FILE',
        optional: true,
      },
      claimKey: { kind: 'parsed', parse: text, brief: 'Its private key, PEM', placeholder: 'FILE', optional: true },
      template: {
        kind: 'parsed',
        parse: text,
        brief: 'Provisioning template; it is told SerialNumber and ThingName, both the thing',
        placeholder: 'NAME',
        default: 'fleet',
      },
      options: {
        kind: 'parsed',
        parse: text,
        brief: 'Its services: `options:` of its group as a JSON file; firmware, program and config when left out',
        placeholder: 'FILE',
        optional: true,
      },
      model: { kind: 'parsed', parse: text, brief: 'Model', placeholder: 'MODEL', default: 'gw' },
      firmware: { kind: 'parsed', parse: text, brief: 'The firmware that it runs', placeholder: 'VERSION', default: '1.0.0' },
      program: { kind: 'parsed', parse: text, brief: 'The program that it runs, none by default', placeholder: 'VERSION', optional: true },
      config: { kind: 'parsed', parse: text, brief: 'The config on its disk, JSON', placeholder: 'FILE', optional: true },
      ...deviceFlags,
    },
    positional: {
      kind: 'array',
      parameter: { brief: 'The thing, with its serial where it reports one', parse: text, placeholder: 'THING[=SERIAL]' },
    },
  },
  docs: {
    brief: 'Simulated gateways with chariotd, on any broker that keeps shadows',
    fullDescription: [
      'Gateways that turn keys of their shadow into files and installations, with all that chariotd does to its mailbox. Ctrl-C',
      'switches them off. AWS IoT wants a certificate of its own for each, or a claim for all of them.',
      '',
      'Examples:',
      '  headgate sim chariot --ca aws/ca.pem --cert aws/gw-1.pem --key aws/gw-1.key gw-1',
      '  headgate sim chariot --ca aws/ca.pem --claim aws/claim.pem --claim-key aws/claim.key gw-1 gw-2',
      '  headgate sim chariot --url mqtt://127.0.0.1:1883 --options services.json --fault notifyFails=firmware gw-1=4711 gw-2=4712',
    ].join('\n'),
  },
});
