import type { SimDevice, SimPorts } from '#ports/sim.ts';
import { makeMappedDevice, type MappedSimOptions } from '#shadows/mapped/sim.ts';
import { SimLink } from './sim-link.ts';

export interface ShadowSimOptions extends MappedSimOptions {
  /** Null for the classic shadow. */
  readonly shadow: string | null;
}

/** A device that obeys a mapping over the topics of a shadow of AWS IoT. */
export function makeShadowDevice(options: ShadowSimOptions, ports: SimPorts): SimDevice {
  return makeMappedDevice(options, ports, (listener) => new SimLink(ports, { ...listener, shadow: options.shadow }));
}
