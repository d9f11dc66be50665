import type { CliContext } from '#cli/context.ts';
import { CliTrouble } from '#cli/fleet.ts';
import { certifiedBrokerOf, hubLogin, jsonOf, named, simulate, type CertificateFlags, type SimFlags } from './sim-device.ts';

export interface SimTwinFlags extends SimFlags, CertificateFlags {
  readonly hostName?: string;
  readonly deviceKey?: string;
  readonly options?: string;
  readonly model: string;
  readonly firmware: string;
  readonly config?: string;
}

/** Where items lie that nobody gave options for. */
const USUAL_OPTIONS = { firmware: { reported: '/firmware' }, config: { reported: '/config' } };

/** Simulated devices with a twin at an Azure IoT hub, until Ctrl-C. Each is `device` or `device=serial`. */
export function simTwin(context: CliContext, flags: SimTwinFlags, ...given: readonly string[]): Promise<void> {
  return simulate(context, flags, async (shared) => {
    if (given.length === 0) throw new CliTrouble('BAD_DEVICE', 'no device is named: write its id at the hub, logger-7 for example');
    const { twinAlone } = await import('#sim/alone.ts');
    const broker = await certifiedBrokerOf(context, flags);
    const options = flags.options === undefined ? USUAL_OPTIONS : await jsonOf(context, flags.options);
    const config = flags.config === undefined ? null : await jsonOf(context, flags.config);
    const { model, firmware } = flags;
    const hub = hubLogin(flags.hostName ?? hostOf(flags.url), flags);
    return given.map((written) => {
      const [id = written, serial = null] = written.split('=');
      return named(() => twinAlone({ id, serial, model, firmware, config, hub }, options, { ...shared, id, broker }));
    });
  });
}

function hostOf(url: string): string {
  const host = URL.parse(url)?.hostname ?? '';
  if (host === '') throw new CliTrouble('BAD_DEVICE', 'the url names no host: write mqtts://HOST');
  return host;
}
