import { buildCommand, buildRouteMap } from '@stricli/core';
import { parseDuration } from '#kit/duration.ts';
import type { CliContext } from './context.ts';
import { BRIEFS } from './help.ts';
import { lazy } from './lazy.ts';
import type { SimAwsFlags } from './commands/sim-aws.ts';
import type { SimBrokerFlags } from './commands/sim-broker.ts';
import type { SimCampbellFlags, SimCanedgeFlags } from './commands/sim-device.ts';
import type { SimDrogueFlags } from './commands/sim-drogue.ts';
import type { SimS3Flags } from './commands/sim-s3.ts';
import { parseCount, parseDurationFlag, text } from './flags.ts';
import { azureCommand } from './routes-sim-azure.ts';
import { chariotCommand } from './routes-sim-chariot.ts';
import { mongooseCommand } from './routes-sim-mongoose.ts';
import { twinCommand } from './routes-sim-twin.ts';
import { accessKeyFlags, brokerFlag, deviceFlags, hostFlag, loginFlags, portFlag } from './sim-flags.ts';

const brokerCommand = buildCommand<SimBrokerFlags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-broker.ts')).simBroker),
  parameters: {
    flags: {
      port: { ...portFlag, default: '1883' },
      host: hostFlag,
      user: { kind: 'parsed', parse: text, brief: 'Only this user may connect', placeholder: 'NAME', optional: true },
      password: { kind: 'parsed', parse: text, brief: 'With this password', placeholder: 'TEXT', optional: true },
    },
  },
  docs: {
    brief: 'The embedded MQTT 3.1.1 broker alone, until Ctrl-C',
    fullDescription: ['Keeps retained messages and sessions in memory.', '', 'Example:', '  headgate sim broker --port 1883'].join('\n'),
  },
});

const s3Command = buildCommand<SimS3Flags, [], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-s3.ts')).simS3),
  parameters: {
    flags: {
      port: { ...portFlag, default: '9000' },
      host: hostFlag,
      bucket: {
        kind: 'parsed',
        parse: text,
        brief: 'A bucket that exists; may be repeated',
        placeholder: 'NAME',
        variadic: true,
        default: ['headgate'],
      },
      ...accessKeyFlags,
    },
  },
  docs: {
    brief: 'The embedded S3 server alone, until Ctrl-C',
    fullDescription: [
      'Verifies signatures, conditions and checksums as S3 does.',
      '',
      'Example:',
      '  headgate sim s3 --port 9000 --bucket vehicle-logs',
    ].join('\n'),
  },
});

const awsCommand = buildCommand<SimAwsFlags, string[], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-aws.ts')).simAws),
  parameters: {
    flags: {
      mqttPort: { ...portFlag, default: '8883' },
      httpsPort: { ...portFlag, default: '8443' },
      host: hostFlag,
      ca: {
        kind: 'parsed',
        parse: text,
        brief: 'Folder of the CA and of what it signs; made where it is not there',
        placeholder: 'DIR',
        default: 'aws',
      },
      name: {
        kind: 'parsed',
        parse: text,
        brief: 'A further name that the server has in its certificate; may be repeated',
        placeholder: 'HOST',
        variadic: true,
        optional: true,
      },
      region: { kind: 'parsed', parse: text, brief: 'Region that signatures name', placeholder: 'REGION', default: 'eu-central-1' },
      ...accessKeyFlags,
      index: {
        kind: 'parsed',
        parse: text,
        brief: 'A named shadow that the index looks at; may be repeated',
        placeholder: 'NAME',
        variadic: true,
        optional: true,
      },
      switch: {
        kind: 'parsed',
        parse: text,
        brief: 'How it behaves where nobody knows how AWS does: recreateVersion=1; may be repeated',
        placeholder: 'NAME=VALUE',
        variadic: true,
        optional: true,
      },
    },
    positional: { kind: 'array', parameter: { brief: 'A thing with its certificate', parse: text, placeholder: 'THING' } },
  },
  docs: {
    brief: 'The embedded AWS IoT alone, until Ctrl-C: shadows, provisioning by claim, presence, index',
    fullDescription: [
      'TLS with client certificates, MQTT 3.1.1 and HTTPS, for devices and for the clients of the SDK. Shadows live in memory.',
      'A fleet repo reaches it by `endpoint: "https://127.0.0.1:8443"`, with AWS_ACCESS_KEY_ID=headgate, AWS_SECRET_ACCESS_KEY=',
      'headgate-secret and NODE_EXTRA_CA_CERTS=aws/ca.pem in the environment.',
      '',
      'Example:',
      '  headgate sim aws --mqtt-port 8883 --https-port 8443 --ca aws logger-7 logger-8',
    ].join('\n'),
  },
});

