import type { Driver, DriverPorts } from '#ports/driver.ts';
import { makeMappedDriver } from '#shadows/mapped/driver.ts';
import { twinTerm } from './wire.ts';

/** Twins of an Azure IoT hub: got one by one or found by queries, written one by one under their ETag. */
export function makeTwinDriver(ports: DriverPorts): Driver {
  return makeMappedDriver(ports, { shadow: () => null, absence: () => 'the hub knows no such device', term: () => twinTerm });
}
