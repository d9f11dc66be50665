import type { CliContext } from '#cli/context.ts';
import { CliTrouble, withTroubles } from '#cli/fleet.ts';
import { hubLogin, jsonOf, named, pemOf, runDevices, sharedParts } from './sim-device.ts';

export interface SimTwinFlags {
  readonly url: string;
  readonly hostName?: string;
  readonly deviceKey?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly options?: string;
  readonly model: string;
  readonly firmware: string;
  readonly config?: string;
  readonly scale: number;
  readonly seed: number;
  readonly fault?: readonly string[];
}

/** Where items lie that nobody gave options for. */
const USUAL_OPTIONS = { firmware: { reported: '/firmware' }, config: { reported: '/config' } };

/** Simulated devices with a twin at an Azure IoT hub, until Ctrl-C. Each is `device` or `device=serial`. */
export function simTwin(context: CliContext, flags: SimTwinFlags, ...given: readonly string[]): Promise<void> {
  return withTroubles(context, async () => {
    if (given.length === 0) throw new CliTrouble('BAD_DEVICE', 'no device is named: write its id at the hub, logger-7 for example');
    const { twinAlone } = await import('#sim/alone.ts');
    const shared = await sharedParts(context, flags);
    const broker = { url: flags.url, ...(await pemOf(context, flags)) };
    const options = flags.options === undefined ? USUAL_OPTIONS : await jsonOf(context, flags.options);
    const config = flags.config === undefined ? null : await jsonOf(context, flags.config);
    const { model, firmware } = flags;
    const hub = hubLogin(flags.hostName ?? hostOf(flags.url), flags);
    const devices = given.map((written) => {
      const [id = written, serial = null] = written.split('=');
      return named(() => twinAlone({ id, serial, model, firmware, config, hub }, options, { ...shared, id, broker }));
    });
    return runDevices(context, devices, { ...flags, watch: shared.watch });
  });
}

function hostOf(url: string): string {
  const host = URL.parse(url)?.hostname ?? '';
  if (host === '') throw new CliTrouble('BAD_DEVICE', 'the url names no host: write mqtts://HOST');
  return host;
}
