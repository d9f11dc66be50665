import type { Declared } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import type { SimDevice } from '#ports/sim.ts';
import { declaredLogger } from '#adapters/campbell/sim-declared.ts';
import { declaredCanedge } from '#adapters/canedge/sim-declared.ts';
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
      ? world.addDevice('campbell', place, declaredLogger(device, request.options))
      : world.addDevice('canedge', place, declaredCanedge(device, request.options));
  await sim.powerOn();
  return sim;
}
