import { sha256 } from '#kit/digest.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { HubLogin } from '#shadows/hub-login.ts';
import { boardName, mongooseOptions, type HostOptions } from './options.ts';
import type { DigestAccount } from './rpc.ts';
import type { OtaGeneration } from './shadow-wire.ts';
import type { SimImage } from './sim-flash.ts';
import type { MongooseSimOptions, SimHost } from './sim.ts';
import { macText, readFirmwareName } from './wire.ts';

/** What a board is called that nobody declared a firmware for. */
const FACTORY = 'factory';

/**
 * The hardware of a declared device, carrying what is declared. `written` says what it has instead: `firmware` and `host` as
 * `VERSION BUILD_ID`, `mac`, `generation=readme`, `commitTimeout` in seconds, `password` for one that asks who calls, `ram`
 * and `storage` in free bytes, and the timings by name (`bootMs=5000`, `bytesPerSecond=4000`). The connection says where its shadow lies.
 */
export function declaredMongoose(
  device: DeclaredDevice,
  written: Readonly<Record<string, string>>,
  connectionType: string | null = null,
): MongooseSimOptions {
  const options = mongooseOptions(device.options);
  const numbers = (names: readonly (readonly [string, string])[]): Readonly<Record<string, number>> =>
    Object.fromEntries(names.flatMap(([from, to]) => (written[from] === undefined ? [] : [[to, Number(written[from])]])));
  const imageOf = (item: string, name: string): SimImage =>
    readImage(written[name] ?? device.items.find((one) => one.item === item)?.value ?? FACTORY);
  const { generation } = written;
  const usual = options.shadow.generation === 'flat' ? 'flat' : '2018';
  return {
    id: boardName(device),
    mac: macOf(written['mac'] ?? device.serial, device.id),
    platform: options.platform ?? device.model,
    app: device.model,
    firmware: imageOf('firmware', 'firmware'),
    host: options.host === null ? null : hostOf(options.host, imageOf('firmware.host', 'host')),
    cloud: connectionType === 'azure-iot' ? 'azure' : 'aws',
    generation: generation === 'readme' || generation === 'flat' ? generation : usual,
    commitTimeout: Number(written['commitTimeout'] ?? options.commitTimeoutMs / SECOND_MS),
    autocommit: options.commit === 'self',
    account: { username: options.rpc.user ?? '', password: written['password'] ?? '', realm: options.rpc.realm, algorithm: 'MD5' },
    asksWho: written['password'] !== undefined,
    keys: [],
    signatureMask: -1,
    measures: numbers([
      ['ram', 'ram_free'],
      ['leastRam', 'ram_min_free'],
      ['storage', 'fs_free'],
    ]),
    timings: numbers([
      ['bootMs', 'bootMs'],
      ['bytesPerSecond', 'bytesPerSecond'],
    ]),
  };
}

function hostOf({ platform, reported, method }: HostOptions, firmware: SimImage): SimHost {
  return { platform, firmware, reported, method };
}

/** What a person says of a board on the command line. */
export interface MongooseHardware {
  readonly id: string;
  readonly mac: string | null;
  readonly platform: string;
  readonly firmware: string;
  readonly host: string | null;
  readonly generation: OtaGeneration;
  readonly commitTimeout: number;
  readonly autocommit: boolean;
  /** Whom it asks for; null for a board that takes calls from everybody. */
  readonly account: DigestAccount | null;
  /** The Azure IoT hub where its shadow lies; null for topics of AWS. */
  readonly hub: HubLogin | null;
}

export function mongooseByHand(hardware: MongooseHardware): MongooseSimOptions {
  const { hub, ...rest } = hardware;
  const { id, mac, platform, firmware, host, account } = rest;
  return {
    ...rest,
    ...(hub === null ? {} : { cloud: 'azure', hub }),
    mac: macOf(mac, id),
    app: platform,
    firmware: readImage(firmware),
    host: host === null ? null : { platform: 'ccm_host', firmware: readImage(host), reported: null, method: 'Host.Info' },
    account: { username: '', password: '', ...account, realm: 'RPC', algorithm: 'MD5' },
    asksWho: account !== null,
    keys: [],
    signatureMask: -1,
  };
}

function macOf(written: string | null | undefined, id: string): string {
  return macText(written ?? sha256(id).slice(0, 12));
}

/** `VERSION BUILD_ID`; a version alone is of the factory. */
function readImage(text: string): SimImage {
  return readFirmwareName(text) ?? { version: text, buildId: FACTORY };
}
