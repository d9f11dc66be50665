import type { Driver, DriverPorts } from '#ports/driver.ts';
import { makeShadowsDriver } from '#shadows/driver-make.ts';
import { mappedWriting } from './driver-write.ts';
import { mappedReading, type MappedPlace } from './reports.ts';

/** The driver of a family whose groups say by pointers where their items lie. */
export function makeMappedDriver(ports: DriverPorts, place: MappedPlace): Driver {
  return makeShadowsDriver(ports, { reading: mappedReading(place), writing: mappedWriting((device) => place.shadow(device)) });
}
