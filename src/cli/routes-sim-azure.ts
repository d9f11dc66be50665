import { buildCommand } from '@stricli/core';
import type { SimAzureFlags } from './commands/sim-azure.ts';
import type { CliContext } from './context.ts';
import { text } from './flags.ts';
import { lazy } from './lazy.ts';
import { hostFlag, portFlag, SIM_DEVICE_KEY } from './sim-flags.ts';

export const azureCommand = buildCommand<SimAzureFlags, string[], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-azure.ts')).simAzure),
  parameters: {
    flags: {
      mqttPort: { ...portFlag, default: '8883' },
      httpsPort: { ...portFlag, default: '8443' },
      host: hostFlag,
      hostName: {
        kind: 'parsed',
        parse: text,
        brief: 'What user names and tokens call the hub; its certificate is for this name too',
        placeholder: 'NAME',
        default: 'localhost',
      },
      ca: {
        kind: 'parsed',
        parse: text,
        brief: 'Folder of the CA; made where it is not there',
        placeholder: 'DIR',
        default: 'azure',
      },
      key: {
        kind: 'parsed',
        parse: text,
        brief: 'Key of the policies and of each device, base64',
        placeholder: 'KEY',
        default: SIM_DEVICE_KEY,
      },
      switch: {
        kind: 'parsed',
        parse: text,
        brief: 'How it behaves where nobody knows how Azure does: queryUndefined=false; may be repeated',
        placeholder: 'NAME=VALUE',
        variadic: true,
        optional: true,
      },
    },
    positional: { kind: 'array', parameter: { brief: 'The id of a device', parse: text, placeholder: 'DEVICE' } },
  },
  docs: {
    brief: 'The embedded Azure IoT hub alone, until Ctrl-C: twins, queries, direct methods',
    fullDescription: [
      'TLS, MQTT 3.1.1 for devices and HTTPS for their owner, with tokens or certificates. Twins live in memory.',
      'A fleet repo reaches it by `host: "localhost:8443"`, `policy: service`, the key, and NODE_EXTRA_CA_CERTS=azure/ca.pem in the',
      'environment. headgate sim twin is a device for it.',
      '',
      'Example:',
      '  headgate sim azure --mqtt-port 8883 --https-port 8443 --ca azure logger-7 logger-8',
    ].join('\n'),
  },
});
