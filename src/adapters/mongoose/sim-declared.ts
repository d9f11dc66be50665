import { sha256 } from '#kit/digest.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { boardName, mongooseOptions, type HostOptions } from './options.ts';
import type { SimImage } from './sim-flash.ts';
import type { MongooseSimOptions, SimHost } from './sim.ts';
import { macText, readFirmwareName } from './wire.ts';

/** What a board is called that nobody declared a firmware for. */
const FACTORY = 'factory';

/**
 * The hardware of a declared device, carrying what is declared. `written` says what it has instead: `firmware` and `host` as
 * `VERSION BUILD_ID`, `mac`, `generation=readme`, `commitTimeout` in seconds, `password` for one that asks who calls, `ram`
 * and `storage` in free bytes, and the timings by name (`bootMs=5000`, `bytesPerSecond=4000`).
 */
export function declaredMongoose(device: DeclaredDevice, written: Readonly<Record<string, string>>): MongooseSimOptions {
  const options = mongooseOptions(device.options);
  const numbers = (names: readonly (readonly [string, string])[]): Readonly<Record<string, number>> =>
    Object.fromEntries(names.flatMap(([from, to]) => (written[from] === undefined ? [] : [[to, Number(written[from])]])));
  const imageOf = (item: string, name: string): SimImage =>
    readImage(written[name] ?? device.items.find((one) => one.item === item)?.value ?? FACTORY);
  const { generation } = written;
  const usual = options.shadow.generation === 'flat' ? 'flat' : '2018';
  return {
    id: boardName(device),
    mac: macText(written['mac'] ?? device.serial ?? sha256(device.id).slice(0, 12)),
    platform: options.platform ?? device.model,
    app: device.model,
    firmware: imageOf('firmware', 'firmware'),
    host: options.host === null ? null : hostOf(options.host, imageOf('firmware.host', 'host')),
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

/** `VERSION BUILD_ID`; a version alone is of the factory. */
export function readImage(text: string): SimImage {
  return readFirmwareName(text) ?? { version: text, buildId: FACTORY };
}
