import type { CliContext } from '#cli/context.ts';
import { CliTrouble, withTroubles } from '#cli/fleet.ts';
import { fileOf, hubLogin, named, pemOf, runDevices, sharedParts } from './sim-device.ts';

export interface SimMongooseFlags {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly hub?: string;
  readonly deviceKey?: string;
  readonly platform: string;
  readonly firmware: string;
  readonly host?: string;
  readonly generation: '2018' | 'readme' | 'flat';
  readonly commitTimeout: number;
  readonly autocommit: boolean;
  readonly account?: string;
  readonly scale: number;
  readonly seed: number;
  readonly fault?: readonly string[];
}

/** Simulated Mongoose OS boards on any broker, until Ctrl-C. Each is `device.id` or `device.id=MAC`. */
export function simMongoose(context: CliContext, flags: SimMongooseFlags, ...given: readonly string[]): Promise<void> {
  return withTroubles(context, async () => {
    if (given.length === 0) throw new CliTrouble('BAD_DEVICE', 'no board is named: write its device.id, esp32_AABBCC for example');
    const { mongooseAlone } = await import('#sim/alone.ts');
    const shared = await sharedParts(context, flags);
    const broker = {
      url: flags.url,
      ...(flags.user === undefined ? {} : { username: flags.user }),
      ...(flags.password === undefined ? {} : { password: flags.password }),
      ...(await pemOf(context, flags)),
    };
    const { platform, firmware, host = null, generation, commitTimeout, autocommit } = flags;
    const hub = flags.hub === undefined ? null : hubLogin(flags.hub, flags);
    const account = flags.account === undefined ? null : await accountOf(context, flags.account);
    const devices = given.map((written) => {
      const [id = written, mac = null] = written.split('=');
      const hardware = { id, mac, platform, firmware, host, generation, commitTimeout, autocommit, account, hub };
      return named(() => mongooseAlone(hardware, { ...shared, id, broker }));
    });
    return runDevices(context, devices, { ...flags, watch: shared.watch });
  });
}

async function accountOf(context: CliContext, path: string): Promise<{ readonly username: string; readonly password: string }> {
  const [, username, password] = /^([^:]+):(.+)$/.exec(new TextDecoder().decode((await fileOf(context, path)).bytes).trim()) ?? [];
  if (username === undefined || password === undefined) throw new CliTrouble('BAD_DEVICE', `${path} does not hold USER:PASSWORD`);
  return { username, password };
}
