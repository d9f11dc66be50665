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

/** Of every simulated device. */
export interface SimFlags {
  readonly scale: number;
  readonly seed: number;
  readonly fault?: readonly string[];
}

/** Of devices that log in at their broker, where it asks. */
export interface LoginFlags {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  readonly ca?: string;
}

/** Of devices that show their broker a certificate. */
export interface CertificateFlags {
  readonly url: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface SimCampbellFlags extends SimFlags, LoginFlags {
  readonly id?: readonly string[];
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
  return simulate(context, flags, async (shared) => {
    const addresses = [...given, ...(flags.id ?? [])];
    if (addresses.length === 0) throw new CliTrouble('BAD_DEVICE', 'no logger is named: write its address, cr1000x/10001 for example');
    const { campbellAlone } = await import('#sim/alone.ts');
    const alike = await campbellParts(context, flags);
    const broker = await brokerOf(context, flags);
    return addresses.map((written) => {
      const [address = written, serial = written.split('/').at(-1) ?? written] = written.split('=');
      const model = flags.model ?? (address.includes('/') ? address.slice(0, address.indexOf('/')).toUpperCase() : 'CR1000X');
      const os = /^\d/.test(flags.os) ? `${model}.${flags.os}` : flags.os;
      return campbellAlone({ ...alike, id: address, model, serial, address, os }, { ...shared, id: address, broker });
    });
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
    timings: timingsOf(flags.timing, TIMINGS),
    ...(keys === null ? {} : { keys }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(trailingSlash === undefined ? {} : { trailingSlash }),
    ...(retainState === undefined ? {} : { retainState }),
  };
}

async function keysOf(context: CliContext, { cert, key, ca }: SimCampbellFlags) {
  const own = await pairOf(context, [cert, key], 'a certificate and its key are given together: --cert and --key');
  return own === null ? null : { cert: own[0], key: own[1], ...(ca === undefined ? {} : { ca: await textOf(context, ca) }) };
}

/** The texts of two files that belong together, null for none; `otherwise` is said where one alone is given. */
export async function pairOf(
  context: CliContext,
  [first, second]: readonly [string | undefined, string | undefined],
  otherwise: string,
): Promise<readonly [string, string] | null> {
  if (first === undefined && second === undefined) return null;
  if (first === undefined || second === undefined) throw new CliTrouble('BAD_DEVICE', otherwise);
  return [await textOf(context, first), await textOf(context, second)];
}

async function textOf(context: CliContext, path: string): Promise<string> {
  return new TextDecoder().decode((await fileOf(context, path)).bytes);
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

interface Timings {
  /** `a logger`. */
  readonly who: string;
  readonly names: readonly string[];
  /** Why it cannot be so short; null where it can. */
  refusal?(name: string, ms: number): string | null;
}

const TIMINGS: Timings = {
  who: 'a logger',
  names: ['compileMs', 'flashMs', 'osDownloadMs', 'programDownloadMs', 'rebootMs', 'reconnectMs', 'retryMs'],
  // docs/protocols/campbell-mqtt.md §13: real clients race below that.
  refusal: (name, ms) => (name === 'rebootMs' && ms < 2000 ? 'a logger takes 2000 ms at least to restart' : null),
};

export function timingsOf(written: readonly string[] | undefined, { who, names, refusal }: Timings): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(pairsOf(written, 'timing')).map(([name, value]) => {
      if (!names.includes(name))
        throw new CliTrouble('BAD_DEVICE', `${JSON.stringify(name)} is no timing of ${who}; there are ${names.join(', ')}`);
      if (!/^\d{1,9}$/.test(value)) throw new CliTrouble('BAD_DEVICE', `${name} is a number of milliseconds, not ${JSON.stringify(value)}`);
      const refused = refusal?.(name, Number(value)) ?? null;
      if (refused !== null) throw new CliTrouble('BAD_DEVICE', refused);
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
  readonly model: string;
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
  return simulate(context, flags, async (shared) => {
    const { canedgeAlone } = await import('#sim/alone.ts');
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
    return ids.map((id) => named(() => canedgeAlone({ id, ...alike }, { ...shared, id, bucket: { connection, credentials } })));
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

/** Runs the devices that `make` makes of what all devices of a command share, until Ctrl-C. */
export function simulate(
  context: CliContext,
  flags: SimFlags,
  make: (shared: Awaited<ReturnType<typeof sharedParts>>) => Promise<readonly SimDevice[]>,
): Promise<void> {
  return withTroubles(context, async () => {
    const shared = await sharedParts(context, flags);
    return runDevices(context, await make(shared), { ...flags, watch: shared.watch });
  });
}

async function sharedParts(context: CliContext, flags: SimFlags) {
  const { ScaledClock } = await import('#sim/clock.ts');
  const watch = new ConnectionLines(outputs(context).out);
  return { clients: networkClients, clock: new ScaledClock(Date.now(), flags.scale), seed: flags.seed, watch };
}

interface DeviceRun extends Pick<SimFlags, 'fault'> {
  readonly watch: ConnectionLines;
}

/** Switches them on one after the other, none waiting for one that cannot connect, and off again at Ctrl-C. */
async function runDevices(
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

/** A broker, and what devices that log in there with a password need of what is given. */
export async function brokerOf(context: CliContext, { url, user, password, ca }: LoginFlags) {
  return {
    url,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca: (await fileOf(context, ca)).bytes }),
  };
}

/** The same with a client certificate and its key, of those that are given. */
export async function certifiedBrokerOf(context: CliContext, flags: LoginFlags & CertificateFlags) {
  const { cert, key } = flags;
  return {
    ...(await brokerOf(context, flags)),
    ...(cert === undefined ? {} : { cert: (await fileOf(context, cert)).bytes }),
    ...(key === undefined ? {} : { key: (await fileOf(context, key)).bytes }),
  };
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
