import type { CampbellSimOptions } from '#adapters/campbell/sim-options.ts';
import { makeCampbellDevice } from '#adapters/campbell/sim.ts';
import { parseQuirks } from '#adapters/canedge/sim-quirks.ts';
import { makeCanedgeDevice, type CanedgeSimOptions } from '#adapters/canedge/sim.ts';
import { chariotOfOptions, type ChariotHardware } from '#adapters/chariot/sim-declared.ts';
import { makeChariotDevice } from '#adapters/chariot/sim.ts';
import { NodeLink } from '#adapters/drogue/sim-link.ts';
import { makeDrogueDevice, type DrogueSimDevice, type DrogueSimOptions } from '#adapters/drogue/sim.ts';
import { mongooseByHand, type MongooseHardware } from '#adapters/mongoose/sim-declared.ts';
import { makeMongooseDevice } from '#adapters/mongoose/sim.ts';
import { twinByHand, type TwinHardware } from '#adapters/twin/sim-declared.ts';
import { makeTwinDevice } from '#adapters/twin/sim.ts';
import type { Json } from '#kit/canonical.ts';
import type { SimDevice } from '#ports/sim.ts';
import { networkSimPorts, type NetworkDevice } from './ports.ts';

/** One simulated Campbell logger on a broker, ours or not. Throws a RangeError for options that make no device. */
export function campbellAlone(options: CampbellSimOptions, device: NetworkDevice): SimDevice {
  return makeCampbellDevice(options, networkSimPorts(device));
}

/** One simulated CANedge on a bucket, ours or not. Throws a RangeError for an id, model, version or quirk that is none. */
export function canedgeAlone(
  options: Omit<CanedgeSimOptions, 'quirks'> & { readonly quirks: Readonly<Record<string, Json>> },
  device: NetworkDevice,
): SimDevice {
  return makeCanedgeDevice({ ...options, quirks: parseQuirks(options.quirks) }, networkSimPorts(device));
}

/** One simulated gateway on a broker, ours or not; `options` as those of a declared device. */
export function chariotAlone(hardware: ChariotHardware, options: Json, device: NetworkDevice): SimDevice {
  return makeChariotDevice(chariotOfOptions(hardware, options), networkSimPorts(device));
}

/** Simulated nodes on a broker, ours or not: each with a session of its own, or all behind one gateway, with ids from 1. */
export function drogueAlone(
  nodes: readonly DrogueSimOptions[],
  gateway: string | null,
  device: Omit<NetworkDevice, 'id'>,
): readonly DrogueSimDevice[] {
  const link = gateway === null ? null : new NodeLink(`gateway-${gateway}`);
  return nodes.map((node, index) => {
    const behind = link === null || gateway === null ? {} : { gateway: { name: gateway, correlation: index + 1, link } };
    return makeDrogueDevice({ ...node, ...behind }, networkSimPorts({ ...device, id: node.id }));
  });
}

/** One simulated Mongoose OS board on a broker, ours or not. */
export function mongooseAlone(hardware: MongooseHardware, device: NetworkDevice): SimDevice {
  return makeMongooseDevice(mongooseByHand(hardware), networkSimPorts(device));
}

/** One simulated device with a twin at an Azure IoT hub, ours or not; `options` as those of a declared device. */
export function twinAlone(hardware: TwinHardware, options: Json, device: NetworkDevice): SimDevice {
  return makeTwinDevice(twinByHand(hardware, options), networkSimPorts(device));
}
