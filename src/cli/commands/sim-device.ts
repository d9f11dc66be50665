import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Json } from '#kit/canonical.ts';
import type { SimDevice } from '#ports/sim.ts';
import { networkClients } from '#world.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, outputs, withTroubles } from '#cli/fleet.ts';
import { ConnectionLines } from '#cli/connection-lines.ts';
import { untilStopped } from '#cli/serve.ts';
import { SIM_DEVICE_KEY } from '#cli/sim-flags.ts';

interface SimFlags {
  readonly model: string;
  readonly scale: number;
  readonly seed: number;
  readonly fault?: readonly string[];
}

export interface SimCampbellFlags extends Omit<SimFlags, 'model'> {
  readonly url: string;
  readonly id?: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly model?: string;
  readonly dialect: 'legacy' | 'os80' | 'v2';
  readonly os: string;
  readonly program?: string;
  readonly file?: readonly string[];
  readonly baseTopic: string;
  readonly clientId?: string;
  readonly setting?: readonly string[];
  readonly trailingSlash?: boolean;
  readonly retainState?: boolean;
  readonly modem: 'always' | 'sw12';
  readonly timing?: readonly string[];
}

/** Simulated Campbell loggers on any MQTT broker, until Ctrl-C. Each is `address` or `address=serial`. */
export function simCampbell(context: CliContext, flags: SimCampbellFlags, ...given: readonly string[]): Promise<void> {
  return withTroubles(context, async () => {
    const addresses = [...given, ...(flags.id ?? [])];
    if (addresses.length === 0) throw new CliTrouble('BAD_DEVICE', 'no logger is named: write its address, cr1000x/10001 for example');
    const { campbellAlone } = await import('#sim/alone.ts');
    const shared = await sharedParts(context, flags);
    const alike = await campbellParts(context, flags);
    const broker = {
      url: flags.url,
      ...(flags.user === undefined ? {} : { username: flags.user }),
      ...(flags.password === undefined ? {} : { password: flags.password }),
      ...(flags.ca === undefined ? {} : { ca: (await fileOf(context, flags.ca)).bytes }),
    };
    const devices = addresses.map((written) => {
      const [address = written, serial = written.split('/').at(-1) ?? written] = written.split('=');
      const model = flags.model ?? (address.includes('/') ? address.slice(0, address.indexOf('/')).toUpperCase() : 'CR1000X');
      const os = /^\d/.test(flags.os) ? `${model}.${flags.os}` : flags.os;
      return campbellAlone({ ...alike, id: address, model, serial, address, os }, { ...shared, id: address, broker });
    });
    return runDevices(context, devices, { ...flags, watch: shared.watch });
  });
}

/** What the loggers of one command have in common. */
async function campbellParts(context: CliContext, flags: SimCampbellFlags) {
  const { dialect, baseTopic, modem, clientId, trailingSlash, retainState } = flags;
  const program = flags.program === undefined ? null : await fileOf(context, flags.program);
  const files: Record<string, Uint8Array> = {};
  for (const path of flags.file ?? []) {
    const { name, bytes } = await fileOf(context, path);
    files[name] = bytes;
  }
  const keys = await keysOf(context, flags);
  return {
    dialect,
    baseTopic,
    modem,
    program,
    files,
    settings: pairsOf(flags.setting, 'setting'),
    timings: timingsOf(flags.timing),
    ...(keys === null ? {} : { keys }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(trailingSlash === undefined ? {} : { trailingSlash }),
    ...(retainState === undefined ? {} : { retainState }),
  };
}

async function keysOf(context: CliContext, { cert, key, ca }: SimCampbellFlags) {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined)
    throw new CliTrouble('BAD_DEVICE', 'a certificate and its key are given together: --cert and --key');
  const textOf = async (path: string): Promise<string> => new TextDecoder().decode((await fileOf(context, path)).bytes);
  return { cert: await textOf(cert), key: await textOf(key), ...(ca === undefined ? {} : { ca: await textOf(ca) }) };
}

