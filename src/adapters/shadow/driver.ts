import type { Driver, DriverPorts } from '#ports/driver.ts';
import { makeMappedDriver } from '#shadows/mapped/driver.ts';
import type { MappedPlace } from '#shadows/mapped/reports.ts';
import { shadowName, shadowTerm } from './wire.ts';

const PLACE: MappedPlace = {
  shadow: ({ options }) => shadowName(options),
  absence: ({ options }) => {
    const name = shadowName(options);
    return name === null ? 'it has no classic shadow' : `it has no shadow ${name}`;
  },
  term: ({ options }) => shadowTerm(shadowName(options)),
};

/** Shadows of AWS IoT or of a broker: read wide by the index or by news, written one by one under the version lock. */
export function makeShadowDriver(ports: DriverPorts): Driver {
  return makeMappedDriver(ports, PLACE);
}
