import type { Json } from '#kit/canonical.ts';
import { parseDuration } from '#kit/duration.ts';
import type { Declared, DeclaredDevice } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import type { ItemName } from '#model/item.ts';
import type { SimDevice } from '#ports/sim.ts';
import { filesFacts } from '#adapters/campbell/files.ts';
import { settingsFacts } from '#adapters/campbell/settings.ts';
import type { LoggerKeys } from '#adapters/campbell/certificates.ts';
import type { CampbellSimOptions } from '#adapters/campbell/sim-options.ts';
import type { CanedgeSimOptions } from '#adapters/canedge/sim.ts';
import type { SimWorldConnection } from './plant.ts';
import type { SimPlace, SimWorld } from './world.ts';

/** The connections of a fleet that the simulated world must have. */
export function connectionsOf(declared: Declared): readonly SimWorldConnection[] {
  return [...declared.fleet.connections.values()].flatMap((connection): SimWorldConnection[] => {
    if (connection.type === 'mqtt') return [{ name: connection.name, type: 'mqtt' }];
    return connection.type === 's3' ? [{ name: connection.name, type: 's3', bucket: connection.bucket }] : [];
  });
}

export interface DeclaredDeviceRequest {
  readonly device: string;
  /**
   * What the hardware has instead of what is declared: `firmware` as the device reports it, `dialect`, `battery`;
   * `nothing=program` for a logger without one, `files` and `settings` that nobody declared.
   */
  readonly options: Readonly<Record<string, string>>;
}

/** Adds the hardware of a declared device to the world, carrying what is declared, and switches it on. */
export async function addDeclaredDevice(world: SimWorld, declared: Declared, request: DeclaredDeviceRequest): Promise<SimDevice> {
  const row = declared.rowOf(deviceId(request.device));
  if (row === undefined) throw new RangeError(`${request.device} is not declared`);
  const device = declared.deviceAt(row);
  // A CANedge calls itself by its serial, the world by the id of its place.
  const place: SimPlace = { connection: device.via.connection, name: device.id };
  const sim =
    device.family === 'campbell'
      ? world.addDevice('campbell', place, campbellOptions(device, request.options))
      : world.addDevice('canedge', place, canedgeOptions(device, request.options));
  await sim.powerOn();
  return sim;
}

function campbellOptions(device: DeclaredDevice, options: Readonly<Record<string, string>>): CampbellSimOptions {
  const program = device.items.find((item) => item.item === 'program')?.content;
  const firmware = device.items.find((item) => item.item === 'firmware');
  return {
    id: device.id,
    model: device.model,
    serial: device.serial ?? device.id,
    address: device.address ?? `${device.model.toLowerCase()}/${device.serial}`,
    dialect: dialectOf(options['dialect'] ?? device.options['dialect']),
    ...interval('stateIntervalMs', device.options['stateInterval']),
    ...interval('statusIntervalMs', device.options['statusInterval']),
    os: options['firmware'] ?? firmware?.value.replace(' ', '.') ?? `${device.model}.1.0.0`,
    program: program?.kind === 'bytes' && options['nothing'] !== 'program' ? { name: program.name, bytes: program.bytes } : null,
    ...(options['battery'] === undefined ? {} : { battery: Number(options['battery']) }),
    files: filesOn(device, options['files'] ?? ''),
    settings: { ...settingsFacts(factsOf(device, 'settings'))?.settings, ...settingsIn(options['settings'] ?? '') },
    ...keysOf(device),
  };
}

/** Hardware that carries what is declared shows its broker the declared certificate. */
function keysOf(device: DeclaredDevice): Partial<CampbellSimOptions> {
  const secret = device.items.find((item) => item.item === 'identity')?.secret;
  if (secret === undefined) return {};
  const { certificate, key } = secret.reveal() as LoggerKeys;
  return { keys: { cert: certificate, key } };
}

function factsOf(device: DeclaredDevice, item: ItemName): Json {
  return device.items.find((one) => one.item === item)?.facts ?? null;
}

/** `files=old.CR1X,notes.txt` beside those that are declared; of files of which only the name is known, the name is the text. */
function filesOn(device: DeclaredDevice, written: string): Readonly<Record<string, Uint8Array>> {
  const content = device.items.find((one) => one.item === 'files')?.content;
  const declared = Object.keys(filesFacts(factsOf(device, 'files'))?.files ?? {});
  const names = [...declared, ...written.split(',').filter((name) => name !== '')];
  const own = content?.kind === 'bytes' ? { [content.name]: content.bytes } : {};
  return { ...Object.fromEntries(names.map((name) => [name, new TextEncoder().encode(name)])), ...own };
}

/** `settings=PakBusAddress:3,StationName:moor`: what the hardware has in place of what is declared. */
function settingsIn(written: string): Readonly<Record<string, string>> {
  const pairs = written.split(',').filter((pair) => pair.includes(':'));
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)]));
}

function dialectOf(written: unknown): 'legacy' | 'os80' | 'v2' {
  return written === 'legacy' || written === 'v2' ? written : 'os80';
}

/** The options of a device say how its hardware is set up; what they leave out the hardware has by default. */
function interval(name: 'stateIntervalMs' | 'statusIntervalMs', declared: unknown): Partial<CampbellSimOptions> {
  const ms = typeof declared === 'string' ? parseDuration(declared) : undefined;
  return ms === undefined ? {} : { [name]: ms };
}

function canedgeOptions(device: DeclaredDevice, options: Readonly<Record<string, string>>): CanedgeSimOptions {
  const config = device.items.find((item) => item.item === 'config')?.content;
  const firmware = device.items.find((item) => item.item === 'firmware');
  return {
    id: device.address ?? device.serial ?? device.id,
    model: device.model,
    firmware: options['firmware'] ?? firmware?.version ?? '01.08.01',
    ...(config?.kind === 'bytes' ? { config: config.bytes } : {}),
  };
}