export function pairsOf(written: readonly string[] | undefined, what: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    (written ?? []).map((text) => {
      const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
      if (name === undefined || value === undefined)
        throw new CliTrouble('BAD_DEVICE', `a ${what} is written NAME=VALUE, not ${JSON.stringify(text)}`);
      return [name, value];
    }),
  );
}

const TIMINGS = ['compileMs', 'flashMs', 'osDownloadMs', 'programDownloadMs', 'rebootMs', 'reconnectMs', 'retryMs'];

function timingsOf(written: readonly string[] | undefined): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(pairsOf(written, 'timing')).map(([name, value]) => {
      if (!TIMINGS.includes(name))
        throw new CliTrouble('BAD_DEVICE', `${JSON.stringify(name)} is no timing of a logger; there are ${TIMINGS.join(', ')}`);
      if (!/^\d{1,9}$/.test(value)) throw new CliTrouble('BAD_DEVICE', `${name} is a number of milliseconds, not ${JSON.stringify(value)}`);
      // docs/protocols/campbell-mqtt.md §13: real clients race below that.
      if (name === 'rebootMs' && Number(value) < 2000) throw new CliTrouble('BAD_DEVICE', 'a logger takes 2000 ms at least to restart');
      return [name, Number(value)];
    }),
  );
}

export interface SimCanedgeFlags extends SimFlags {
  readonly s3: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly firmware: string;
  readonly config?: string;
  readonly certificates?: string;
  readonly logs?: number;
  readonly quirk?: readonly string[];
}

/** Who is on where nobody is named. */
const SOME_CANEDGES = ['5EED0001', '5EED0002', '5EED0003'];
const LOG_BYTES = 1024;

/** Simulated CANedge loggers on any bucket, until Ctrl-C. Each is named by its 8 hex digits. */
export function simCanedge(context: CliContext, flags: SimCanedgeFlags, ...given: readonly string[]): Promise<void> {
  return withTroubles(context, async () => {
    const { canedgeAlone } = await import('#sim/alone.ts');
    const shared = await sharedParts(context, flags);
    const alike = await canedgeParts(context, flags);
    const { bucket, region, s3: endpoint } = flags;
    const credentials = { accessKeyId: flags.accessKey, secretAccessKey: flags.secretKey };
    const place = { file: 'command line', line: 1, column: 1 };
    const connection = {
      type: 's3',
      name: 'bucket',
      place,
      bucket,
      region,
      endpoint,
      prefix: '',
      accessKeyId: null,
      secretAccessKey: null,
    } as const;
    const ids = given.length === 0 ? SOME_CANEDGES : given;
    const devices = ids.map((id) => named(() => canedgeAlone({ id, ...alike }, { ...shared, id, bucket: { connection, credentials } })));
    return runDevices(context, devices, { ...flags, watch: shared.watch });
  });
}

/** What the loggers of one command have in common. */
async function canedgeParts(context: CliContext, flags: SimCanedgeFlags) {
  const { model, firmware, config, certificates, logs } = flags;
  const quirks = Object.fromEntries(Object.entries(pairsOf(flags.quirk, 'quirk')).map(([name, value]) => [name, valueOf(value)]));
  return {
    model,
    firmware,
    quirks,
    ...(config === undefined ? {} : { config: (await fileOf(context, config)).bytes }),
    ...(certificates === undefined ? {} : { certificates: (await fileOf(context, certificates)).bytes }),
    ...(logs === undefined ? {} : { logs: { everyMs: logs, bytes: LOG_BYTES } }),
  };
}

/** What all devices of a command share. */
export async function sharedParts(context: CliContext, flags: Pick<SimFlags, 'scale' | 'seed'>) {
  const { ScaledClock } = await import('#sim/clock.ts');
  const watch = new ConnectionLines(outputs(context).out);
  return { clients: networkClients, clock: new ScaledClock(Date.now(), flags.scale), seed: flags.seed, watch };
}

