import { buildCommand } from '@stricli/core';
import type { SimTwinFlags } from './commands/sim-twin.ts';
import type { CliContext } from './context.ts';
import { text } from './flags.ts';
import { lazy } from './lazy.ts';
import { deviceFlags, deviceKeyFlag } from './sim-flags.ts';

export const twinCommand = buildCommand<SimTwinFlags, string[], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-twin.ts')).simTwin),
  parameters: {
    flags: {
      url: { kind: 'parsed', parse: text, brief: 'The hub, mqtts://', placeholder: 'URL', default: 'mqtts://localhost:8883' },
      hostName: {
        kind: 'parsed',
        parse: text,
        brief: 'What the hub is called in user names and tokens; the host of the URL when left out',
        placeholder: 'NAME',
        optional: true,
      },
      deviceKey: deviceKeyFlag,
      ca: { kind: 'parsed', parse: text, brief: 'CA certificates of the hub, PEM', placeholder: 'FILE', optional: true },
      cert: {
        kind: 'parsed',
        parse: text,
        brief: 'Client certificate, PEM, in the place of tokens',
        placeholder: 'FILE',
        optional: true,
      },
      key: { kind: 'parsed', parse: text, brief: 'Its private key, PEM', placeholder: 'FILE', optional: true },
      options: {
        kind: 'parsed',
        parse: text,
        brief: 'Its mapping: `options:` of its group as a JSON file; /firmware and /config when left out',
        placeholder: 'FILE',
        optional: true,
      },
      model: { kind: 'parsed', parse: text, brief: 'Model', placeholder: 'MODEL', default: 'gw' },
      firmware: { kind: 'parsed', parse: text, brief: 'The firmware that it runs', placeholder: 'VERSION', default: '1.0.0' },
      config: {
        kind: 'parsed',
        parse: text,
        brief: 'The config on it, JSON, as it reports it; none by default',
        placeholder: 'FILE',
        optional: true,
      },
      ...deviceFlags,
    },
    positional: {
      kind: 'array',
      parameter: { brief: 'Its id at the hub, with its serial where it reports one', parse: text, placeholder: 'DEVICE[=SERIAL]' },
    },
  },
  docs: {
    brief: 'Simulated devices with a twin, at any Azure IoT hub',
    fullDescription: [
      'Devices that apply what desired of their twin has and they have not, and report what they run. Ctrl-C switches them off.',
      'A hub wants a token, made from the key of the device, or a client certificate.',
      '',
      'Examples:',
      '  headgate sim twin --ca azure/ca.pem logger-7 logger-8=4712',
      '  headgate sim twin --ca azure/ca.pem --cert azure/logger-7.pem --key azure/logger-7.key --options gateways.json logger-7',
    ].join('\n'),
  },
});
