import type { CampbellSimOptions } from '#adapters/campbell/sim-options.ts';
import { makeCampbellDevice } from '#adapters/campbell/sim.ts';
import { makeCanedgeDevice, type CanedgeSimOptions } from '#adapters/canedge/sim.ts';
import type { SimDevice } from '#ports/sim.ts';
import { networkSimPorts, type NetworkDevice } from './ports.ts';

/** One simulated Campbell logger on a broker, ours or not. Throws a RangeError for options that make no device. */
export function campbellAlone(options: CampbellSimOptions, device: NetworkDevice): SimDevice {
  return makeCampbellDevice(options, networkSimPorts(device));
}

/** One simulated CANedge on a bucket, ours or not. Throws a RangeError for an id, model or version that is none. */
export function canedgeAlone(options: CanedgeSimOptions, device: NetworkDevice): SimDevice {
  return makeCanedgeDevice(options, networkSimPorts(device));
}
