import type { Driver, DriverPorts } from '#ports/driver.ts';
import { observeShadows } from './driver-observe.ts';
import { performWrite, precheckWrite, type ShadowWriting } from './driver-write.ts';
import type { ShadowReading } from './report.ts';

/** The driver of a family that is read and written by shadows alone: read wide, written one by one under the version lock. */
export function makeShadowsDriver<Own extends object>(
  ports: DriverPorts,
  { reading, writing }: { readonly reading: ShadowReading; readonly writing: ShadowWriting<Own> },
): Driver {
  return {
    observe: (request) => observeShadows(ports, request, reading),
    precheck: (operation, open, context) => precheckWrite(ports, { operation, open, context }, writing),
    perform: (operation, open, context) => performWrite(ports, { operation, open, context }, writing),
    close: () => Promise.resolve(),
  };
}
