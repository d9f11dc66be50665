import type { CliContext } from '#cli/context.ts';
import { CliTrouble } from '#cli/fleet.ts';
import { certifiedBrokerOf, fileOf, hubLogin, named, simulate, type CertificateFlags, type SimFlags } from './sim-device.ts';

export interface SimMongooseFlags extends SimFlags, CertificateFlags {
  readonly user?: string;
  readonly password?: string;
  readonly hub?: string;
  readonly deviceKey?: string;
  readonly platform: string;
  readonly firmware: string;
  readonly host?: string;
  readonly generation: '2018' | 'readme' | 'flat';
  readonly commitTimeout: number;
  readonly autocommit: boolean;
  readonly account?: string;
}

/** Simulated Mongoose OS boards on any broker, until Ctrl-C. Each is `device.id` or `device.id=MAC`. */
export function simMongoose(context: CliContext, flags: SimMongooseFlags, ...given: readonly string[]): Promise<void> {
  return simulate(context, flags, async (shared) => {
    if (given.length === 0) throw new CliTrouble('BAD_DEVICE', 'no board is named: write its device.id, esp32_AABBCC for example');
    const { mongooseAlone } = await import('#sim/alone.ts');
    const broker = await certifiedBrokerOf(context, flags);
    const { platform, firmware, host = null, generation, commitTimeout, autocommit } = flags;
    const hub = flags.hub === undefined ? null : hubLogin(flags.hub, flags);
    const account = flags.account === undefined ? null : await accountOf(context, flags.account);
    return given.map((written) => {
      const [id = written, mac = null] = written.split('=');
      const hardware = { id, mac, platform, firmware, host, generation, commitTimeout, autocommit, account, hub };
      return named(() => mongooseAlone(hardware, { ...shared, id, broker }));
    });
  });
}

async function accountOf(context: CliContext, path: string): Promise<{ readonly username: string; readonly password: string }> {
  const [, username, password] = /^([^:]+):(.+)$/.exec(new TextDecoder().decode((await fileOf(context, path)).bytes).trim()) ?? [];
  if (username === undefined || password === undefined) throw new CliTrouble('BAD_DEVICE', `${path} does not hold USER:PASSWORD`);
  return { username, password };
}