const campbellCommand = buildCommand<SimCampbellFlags, string[], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-device.ts')).simCampbell),
  parameters: {
    flags: {
      url: brokerFlag,
      id: {
        kind: 'parsed',
        parse: text,
        brief: 'A logger by its address; the same as an argument; may be repeated',
        placeholder: 'ADDRESS[=SERIAL]',
        variadic: true,
        optional: true,
      },
      ...loginFlags,
      cert: {
        kind: 'parsed',
        parse: text,
        brief: 'Its own certificate, PEM, which mqttConfig may replace',
        placeholder: 'FILE',
        optional: true,
      },
      key: { kind: 'parsed', parse: text, brief: 'The key of that certificate, PEM', placeholder: 'FILE', optional: true },
      model: {
        kind: 'parsed',
        parse: text,
        brief: 'Model; by default that of the address MODEL/SERIAL, or CR1000X',
        placeholder: 'MODEL',
        optional: true,
      },
      dialect: { kind: 'enum', values: ['legacy', 'os80', 'v2'], brief: 'How it speaks', default: 'os80' },
      os: { kind: 'parsed', parse: text, brief: 'Version of its operating system', placeholder: 'VERSION', default: '8.2.1' },
      program: { kind: 'parsed', parse: text, brief: 'The program that runs on it', placeholder: 'FILE', optional: true },
      file: {
        kind: 'parsed',
        parse: text,
        brief: 'A further file on CPU:; may be repeated',
        placeholder: 'FILE',
        variadic: true,
        optional: true,
      },
      baseTopic: { kind: 'parsed', parse: text, brief: 'Its setting MQTTBaseTopic', placeholder: 'TOPIC', default: 'cs/v2' },
      clientId: {
        kind: 'parsed',
        parse: text,
        brief: 'Its setting MQTTClientID, MODEL_SERIAL by default',
        placeholder: 'TEXT',
        optional: true,
      },
      setting: {
        kind: 'parsed',
        parse: text,
        brief: 'Any other setting by its name, MQTTStateInterval=0 for example; may be repeated',
        placeholder: 'NAME=VALUE',
        variadic: true,
        optional: true,
      },
      trailingSlash: { kind: 'boolean', brief: 'Whether its state topic ends with a slash; by the dialect when left out', optional: true },
      retainState: { kind: 'boolean', brief: 'Whether its state is retained; by the dialect when left out', optional: true },
      modem: { kind: 'enum', values: ['always', 'sw12'], brief: 'Whether the program powers the modem', default: 'always' },
      timing: {
        kind: 'parsed',
        parse: text,
        brief: 'How long a step takes: rebootMs=2000; may be repeated',
        placeholder: 'NAME=MS',
        variadic: true,
        optional: true,
      },
      ...deviceFlags,
    },
    positional: {
      kind: 'array',
      parameter: { brief: 'Address as in its topics; a UID with its serial', parse: text, placeholder: 'ADDRESS[=SERIAL]' },
    },
  },
  docs: {
    brief: 'Simulated Campbell loggers on any MQTT broker',
    fullDescription: [
      'Loggers that speak the real wire, download by themselves, and say here what happens to them. Ctrl-C switches them off.',
      '',
      'Examples:',
      '  headgate sim campbell --url mqtt://127.0.0.1:1883 --os 14.2.0 cr6/13342 cr6/13359',
      '  headgate sim campbell --dialect v2 --scale 60 --fault bootBack --id QU8Q-9JTY-HVP8=70681',
    ].join('\n'),
  },
});

