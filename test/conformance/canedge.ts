import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { buildBundle, bundleText, parseBundle } from '#adapters/canedge/bundle.ts';
import { buildFirmwareImage, parseFirmwareImage } from '#adapters/canedge/image.ts';
import { modelByType } from '#adapters/canedge/models.ts';
import { buildSimFirmware } from '#adapters/canedge/sim-image.ts';
import { buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { parseReports, reportsText } from '#world.ts';
import { type Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { DEVICE, type FamilyPages, type FamilyTrial, filesOf, type ReportWire } from './family.ts';

const SERIAL = '0A000001';
const FIXTURES = 'src/adapters/canedge/fixtures';

function config(meta: string, series = '01.08'): string {
  return JSON.stringify(buildSimConfig(series, 'CANedge2', { meta }));
}

function files(change: { readonly firmware?: string; readonly meta?: string } = {}): Files {
  const { firmware = '01.08.04', meta = 'v1' } = change;
  return {
    'devices/vans.yaml': `kind: Devices
family: canedge
via: logs
defaults: { model: CANedge2 }
devices:
  ${DEVICE}: { serial: ${SERIAL} }
`,
    'artifacts/firmware.yaml': `kind: Artifact
name: van
item: firmware
fits: { family: canedge, models: [CANedge2] }
versions:
  01.08.04: { from: files/1.bin }
  01.08.05: { from: files/2.bin }
`,
    'groups/all.yaml': `kind: Group
name: all
select: all
pins:
  firmware: van@${firmware}
  config: { layers: ['files/base-\${series}.json'] }
rollout: careful
`,
    'files/1.bin': buildSimFirmware({ model: 'CANedge2', version: '01.08.04' }),
    'files/2.bin': buildSimFirmware({ model: 'CANedge2', version: '01.08.05' }),
    'files/base-01.08.json': config(meta),
  };
}

const wire: ReportWire = {
  channels: [`${SERIAL}/device.json`],
  last: async (fleet) => {
    const found = await fleet.sim.bucket('logs').get(`${SERIAL}/device.json`);
    if (typeof found === 'string') throw new Error('the device has never reported');
    return found.bytes;
  },
  put: async (fleet, channel, payload) => {
    await fleet.sim.bucket('logs').put(channel, payload);
  },
};

const common = {
  family: 'canedge',
  files: files(),
  doneMs: 30 * MINUTE_MS,
  stranger: { fault: 'kpubChanged', value: true, shownMs: 6 * MINUTE_MS },
  wire,
} as const;

/** CRC of the config of before; any other is one that the device never had. */
function oldConfig(): RegExp {
  return /^01\.08 (9A48D8AC|none)(, .*)?$/;
}

function isOld(item: string, value: string): boolean {
  return item === 'firmware' ? value === '01.08.04' : oldConfig().test(value);
}

export const CANEDGE_TRIALS: readonly FamilyTrial[] = [
  { ...common, next: files({ meta: 'v2' }), item: 'config', effect: 'config', isOld },
  { ...common, next: files({ firmware: '01.08.05' }), item: 'firmware', effect: 'flash', isOld },
];

/** A heartbeat out of the protocol page goes over the wire, and comes out of the report store as the page says. */
async function roundTrip(file: string): Promise<void> {
  const bytes = readFileSync(`${FIXTURES}/${file}`);
  const said = JSON.parse(bytes.toString('utf8')) as Readonly<Record<string, string>>;
  const model = modelByType(said['type'] ?? '')?.name ?? '';
  const yaml = `kind: Devices\nfamily: canedge\nvia: logs\ndevices:\n  ${DEVICE}: { serial: "${said['id']}", model: ${model} }\n`;
  const fleet = await MemoryFleet.start({ files: filesOf({ 'devices/d.yaml': yaml }) });
  try {
    const { declared } = fleet;
    await fleet.sim.bucket('logs').put(`${said['id']}/device.json`, bytes);
    const drivers = await fleet.clock.run(fleet.engine.drivers(declared, 'reader', fleet.ledger.blobs));
    const request = { devices: [declared.deviceAt(0)], last: () => undefined, isOpen: () => false, listenMs: 0 };
    const { reports } = await fleet.clock.run(drivers.of('canedge').observe({ ...request, signal: new AbortController().signal }));
    const [report] = reports;
    expect(report).toMatchObject({ problem: null, serial: said['id'], model });
    expect(report?.items.firmware).toMatchObject({ kind: 'value', value: said['fw_ver'] });
    const crc = (said['cfg_crc32'] ?? '').toUpperCase().padStart(8, '0');
    expect(report?.items.config).toMatchObject({ kind: 'value', value: `${said['cfg_ver'] ?? ''} ${crc}, no object` });
    expect(parseReports(reportsText(reports))).toEqual({ ok: true, value: JSON.parse(JSON.stringify(reports)) as unknown });
  } finally {
    await fleet.close();
  }
}

function imageRoundTrip(file: string): void {
  const bytes = Uint8Array.from(Buffer.from(readFileSync(`${FIXTURES}/${file}`, 'utf8').replaceAll(/\s/g, ''), 'hex'));
  const parsed = parseFirmwareImage(bytes);
  if (!parsed.ok) throw new Error(parsed.error.message);
  const { model, version, schema, config: embedded } = parsed.value;
  const again = buildFirmwareImage({ model: model.type, version, schema: schema.bytes, config: embedded.bytes });
  expect(Buffer.compare(again, bytes)).toBe(0);
}

/** Read as text, built again from its certificates, and written as text. */
function bundleRoundTrip(file: string): void {
  const text = readFileSync(`${FIXTURES}/${file}`);
  const parsed = parseBundle(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  const built = buildBundle(parsed.value, { distinctSubjects: true });
  if (!built.ok) throw new Error(built.error.message);
  expect(bundleText(built.value, parsed.value.length)).toBe(text.toString('latin1'));
}

const HEARTBEATS = ['device-a-01.02.01.json', 'device-b-01.06.03.json', 'device-c-01.08.05.json', 'device-d-01.09.03.json'] as const;

export const CANEDGE_PAGES: FamilyPages = {
  family: 'canedge',
  fixtures: [
    ...HEARTBEATS.map((file) => ({ file, name: 'heartbeat', check: () => roundTrip(file) })),
    { file: 'bundle-two-roots.pem', name: 'bundle', check: () => bundleRoundTrip('bundle-two-roots.pem') },
    { file: 'firmware-smallest.hex', name: 'image', check: () => imageRoundTrip('firmware-smallest.hex') },
  ],
  readme: {
    'files/firmware/CANedge2-01.08.05.bin': buildSimFirmware({ model: 'CANedge2', version: '01.08.05' }),
    'files/firmware/CANedge2-01.09.03.bin': buildSimFirmware({ model: 'CANedge2', version: '01.09.03' }),
    'files/can/base-01.09.json': config('', '01.09'),
    'files/can/alston.json': '{}',
  },
};