interface DeviceRun extends Pick<SimFlags, 'fault'> {
  readonly watch: ConnectionLines;
}

/** Switches them on one after the other, none waiting for one that cannot connect, and off again at Ctrl-C. */
export async function runDevices(
  context: CliContext,
  devices: readonly SimDevice[],
  { fault: faults = [], watch: lines }: DeviceRun,
): Promise<number> {
  const { out } = outputs(context);
  const { signal } = context.cli;
  const broken = Promise.withResolvers<never>();
  const ended = Promise.race([untilStopped(signal), broken.promise]);
  for (const device of devices) {
    for (const fault of faults) switchOn(device, fault);
    const starting = device.powerOn();
    starting.catch(broken.reject);
    await Promise.race([starting, lines.firstFailure(device.id), ended]);
    if (signal.aborted) break;
    lines.isOn(device.id, truthText(device));
  }
  const told = new Map<string, number>();
  const telling = setInterval(() => tellEffects(devices, told, out), 250);
  await ended;
  clearInterval(telling);
  for (const device of devices) await device.powerOff();
  tellEffects(devices, told, out);
  return 0;
}

function truthText(device: SimDevice): string {
  return Object.entries(device.truth())
    .map(([item, value]) => `${item} ${value}`)
    .join(', ');
}

/** What happened at the devices since the last time. */
function tellEffects(devices: readonly SimDevice[], told: Map<string, number>, out: (text: string) => void): void {
  for (const device of devices) {
    const from = told.get(device.id) ?? 0;
    for (const effect of device.effects.slice(from)) out(`${device.id}  ${effect.kind} ${effect.detail}`);
    told.set(device.id, device.effects.length);
  }
}

/** `bootBack`, `slowDownload=30` or `wrongModelVersion="CR6.14.0.0"`: the value is JSON where it can be read as such. */
function switchOn(device: SimDevice, fault: string): void {
  const [, name = fault, value] = /^([^=]+)=(.*)$/.exec(fault) ?? [];
  named(() => device.fault(name, value === undefined ? true : valueOf(value)));
}

function valueOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** What the simulator says of a wrong name is for the person who typed it. */
export function named<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof RangeError) throw new CliTrouble('BAD_DEVICE', error.message);
    throw error;
  }
}

export async function fileOf(context: CliContext, path: string): Promise<{ readonly name: string; readonly bytes: Uint8Array }> {
  const bytes = await readFile(resolve(context.cli.cwd, path)).catch(() => {
    throw new CliTrouble('NOT_FOUND', `cannot read ${path}`);
  });
  return { name: path.split(/[/\\]/).at(-1) ?? path, bytes };
}

/** A broker's CA and a client certificate with its key, of those that are given. */
export async function pemOf(
  context: CliContext,
  flags: Readonly<Partial<Record<'ca' | 'cert' | 'key', string>>>,
): Promise<Readonly<Partial<Record<'ca' | 'cert' | 'key', Uint8Array>>>> {
  const read = async (name: 'ca' | 'cert' | 'key') => {
    const path = flags[name];
    return path === undefined ? {} : { [name]: (await fileOf(context, path)).bytes };
  };
  return { ...(await read('ca')), ...(await read('cert')), ...(await read('key')) };
}

/** How devices show themselves to a hub: by their certificate where one is given, else by tokens. */
export function hubLogin(hostName: string, { cert, deviceKey = SIM_DEVICE_KEY }: { readonly cert?: string; readonly deviceKey?: string }) {
  // The key itself is not told: it may be a true one.
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(deviceKey)) throw new CliTrouble('BAD_DEVICE', 'the device key is no base64');
  return { hostName, key: cert === undefined ? deviceKey : null };
}

export async function jsonOf(context: CliContext, path: string): Promise<Json> {
  const { bytes } = await fileOf(context, path);
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Json;
  } catch {
    throw new CliTrouble('BAD_DEVICE', `${path} is no JSON`);
  }
}
