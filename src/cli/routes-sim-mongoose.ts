import { buildCommand } from '@stricli/core';
import type { SimMongooseFlags } from './commands/sim-mongoose.ts';
import type { CliContext } from './context.ts';
import { parseCount, text } from './flags.ts';
import { lazy } from './lazy.ts';
import { certificateFlags, deviceFlags, deviceKeyFlag } from './sim-flags.ts';

export const mongooseCommand = buildCommand<SimMongooseFlags, string[], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-mongoose.ts')).simMongoose),
  parameters: {
    flags: {
      url: {
        kind: 'parsed',
        parse: text,
        brief: 'The broker, mqtt:// or mqtts://; for updates over the shadow one that keeps shadows',
        placeholder: 'URL',
        default: 'mqtt://127.0.0.1:1883',
      },
      user: { kind: 'parsed', parse: text, brief: 'User name at the broker', placeholder: 'NAME', optional: true },
      password: { kind: 'parsed', parse: text, brief: 'Password at the broker', placeholder: 'PASSWORD', optional: true },
      ...certificateFlags,
      hub: {
        kind: 'parsed',
        parse: text,
        brief: 'Its shadow is a twin at the Azure IoT hub of this host name; --url says where that is',
        placeholder: 'NAME',
        optional: true,
      },
      deviceKey: deviceKeyFlag,
      platform: { kind: 'parsed', parse: text, brief: 'Platform of its bundles', placeholder: 'PLATFORM', default: 'esp32' },
      firmware: {
        kind: 'parsed',
        parse: text,
        brief: 'The firmware that it runs: version and build id',
        placeholder: '"VERSION BUILD_ID"',
        default: '1.0 20260101-120000',
      },
      host: {
        kind: 'parsed',
        parse: text,
        brief: 'The firmware of the microcontroller behind it; none by default. Host.Info tells it',
        placeholder: '"VERSION BUILD_ID"',
        optional: true,
      },
      generation: {
        kind: 'enum',
        values: ['2018', 'readme', 'flat'],
        brief: 'How it writes its update into the shadow',
        default: '2018',
      },
      commitTimeout: {
        kind: 'parsed',
        parse: parseCount,
        brief: 'Commit window of updates over the shadow, in seconds; 0 commits at the start',
        placeholder: 'SECONDS',
        default: '600',
      },
      autocommit: { kind: 'boolean', brief: 'Commits by itself once its shadow is connected', default: false, withNegated: false },
      account: {
        kind: 'parsed',
        parse: text,
        brief: 'It asks callers for this account, in the realm RPC; a file with USER:PASSWORD',
        placeholder: 'FILE',
        optional: true,
      },
      ...deviceFlags,
    },
    positional: {
      kind: 'array',
      parameter: { brief: 'Its device.id, with its MAC where that matters', parse: text, placeholder: 'ID[=MAC]' },
    },
  },
  docs: {
    brief: 'Simulated Mongoose OS boards on any MQTT broker',
    fullDescription: [
      'Boards with two slots that are updated by their shadow or by calls, try a new firmware and go back when nobody commits it.',
      'Calls need any broker, the shadow one that keeps shadows (headgate sim aws). Ctrl-C switches them off.',
      '',
      'Examples:',
      '  headgate sim mongoose --url mqtt://127.0.0.1:1883 esp32_AABBCC',
      '  headgate sim mongoose --firmware "1.0 20260101-120000" --fault neverCommits esp32_AABBCC=A4CF12AABBCC esp32_AABBCD',
      '  headgate sim mongoose --url mqtts://localhost:8883 --ca azure/ca.pem --hub localhost esp32_AABBCC',
    ].join('\n'),
  },
});
