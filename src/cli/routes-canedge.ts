import { buildCommand, buildRouteMap } from '@stricli/core';
import type { CanedgeLookFlags, EncryptFlags, RenderFlags } from './commands/canedge.ts';
import type { CliContext } from './context.ts';
import { freshFlag, jsonFlag, refFlag, repoFlag, text } from './flags.ts';
import type { JsonFlags } from './flags.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';

const lookFlags = { repo: repoFlag, ref: refFlag, json: jsonFlag, fresh: freshFlag } as const;
const outFlag = { kind: 'parsed', parse: text, brief: 'Write the exact bytes there', placeholder: 'FILE', optional: true } as const;
const deviceParameter = { brief: 'Id of a device', parse: text, placeholder: 'DEVICE' } as const;

const inspectCommand = buildCommand<JsonFlags, [string], CliContext>({
  loader: lazy(async () => (await import('./commands/canedge.ts')).canedgeInspect),
  parameters: {
    flags: { json: jsonFlag },
    positional: { kind: 'tuple', parameters: [{ brief: 'firmware.bin or certs_server.p7b', parse: text, placeholder: 'FILE' }] },
  },
  docs: {
    brief: 'What a firmware image or a bundle of certificates holds',
    fullDescription: [
      'Of a firmware: model, version, config series, the Rule Schema and the config in it. Of a bundle: each certificate with the hashes',
      'that devices report. Needs no fleet and no network.',
      '',
      'Examples:',
      '  headgate canedge inspect files/firmware/CANedge2-01.09.03.bin',
      '  headgate canedge inspect certs_server.p7b --json',
    ].join('\n'),
  },
});

const renderCommand = buildCommand<RenderFlags, [string], CliContext>({
  loader: lazy(async () => (await import('./commands/canedge.ts')).canedgeRender),
  parameters: { flags: { ...lookFlags, out: outFlag }, positional: { kind: 'tuple', parameters: [deviceParameter] } },
  docs: {
    brief: 'The config that git declares for a device, complete',
    fullDescription: [
      'Layers merged, migrated to the series of its firmware, secrets encrypted to its key. Shown without its secrets; --out writes the',
      'exact bytes, as they would lie in the bucket.',
      '',
      'Examples:',
      '  headgate canedge render van-01',
      '  headgate canedge render van-01 --out config-01.09.json',
    ].join('\n'),
  },
});

const diffCommand = buildCommand<CanedgeLookFlags, [string], CliContext>({
  loader: lazy(async () => (await import('./commands/canedge.ts')).canedgeDiff),
  parameters: { flags: lookFlags, positional: { kind: 'tuple', parameters: [deviceParameter] } },
  docs: {
    brief: 'The fields in which the config of a device differs from the declared one',
    fullDescription: [
      'Field by field, without secrets, from the last reports or with --fresh from the bucket. Exit 0: no difference; 2: some.',
      '',
      'Example:',
      '  headgate canedge diff van-01 --fresh',
    ].join('\n'),
  },
});

const encryptCommand = buildCommand<EncryptFlags, [string?], CliContext>({
  loader: lazy(async () => (await import('./commands/canedge.ts')).canedgeEncrypt),
  parameters: {
    flags: {
      kpub: { kind: 'parsed', parse: text, brief: 'Public key of the device, from its device.json', placeholder: 'KEY', optional: true },
      deviceJson: { kind: 'parsed', parse: text, brief: 'The device.json that tells it', placeholder: 'FILE', optional: true },
      out: outFlag,
    },
    positional: {
      kind: 'tuple',
      parameters: [{ brief: 'The config; standard input when left out', parse: text, placeholder: 'CONFIG', optional: true }],
    },
  },
  docs: {
    brief: 'Encrypts the secrets of a config to one device, for its card',
    fullDescription: [
      'Passwords, PIN and keys that stand in the clear become ciphertext that this device alone can read; the key it is made with is',
      'thrown away. Nothing plain is printed. What git declares with ${age:…} needs none of this.',
      '',
      'Examples:',
      '  headgate canedge encrypt plain.json --device-json device.json --out config-01.09.json',
      '  headgate canedge encrypt --kpub H9kKt/70… < plain.json > config-01.09.json',
    ].join('\n'),
  },
});

export const canedgeRoutes = buildRouteMap({
  routes: { inspect: inspectCommand, render: renderCommand, encrypt: encryptCommand, diff: diffCommand },
  docs: {
    brief: BRIEFS.canedge,
    fullDescription: [
      'For who holds a file or a device in his hands; what git declares is sent by `headgate apply`.',
      '',
      'Examples:',
      '  headgate canedge inspect firmware.bin',
      '  headgate canedge diff van-01 --fresh',
    ].join('\n'),
  },
});
