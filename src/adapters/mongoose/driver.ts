import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { DeviceId } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Driver, DriverPorts, ObserveAnswer, ObserveRequest } from '#ports/driver.ts';
import { observeShadows } from '#shadows/driver-observe.ts';
import { performWrite, precheckWrite } from '#shadows/driver-write.ts';
import type { ShadowReading } from '#shadows/report.ts';
import { askBoards, isAskedAlone, isDue } from './driver-ask.ts';
import { isCall, performCall, precheckCall } from './driver-call.ts';
import { OFFERING } from './driver-offer.ts';
import { indexMatch } from './index-match.ts';
import { boardName } from './options.ts';
import { readAs, reportOf } from './reports.ts';

const READING: ShadowReading = { thing: boardName, shadow: () => null, match: indexMatch, readAs, reportOf };

/** Boards by their shadows, by calls, or both: what one does not tell, the other is asked for. */
export function makeMongooseDriver(ports: DriverPorts): Driver {
  return {
    observe: (request) => observe(ports, request),
    precheck: (operation, open, context) => {
      const target = { operation, open, context };
      return isCall(target) ? precheckCall(ports, target) : precheckWrite(ports, target, OFFERING);
    },
    perform: (operation, open, context) => {
      const target = { operation, open, context };
      return isCall(target) ? performCall(ports, target) : performWrite(ports, target, OFFERING);
    },
    close: () => Promise.resolve(),
  };
}

/** Shadows first: a board is asked only for what its shadow does not say. */
async function observe(ports: DriverPorts, request: ObserveRequest): Promise<ObserveAnswer> {
  const kept = request.devices.filter((device) => !isAskedAlone(ports, device));
  const shadows = await observeShadows(ports, { ...request, devices: kept }, READING);
  const seen = new Map<DeviceId, ReportedDevice>(shadows.reports.map((report) => [report.device, report]));
  const reportFor = ({ id }: DeclaredDevice): ReportedDevice | undefined => seen.get(id) ?? request.last(id);
  const due = request.devices.map((device) => ({ device, report: reportFor(device) })).filter((board) => isDue(ports, board, request));
  const asked = await askBoards(ports, due, request);
  for (const report of asked.reports) seen.set(report.device, report);
  return {
    reports: [...seen.values()].toSorted((a, b) => compareText(a.device, b.device)),
    troubles: [...shadows.troubles, ...asked.troubles],
  };
}
