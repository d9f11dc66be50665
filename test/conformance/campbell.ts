import { expect } from 'vitest';
import mqttConfig from '#adapters/campbell/fixtures/mqtt-config.json' with { type: 'json' };
import payloads from '#adapters/campbell/fixtures/payloads.json' with { type: 'json' };
import signatures from '#adapters/campbell/fixtures/signatures.json' with { type: 'json' };
import vectors from '#adapters/campbell/fixtures/vectors.json' with { type: 'json' };
import { buildMqttConfig, parseMqttConfig } from '#adapters/campbell/mqtt-config.ts';
import { sameOsVersion } from '#adapters/campbell/os-version.ts';
import { buildOsImage } from '#adapters/campbell/sim-image.ts';
import { encodeCommand, type CommandRequest } from '#adapters/campbell/wire-commands.ts';
import { csiSignature, sameProgram } from '#adapters/campbell/wire.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import { parseReports, reportsText } from '#world.ts';
import { type Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { DEVICE, type FamilyPages, type FamilyTrial, filesOf, type ReportWire } from './family.ts';

const ADDRESS = 'AAAA-AAAA-0001';
/** A logger without a UID, of the oldest dialect. */
const LEGACY = { address: 'cr1000x/1001', dialect: 'legacy' } as const;

function program(name: string): string {
  return `'${name}\nPublic PTemp\nBeginProg\n  Scan (1,Min,0,0)\n  NextScan\nEndProg\n`;
}

interface Written {
  readonly os?: string;
  readonly program?: string;
  readonly address?: string;
  readonly dialect?: 'legacy' | 'os80' | 'v2';
  /** Further pins, and settings, as YAML. */
  readonly pins?: string;
  readonly settings?: string;
}

function files(change: Written = {}): Files {
  const { os = '8.1.0', program: name = 'v1', pins = '', settings = '', address = ADDRESS, dialect = 'os80' } = change;
  return {
    'devices/loggers.yaml': `kind: Devices
family: campbell
via: field
defaults: { model: CR1000X }
devices:
  ${DEVICE}: { serial: "1001", address: ${address}, options: { dialect: ${dialect} } }
`,
    'artifacts/os.yaml': `kind: Artifact
name: os
item: firmware
fits: { family: campbell, models: [CR1000X] }
versions:
  8.1.0: { from: files/1.obj, reportsAs: CR1000X.8.1.0 }
  8.2.1: { from: files/2.obj, reportsAs: CR1000X.8.2.1 }
`,
    'groups/all.yaml': `kind: Group
name: all
select: all
pins:
  firmware: os@${os}
  program: { file: files/met_${name}.CR1X }
${pins}${settings}rollout: careful
`,
    'artifacts/table.yaml': `kind: Artifact
name: table
item: files
fits: { family: campbell }
versions: { 1: { from: files/table.dat } }
`,
    'files/table.dat': 'a table',
    'files/1.obj': buildOsImage({ model: 'CR1000X', version: '8.1.0' }),
    'files/2.obj': buildOsImage({ model: 'CR1000X', version: '8.2.1' }),
    'files/met_v1.CR1X': program('v1'),
    'files/met_v2.CR1X': program('v2'),
  };
}

/** A client of the broker that is nobody's, one per fleet. */
const foreigners = new WeakMap<MemoryFleet, MessageBus>();

async function foreigner(fleet: MemoryFleet): Promise<MessageBus> {
  const known = foreigners.get(fleet);
  if (known !== undefined) return known;
  const connection = fleet.declared.fleet.connections.get('field');
  if (connection?.type !== 'mqtt') throw new Error('no broker is declared');
  const bus = await fleet.clock.run(fleet.sim.wires.bus(connection, { role: 'reader' }));
  foreigners.set(fleet, bus);
  return bus;
}

async function publish(fleet: MemoryFleet, topic: string, payload: Uint8Array): Promise<void> {
  const bus = await foreigner(fleet);
  await fleet.clock.run(bus.publish(topic, payload, { qos: 1 }));
  await fleet.clock.settled();
}

/** `report` is where a logger of that dialect says its versions: a v2 logger at its start alone. */
function wireOf(address: string, report = `state/${address}/statusInfo`): ReportWire {
  return {
    channels: [
      report,
      ...[`state/${address}/statusInfo`, `metadata/${address}`].filter((channel) => channel !== report),
      `state/${address}/`,
      `state/${address}/watchdogEvent`,
      `cr/${address}/OS`,
      `cr/${address}/program`,
      `cr/${address}/setting`,
      `cr/${address}/fileControl`,
      `cr/${address}/constTable`,
      `metadata/${address}/metadata`,
      `status/${address}`,
      `data/${address}/Hourly/cj`,
    ],
    last: async (fleet) => {
      let last: Uint8Array | null = null;
      fleet.sim.broker('field').onPublish((topic, payload) => {
        if (topic === `cs/v2/${report}`) last ??= Uint8Array.from(payload);
      });
      if (report.startsWith('metadata/')) {
        await fleet.clock.run(fleet.device(DEVICE).powerOff());
        await fleet.clock.run(fleet.device(DEVICE).powerOn());
      }
      await fleet.clock.advance(31 * MINUTE_MS);
      if (last === null) throw new Error('the logger says nothing');
      return last;
    },
    put: (fleet, channel, payload) => publish(fleet, `cs/v2/${channel}`, payload),
  };
}

const OLD_VALUES: Readonly<Record<string, readonly string[]>> = {
  firmware: ['CR1000X.8.1.0'],
  program: ['CPU:met_v1.CR1X'],
  settings: ['PakBusAddress=3'],
  files: ['also table.dat #f3966705'],
};

const common = {
  family: 'campbell',
  files: files(),
  doneMs: 10 * MINUTE_MS,
  stranger: { fault: 'wrongSerial', value: '7777', shownMs: 2 * MINUTE_MS },
  wire: wireOf(ADDRESS),
  isOld: (item: string, value: string) => OLD_VALUES[item]?.includes(value) === true,
} as const;

export const CAMPBELL_TRIALS: readonly FamilyTrial[] = [
  { ...common, next: files({ os: '8.2.1' }), item: 'firmware', effect: 'flash' },
  { ...common, next: files({ program: 'v2' }), item: 'program', effect: 'program' },
  {
    ...common,
    files: files({ settings: 'settings: { PakBusAddress: 3 }\n' }),
    next: files({ settings: 'settings: { PakBusAddress: 4 }\n' }),
    item: 'settings',
    effect: 'setting',
  },
  {
    ...common,
    files: files({ pins: '  files: { exact: true, keep: [table@1] }\n' }),
    next: files({ pins: '  files: { exact: true }\n' }),
    item: 'files',
    effect: 'delete',
  },
  {
    ...common,
    wire: wireOf(LEGACY.address),
    files: files(LEGACY),
    next: files({ ...LEGACY, program: 'v2' }),
    item: 'program',
    effect: 'program',
  },
  {
    ...common,
    wire: wireOf(ADDRESS, `metadata/${ADDRESS}`),
    files: files({ dialect: 'v2' }),
    next: files({ dialect: 'v2', program: 'v2' }),
    item: 'program',
    effect: 'program',
  },
];

interface Read {
  readonly kind: string;
  readonly osVersion: string | null;
  readonly progName: string | null;
  readonly compileErrors: number | null;
}

/** A report out of the protocol page goes over the wire, and comes out of the report store as the page says. */
async function roundTrip(topic: string, payload: unknown, read: Read): Promise<void> {
  const [, address = '', model = 'CR1000X'] = /^cs\/v2\/[a-z]+\/((?:(cr6)\/)?[A-Za-z0-9-]+)/.exec(topic) ?? [];
  const device = `${DEVICE}: { address: ${address}, model: ${model.toUpperCase()} }`;
  const yaml = `kind: Devices\nfamily: campbell\nvia: field\ndevices:\n  ${device}\n`;
  const fleet = await MemoryFleet.start({ files: filesOf({ 'devices/d.yaml': yaml }) });
  try {
    const { declared } = fleet;
    const drivers = await fleet.clock.run(fleet.engine.drivers(declared, 'reader', fleet.ledger.blobs));
    const request = { devices: [declared.deviceAt(0)], last: () => undefined, isOpen: () => false, listenMs: 0 };
    const observe = () => fleet.clock.run(drivers.of('campbell').observe({ ...request, signal: new AbortController().signal }));
    await observe();
    await publish(fleet, topic, new TextEncoder().encode(JSON.stringify(payload)));
    const { reports } = await observe();
    const [report] = reports;
    const { firmware, program: runs } = report?.items ?? {};
    if (read.osVersion !== null) expect(firmware?.kind === 'value' && sameOsVersion(firmware.value, read.osVersion)).toBe(true);
    const named = read.progName === '' ? 'none' : read.progName;
    if (named !== null) expect(runs?.kind === 'value' && (runs.value === named || sameProgram(runs.value, named))).toBe(true);
    expect(parseReports(reportsText(reports))).toEqual({ ok: true, value: JSON.parse(JSON.stringify(reports)) as unknown });
  } finally {
    await fleet.close();
  }
}

const reported = payloads.payloads.flatMap(({ name, topic, payload, read }) => {
  const said = read as Partial<Read> | null;
  if (said?.kind !== 'report') return [];
  const { osVersion = null, progName = null, compileErrors = null } = said;
  return [{ name, topic, payload, read: { kind: 'report', osVersion, progName, compileErrors } }];
});

interface Command {
  readonly name: string;
  readonly topic: string;
  readonly payload: { readonly url: string; readonly fileName?: string; readonly tranID?: string };
}

/** What the driver sends is what the protocol page says of the same command. */
function commandRoundTrip({ topic, payload }: Command): void {
  const [, address = ''] = /^cs\/v2\/cc\/(.+)\/(OS|program)$/.exec(topic) ?? [];
  const { url, fileName, tranID: tranId = null } = payload;
  const request: CommandRequest =
    fileName === undefined ? { kind: 'os', url, version: null, minVersion: null } : { kind: 'program', url, fileName };
  const sent = encodeCommand(request, { baseTopic: 'cs/v2', address, dialect: tranId === null ? 'os80' : 'v2', tranId });
  if (!sent.ok) throw new Error(sent.error.text);
  expect(sent.value.topic).toBe(topic);
  expect(JSON.parse(new TextDecoder().decode(sent.value.payload))).toEqual(payload);
}

const commands = vectors.vectors.flatMap(({ name, cc }): Command[] => {
  const [topic, payload] = cc as unknown as readonly [string, Command['payload']];
  return /\/(OS|program)$/.test(topic) ? [{ name, topic, payload }] : [];
});

const configFiles = mqttConfig.positive.flatMap(({ hex, terminator }) => (hex === undefined || terminator === false ? [] : [hex]));

/** What is read out of a configuration file of the protocol page is built to the same bytes. */
function configRoundTrip(hex: string): void {
  const read = parseMqttConfig(Buffer.from(hex, 'hex'));
  const built = read.ok ? buildMqttConfig(read.value) : read;
  expect(built.ok && Buffer.from(built.value).toString('hex')).toBe(hex);
}

function signs(hex: string, signature: number): void {
  expect(csiSignature(Buffer.from(hex, 'hex'))).toBe(signature);
}

export const CAMPBELL_PAGES: FamilyPages = {
  family: 'campbell',
  fixtures: [
    ...reported.map(({ name, topic, payload, read }) => ({
      file: 'payloads.json',
      name,
      check: () => roundTrip(topic, payload, read),
    })),
    ...commands.map((command) => ({ file: 'vectors.json', name: command.name, check: () => commandRoundTrip(command) })),
    ...configFiles.map((hex) => ({ file: 'mqtt-config.json', name: hex.slice(0, 24), check: () => configRoundTrip(hex) })),
    ...signatures.vectors.map(({ name, hex, signature }) => ({
      file: 'signatures.json',
      name,
      check: () => signs(hex, signature),
    })),
  ],
  readme: {
    'files/programs/MOOR_HOUSE_v14.CR1X': program('moor-house'),
    'files/programs/TROUT_BECK_v3.CR6': program('trout-beck'),
  },
};
