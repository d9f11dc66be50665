import type { CliContext } from '#cli/context.ts';
import { CliTrouble } from '#cli/fleet.ts';
import { certifiedBrokerOf, jsonOf, named, pairOf, simulate, type CertificateFlags, type SimFlags } from './sim-device.ts';

export interface SimChariotFlags extends SimFlags, CertificateFlags {
  readonly claim?: string;
  readonly claimKey?: string;
  readonly template: string;
  readonly options?: string;
  readonly model: string;
  readonly firmware: string;
  readonly program?: string;
  readonly config?: string;
}

/** Simulated gateways with chariotd on any broker that keeps shadows, until Ctrl-C. Each is `thing` or `thing=serial`. */
export function simChariot(context: CliContext, flags: SimChariotFlags, ...things: readonly string[]): Promise<void> {
  return simulate(context, flags, async (shared) => {
    if (things.length === 0) throw new CliTrouble('BAD_DEVICE', 'no gateway is named: write its thing, gw-1 for example');
    const { chariotAlone } = await import('#sim/alone.ts');
    const broker = await certifiedBrokerOf(context, flags);
    const options = flags.options === undefined ? {} : await jsonOf(context, flags.options);
    const config = flags.config === undefined ? null : await jsonOf(context, flags.config);
    const claim = await claimOf(context, flags);
    return things.map((written) => {
      const [id = written, serial = null] = written.split('=');
      const hardware = { id, serial, model: flags.model, firmware: flags.firmware, program: flags.program ?? null, config, measures: {} };
      const parameters = { SerialNumber: id, ThingName: id };
      const own = claim === null ? null : { claim, template: flags.template, parameters };
      return named(() => chariotAlone({ ...hardware, claim: own }, options, { ...shared, id, broker }));
    });
  });
}

/** Both parts of a claim, or none. */
async function claimOf(context: CliContext, { claim, claimKey }: SimChariotFlags) {
  const pair = await pairOf(context, [claim, claimKey], 'a claim is a certificate and its key: write --claim and --claim-key');
  return pair === null ? null : { certificate: pair[0], key: pair[1] };
}
