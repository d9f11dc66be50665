import type { SimDevice, SimPorts } from '#ports/sim.ts';
import { WORLD_HUB, type HubLogin } from '#shadows/hub-login.ts';
import { makeMappedDevice, type MappedSimOptions } from '#shadows/mapped/sim.ts';
import { SimLink } from './sim-link.ts';

export interface TwinSimOptions extends MappedSimOptions {
  /** The hub of its world when left out. */
  readonly hub?: HubLogin;
}

/** A device that obeys a mapping by its twin at an Azure IoT hub. */
export function makeTwinDevice(options: TwinSimOptions, ports: SimPorts): SimDevice {
  return makeMappedDevice(options, ports, (listener) => new SimLink(ports, { ...listener, hub: options.hub ?? WORLD_HUB }));
}
