import type { Declared, DeclaredDevice } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import type { SimDevice } from '#ports/sim.ts';
import { declaredLogger } from '#adapters/campbell/sim-declared.ts';
import { declaredCanedge } from '#adapters/canedge/sim-declared.ts';
import { declaredChariot } from '#adapters/chariot/sim-declared.ts';
import { declaredNode, type GatewayLinks } from '#adapters/drogue/sim-declared.ts';
import { declaredMongoose } from '#adapters/mongoose/sim-declared.ts';
import { declaredShadow, indexedShadow } from '#adapters/shadow/sim-declared.ts';
import { declaredTwin } from '#adapters/twin/sim-declared.ts';
import type { SimWorldConnection } from './plant.ts';
import type { SimPlace, SimWorld } from './world.ts';

/** The connections of a fleet that the simulated world must have. */
export function connectionsOf(declared: Declared): readonly SimWorldConnection[] {
  const keeping = new Set<string>();
  const shadows = new Map<string, Set<string>>();
  for (let row = 0; row < declared.size; row += 1) {
    const device = declared.deviceAt(row);
    const { family, via } = device;
    if (SHADOW_FAMILIES.has(family)) keeping.add(via.connection);
    const shadow = family === 'shadow' ? indexedShadow(device) : null;
    if (shadow !== null) shadows.set(via.connection, (shadows.get(via.connection) ?? new Set()).add(shadow));
  }
  return [...declared.fleet.connections.values()].map((connection): SimWorldConnection => {
    const { name } = connection;
    if (connection.type === 's3') return { name, type: 's3', bucket: connection.bucket };
    if (connection.type === 'mqtt') return { name, type: 'mqtt', ...(keeping.has(name) ? { shadows: true } : {}) };
    if (connection.type === 'mdash') return { name, type: 'mdash' };
    if (connection.type === 'azure-iot') return { name, type: 'azure-iot' };
    return { name, type: 'aws-iot', ...(connection.index === 'off' ? {} : { indexed: [...(shadows.get(name) ?? [])].toSorted() }) };
  });
}

/** Families whose devices keep their state in shadows, so that their broker must keep those. */
const SHADOW_FAMILIES: ReadonlySet<string> = new Set(['shadow', 'chariot', 'mongoose']);

export interface DeclaredDeviceRequest {
  readonly device: string;
  /**
   * What the hardware has instead of what is declared: `firmware` as the device reports it, `dialect`, `battery`;
   * `nothing=program` for a logger without one, `files` and `settings` that nobody declared; `profile` and the rest of a
   * node (adapters/drogue/sim-declared.ts).
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
  const type = declared.fleet.connections.get(device.via.connection)?.type ?? null;
  const enrolled = await enrolledFor(world, device, request.options);
  const sim = addHardware(world, device, { place, type, options: request.options, enrolled });
  await sim.powerOn();
  return sim;
}

/** When the certificates of gateways were issued that nobody says anything else of. */
const FACTORY = Date.UTC(2025, 10, 20, 8, 30);

/** Nodes behind one gateway share its session. */
const gatewaysOf = new WeakMap<SimWorld, GatewayLinks>();

interface Hardware {
  readonly place: SimPlace;
  /** Of its connection. */
  readonly type: string | null;
  readonly options: DeclaredDeviceRequest['options'];
  readonly enrolled: Awaited<ReturnType<typeof enrolledFor>>;
}

/** A gateway whose certificate is declared comes from its factory with one, and a claim for others. */
async function enrolledFor(world: SimWorld, device: DeclaredDevice, { issued }: DeclaredDeviceRequest['options']) {
  if (device.family !== 'chariot' || !device.items.some(({ item }) => item === 'identity')) return null;
  const { own, claim, template, parameters } = await world.enrol(
    device.via.connection,
    device.address ?? device.id,
    issued === undefined ? FACTORY : Date.parse(issued),
  );
  return { certificates: [own], claim: { claim, template, parameters } };
}

function addHardware(world: SimWorld, device: DeclaredDevice, { place, type, options, enrolled }: Hardware): SimDevice {
  if (device.family === 'campbell') return world.addDevice('campbell', place, declaredLogger(device, options));
  if (device.family === 'canedge') return world.addDevice('canedge', place, declaredCanedge(device, options));
  if (device.family === 'chariot') return world.addDevice('chariot', place, declaredChariot(device, options, enrolled));
  if (device.family === 'mongoose') return world.addDevice('mongoose', place, declaredMongoose(device, options, type));
  if (device.family === 'shadow') return world.addDevice('shadow', place, declaredShadow(device, options));
  if (device.family === 'twin') return world.addDevice('twin', place, declaredTwin(device, options));
  const links: GatewayLinks = gatewaysOf.get(world) ?? new Map();
  gatewaysOf.set(world, links);
  return world.addDevice('drogue', place, declaredNode(device, options, links));
}