const canedgeCommand = buildCommand<SimCanedgeFlags, string[], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-device.ts')).simCanedge),
  parameters: {
    flags: {
      s3: { kind: 'parsed', parse: text, brief: 'The S3 server', placeholder: 'URL', default: 'http://127.0.0.1:9000' },
      bucket: { kind: 'parsed', parse: text, brief: 'The bucket, which must exist', placeholder: 'NAME', default: 'headgate' },
      region: { kind: 'parsed', parse: text, brief: 'Its region', placeholder: 'REGION', default: 'us-east-1' },
      ...accessKeyFlags,
      model: { kind: 'parsed', parse: text, brief: 'Model', placeholder: 'MODEL', default: 'CANedge2' },
      firmware: { kind: 'parsed', parse: text, brief: 'Version of its firmware', placeholder: 'VERSION', default: '01.08.05' },
      config: { kind: 'parsed', parse: text, brief: 'The config on its card', placeholder: 'FILE', optional: true },
      certificates: { kind: 'parsed', parse: text, brief: 'certs_server.p7b on its card', placeholder: 'FILE', optional: true },
      logs: {
        kind: 'parsed',
        parse: parseDurationFlag(parseDuration),
        brief: 'How often it uploads a log file',
        placeholder: 'DURATION',
        optional: true,
      },
      quirk: {
        kind: 'parsed',
        parse: text,
        brief: 'How it behaves where nobody knows: its readme',
        placeholder: 'NAME=VALUE',
        variadic: true,
        optional: true,
      },
      ...deviceFlags,
    },
    positional: { kind: 'array', parameter: { brief: 'Its 8 hex digits', parse: text, placeholder: 'ID' }, minimum: 0 },
  },
  docs: {
    brief: 'Simulated CANedge loggers on any bucket',
    fullDescription: [
      'Loggers that poll the bucket, take what is offered and report as the vendor documents it. Ctrl-C switches them off.',
      'Without an id there are three, 5EED0001 to 5EED0003.',
      '',
      'Example:',
      '  headgate sim canedge --s3 http://127.0.0.1:9000 --bucket vehicle-logs',
      '  headgate sim canedge --bucket vehicle-logs --scale 60 --quirk deleteFirmwareFromBucket=true 2B6F11C0 2B6F11C7',
    ].join('\n'),
  },
});

const drogueCommand = buildCommand<SimDrogueFlags, string[], CliContext>({
  loader: lazy(async () => (await import('./commands/sim-drogue.ts')).simDrogue),
  parameters: {
    flags: {
      url: brokerFlag,
      ...loginFlags,
      nodes: { kind: 'parsed', parse: parseCount, brief: 'So many nodes, node-0001 and on', placeholder: 'N', optional: true },
      gateway: {
        kind: 'parsed',
        parse: text,
        brief: 'A gateway that asks for all of them on its one topic, by correlation ids from 1',
        placeholder: 'NAME',
        optional: true,
      },
      firmware: { kind: 'parsed', parse: text, brief: 'The version that they run', placeholder: 'VERSION', default: '0.1.0' },
      profile: { kind: 'enum', values: ['reference', 'strict'], brief: 'The published updater, or a strict one', default: 'reference' },
      driver: {
        kind: 'enum',
        values: ['simulator', 'embassy', 'strict'],
        brief: 'The flash driver below it; by the profile when left out',
        optional: true,
      },
      progress: {
        kind: 'enum',
        values: ['none', 'ram', 'persisted'],
        brief: 'What it keeps of an unfinished image; by the profile when left out',
        optional: true,
      },
      encoding: { kind: 'enum', values: ['named', 'packed', 'json'], brief: 'How it writes its statuses', default: 'packed' },
      mtu: { kind: 'parsed', parse: parseCount, brief: 'The largest block that it takes', placeholder: 'BYTES', default: '512' },
      up: { kind: 'parsed', parse: text, brief: 'Topic that it asks on', placeholder: 'TOPIC', default: 'dfu/{device}' },
      down: {
        kind: 'parsed',
        parse: text,
        brief: 'Topic that it is answered on',
        placeholder: 'TOPIC',
        default: 'command/inbox/{device}/dfu',
      },
      telemetry: { kind: 'parsed', parse: text, brief: 'Topic of its measures, none by default', placeholder: 'TOPIC', optional: true },
      timing: {
        kind: 'parsed',
        parse: text,
        brief: 'How long a step takes: timeoutMs=3000, backoffMs=0; may be repeated',
        placeholder: 'NAME=MS',
        variadic: true,
        optional: true,
      },
      ...deviceFlags,
    },
    positional: { kind: 'array', parameter: { brief: 'What stands for it in its topics', parse: text, placeholder: 'NODE' } },
  },
  docs: {
    brief: 'Simulated nodes that fetch firmware by Drogue DFU, on any MQTT broker',
    fullDescription: [
      'Nodes that ask for their firmware as the published updater does, or strictly. Ctrl-C switches them off.',
      '',
      'Examples:',
      '  headgate sim drogue --url mqtt://127.0.0.1:1883 node-01 node-02',
      '  headgate sim drogue --profile strict --nodes 200 --fault loseDown=0.01 --timing backoffMs=0',
    ].join('\n'),
  },
});

export const simRoutes = buildRouteMap({
  routes: {
    aws: awsCommand,
    azure: azureCommand,
    broker: brokerCommand,
    s3: s3Command,
    campbell: campbellCommand,
    canedge: canedgeCommand,
    chariot: chariotCommand,
    mongoose: mongooseCommand,
    drogue: drogueCommand,
    twin: twinCommand,
  },
  docs: { brief: BRIEFS.sim },
});
