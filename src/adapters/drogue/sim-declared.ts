import type { DeclaredDevice } from '#model/declared.ts';
import { drogueOptions } from './options.ts';
import type { FlashDriver, Progress } from './sim-flash.ts';
import { NodeLink } from './sim-link.ts';
import type { DrogueSimOptions, DrogueTimings } from './sim.ts';

/** One session for each gateway of a world. */
export type GatewayLinks = Map<string, NodeLink>;

/**
 * The hardware of a declared device, carrying what is declared. `written` says what it has instead: `firmware` as it says
 * it, `profile`, `driver`, `progress`, `encoding`, `mtu`, and the timings by name (`timeoutMs=3000`).
 */
export function declaredNode(device: DeclaredDevice, written: Readonly<Record<string, string>>, links: GatewayLinks): DrogueSimOptions {
  const options = drogueOptions(device.options);
  const firmware = device.items.find(({ item }) => item === 'firmware');
  const { correlation, gateway } = options;
  const own = correlation === null ? {} : { correlation };
  return {
    id: device.address ?? device.id,
    firmware: written['firmware'] ?? firmware?.value ?? '0.0.1',
    profile: written['profile'] === 'strict' ? 'strict' : 'reference',
    ...one(written, 'driver', DRIVERS),
    ...one(written, 'progress', PROGRESSES),
    ...one(written, 'encoding', ENCODINGS),
    ...(written['mtu'] === undefined ? {} : { mtu: Number(written['mtu']) }),
    up: options.up,
    down: options.down,
    telemetry: options.telemetry,
    group: device.group ?? '-',
    timings: timingsIn(written),
    ...(gateway === null || correlation === null
      ? own
      : { gateway: { name: gateway, correlation, link: linkOf(links, `${device.via.connection} ${gateway}`, gateway) } }),
  };
}

const DRIVERS: readonly FlashDriver[] = ['simulator', 'embassy', 'strict'];
const PROGRESSES: readonly Progress[] = ['none', 'ram', 'persisted'];
const ENCODINGS: readonly NonNullable<DrogueSimOptions['encoding']>[] = ['named', 'packed', 'json'];
const TIMINGS = ['timeoutMs', 'backoffMs', 'rebootMs', 'telemetryMs', 'bootBackMs', 'powerCutMs'] as const;

function one<Name extends string, Value extends string>(
  written: Readonly<Record<string, string>>,
  name: Name,
  values: readonly Value[],
): { readonly [K in Name]?: Value } {
  const found = values.find((value) => value === written[name]);
  return found === undefined ? {} : ({ [name]: found } as { readonly [K in Name]: Value });
}

function timingsIn(written: Readonly<Record<string, string>>): Partial<DrogueTimings> {
  return Object.fromEntries(TIMINGS.flatMap((name) => (written[name] === undefined ? [] : [[name, Number(written[name])]])));
}

function linkOf(links: GatewayLinks, key: string, gateway: string): NodeLink {
  const link = links.get(key) ?? new NodeLink(`gateway-${gateway}`);
  links.set(key, link);
  return link;
}
