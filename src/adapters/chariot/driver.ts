import { unlessAborted } from '#kit/aborted.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { Driver, DriverPorts, ObserveAnswer, ObserveRequest } from '#ports/driver.ts';
import { WireError } from '#ports/wire-error.ts';
import { performWrite, precheckWrite } from './driver-write.ts';
import { indexMatch } from './index-match.ts';
import { thingOf } from './options.ts';
import { readAs, reportOf } from './reports.ts';

/** Classic shadows of AWS IoT or of a broker: read wide by the index or by news, written one by one under the version lock. */
export function makeChariotDriver(ports: DriverPorts): Driver {
  return {
    observe: (request) => observeShadows(ports, request),
    precheck: (operation, open, context) => precheckWrite(ports, { operation, open, context }),
    perform: (operation, open, context) => performWrite(ports, { operation, open, context }),
    close: () => Promise.resolve(),
  };
}

async function observeShadows(ports: DriverPorts, request: ObserveRequest): Promise<ObserveAnswer> {
  await pause(ports, request);
  const places = [...Map.groupBy(request.devices, (device) => device.via.connection)].toSorted(([a], [b]) => compareText(a, b));
  const answers = await Promise.all(places.map(([connection, devices]) => observeConnection(ports, request, { connection, devices })));
  return {
    reports: answers.flatMap(({ reports }) => reports).toSorted((a, b) => compareText(a.device, b.device)),
    troubles: answers.flatMap(({ troubles }) => troubles),
  };
}

/** A shadow keeps what is reported, so listening is only waiting for it. */
async function pause(ports: DriverPorts, { listenMs, signal }: ObserveRequest): Promise<void> {
  if (listenMs === 0) return;
  try {
    await ports.clock.sleep(listenMs, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function observeConnection(
  ports: DriverPorts,
  request: ObserveRequest,
  { connection, devices }: { readonly connection: string; readonly devices: readonly DeclaredDevice[] },
): Promise<ObserveAnswer> {
  const things = new Map<string, DeclaredDevice>(devices.map((device) => [thingOf(device), device]));
  try {
    const shadows = await unlessAborted(openShadows(ports, connection), request.signal);
    const wanted = [...things].map(([thing, device]) => ({
      thing,
      // Read by other options, the report says nothing of what they say now.
      open: request.isOpen(device.id) || isReadOtherwise(device, request.last(device.id)),
      known: request.last(device.id) !== undefined,
      match: indexMatch(device),
    }));
    const sight = await shadows.look({ shadow: null, things: wanted }, request.signal);
    const now = ports.clock.now();
    const reports = sight.seen.flatMap((one): readonly ReportedDevice[] => {
      const device = things.get(one.thing);
      if (device === undefined) return [];
      const report = reportOf(device, request.last(device.id), { sight: one, open: request.isOpen(device.id), now });
      return report === undefined ? [] : [report];
    });
    return { reports, troubles: sight.troubles.map(({ code, message }) => ({ connection, code, message })) };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { reports: [], troubles: [{ connection, code: error.code, message: error.message }] };
  }
}

function isReadOtherwise(device: DeclaredDevice, last: ReportedDevice | undefined): boolean {
  return last !== undefined && last.memo['readAs'] !== readAs(device);
}

function openShadows(ports: DriverPorts, connection: string): ReturnType<NonNullable<DriverPorts['shadows']>> {
  if (ports.shadows === undefined) throw new WireError('NO_CONNECTION', 'never', `${connection} leads to no shadow service`);
  return ports.shadows(connection);
}
