import { unlessAborted } from '#kit/aborted.ts';
import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { DriverPorts, ObserveAnswer, ObserveRequest } from '#ports/driver.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import { lookAtFolder } from './driver-look.ts';
import { journeyOf, type Journey } from './journey.ts';
import { readMemo } from './memo.ts';
import { ambiguousOf, elsewhereOf, reportOf, unreportedOf } from './report.ts';
import { withConfigFor } from './secrets-config.ts';
import { DEVICE_ID, folderName } from './wire.ts';

/** Folders read side by side per bucket. */
const PARALLEL_LOOKS = 16;
/** Pages of the bucket's root, 1,000 folders each: more than any fleet, and an end for a hostile bucket. */
const MAX_ROOT_PAGES = 1000;

type Trouble = ObserveAnswer['troubles'][number];

/** Looks at the folder of every device, bucket by bucket. A folder that may not be read is a trouble of that device alone. */
export async function observeDevices(ports: DriverPorts, request: ObserveRequest): Promise<ObserveAnswer> {
  const byConnection = Map.groupBy(request.devices, (device) => journeyFor(ports, device, request.last(device.id)).from);
  const answers = await Promise.all(
    [...byConnection].map(([connection, devices]) => observeBucket(ports, request, { connection, devices })),
  );
  return {
    reports: answers.flatMap((answer) => answer.reports).toSorted((a, b) => compareText(a.device, b.device)),
    troubles: answers
      .flatMap((answer) => answer.troubles)
      .toSorted((a, b) => compareText(a.connection, b.connection) || compareText(a.message, b.message)),
  };
}

/** Where a device is, and where it is to be, by its declaration and its last report. */
export function journeyFor(ports: DriverPorts, device: DeclaredDevice, last: ReportedDevice | undefined): Journey {
  return journeyOf(device.via, readMemo(last).home, (connection) => ports.connection(connection)?.type === 's3');
}

interface Bucket {
  readonly connection: string;
  readonly devices: readonly DeclaredDevice[];
}

async function observeBucket(ports: DriverPorts, request: ObserveRequest, bucket: Bucket): Promise<ObserveAnswer> {
  const { connection, devices } = bucket;
  try {
    const store = await unlessAborted(ports.objects(connection), request.signal);
    const strangers = devices.filter((device) => folderKnown(device, request.last(device.id)) === null);
    const folders =
      strangers.length === 0 ? new Map<string, readonly string[]>() : await findFolders(store, wantedNames(strangers), request.signal);
    return await observeEach(ports, request, { connection, devices, store, folders });
  } catch (error) {
    return { reports: [], troubles: [troubleOf(connection, asWireError(error), 'bucket')] };
  }
}

/** The folder found by an earlier look, as long as it is still the declared one. */
export function folderKnown(device: DeclaredDevice, last: ReportedDevice | undefined): string | null {
  const known = last?.memo['folder'];
  if (typeof known !== 'string' || !DEVICE_ID.test(known)) return null;
  return known.toUpperCase() === folderName(device).toUpperCase() ? known : null;
}

function wantedNames(devices: readonly DeclaredDevice[]): ReadonlySet<string> {
  return new Set(devices.map((device) => folderName(device).toUpperCase()));
}

/**
 * Folders of the bucket's root with these names in either case: upper-case name → as found. Lists with a delimiter, so
 * that nothing within a folder is touched.
 */
export async function findFolders(
  store: ObjectStore,
  wanted: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  let next: string | null = null;
  for (let page = 0; page < MAX_ROOT_PAGES; page += 1) {
    const answer = await store.list({ prefix: '', delimiter: '/', ...(next === null ? {} : { next }) }, signal);
    for (const prefix of answer.prefixes) {
      const name = prefix.slice(0, -1);
      const upper = name.toUpperCase();
      if (DEVICE_ID.test(name) && wanted.has(upper)) found.set(upper, [...(found.get(upper) ?? []), name].toSorted());
    }
    next = answer.next;
    if (next === null) break;
  }
  return found;
}

interface OpenBucket extends Bucket {
  readonly store: ObjectStore;
  readonly folders: ReadonlyMap<string, readonly string[]>;
}

async function observeEach(ports: DriverPorts, request: ObserveRequest, bucket: OpenBucket): Promise<ObserveAnswer> {
  const reports: ReportedDevice[] = [];
  const troubles: Trouble[] = [];
  const waiting = [...bucket.devices];
  const broken = { error: null as WireError | null };
  const worker = async (): Promise<void> => {
    for (let device = waiting.shift(); device !== undefined && broken.error === null; device = waiting.shift()) {
      try {
        const report = await observeDevice(ports, request, { bucket, device });
        if (report !== undefined) reports.push(report);
      } catch (error) {
        const wire = asWireError(error);
        // What one folder answers concerns that folder; a dead wire or a passed deadline concerns all.
        if (wire.code.startsWith('S3_') && !request.signal.aborted)
          troubles.push(troubleOf(bucket.connection, wire, `device ${device.id}`));
        else broken.error = wire;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_LOOKS, bucket.devices.length) }, worker));
  if (broken.error !== null) troubles.push(troubleOf(bucket.connection, broken.error, 'bucket'));
  return { reports, troubles };
}

async function observeDevice(
  ports: DriverPorts,
  request: ObserveRequest,
  { bucket, device }: { readonly bucket: OpenBucket; readonly device: DeclaredDevice },
): Promise<ReportedDevice | undefined> {
  const last = request.last(device.id);
  const name = folderName(device);
  if (!DEVICE_ID.test(name)) return unreportedOf(device, last, `${JSON.stringify(name)} is no id of a CANedge`);
  const found = bucket.folders.get(name.toUpperCase()) ?? [];
  if (found.length > 1) return ambiguousOf(device, last, `the bucket has folders ${found.join(' and ')}: only one can be the device's`);
  const folder = folderKnown(device, last) ?? found[0];
  if (folder === undefined) return unreportedOf(device, last, `the bucket has no folder ${name}`);
  const journey = journeyFor(ports, device, last);
  const to = journey.to === null ? null : await unlessAborted(ports.objects(journey.to), request.signal);
  const open = request.isOpen(device.id);
  const look = await lookAtFolder({
    store: bucket.store,
    to,
    journey,
    device,
    folder,
    last,
    open,
    now: ports.clock.now(),
    signal: request.signal,
  });
  if (look === 'missing') return unreportedOf(device, last, `folder ${folder} has no device.json: the device never reported`);
  if (look === 'elsewhere') {
    const there = `it was last heard at connection ${readMemo(last).home ?? ''}, which is no longer declared, and what lies here is older`;
    return elsewhereOf(device, last, there);
  }
  const kpub = look.file.kind === 'good' ? look.file.file.kpub : null;
  return reportOf({ device: withConfigFor(device, kpub), last, look, now: ports.clock.now(), open });
}

function asWireError(error: unknown): WireError {
  if (error instanceof WireError) return error;
  if (error instanceof Error && error.name === 'AbortError') return new WireError('TIMEOUT', 'later', 'the deadline has passed', error);
  throw error;
}

function troubleOf(connection: string, error: WireError, of: string): Trouble {
  return { connection, code: error.code, message: `${of}: ${error.message}` };
}
