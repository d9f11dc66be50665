import type { SimDevice, SimPorts } from '#ports/sim.ts';
import { makeMappedDevice, type MappedSimOptions } from '#shadows/mapped/sim.ts';
import { SimLink } from './sim-link.ts';

export type TwinSimOptions = MappedSimOptions;

/** A device that obeys a mapping by its twin at an Azure IoT hub. */
export function makeTwinDevice(options: TwinSimOptions, ports: SimPorts): SimDevice {
  return makeMappedDevice(options, ports, (listener) => new SimLink(ports, listener));
}
