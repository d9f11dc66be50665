import type { Driver, DriverPorts } from '#ports/driver.ts';
import { makeShadowsDriver } from '#shadows/driver-make.ts';
import type { ShadowReading } from '#shadows/report.ts';
import { thingOf } from '#shadows/values.ts';
import { observeIdentities, performIdentity, precheckIdentity } from './driver-identity.ts';
import { WRITING } from './driver-write.ts';
import { indexMatch } from './index-match.ts';
import { readAs, reportOf } from './reports.ts';

const READING: ShadowReading = { thing: thingOf, shadow: () => null, match: indexMatch, readAs, reportOf };

/** Classic shadows of AWS IoT or of a broker: read wide by the index or by news, written one by one under the version lock. */
export function makeChariotDriver(ports: DriverPorts): Driver {
  const shadows = makeShadowsDriver(ports, { reading: READING, writing: WRITING });
  return {
    ...shadows,
    observe: async (request) => await observeIdentities(ports, request, await shadows.observe(request)),
    precheck: (operation, open, context) =>
      operation.item === 'identity' ? precheckIdentity(ports, { operation, open, context }) : shadows.precheck(operation, open, context),
    perform: (operation, open, context) =>
      operation.item === 'identity' ? performIdentity(ports, { operation, open, context }) : shadows.perform(operation, open, context),
  };
}
