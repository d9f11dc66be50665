import { unlessAborted } from '#kit/aborted.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { DriverPorts, ObserveAnswer, ObserveRequest } from '#ports/driver.ts';
import type { ShadowReader } from '#ports/shadows.ts';
import { WireError } from '#ports/wire-error.ts';
import { isReadOtherwise, knownVersion, type ShadowReading } from './report.ts';

interface Place {
  readonly connection: string;
  readonly shadow: string | null;
  readonly devices: readonly DeclaredDevice[];
}

/**
 * Devices by their shadows: one look per connection and name of a shadow, all at once. A wire that breaks is told as
 * trouble, and what is known of its devices stays as it was.
 */
export async function observeShadows(ports: DriverPorts, request: ObserveRequest, reading: ShadowReading): Promise<ObserveAnswer> {
  await pause(ports, request);
  const places = Map.groupBy(request.devices, (device) => `${device.via.connection} ${reading.shadow(device) ?? ''}`);
  const sorted = [...places].toSorted(([a], [b]) => compareText(a, b));
  const answers = await Promise.all(sorted.map(([, devices]) => observePlace({ ports, request, reading }, placeOf(devices, reading))));
  return {
    reports: answers.flatMap(({ reports }) => reports).toSorted((a, b) => compareText(a.device, b.device)),
    troubles: answers.flatMap(({ troubles }) => troubles),
  };
}

function placeOf(devices: readonly DeclaredDevice[], reading: ShadowReading): Place {
  const [first] = devices;
  return { connection: first?.via.connection ?? '', shadow: first === undefined ? null : reading.shadow(first), devices };
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

interface Look {
  readonly ports: DriverPorts;
  readonly request: ObserveRequest;
  readonly reading: ShadowReading;
}

async function observePlace({ ports, request, reading }: Look, { connection, shadow, devices }: Place): Promise<ObserveAnswer> {
  const things = new Map<string, DeclaredDevice>(devices.map((device) => [reading.thing(device), device]));
  try {
    const shadows = await unlessAborted(openShadows(ports, connection), request.signal);
    const wanted = [...things].map(([thing, device]) => ({
      thing,
      open: request.isOpen(device.id) || isReadOtherwise(reading, device, request.last(device.id)),
      known: request.last(device.id) !== undefined,
      differs: isDifferent(device, request.last(device.id)),
      version: knownVersion(request.last(device.id)),
      match: reading.match(device),
    }));
    const sight = await shadows.look({ shadow, things: wanted }, request.signal);
    const now = ports.clock.now();
    const reports = sight.seen.flatMap((one): readonly ReportedDevice[] => {
      const device = things.get(one.thing);
      if (device === undefined) return [];
      const report = reading.reportOf(device, request.last(device.id), { sight: one, open: request.isOpen(device.id), now });
      return report === undefined ? [] : [report];
    });
    return { reports, troubles: sight.troubles.map(({ code, message }) => ({ connection, code, message })) };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { reports: [], troubles: [{ connection, code: error.code, message: error.message }] };
  }
}

/** Settings are passed over: they are compared one by one, and not by the whole of what is reported. */
function isDifferent({ items }: DeclaredDevice, last: ReportedDevice | undefined): boolean {
  if (last === undefined) return false;
  return items.some(({ item, value }) => {
    const known = last.items[item];
    return item !== 'settings' && (known?.kind !== 'value' || known.value !== value);
  });
}

function openShadows(ports: DriverPorts, connection: string): Promise<ShadowReader> {
  if (ports.shadows === undefined) throw new WireError('NO_CONNECTION', 'never', `${connection} leads to no shadow service`);
  return ports.shadows(connection);
}
