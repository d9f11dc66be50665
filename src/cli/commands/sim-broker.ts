import type { CliContext } from '#cli/context.ts';
import { outputs, withTroubles } from '#cli/fleet.ts';
import { untilStopped } from '#cli/serve.ts';

export interface SimBrokerFlags {
  readonly port: number;
  readonly host: string;
  readonly user?: string;
  readonly password?: string;
}

/** The embedded MQTT broker alone, until Ctrl-C. */
export function simBroker(context: CliContext, flags: SimBrokerFlags): Promise<void> {
  return withTroubles(context, async () => {
    const { startBroker } = await import('#sim/broker.ts');
    const auth = flags.user === undefined ? {} : { auth: { users: { [flags.user]: flags.password ?? '' } } };
    const broker = await startBroker({ port: flags.port, host: flags.host, ...auth });
    const { out } = outputs(context);
    out(`MQTT 3.1.1 at ${broker.url ?? ''} (Ctrl-C ends it, and with it what it keeps)`);
    await untilStopped(context.cli.signal);
    await broker.close();
    return 0;
  });
}
