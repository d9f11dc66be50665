import type { CliContext } from '#cli/context.ts';
import { CliTrouble, withTroubles } from '#cli/fleet.ts';
import { fileOf, jsonOf, named, pemOf, runDevices, sharedParts } from './sim-device.ts';

export interface SimChariotFlags {
  readonly url: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly claim?: string;
  readonly claimKey?: string;
  readonly template: string;
  readonly options?: string;
  readonly model: string;
  readonly firmware: string;
  readonly program?: string;
  readonly config?: string;
  readonly scale: number;
  readonly seed: number;
  readonly fault?: readonly string[];
}

/** Simulated gateways with chariotd on any broker that keeps shadows, until Ctrl-C. Each is `thing` or `thing=serial`. */
export function simChariot(context: CliContext, flags: SimChariotFlags, ...things: readonly string[]): Promise<void> {
  return withTroubles(context, async () => {
    if (things.length === 0) throw new CliTrouble('BAD_DEVICE', 'no gateway is named: write its thing, gw-1 for example');
    const { chariotAlone } = await import('#sim/alone.ts');
    const shared = await sharedParts(context, flags);
    const broker = { url: flags.url, ...(await pemOf(context, flags)) };
    const options = flags.options === undefined ? {} : await jsonOf(context, flags.options);
    const config = flags.config === undefined ? null : await jsonOf(context, flags.config);
    const claim = await claimOf(context, flags);
    const devices = things.map((written) => {
      const [id = written, serial = null] = written.split('=');
      const hardware = { id, serial, model: flags.model, firmware: flags.firmware, program: flags.program ?? null, config, measures: {} };
      const parameters = { SerialNumber: id, ThingName: id };
      const own = claim === null ? null : { claim, template: flags.template, parameters };
      return named(() => chariotAlone({ ...hardware, claim: own }, options, { ...shared, id, broker }));
    });
    return runDevices(context, devices, { ...flags, watch: shared.watch });
  });
}

/** Both parts of a claim, or none. */
async function claimOf(context: CliContext, { claim, claimKey }: SimChariotFlags) {
  if (claim === undefined && claimKey === undefined) return null;
  if (claim === undefined || claimKey === undefined)
    throw new CliTrouble('BAD_DEVICE', 'a claim is a certificate and its key: write --claim and --claim-key');
  const text = async (path: string): Promise<string> => new TextDecoder().decode((await fileOf(context, path)).bytes);
  return { certificate: await text(claim), key: await text(claimKey) };
}
